"""Train a learner: curves, checkpoints, validation, a progress bar, and going on after a kill."""

import csv
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from tqdm import tqdm

from ...envs.batch import tables
from ...envs.batch.config import EnvConfig
from ...envs.batch.core import Batch
from ...envs.batch.like import ActionArray
from ...envs.batch.seeding import draw_seeds
from ...envs.forms.sb3 import SiteVecEnv
from ...sim.foundation.checks import require_at_least
from ...sim.foundation.errors import BadInputError, CheckpointError
from ...sim.series.exogenous import STEPS_PER_DAY
from ..planners.plan_values import PlanValues
from ..planners.site_planner import SitePlanner
from ..policy import Policy
from . import checkpoint, cloning, hindsight, offline
from .evolution import Population, fitness_of, strategy_of
from .hindsight import Actor, Teaching
from .lagrangian import PpoLagrangian, SacLagrangian, excess
from .learners import EvolutionConfig, LearnedPolicy, LearnerConfig, OfflineConfig, PpoConfig, discount
from .network import TableNormalizer
from .shaping import PlanShaped
from .zones import ZonePolicy, alike, moved_to

log = logging.getLogger(__name__)

TRAIN_ROLE: Final = 0
"""Role of the training environments in SeedSequence([run seed, role])."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a policy does without exploring.

    usd_per_day: mean profits by what they are of: SELECTION, by which the best policy is kept, and others. [USD/d] costs: means per step by name.
    """

    usd_per_day: Mapping[str, float]
    costs: Mapping[str, float] = field(default_factory=dict)


Judge = Callable[[Policy], Judged]

SELECTION: Final = "selection"

STANDARD_ROLE: Final = 6
STANDARD_ENVS: Final = 512
STANDARD_STEPS: Final = 576
STANDARD_EVERY: Final = 12
"""Role, number, steps of the environments by which observations are standardised, and every how many of them one is taken. chosen: two days from
each of 512 starts."""

_POINTS: Final = 200  # of a curve


class Tracker(Protocol):
    """Where the curves of a run go."""

    @property
    def run_id(self) -> str | None:
        """What finds the run again when it is gone on with, None if nothing does."""

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Take values of a step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How a run goes. seed: of everything that is drawn. checkpoint_steps: environment steps between checkpoints.

    validations: times that the policy is judged, to keep the best on the training months; 0 keeps the last. progress: whether bars
    show how far it is.
    """

    seed: int = 0
    checkpoint_steps: int = 500_000
    validations: int = 8
    progress: bool = False

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        require_at_least("schedule", {"seed": self.seed, "validations": self.validations}, 0)
        require_at_least("schedule", {"checkpoint_steps": self.checkpoint_steps}, 1)


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of a curriculum: the environments, and the environment step up to which the learner stays in them."""

    config: EnvConfig
    until_step: int


