"""PPO and SAC under limits on named costs: each cost has a multiplier, which a PID controller raises while the cost lies above its limit.

Without a binding limit both are the learners of stable-baselines3, weight for weight: their own draws come from generators of their own.

Source:
    A. Stooke, J. Achiam, P. Abbeel, "Responsive safety in reinforcement learning by PID Lagrangian methods", ICML 2020, arXiv:2007.03964 (multipliers;
    division of the objective by one plus their sum); R. Rockafellar, S. Uryasev, "Optimization of conditional value-at-risk", Journal of Risk 2, 2000
    (the tail's gradient is that of what lies beyond its quantile); Q. Yang et al., "WCSAC: worst-case soft actor critic", AAAI 2021 (the tail of a
    normal distribution whose variance a critic learns). The update of SAC follows stable-baselines3 (A. Raffin et al., JMLR 22, 2021; MIT licence).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any, Final, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.buffers import ReplayBuffer, RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.torch_layers import create_mlp
from stable_baselines3.common.utils import polyak_update
from stable_baselines3.common.vec_env import VecEnv
from torch import nn

from ...sim.foundation.checks import require, require_at_least, require_known, require_rate

FloatArray = npt.NDArray[np.float32]

LEAST_LIMIT: Final = 1e-3
"""Mean cost per step by which an excess is measured where a limit is smaller. chosen: a step in a thousand."""

PID_STEPS: Final = 8
"""Steps of the environments between two updates of SAC's multipliers. chosen: its policy follows gradually, so that the controller may as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """Which costs are limited, and how multipliers answer.

    limits: mean per step that is allowed, by name of a cost, None for one that is not limited; none given: those of the environment's table. tail: 0 limits the mean,
    0.9 the mean of the worst tenth: of the environments' rollouts for PPO, of what is expected from a state on for SAC. proportional, integral,
    derivative: gains of the controller, in reward per cost, on the excess over the limit, which counts 1 at most. most: highest multiplier. learning_rate,
    epochs: of the cost critic. Defaults: chosen, gains so that a multiplier comes to the reward of a whole site within some fifty rollouts.
    """

    limits: Mapping[str, float | None] = field(default_factory=dict)
    tail: float = 0.0
    proportional: float = 0.1
    integral: float = 0.02
    derivative: float = 0.1
    most: float = 20.0
    learning_rate: float = 3e-3
    epochs: int = 4

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        require(0.0 <= self.tail < 1.0, "agent.constraint", "tail", self.tail, "0 or more and below 1")
        gains = {name: getattr(self, name) for name in ("proportional", "integral", "derivative", "most")}
        require_at_least("agent.constraint", gains, 0.0)
        require_at_least("agent.constraint", {"epochs": self.epochs}, 1)
        require_rate("agent.constraint", self.learning_rate)
        for name, limit in self.limits.items():
            is_limit = isinstance(limit, int | float) and limit >= 0.0
            require(limit is None or is_limit, "agent.constraint.limits", name, limit, "0 or more, or null")

    def of(self, env: VecEnv) -> tuple[tuple[str, ...], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Return names, columns and limits of the costs that are limited; raises BadInputError for a cost that there is not."""
        names: Sequence[str] = env.cost_names  # type: ignore[attr-defined]
        require_known("agent.constraint.limits: no cost", self.limits, names)
        given = {name: limit for name, limit in self.limits.items() if limit is not None}
        limits = given or dict(zip(names, env.cost_limits, strict=True))  # type: ignore[attr-defined]
        chosen = [name for name in names if name in limits]
        columns = np.array([names.index(name) for name in chosen], np.int64)
        return tuple(chosen), columns, np.array([float(limits[name]) for name in chosen])


