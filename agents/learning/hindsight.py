"""Hindsight learning: a policy is fitted to what the planner does along many paths, and rewards are paid when a state's value changes, not when the bill does.

The planner's values are expectations at what is known in each interval, not the best that could have been done on the path: that would be too good to be
had, and a policy fitted to it would gamble.

Source:
    S. Sinclair et al., "Hindsight learning for MDPs with exogenous inputs", ICML 2023, for the setting; A. Ng, D. Harada, S. Russell, "Policy invariance
    under reward transformations", ICML 1999, for the shaping; S. Ross, G. Gordon, D. Bagnell, AISTATS 2011 (DAgger), for who visits the states.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.sac.policies import SACPolicy
from torch import nn
from tqdm import tqdm

from ...envs.batch.actions import RESIDUAL
from ...envs.batch.arrays import EnvWorld
from ...envs.batch.config import EnvConfig
from ...envs.batch.core import Batch
from ...envs.batch.operating import MOST_LOG_RATIO, MOST_PRICE_MOVE, PRICE_UNIT_USD, margin_price
from ...envs.batch.seeding import draw_seeds
from ...sim.foundation.checks import require_at_least, require_rate
from ...sim.foundation.errors import BadInputError
from ...sim.foundation.jit import allocating_kernel
from ...sim.hardware.firmware import ASLEEP
from ..planners.plan_values import PlanValues
from ..planners.site_planner import SitePlanner
from ..rules import Seen

TEACHING_ROLE: Final = 5
"""Role of the environments in SeedSequence([run seed, role]), after training, tuning, evaluation, rollouts and the search of rules."""

SHUFFLE_STEPS: Final = 144
"""Steps after which the charge of every battery is drawn anew while lessons are collected. chosen: half a day, so that all charges are seen at all
hours."""

PRICE_SOFTNESS: Final = 0.1
RATIO_SOFTNESS: Final = 0.2
"""Softness of the battery's and the machines' thresholds in the loss, of asinh(price / PRICE_UNIT_USD) and of the price ratio's logarithm. chosen: about
the distance of two levels of the planner's prices."""

LEAST_RATIO: Final = 1e-3
"""Price ratio below which machines run whatever the threshold. chosen."""

STILLNESS: Final = 0.05
OUTSIDE: Final = 1.0
"""Weights of the square of moves that no lesson is about, and of what lies outside [-1, 1]. chosen: small against a wrong decision."""


@dataclass(frozen=True, slots=True, eq=False)
class Lessons:
    """What was observed and what the planner would do there.

    observations: (n, n_observations). ratio: price of a watt more over the break-even price, (n,). is_off: zones that sleep, (n, n_zones).
    battery: -1 to buy, 1 to sell, (n,).
    """

    observations: torch.Tensor
    ratio: torch.Tensor
    is_off: torch.Tensor
    battery: torch.Tensor

    def __len__(self) -> int:
        """Return the number of lessons."""
        return len(self.observations)

    def of(self, rows: torch.Tensor) -> "Lessons":
        """Return some of them."""
        return Lessons(self.observations[rows], self.ratio[rows], self.is_off[rows], self.battery[rows])

    def joined(self, other: "Lessons") -> "Lessons":
        """Return both."""
        return Lessons(
            torch.cat([self.observations, other.observations]),
            torch.cat([self.ratio, other.ratio]),
            torch.cat([self.is_off, other.is_off]),
            torch.cat([self.battery, other.battery]),
        )