class Training:
    """A learner on its environments, new or gone on with from the newest checkpoint of its folder.

    Of the policies that it passes through, the one is kept that earns most where the judge selects, without exploring.
    """

    def __init__(
        self,
        agent: LearnerConfig,
        config: EnvConfig,
        schedule: Schedule,
        run_dir: Path,
        wrappers: Sequence[Callable[[VecEnv], VecEnv]] = (),
        stages: Sequence[Stage] = (),
    ) -> None:
        """Build environments and learner, and take up the newest checkpoint in `run_dir`, if there is one.

        Args:
            agent: The learner.
            config: Options of its environments.
            schedule: How the run goes.
            run_dir: Its folder.
            wrappers: What the learner sees its environments through; policies are judged without them.
            stages: Easier environments that it goes through before those of `config`.

        Raises:
            BadInputError: Agent and environment, or wrappers and environment, do not fit.
            CheckpointError: The newest checkpoint is damaged or was made on another history.
        """
        self.agent, self.schedule, self.run_dir = agent, schedule, run_dir
        self.stages, self._wrappers = (*stages, Stage(config, agent.total_steps)), wrappers
        if stages and (isinstance(agent, EvolutionConfig) or getattr(agent, "plan_values", False)):
            raise BadInputError(
                "a curriculum is for learners without agent.plan_values; evolution plays whole episodes"
            )
        newest = checkpoint.latest(run_dir / "checkpoints")
        self.is_new = newest is None
        first = 0 if newest is None else int(checkpoint.read_meta(newest)["extra"].get("stage", 0))
        self._build(first)
        self.model = agent.build(self.seen, self.env.batch.table, schedule.seed)
        self.model.set_logger(Logger(folder=None, output_formats=[]))
        self.extra: dict[str, Any] = {"run_id": None, "curve": [], "stage": first}
        self.best: checkpoint.Weights | None = None
        if newest is not None:
            self._resume(newest)
        elif getattr(agent, "standardise", False):
            self._standardise()

    def _build(self, stage: int) -> None:
        """Build the environments of a stage, and what the learner sees them through."""
        n, seed = self.agent.n_envs, self.schedule.seed
        self.env = SiteVecEnv(n, draw_seeds(seed, TRAIN_ROLE, n), self.stages[stage].config)
        self.scenario = self.env.batch.scenario
        inner = PlanShaped(self.env, self.planned[1]) if getattr(self.agent, "plan_values", False) else self.env
        self.seen = wrapped(inner, self._wrappers)

    def go_on(self) -> None:
        """Enter the next stage when this one's steps are over; the learner takes its weights along and begins new episodes."""
        stage = self.extra["stage"]
        if stage + 1 >= len(self.stages) or self.model.num_timesteps < self.stages[stage].until_step:
            return
        self.extra["stage"] = stage + 1
        self._build(stage + 1)
        self.model.env = self.seen
        self.model._last_obs = np.asarray(self.seen.reset())
        self.model._last_original_obs = self.model._last_obs.copy()
        self.model._last_episode_starts = np.ones(self.env.num_envs, np.bool_)
        for name in ("rollout_buffer", "replay_buffer"):
            if hasattr(getattr(self.model, name, None), "seen"):
                getattr(self.model, name).seen = self.seen
        log.info("stage %d of %d at step %d", stage + 2, len(self.stages), self.model.num_timesteps)

    @cached_property
    def planned(self) -> tuple[SitePlanner, PlanValues]:
        """The planner of the environments' worlds, and what it thinks of every state along the training months."""
        log.info("planning the training months")
        planner = SitePlanner.beside(self.env.batch)
        return planner, PlanValues.kept(planner, range(*self.scenario.rows(self.env.batch.config.split)))

    def _standardise(self) -> None:
        """Let the policy centre and scale observations by what a policy that does nothing of its own sees on the training months."""
        batch = Batch(replace(self.env.batch.config, reward="profit"), STANDARD_ENVS)
        batch.seed(draw_seeds(self.schedule.seed, STANDARD_ROLE, STANDARD_ENVS))
        batch.reset()
        still, seen = np.zeros((STANDARD_ENVS, len(batch.actions))), list[np.ndarray]()
        for step in range(STANDARD_STEPS):
            batch.step(still)
            if step % STANDARD_EVERY == 0:
                seen.append(batch.obs.copy())
        for part in self.model.policy.modules():
            if isinstance(part, TableNormalizer):
                part.standardise(torch.as_tensor(np.concatenate(seen)))
        if isinstance(self.model.policy, ZonePolicy):
            alike(self.model.policy, self.model.policy.layout)

    def _resume(self, newest: Path) -> None:
        env_state, self.extra, self.best = checkpoint.load(newest, self.model)
        if self.extra["history_hash"] != self.scenario.history.hash:
            raise CheckpointError(
                f"{newest}: made on history {self.extra['history_hash']}, this is {self.scenario.history.hash}"
            )
        self.env.restore({name: value for name, value in env_state.items() if not name.startswith(WRAPPER)})
        restore_wrappers(self.seen, env_state)
        for name, value in self.extra["losses"].items():
            self.model.logger.record(name, value)
        log.info("resumed %s at step %d", newest, self.model.num_timesteps)

    @property
    def policy(self) -> LearnedPolicy:
        """The policy as it stands."""
        return LearnedPolicy(self.agent.name, self.env.batch.setup.action, self.model)

    @property
    def curve(self) -> list[dict[str, float]]:
        """What was measured so far: rows of `step` and named values."""
        curve: list[dict[str, float]] = self.extra["curve"]
        return curve

    @property
    def weights_hash(self) -> str:
        """A hash over the network's weights."""
        return checkpoint.weights_hash(self.model)

    def clonable(self) -> PPO:
        """Return the learner if a rule can be cloned into it; raises BadInputError otherwise."""
        if not isinstance(self.model, PPO) or self.env.batch.setup.action != "discrete":
            raise BadInputError("warm_start needs agent=ppo and env.action=discrete; else set warm_start.teacher=null")
        return self.model

    def clone(self, teacher: Policy, n_steps: int) -> dict[str, float]:
        """Clone a policy of absolute profiles into the learner; returns how well that went, as `cloning.clone` says."""
        model, batch = self.clonable(), self.env.batch
        first, last = tables.DISCRETE_OFFSETS[0], tables.DISCRETE_OFFSETS[-1]

        def teach() -> ActionArray:
            # The discrete action that comes nearest to a choice is the offset from the myopic profile, on the table's ends.
            choice = teacher.act(batch)
            offset = np.clip(choice - 1 - batch.myopic, first, last)
            return np.where(choice == 0, 0, offset - first + 1)

        return cloning.clone(model, self.env, teach, n_steps, progress=self.schedule.progress)

    def teach(self, teaching: Teaching) -> dict[str, float]:
        """Fit the policy to the planner; returns how well that went, as `hindsight.teach` says."""
        config, seed, progress = self.env.batch.config, self.schedule.seed, self.schedule.progress
        return hindsight.teach(self.model, config, self.planned, teaching, seed, progress=progress)

    def learn_offline(self, agent: OfflineConfig) -> dict[str, float]:
        """Fit the policy to a log; returns how well that went, as `offline.fit` says."""
        space: Any = self.env.observation_space
        data = offline.read(agent, space, self.env.action_space)
        gamma, seed = discount(agent.return_horizon_h, 0.0), self.schedule.seed
        assert isinstance(self.model, PPO)
        return offline.fit(self.model, data, agent, gamma, seed, progress=self.schedule.progress)

    def consider(self, judge: Judge) -> dict[str, float]:
        """Judge the policy as it stands; keep its weights if it is the best so far. Returns the profits by their names in curves.

        Of two policies the one is better that lies less above the agent's limits, then the one that earns more.
        """
        found = judge(self.policy)
        over = self._excess(found.costs)
        rank = [-over, found.usd_per_day[SELECTION]]
        if rank > self.extra.get("best_rank", [-np.inf, -np.inf]):
            self.extra["best_rank"] = rank
            self.best = {name: tensor.clone() for name, tensor in self.model.policy.state_dict().items()}
        told = {f"{name}/profit_usd_per_day": value for name, value in found.usd_per_day.items()}
        return told | ({"selection/excess": over} if isinstance(self.model, PpoLagrangian | SacLagrangian) else {})

    def _excess(self, costs: Mapping[str, float]) -> float:
        """Return by how much costs lie above the agent's limits, 0 where it has none."""
        if not isinstance(self.model, PpoLagrangian | SacLagrangian):
            return 0.0
        return excess(costs, dict(zip(self.model.names, self.model.multipliers.limits.tolist(), strict=True)))

    def begin(self, judge: Judge, tracker: Tracker) -> None:
        """Judge the policy with which a run begins, the rule itself where actions move one: it stays if nothing better comes."""
        values = {f"rule/{name}": value for name, value in self.consider(judge).items()}
        self.tell(values, tracker)

    def learn(self, judge: Judge, tracker: Tracker) -> None:
        """Learn until the agent's number of steps is reached, and take the best policy of the run.

        Args:
            judge: Judges the policy for the choice of the best one.
            tracker: Gets the curve point by point.
        """
        remaining = self.agent.total_steps - self.model.num_timesteps
        if remaining <= 0 and not self.is_new:
            return
        if isinstance(self.agent, EvolutionConfig):
            self._evolve(self.agent, judge, tracker)
            return
        callback = _RunCallback(self, judge, tracker)
        try:
            self.model.learn(max(remaining, 0), callback, log_interval=None, reset_num_timesteps=self.is_new)  # type: ignore[arg-type]
            callback.finish()
        finally:
            callback.close()

    def _evolve(self, how: EvolutionConfig, judge: Judge, tracker: Tracker) -> None:
        """Evolve generation by generation; what was told so far is in `extra`, so that the strategy of a run that goes on is made anew from it."""
        population, seed = Population(Actor.of(self.model)), self.schedule.seed
        strategy = strategy_of(np.zeros_like(population.weights), how, seed)
        told: list[list[float]] = self.extra.setdefault("fitness", [])
        for before in told:
            strategy.ask()
            strategy.tell(np.array(before))
        config, saved_at, judged_at = self.env.batch.config, self.model.num_timesteps, self.extra.get("validated_at", 0)
        judge_every = how.total_steps / max(self.schedule.validations, 1)
        bar = tqdm(
            total=how.total_steps, unit="step", unit_scale=True, disable=not self.schedule.progress, desc=how.name
        )
        bar.update(saved_at)
        if self.model._last_obs is None:
            self.model._last_obs = np.asarray(self.seen.reset())
            self.model._last_episode_starts = np.ones(self.env.num_envs, np.bool_)
            population.take(strategy.mean)
            self.tell(self.consider(judge), tracker)
        while self.model.num_timesteps < how.total_steps:
            fitness, steps = fitness_of(population, strategy.ask(), config, how, seed)
            strategy.tell(fitness)
            told.append(fitness.tolist())
            population.take(strategy.mean)
            self.model.num_timesteps += steps
            bar.update(steps)
            row = {"train/fitness_pct": float(fitness.mean()), "train/best_fitness_pct": float(fitness.max())}
            is_last = self.model.num_timesteps >= how.total_steps
            if is_last or self.model.num_timesteps - judged_at >= judge_every:
                judged_at = self.extra["validated_at"] = self.model.num_timesteps
                row |= self.consider(judge)
            self.tell(row, tracker)
            if not is_last and self.model.num_timesteps - saved_at >= self.schedule.checkpoint_steps:
                saved_at = self.model.num_timesteps
                self.keep(tracker)
        if self.best is not None:
            self.model.policy.load_state_dict(self.best)
        self.keep(tracker)
        bar.close()

    def tell(self, values: Mapping[str, float], tracker: Tracker) -> None:
        """Add values of the present step to the curve, and tell the tracker those that are finite."""
        told, steps = {key: float(value) for key, value in values.items()}, self.model.num_timesteps
        self.curve.append({"step": float(steps), **told})
        tracker.metrics({key: value for key, value in told.items() if np.isfinite(value)}, steps)

    def keep(self, tracker: Tracker) -> None:
        """Write a checkpoint of learner, environments, curve and what else is in `extra`."""
        extra = {"losses": {}, **self.extra, "run_id": tracker.run_id, "history_hash": self.scenario.history.hash}
        state = {**self.env.save(), **wrapper_state(self.seen)}
        checkpoint.save(self.run_dir / "checkpoints", self.model, state, extra, self.best)