class Multipliers(nn.Module):
    """One multiplier for each limited cost, in reward per cost, and what the controller remembers, as buffers that a checkpoint keeps."""

    integral: torch.Tensor
    before: torch.Tensor
    multiplier: torch.Tensor
    sums: torch.Tensor
    count: torch.Tensor

    def __init__(self, limits: npt.NDArray[np.float64], how: Constraint) -> None:
        """Begin at 0."""
        super().__init__()
        n = len(limits)
        self.how, self.limits = how, torch.as_tensor(limits, dtype=torch.float64)
        for name, size in (("integral", n), ("before", n), ("multiplier", n), ("sums", n), ("count", 1)):
            self.register_buffer(name, torch.zeros(size, dtype=torch.float64))

    def answer(self, costs: npt.NDArray[np.float64]) -> None:
        """Take what the costs came to, (n_costs,), means per step, and move the multipliers."""
        told, how = torch.as_tensor(costs, dtype=torch.float64), self.how
        excess = ((told - self.limits) / self.limits.clamp(min=LEAST_LIMIT)).clamp(-1.0, 1.0)
        rise = (excess - self.before).clamp(min=0.0)
        self.integral.copy_((self.integral + how.integral * excess).clamp(0.0, how.most))
        raised = self.integral + how.proportional * excess + how.derivative * rise
        self.multiplier.copy_(raised.clamp(0.0, how.most))
        self.before.copy_(excess)

    @property
    def total(self) -> float:
        """Sum of the multipliers."""
        return float(self.multiplier.sum())

    def told(self, names: Sequence[str], costs: npt.NDArray[np.float64]) -> dict[str, float]:
        """Return what goes to the log: multipliers, and costs as means per step."""
        found = self.multiplier.tolist()
        return {f"multiplier/{name}": value for name, value in zip(names, found, strict=True)} | {
            f"limited/{name}": float(value) for name, value in zip(names, costs, strict=True)
        }


class CostNet(nn.Module):
    """A network of what costs come to, with the hidden layers of another one; its draws leave torch's generator as it was.

    Its outputs are means per step times the steps that it looks ahead, so that all are of the size of a cost.
    """

    def __init__(self, n_in: int, n_out: int, like: nn.Module, gamma: float) -> None:
        """Build the network, for a discount."""
        super().__init__()
        self.steps = 1.0 / max(1.0 - gamma, 1e-3)
        sizes = [layer.out_features for layer in like.modules() if isinstance(layer, nn.Linear)]
        with torch.random.fork_rng(devices=[]):
            layers = create_mlp(n_in, n_out, sizes, nn.Tanh)
        for parameter in layers[-1].parameters():
            nn.init.zeros_(parameter)
        self.net = nn.Sequential(*layers)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return what the costs come to, (n, n_out)."""
        out: torch.Tensor = self.net(values) * self.steps
        return out


def tail_mean(values: npt.NDArray[np.float64], tail: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the mean of the worst of some values, (n, n_costs), and each value's weight in it, whose mean is 1.

    Args:
        values: Values.
        tail: Share that is left out; 0: all count alike.

    Examples:
        >>> tail_mean(np.array([[1.0], [2.0], [3.0], [6.0]]), 0.5)[0]
        array([4.5])
    """
    weights = np.ones_like(values)
    if tail > 0.0:
        n = max(1, round((1.0 - tail) * len(values)))
        order = np.argsort(np.argsort(-values, axis=0, kind="stable"), axis=0, kind="stable")
        weights = np.where(order < n, len(values) / n, 0.0)
    return (weights * values).mean(axis=0), weights


class CostRollouts(RolloutBuffer):
    """A rollout buffer that also keeps the costs of each step, and what ended episodes were seen to end in."""

    def __init__(self, *args: Any, seen: VecEnv, columns: npt.NDArray[np.int64], **kwargs: Any) -> None:
        """Take the environments and the columns of the costs that are limited."""
        self.seen, self.columns = seen, columns
        super().__init__(*args, **kwargs)

    def reset(self) -> None:
        """Forget all rows."""
        super().reset()
        self.costs = np.zeros((self.buffer_size, self.n_envs, len(self.columns)))
        self.ended: list[tuple[int, npt.NDArray[np.int64], FloatArray]] = []
        """Row, environments and final observations where episodes were cut off."""

    def add(self, *args: Any, **kwargs: Any) -> None:
        """Keep a step."""
        site: Any = self.seen
        self.costs[self.pos] = site.step_costs[:, self.columns]
        cut = np.flatnonzero(site.step_truncated)
        if cut.size:
            self.ended.append((self.pos, cut, np.asarray(site.final_obs[cut])))
        super().add(*args, **kwargs)