def collect(
    batch: Batch,
    planner: SitePlanner,
    values: PlanValues,
    n_steps: int,
    rng: np.random.Generator,
    act: Callable[[npt.NDArray[np.float32]], npt.NDArray[Any]] | None,
) -> Lessons:
    """Step environments and note, at the begin of each interval, what the planner would do.

    Args:
        batch: Environments with residual actions.
        planner: The planner.
        values: Its choices along the batch's series.
        n_steps: Steps.
        rng: Draws the charges.
        act: The policy that acts; None: the rule.
    """
    still = np.zeros((batch.n_envs, len(batch.actions)))
    seen, ratio, off, battery = (list[np.ndarray]() for _ in range(4))
    powers = np.sign(planner.powers).astype(np.int64)
    for step in range(n_steps):
        if batch.site.battery is not None and step % SHUFFLE_STEPS == 0:
            batch.state.site["battery_kwh"] = rng.random(batch.n_envs) * batch.site.battery.energy_wh / 1000.0
            batch.look()
        at = batch.state.site["step"] - values.first
        view = Seen.of(batch)
        is_forced = np.broadcast_to(
            np.asarray((view.coincident_ratio >= planner.peak_ratio) | view.is_called), (batch.n_envs,)
        )
        rows = np.flatnonzero((at % values.every == 0) & ~is_forced)
        if rows.size:
            choice = values.choice[
                batch.state.site["series"][rows],
                np.minimum(at[rows] // values.every, values.choice.shape[1] - 1),
                is_running(batch)[rows].astype(np.int64),
                _charge_number(batch, values.choice.shape[3])[rows],
            ]
            machines, power = np.divmod(choice.astype(np.int64), len(powers))
            seen.append(batch.obs[rows].copy())
            ratio.append(margin_ratio(batch.obs[rows], batch.world))
            off.append(planner.choices.profiles[machines] == 0)
            battery.append(powers[power])
        batch.step(still if act is None else act(batch.obs))
        ended = np.flatnonzero(batch.truncated)
        if ended.size:
            batch.reset(ended)
    return Lessons(
        torch.as_tensor(np.concatenate(seen)),
        torch.as_tensor(np.concatenate(ratio)),
        torch.as_tensor(np.concatenate(off)),
        torch.as_tensor(np.concatenate(battery)),
    )


@allocating_kernel
def margin_ratio(observations: np.ndarray, world: EnvWorld) -> np.ndarray:
    """Return what a watt-hour more costs the machines over the site's break-even price, (n,), of observations, (n, n_observations)."""
    ratio, env = np.empty(observations.shape[0], np.float32), world.env[0]
    for i in range(observations.shape[0]):
        ratio[i] = margin_price(observations[i], world) / max(observations[i, env["break_even_usd_per_mwh"]], 1e-9)
    return ratio


def is_running(batch: Batch) -> npt.NDArray[np.bool_]:
    """Tell where some zone does not sleep, (n_envs,)."""
    return np.asarray((batch.state.zone["mode"] != ASLEEP).any(axis=1))


def _charge_number(batch: Batch, n_charges: int) -> npt.NDArray[np.int64]:
    if batch.site.battery is None:
        return np.zeros(batch.n_envs, np.int64)
    held = batch.state.site["battery_kwh"] / (batch.site.battery.energy_wh / 1000.0)
    return np.clip(np.rint(held * (n_charges - 1)), 0, n_charges - 1).astype(np.int64)


class Imitation(nn.Module):
    """How far a residual action is from deciding as a planner does: cross-entropies of softened thresholds."""

    def __init__(self, batch: Batch) -> None:
        """Take the tables of a batch with residual actions, and its rule."""
        super().__init__()
        if batch.setup.action != RESIDUAL or batch.setup.rule is None:
            raise BadInputError("hindsight learning needs env.action=residual")
        rule, zones = batch.setup.rule, range(batch.n_zones)
        names = [entry.name for entry in batch.actions]
        self.ratio = [names.index(f"zone{z}_price_ratio") for z in zones]
        self.asleep = [batch.column(f"zone{z}_asleep") for z in zones]
        self.even = batch.menus["best_ths_per_w"] / batch.menus["best_ths_per_w"].max()
        self.log_off = float(np.log(rule["off_ratio"]))
        self.log_on = float(np.log(min(rule["on_ratio"], rule["off_ratio"])))
        self.has_battery = batch.site.battery is not None
        taught = list(self.ratio)
        if self.has_battery:
            self.prices = [
                batch.column(name)
                for name in (
                    "rule_sell_price_usd_per_mwh",
                    "rule_buy_price_usd_per_mwh",
                    "known_energy_price_usd_per_mwh",
                )
            ]
            self.moves = [names.index("battery_sell_price"), names.index("battery_buy_price")]
            self.adder, self.markup = (float(batch.world.env[0][name]) for name in ("adder_usd_per_mwh", "markup_frac"))
            taught += self.moves
        self.untaught = [k for k in range(len(names)) if k not in taught]

    def forward(self, moves: torch.Tensor, lessons: Lessons) -> torch.Tensor:
        """Return the mean loss of residual actions, (n, n_moves), that are not yet held to [-1, 1]."""
        loss = OUTSIDE * (moves.abs() - 1.0).clamp(min=0.0).square().sum(dim=1).mean()
        loss = loss + STILLNESS * moves[:, self.untaught].square().sum(dim=1).mean()
        observations, ratio = lessons.observations, lessons.ratio.clamp(min=LEAST_RATIO).log()
        for z, column in enumerate(self.ratio):
            threshold = torch.where(observations[:, self.asleep[z]] > 0.5, self.log_on, self.log_off)
            logit = (
                ratio - float(np.log(self.even[z])) + MOST_LOG_RATIO * moves[:, column] - threshold
            ) / RATIO_SOFTNESS
            loss = loss + nn.functional.binary_cross_entropy_with_logits(logit, lessons.is_off[:, z].float())
        if self.has_battery:
            sell, buy, known = (observations[:, column] for column in self.prices)
            market = torch.asinh((known - self.adder) / (1.0 + self.markup) / PRICE_UNIT_USD)
            sell, buy = (torch.asinh(price.clamp(-1000.0, 1000.0) / PRICE_UNIT_USD) for price in (sell, buy))
            up = (market - sell - MOST_PRICE_MOVE * moves[:, self.moves[0]]) / PRICE_SOFTNESS
            down = (buy + MOST_PRICE_MOVE * moves[:, self.moves[1]] - market) / PRICE_SOFTNESS
            logits = torch.stack([down, torch.zeros_like(up), up], dim=1)
            loss = loss + nn.functional.cross_entropy(logits, lessons.battery + 1)
        return loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Teaching:
    """How a policy is fitted to a planner. rounds: of collecting lessons, in the first of which the rule acts, then the policy as it stands.

    steps, n_envs: environments and steps of a round. updates, batch_size, learning_rate: of the fit after each round, the rate falling as a cosine.
    Defaults: chosen so that a minute or two on two cores come to most of the planner's gain on ercot_battery_old_fleet.
    """

    rounds: int = 2
    n_envs: int = 512
    steps: int = 600
    updates: int = 1500
    batch_size: int = 4096
    learning_rate: float = 2e-3

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        counts = ("rounds", "n_envs", "steps", "updates", "batch_size")
        require_at_least("agent", {name: getattr(self, name) for name in counts}, 1)
        require_rate("agent", self.learning_rate)


def teach(
    model: BaseAlgorithm,
    config: EnvConfig,
    planned: tuple[SitePlanner, PlanValues],
    teaching: Teaching,
    seed: int,
    *,
    progress: bool = False,
) -> dict[str, float]:
    """Fit a learner's policy to what the planner does; draws come from torch's generator, which the learner's seed has set, and from `seed`.

    Args:
        model: PPO or SAC on residual actions; its actor is changed in place.
        config: Options of its environments.
        planned: The planner of their worlds, and its values.
        teaching: How.
        seed: Of environments and charges.
        progress: Whether a bar shows how far it is.

    Returns:
        The last loss.
    """
    batch = Batch(replace(config, reward="profit"), teaching.n_envs)
    batch.seed(draw_seeds(seed, TEACHING_ROLE, teaching.n_envs))
    batch.reset()
    rng = np.random.default_rng([seed, TEACHING_ROLE])
    imitation, actor = Imitation(batch), Actor.of(model)
    optimizer = torch.optim.Adam(actor.parameters(), lr=teaching.learning_rate)
    n_updates = teaching.rounds * teaching.updates
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_updates)
    lessons: Lessons | None = None
    loss = torch.zeros(())
    with tqdm(desc="hindsight", total=n_updates, leave=False, disable=not progress) as bar:
        for _ in range(teaching.rounds):
            act = None if lessons is None else (lambda obs: model.predict(obs, deterministic=True)[0])
            more = collect(batch, *planned, teaching.steps, rng, act)
            lessons = more if lessons is None else lessons.joined(more)
            model.policy.set_training_mode(True)
            for _ in range(teaching.updates):
                part = lessons.of(torch.randint(len(lessons), (min(teaching.batch_size, len(lessons)),)))
                loss = imitation(actor(part.observations), part)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                bar.update()
    return {"loss": float(loss.detach())}