WRAPPER: Final = "wrapper"
"""How names of arrays of wrappers begin in a checkpoint."""


def wrapped(env: VecEnv, wrappers: Sequence[Callable[[VecEnv], VecEnv]]) -> VecEnv:
    """Return environments in wrappers of stable-baselines3's form, the first one innermost.

    Raises:
        BadInputError: One makes no vector environment, or changes observations or actions, which a policy would then miss where it is judged.
    """
    seen = env
    for make in wrappers:
        outer = make(seen)
        if not isinstance(outer, VecEnv):
            raise BadInputError(f"env.wrappers: {make!r} makes a {type(outer).__name__}, no VecEnv")
        if (outer.observation_space, outer.action_space) != (env.observation_space, env.action_space):
            raise BadInputError(
                f"env.wrappers: {type(outer).__name__} changes observations or actions; env.stack and env.observations choose what is seen"
            )
        seen = outer
    return seen


def wrapper_state(env: VecEnv) -> dict[str, np.ndarray]:
    """Return the arrays and running means that wrappers hold, by level and name."""
    found = {}
    for level, wrapper in enumerate(_levels(env)):
        for name, value in vars(wrapper).items():
            if isinstance(value, RunningMeanStd):
                found[f"{WRAPPER}{level}_{name}"] = np.array([value.mean, value.var, value.count], dtype=np.float64)
            elif isinstance(value, np.ndarray) and value.dtype != object:
                found[f"{WRAPPER}{level}_{name}"] = value.copy()
    return found