def advantages(
    costs: npt.NDArray[np.float64],
    values: npt.NDArray[np.float64],
    last_values: npt.NDArray[np.float64],
    dones: npt.NDArray[np.bool_],
    gamma: float,
    gae_lambda: float,
) -> npt.NDArray[np.float64]:
    """Return generalised advantages of costs, (n_steps, n_envs, n_costs).

    Args:
        costs: Of each step, what is expected after a cut-off episode included, (n_steps, n_envs, n_costs).
        values: What was expected before each step, as costs.
        last_values: What is expected after the last step, (n_envs, n_costs).
        dones: Whether the step ended an episode, (n_steps, n_envs).
        gamma: Discount.
        gae_lambda: Of the advantages.

    Source:
        J. Schulman et al., arXiv:1506.02438.
    """
    result, running = np.zeros_like(costs), np.zeros_like(last_values)
    after = last_values
    for step in reversed(range(len(costs))):
        goes_on = ~dones[step][:, None]
        delta = costs[step] + gamma * after * goes_on - values[step]
        running = delta + gamma * gae_lambda * goes_on * running
        result[step], after = running, values[step]
    return result


class PpoLagrangian(PPO):
    """PPO whose advantages are those of the reward less the multipliers' part of the costs', over one plus the multipliers' sum."""

    def __init__(self, policy: str, env: VecEnv, *, constraint: Constraint, **kwargs: Any) -> None:
        """Build policy, cost critic and multipliers; raises BadInputError for limits that do not fit the environments."""
        self.names, columns, limits = constraint.of(env)
        self.multipliers = Multipliers(limits, constraint)
        buffer: dict[str, Any] = {
            "rollout_buffer_class": CostRollouts,
            "rollout_buffer_kwargs": {"seen": env, "columns": columns},
        }
        super().__init__(policy, env, **buffer, **kwargs)
        body = self.policy.mlp_extractor.value_net
        features = self.policy.features_extractor.features_dim
        self.cost_critic = CostNet(features, len(self.names), cast(nn.Module, body), self.gamma)
        self.cost_optimizer = torch.optim.Adam(self.cost_critic.parameters(), lr=constraint.learning_rate)
        self._lesson: tuple[torch.Tensor, torch.Tensor] | None = None

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        states, variables = super()._get_torch_save_params()
        return [*states, "cost_critic", "cost_optimizer", "multipliers"], variables

    def _features(self, observations: FloatArray) -> torch.Tensor:
        with torch.no_grad():
            seen = self.policy.extract_features(torch.as_tensor(observations), self.policy.vf_features_extractor)
        return cast(torch.Tensor, seen)

    def collect_rollouts(
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: RolloutBuffer, n_rollout_steps: int
    ) -> bool:
        """Collect as PPO does, then weigh the costs against the reward."""
        if not super().collect_rollouts(env, callback, rollout_buffer, n_rollout_steps):
            return False
        self._weigh(cast(CostRollouts, rollout_buffer))
        return True

    def _weigh(self, buffer: CostRollouts) -> None:
        how, shape = self.multipliers.how, buffer.costs.shape
        features = self._features(buffer.observations.reshape(-1, buffer.observations.shape[-1]))
        with torch.no_grad():
            values = self.cost_critic(features).numpy().astype(np.float64).reshape(shape)
            last = self.cost_critic(self._features(np.asarray(self._last_obs))).numpy().astype(np.float64)
            costs = buffer.costs.copy()
            for row, cut, seen in buffer.ended:
                costs[row, cut] += self.gamma * self.cost_critic(self._features(seen)).numpy()
        dones = np.concatenate([buffer.episode_starts[1:], np.asarray(self._last_episode_starts)[None]]).astype(bool)
        gained = advantages(costs, values, last, dones, self.gamma, self.gae_lambda)
        self._lesson = (features, torch.as_tensor(gained + values, dtype=torch.float32).reshape(-1, shape[2]))

        means, weights = tail_mean(buffer.costs.mean(axis=0), how.tail)
        gained *= weights
        self.multipliers.answer(means)
        for name, value in self.multipliers.told(self.names, means).items():
            self.logger.record(name, value)
        if self.multipliers.total > 0.0:
            part = gained @ self.multipliers.multiplier.numpy()
            buffer.advantages = ((buffer.advantages - part) / (1.0 + self.multipliers.total)).astype(np.float32)

    def train(self) -> None:
        """Update the policy as PPO does, then the cost critic."""
        super().train()
        assert self._lesson is not None
        features, targets = self._lesson
        rng = np.random.default_rng([self.seed or 0, self.num_timesteps])
        loss = torch.zeros(())
        for _ in range(self.multipliers.how.epochs):
            order = torch.as_tensor(rng.permutation(len(features)))
            for rows in order.split(self.batch_size):
                loss = ((self.cost_critic(features[rows]) - targets[rows]) / self.cost_critic.steps).square().mean()
                self.cost_optimizer.zero_grad()
                loss.backward()
                self.cost_optimizer.step()
        self.logger.record("train/cost_loss", float(loss.detach()))