class Actor(nn.Module):
    """The mean action of a policy of stable-baselines3 as a network, not held to [-1, 1] where PPO clips it."""

    def __init__(self, features: nn.Module, body: nn.Module, head: Any, *, is_squashed: bool) -> None:
        """Take the parts of a policy, which stay its own."""
        super().__init__()
        self.features, self.body, self.is_squashed = features, body, is_squashed
        self.head: nn.Module = head

    @classmethod
    def of(cls, model: BaseAlgorithm) -> "Actor":
        """Return the actor of PPO or SAC; raises BadInputError for another learner."""
        policy = model.policy
        if isinstance(policy, SACPolicy):
            return cls(policy.actor.features_extractor, policy.actor.latent_pi, policy.actor.mu, is_squashed=True)
        if isinstance(policy, ActorCriticPolicy):
            body = policy.mlp_extractor.policy_net
            return cls(policy.pi_features_extractor, body, policy.action_net, is_squashed=False)
        raise BadInputError(f"hindsight learning fits PPO's policy or SAC's; this is a {type(policy).__name__}")

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Return the mean actions, (n, n_moves)."""
        moves: torch.Tensor = self.head(self.body(self.features(observations)))
        return torch.tanh(moves) if self.is_squashed else moves


def starts_as_rule(model: BaseAlgorithm, first_sigma: float) -> None:
    """Set a policy's mean action to 0, which is the rule, and its first spread; raises BadInputError as `Actor.of` does."""
    head = Actor.of(model).head
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.zero_()
        log_sigma = float(np.log(first_sigma))
        if isinstance(model.policy, SACPolicy):
            spread: nn.Linear = model.policy.actor.log_std  # type: ignore[assignment]
            spread.weight.zero_()
            spread.bias.fill_(log_sigma)
        elif isinstance(model.policy, ActorCriticPolicy):
            model.policy.log_std.fill_(log_sigma)