def restore_wrappers(env: VecEnv, state: Mapping[str, np.ndarray]) -> None:
    """Give wrappers back what `wrapper_state` took."""
    for level, wrapper in enumerate(_levels(env)):
        head = f"{WRAPPER}{level}_"
        for key in (key for key in state if key.startswith(head)):
            name = key.removeprefix(head)
            held = getattr(wrapper, name, None)
            if isinstance(held, RunningMeanStd):
                held.mean, held.var, held.count = state[key]
            else:
                setattr(wrapper, name, state[key].copy())


def _levels(env: VecEnv) -> Iterator[VecEnvWrapper]:
    while isinstance(env, VecEnvWrapper):
        yield env
        env = env.venv


class _RunCallback(BaseCallback):
    """Curves once an update, checkpoints at rollout boundaries, validation, and a progress bar."""

    def __init__(self, training: Training, judge: Judge, tracker: Tracker) -> None:
        """Take the run, and what its checkpoint kept."""
        super().__init__()
        self._run, self._judge, self._tracker = training, judge, tracker
        agent, schedule, extra = training.agent, training.schedule, training.extra
        self._validate_every = agent.total_steps / max(schedule.validations, 1)
        self._has_validation = schedule.validations > 0
        self._log_every = agent.total_steps / _POINTS
        self._sums = np.array(extra.get("sums", [0.0] * (2 + len(training.env.cost_names))))
        self._n_sums = int(extra.get("n_sums", 0))
        self._bar = tqdm(
            total=agent.total_steps, unit="step", unit_scale=True, disable=not schedule.progress, desc=agent.name
        )
        self._validated_at, self._logged_at = int(extra.get("validated_at", 0)), int(extra.get("logged_at", 0))
        self._saved_at = 0

    def _on_training_start(self) -> None:
        self._saved_at = self.model.num_timesteps
        self._bar.update(self._saved_at)
        if self._has_validation and self._saved_at == 0 and self._run.agent.total_steps > 0:
            self._tell(self._run.consider(self._judge))

    def _on_rollout_start(self) -> None:
        if self.model.num_timesteps - self._saved_at >= self._run.schedule.checkpoint_steps:
            self.save()

    def _on_step(self) -> bool:
        env = self._run.env
        self._sums[0] += env.batch.reward.mean()
        self._sums[1] += env.batch.flow("profit_usd").mean()
        self._sums[2:] += env.step_costs.mean(axis=0)
        self._n_sums += 1
        self._bar.update(env.num_envs)
        return True

    def _on_rollout_end(self) -> None:
        self._note()
        self._run.go_on()

    def _note(self) -> None:
        """Add what happened since the last point of the curve to it, if it is time."""
        steps = self.model.num_timesteps
        if steps - self._logged_at < self._log_every and steps < self._run.agent.total_steps:
            return
        self._logged_at = steps
        mean = self._sums / max(self._n_sums, 1)
        self._sums[:], self._n_sums = 0.0, 0
        values: dict[str, float] = {"train/reward": mean[0], "train/profit_usd_per_day": mean[1] * STEPS_PER_DAY}
        values |= {f"cost/{name}": value for name, value in zip(self._run.env.cost_names, mean[2:], strict=True)}
        values |= self._losses()
        if self._has_validation and steps - self._validated_at >= self._validate_every:
            self._validated_at = steps
            values |= self._run.consider(self._judge)
        self._tell(values)

    def _tell(self, values: Mapping[str, float]) -> None:
        self._run.tell(values, self._tracker)

    def finish(self) -> None:
        """Judge the last policy, take the best one of the run and write the last checkpoint."""
        if self._has_validation:
            self._validated_at = self.model.num_timesteps
            self._tell(self._run.consider(self._judge))
            if self._run.best is not None:
                self.model.policy.load_state_dict(self._run.best)
        self.save()

    def _losses(self) -> dict[str, float]:
        """Return what the learner's last update recorded."""
        recorded = self.logger.name_to_value.items()
        return {name: float(value) for name, value in recorded if isinstance(value, int | float | np.number)}

    def save(self) -> None:
        """Write a checkpoint of learner, environment and curve."""
        self._saved_at, run = self.model.num_timesteps, self._run
        run.extra |= {
            "sums": self._sums.tolist(),
            "n_sums": self._n_sums,
            "validated_at": self._validated_at,
            "logged_at": self._logged_at,
            "losses": self._losses(),
        }
        run.keep(self._tracker)

    def close(self) -> None:
        """Close the progress bar."""
        self._bar.close()