class CostSamples(NamedTuple):
    """Rows of a replay buffer, with the costs of their steps: as stable-baselines3 has them."""

    observations: torch.Tensor
    actions: torch.Tensor
    next_observations: torch.Tensor
    dones: torch.Tensor
    rewards: torch.Tensor
    costs: torch.Tensor


class CostReplay(ReplayBuffer):
    """A replay buffer that also keeps the costs of each step; draws are those of ReplayBuffer."""

    def __init__(self, *args: Any, seen: VecEnv, columns: npt.NDArray[np.int64], **kwargs: Any) -> None:
        """Take the environments and the columns of the costs that are limited."""
        super().__init__(*args, **kwargs)
        self.seen, self.columns = seen, columns
        self.costs = np.zeros((self.buffer_size, self.n_envs, len(columns)), np.float32)

    def add(self, *args: Any, **kwargs: Any) -> None:
        """Keep a step."""
        self.costs[self.pos] = self.seen.step_costs[:, self.columns]  # type: ignore[attr-defined]
        super().add(*args, **kwargs)

    def _get_samples(self, batch_inds: npt.NDArray[np.int64], env: Any = None) -> Any:
        env_inds = np.random.randint(0, high=self.n_envs, size=(len(batch_inds),))  # noqa: NPY002  # as ReplayBuffer draws them
        ended = self.dones[batch_inds, env_inds] * (1.0 - self.timeouts[batch_inds, env_inds])
        found: tuple[Any, ...] = (
            self._normalize_obs(self.observations[batch_inds, env_inds], env),
            self.actions[batch_inds, env_inds],
            self._normalize_obs(self.next_observations[batch_inds, env_inds], env),
            ended[:, None],
            self._normalize_reward(self.rewards[batch_inds, env_inds][:, None], env),
            self.costs[batch_inds, env_inds],
        )
        return CostSamples(*(self.to_torch(part) for part in found))