def load_policy(
    run_dir: Path, agent: LearnerConfig, config: EnvConfig, played: EnvConfig | None = None
) -> LearnedPolicy:
    """Return the trained policy of a run.

    Args:
        run_dir: Folder of the run.
        agent: The learner that it trained.
        config: Options of the environment in which it did.
        played: Those of the environment in which it plays, None the same: a policy of zones then moves to another number of them.

    Raises:
        BadInputError: Zones or site are observed otherwise where it plays.
        CheckpointError: There is no checkpoint, or it is damaged.
    """
    newest = checkpoint.latest(run_dir / "checkpoints")
    if newest is None:
        raise CheckpointError(f"{run_dir}: no checkpoint; train first with `hashgym train`")
    env, model = _untrained(agent, config)
    checkpoint.load_policy(newest, model)
    if played is not None and isinstance(model.policy, ZonePolicy):
        trained = model.policy
        _, model = _untrained(agent, replace(config, scenario=played.scenario, history=played.history))
        moved = moved_to(trained.state_dict(), model.policy, trained.layout)
        model.policy.load_state_dict(moved)
    return LearnedPolicy(agent.name, env.batch.setup.action, model)


def _untrained(agent: LearnerConfig, config: EnvConfig) -> tuple[SiteVecEnv, Any]:
    """Return one environment and the untrained learner on it."""
    small = (
        replace(agent, n_envs=1, batch_size=agent.n_steps) if isinstance(agent, PpoConfig) else replace(agent, n_envs=1)
    )
    env = SiteVecEnv(1, [0], config)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", UserWarning
        )  # of batches that do not fit one environment: nothing is learnt here
        return env, small.build(env, env.batch.table, seed=0)


TRACKED: Final = "tracked.json"
"""File of a run's folder that says where it is tracked, from its first moment on."""


def tracked_run(run_dir: Path) -> str | None:
    """Return what finds a run again where it was tracked, None if it was not; runs of old say so in their checkpoints."""
    if (run_dir / TRACKED).is_file():
        found: str | None = json.loads((run_dir / TRACKED).read_text(encoding="utf-8"))["run_id"]
        return found
    newest = checkpoint.latest(run_dir / "checkpoints")
    return None if newest is None else checkpoint.read_meta(newest)["extra"]["run_id"]


def csv_text(curve: list[dict[str, float]]) -> str:
    """Return a curve as CSV text with one column for every name that occurs."""
    names = list(dict.fromkeys(name for row in curve for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="")
    writer.writeheader()
    writer.writerows(curve)
    return text.getvalue()