class CostCritics(nn.Module):
    """Two networks of what each cost comes to from a state and an action on, and of its variance where a tail is limited."""

    def __init__(
        self, n_features: int, n_actions: int, n_costs: int, like: nn.Module, gamma: float, *, has_variance: bool
    ) -> None:
        """Build the networks, for a discount."""
        super().__init__()
        self.n_costs, self.has_variance = n_costs, has_variance
        n_out = n_costs * (1 + has_variance)
        nets = [CostNet(n_features + n_actions, n_out, like, gamma) for _ in range(2)]
        self.nets, self.steps = nn.ModuleList(nets), nets[0].steps

    def forward(self, features: torch.Tensor, actions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return means and variances of both networks, (2, n, n_costs); variances are 0 where none is learnt."""
        out = torch.stack([net(torch.cat([features, actions], dim=1)) for net in self.nets])
        means = out[..., : self.n_costs]
        if not self.has_variance:
            return means, torch.zeros_like(means)
        return means, nn.functional.softplus(out[..., self.n_costs :] / self.steps) * self.steps


class SacLagrangian(SAC):
    """SAC whose actor also pays the multipliers' part of what its costs come to, all over one plus the multipliers' sum."""

    def __init__(self, policy: str, env: VecEnv, *, constraint: Constraint, **kwargs: Any) -> None:
        """Build policy, cost critics and multipliers; raises BadInputError for limits that do not fit the environments."""
        self.names, columns, limits = constraint.of(env)
        self.multipliers = Multipliers(limits, constraint)
        buffer: dict[str, Any] = {
            "replay_buffer_class": CostReplay,
            "replay_buffer_kwargs": {"seen": env, "columns": columns},
        }
        super().__init__(policy, env, **buffer, **kwargs)
        shape = (
            self.actor.features_extractor.features_dim,
            int(np.prod(env.action_space.shape or ())),
            len(self.names),
        )
        body, has_variance = cast(nn.Module, self.actor.latent_pi), constraint.tail > 0.0
        self.cost_critic = CostCritics(*shape, body, self.gamma, has_variance=has_variance)
        self.cost_target = CostCritics(*shape, body, self.gamma, has_variance=has_variance)
        self.cost_target.load_state_dict(self.cost_critic.state_dict())
        self.cost_optimizer = torch.optim.Adam(self.cost_critic.parameters(), lr=constraint.learning_rate)
        tail = constraint.tail
        normal = NormalDist()
        self._tail_factor = normal.pdf(normal.inv_cdf(tail)) / (1.0 - tail) if tail > 0.0 else 0.0

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        states, variables = super()._get_torch_save_params()
        return [*states, "cost_critic", "cost_target", "cost_optimizer", "multipliers"], variables

    def _expected(self, critics: CostCritics, features: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """Return what the costs, or their tails, come to from here on, (n, n_costs)."""
        means, variances = critics(features, actions)
        tail: torch.Tensor = (means + self._tail_factor * variances.clamp(min=1e-12).sqrt()).mean(dim=0)
        return tail if critics.has_variance else means.mean(dim=0)

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """Update critics, cost critics and actor; in the order of stable-baselines3, whose draws are the same."""
        self.policy.set_training_mode(True)
        optimizers = [self.actor.optimizer, self.critic.optimizer]
        if self.ent_coef_optimizer is not None:
            optimizers.append(self.ent_coef_optimizer)
        self._update_learning_rate(optimizers)
        self._count_costs()
        losses: dict[str, list[float]] = {}
        for step in range(gradient_steps):
            data: Any = self.replay_buffer.sample(batch_size, env=self._vec_normalize_env)  # type: ignore[union-attr]
            for name, value in self._update(data, is_target_due=step % self.target_update_interval == 0).items():
                losses.setdefault(name, []).append(value)
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        for name, values in losses.items():
            self.logger.record(f"train/{name}", np.mean(values))

    def _count_costs(self) -> None:
        """Take the costs of the last step; after PID_STEPS of them the multipliers answer to their mean."""
        buffer, told = cast(CostReplay, self.replay_buffer), self.multipliers
        told.sums += torch.as_tensor(buffer.costs[(buffer.pos - 1) % buffer.buffer_size].mean(axis=0))
        told.count += 1.0
        if told.count >= PID_STEPS:
            means = (told.sums / told.count).numpy()
            if told.how.tail > 0.0:
                means = (1.0 - self.gamma) * self._tails()
            told.answer(means)
            for name, value in told.told(self.names, means).items():
                self.logger.record(name, value)
            told.sums.zero_()
            told.count.zero_()

    def _tails(self) -> npt.NDArray[np.float64]:
        """Return the tail that is expected where the environments stand, (n_costs,)."""
        with torch.no_grad():
            observations = torch.as_tensor(np.asarray(self._last_obs))
            features = self.actor.extract_features(observations, self.actor.features_extractor)
            actions = self.actor(observations, deterministic=True)
            return self._expected(self.cost_critic, features, actions).mean(dim=0).numpy().astype(np.float64)

    def _update(self, data: CostSamples, *, is_target_due: bool) -> dict[str, float]:
        """Make one gradient step of everything; returns losses by name."""
        actions_pi, log_prob = self.actor.action_log_prob(data.observations)
        log_prob = log_prob.reshape(-1, 1)
        told = dict[str, float]()
        ent_coef = self.ent_coef_tensor if self.ent_coef_optimizer is None else self._tuned_entropy(log_prob, told)
        told["ent_coef"] = ent_coef.item()

        with torch.no_grad():
            next_actions, next_log_prob = self.actor.action_log_prob(data.next_observations)
            next_q, _ = torch.min(
                torch.cat(self.critic_target(data.next_observations, next_actions), dim=1), dim=1, keepdim=True
            )
            next_q = next_q - ent_coef * next_log_prob.reshape(-1, 1)
            target_q = data.rewards + (1 - data.dones) * self.gamma * next_q
        critic_loss = 0.5 * sum(
            nn.functional.mse_loss(q, target_q) for q in self.critic(data.observations, data.actions)
        )
        assert isinstance(critic_loss, torch.Tensor)
        told["critic_loss"] = critic_loss.item()
        self.critic.optimizer.zero_grad()
        critic_loss.backward()
        self.critic.optimizer.step()
        told["cost_loss"] = self._fit_costs(data, next_actions)

        q_pi, _ = torch.min(torch.cat(self.critic(data.observations, actions_pi), dim=1), dim=1, keepdim=True)
        with torch.no_grad():
            features = self.actor.extract_features(data.observations, self.actor.features_extractor)
        costs_pi = self._expected(self.cost_critic, features, actions_pi)
        actor_loss = (ent_coef * log_prob - q_pi).mean()
        if self.multipliers.total > 0.0:
            part = costs_pi @ self.multipliers.multiplier.to(costs_pi.dtype)
            actor_loss = (actor_loss + part.mean()) / (1.0 + self.multipliers.total)
        told["actor_loss"] = actor_loss.item()
        self.actor.optimizer.zero_grad()
        actor_loss.backward()
        self.actor.optimizer.step()
        if is_target_due:
            polyak_update(self.critic.parameters(), self.critic_target.parameters(), self.tau)
            polyak_update(self.batch_norm_stats, self.batch_norm_stats_target, 1.0)
            polyak_update(self.cost_critic.parameters(), self.cost_target.parameters(), self.tau)
        return told

    def _tuned_entropy(self, log_prob: torch.Tensor, told: dict[str, float]) -> torch.Tensor:
        """Move the weight of the entropy; returns what it was before."""
        assert self.log_ent_coef is not None
        assert self.ent_coef_optimizer is not None
        ent_coef = torch.exp(self.log_ent_coef.detach())
        loss = -(self.log_ent_coef * (log_prob + float(self.target_entropy)).detach()).mean()
        told["ent_coef_loss"] = loss.item()
        self.ent_coef_optimizer.zero_grad()
        loss.backward()
        self.ent_coef_optimizer.step()
        return ent_coef

    def _fit_costs(self, data: CostSamples, next_actions: torch.Tensor) -> float:
        """Make a gradient step of the cost critics; returns the loss."""
        extract = self.actor.extract_features
        goes_on = self.gamma * (1 - data.dones)
        with torch.no_grad():
            features = extract(data.observations, self.actor.features_extractor)
            following = extract(data.next_observations, self.actor.features_extractor)
            next_mean, next_variance = (part.mean(dim=0) for part in self.cost_target(following, next_actions))
            target = data.costs + goes_on * next_mean
        means, variances = self.cost_critic(features, data.actions)
        steps = self.cost_critic.steps
        loss = ((means - target) / steps).square().mean(dim=(1, 2)).sum()
        if self.cost_critic.has_variance:
            with torch.no_grad():
                second = (
                    data.costs**2 + 2.0 * goes_on * data.costs * next_mean + goes_on**2 * (next_variance + next_mean**2)
                )
                spread = (second - means.mean(dim=0) ** 2).clamp(min=0.0)
            # The Wasserstein distance of two normal distributions.
            apart = (variances.clamp(min=1e-12).sqrt() - spread.sqrt()) / steps
            loss = loss + apart.square().mean(dim=(1, 2)).sum()
        self.cost_optimizer.zero_grad()
        loss.backward()
        self.cost_optimizer.step()
        return float(loss.detach())


def excess(costs: Mapping[str, float], limits: Mapping[str, float]) -> float:
    """Return by how much costs lie above their limits, in limits, summed: 0 where all are kept.

    Examples:
        >>> excess({"starts": 0.02, "chip_over_temp": 0.0}, {"starts": 0.01, "chip_over_temp": 0.0})
        1.0
    """
    return math.fsum(max(0.0, costs[name] - limit) / max(limit, LEAST_LIMIT) for name, limit in limits.items())
