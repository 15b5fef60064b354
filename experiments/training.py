"""Train a policy: build environment and learner from a config, keep checkpoints and curves, go on after a kill."""

import csv
import io
import logging
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from hashgym.agents import checkpoint, cloning, learners
from hashgym.agents.learners import LearnerConfig
from hashgym.agents.rules import Hysteresis, Menu, Tuning
from hashgym.envs import scenario as scenarios
from hashgym.envs import tables
from hashgym.envs.core import Batch, EnvConfig, draw_seeds
from hashgym.envs.sb3 import HashrateTuningVecEnv
from hashgym.experiments import evaluation
from hashgym.experiments.files import write_json, write_text
from hashgym.experiments.tracking import Tracker, flatten, open_tracker, provenance
from hashgym.sim.errors import BadInputError, CheckpointError
from hashgym.sim.exogenous import STEPS_PER_DAY
from hydra.utils import instantiate
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from tqdm import tqdm

log = logging.getLogger(__name__)

TRAIN_ROLE: Final = 0
"""Role of the training environments in SeedSequence([run seed, role])."""


@dataclass(frozen=True, slots=True)
class LearnedPolicy:
    """A trained network as a policy: its most probable action."""

    name: str
    action: str
    model: BaseAlgorithm

    def act(self, batch: Batch) -> npt.NDArray[Any]:
        """Return the actions, (n_envs, n_zones)."""
        actions, _ = self.model.predict(batch.obs, deterministic=True)
        return actions


@dataclass(frozen=True, slots=True)
class Result:
    """What a training run leaves behind."""

    run_dir: Path
    policy: LearnedPolicy
    curve: list[dict[str, float]]
    seconds: float
    weights_hash: str
    tuning: Tuning | None
    """Thresholds of the rule that was cloned, None if this call cloned none."""


def env_config(config: dict[str, Any], split: str) -> EnvConfig:
    """Return the environment options of a composed configuration; raises BadInputError on unknown keys."""
    known = {entry.name for entry in fields(EnvConfig)}
    for key in config["env"]:
        if key not in known:
            raise BadInputError(f"env: unknown key {key!r}; there are {', '.join(sorted(known))}")
    scenario = scenarios.from_mapping(config["scenario"], config["history"])
    reward = config["reward"]["name"] if "reward" in config else "profit"
    return EnvConfig(**config["env"], scenario=scenario, split=split, reward=reward, n_threads=config.get("threads"))


def train(config: dict[str, Any], run_dir: Path) -> Result:
    """Train a policy as a composed configuration says, or go on with the run in `run_dir` if it has a checkpoint.

    The run folder gets config.json, checkpoints/, curve.csv and result.json.

    Raises:
        BadInputError: The configuration is wrong.
        CheckpointError: The newest checkpoint is damaged.
    """
    began = time.perf_counter()
    learners.set_threads(config["threads"])
    agent: LearnerConfig = instantiate(config["agent"], _convert_="object")
    options = env_config(config, "train")
    seeds = draw_seeds(config["seed"], TRAIN_ROLE, agent.n_envs)
    env = HashrateTuningVecEnv(agent.n_envs, seeds, **{f.name: getattr(options, f.name) for f in fields(EnvConfig)})
    model = learners.build(agent, env, env.batch.table, config["seed"])
    model.set_logger(Logger(folder=None, output_formats=[]))

    extra: dict[str, Any] = {"run_id": None, "curve": []}
    newest = checkpoint.latest(run_dir / "checkpoints")
    if newest is not None:
        env_state, extra = checkpoint.load(newest, model)
        env.restore(env_state)
        for name, value in extra["losses"].items():
            model.logger.record(name, value)
        log.info("resumed %s at step %d", newest, model.num_timesteps)
    else:
        write_json(run_dir / "config.json", config)
    scenario = env.batch.scenario
    tags = {
        "history.kind": scenario.history.kind,
        "history.hash": scenario.history.hash,
        "scenario.hash": scenario.config_hash,
        **provenance(),
    }
    tracker = open_tracker(config["tracking"], run_dir.name, flatten(config), tags, extra["run_id"])
    callback = _RunCallback(config, agent, options, run_dir, tracker, extra)
    status, tuning = "FAILED", None
    try:
        if newest is None and config["warm_start"]["teacher"] is not None:
            tuning, scores = _warm_start(config, options, model, env)
            tracker.metrics(scores, 0)
        remaining = agent.total_steps - model.num_timesteps
        if remaining > 0:
            model.learn(remaining, callback, log_interval=None, reset_num_timesteps=newest is None)  # type: ignore[arg-type]
        callback.save()
        curve = callback.curve
        write_text(run_dir / "curve.csv", _csv(curve))
        result = Result(
            run_dir, LearnedPolicy(agent.name, options.action, model), curve, time.perf_counter() - began,
            checkpoint.weights_hash(model), tuning,
        )  # fmt: skip
        write_json(
            run_dir / "result.json",
            {"weights_hash": result.weights_hash, "steps": model.num_timesteps, "seconds": result.seconds, **tags},
        )
        for name in ("config.json", "curve.csv", "result.json"):
            tracker.artifact(run_dir / name)
        status = "FINISHED"
        return result
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        callback.close()
        tracker.close(status)


def _warm_start(
    config: dict[str, Any], options: EnvConfig, model: BaseAlgorithm, env: HashrateTuningVecEnv
) -> tuple[Tuning, dict[str, float]]:
    """Clone the teacher that a config names into the learner; returns its thresholds and how well that went."""
    warm = config["warm_start"]
    if warm["teacher"] != "hysteresis":
        raise BadInputError(f"warm_start.teacher is {warm['teacher']!r}; it must be hysteresis or null")
    if not isinstance(model, PPO):
        raise BadInputError("warm_start needs agent=ppo; set warm_start.teacher=null")
    tuning = evaluation.tune(options, config["seed"])
    menu = Menu.of(env.batch.profiles, env.batch.menus)
    rule = evaluation.rule_policy(Hysteresis(menu, tuning.off_ratio, tuning.on_ratio))
    # The discrete action that stands for "the myopic profile" is the one with offset 0.
    stay = tables.DISCRETE_OFFSETS.index(0) + 1

    def teach() -> npt.NDArray[Any]:
        return np.where(rule.act(env.batch) == 0, 0, stay)

    scores = cloning.clone(model, env, teach, warm["steps"])
    log.info("cloned %s (off above %.3g, on below %.3g): %s", rule.name, tuning.off_ratio, tuning.on_ratio, scores)
    return tuning, {f"warm_start/{key}": value for key, value in scores.items()}


def load_policy(run_dir: Path, config: dict[str, Any], name: str | None = None) -> LearnedPolicy:
    """Return the trained policy of a run.

    Raises:
        CheckpointError: There is no checkpoint, or it is damaged.
    """
    newest = checkpoint.latest(run_dir / "checkpoints")
    if newest is None:
        raise CheckpointError(f"{run_dir}: no checkpoint; train first with `hashgym train`")
    agent: LearnerConfig = instantiate(config["agent"], _convert_="object")
    if isinstance(agent, learners.PpoConfig):
        agent = replace(agent, n_envs=1, batch_size=agent.n_steps)
    else:
        agent = replace(agent, n_envs=1)
    options = env_config(config, "train")
    env = HashrateTuningVecEnv(1, [0], **{f.name: getattr(options, f.name) for f in fields(EnvConfig)})
    model = learners.build(agent, env, env.batch.table, config["seed"])
    checkpoint.load_policy(newest, model)
    return LearnedPolicy(name or agent.name, options.action, model)


class _RunCallback(BaseCallback):
    """Curves once an update, checkpoints at rollout boundaries, validation, and a progress bar."""

    def __init__(
        self, config: dict[str, Any], agent: LearnerConfig, options: EnvConfig, run_dir: Path, tracker: Tracker,
        extra: dict[str, Any],
    ) -> None:  # fmt: skip
        super().__init__()
        self._agent, self._run_dir, self._tracker = agent, run_dir, tracker
        self.curve: list[dict[str, float]] = extra["curve"]
        self._options = replace(options, split="validation", reward="profit")
        self._seed = config["seed"]
        self._checkpoint_every = config["checkpoint_steps"]
        self._validate_every = agent.total_steps / max(config["validations"], 1)
        self._has_validation = config["validations"] > 0
        self._log_every = agent.total_steps / 200
        self._sums = np.array(extra.get("sums", [0.0] * (2 + len(tables.COSTS))))
        self._n_sums = int(extra.get("n_sums", 0))
        self._bar = tqdm(
            total=agent.total_steps, unit="step", unit_scale=True, disable=not config["progress"], desc=agent.name
        )
        self._validated_at, self._logged_at = int(extra.get("validated_at", 0)), int(extra.get("logged_at", 0))
        self._saved_at = 0

    def _on_training_start(self) -> None:
        self._saved_at = self.model.num_timesteps
        self._bar.update(self._saved_at)

    def _env(self) -> HashrateTuningVecEnv:
        env = self.model.env
        if not isinstance(env, HashrateTuningVecEnv):
            raise TypeError(f"training runs on HashrateTuningVecEnv, not on {type(env).__name__}")
        return env

    def _on_rollout_start(self) -> None:
        if self.model.num_timesteps - self._saved_at >= self._checkpoint_every:
            self.save()

    def _on_step(self) -> bool:
        env = self._env()
        self._sums[0] += env.batch.reward.mean()
        self._sums[1] += env.batch.flow_table[:, 0].mean()
        self._sums[2:] += env.step_costs.mean(axis=0)
        self._n_sums += 1
        self._bar.update(env.num_envs)
        return True

    def _on_rollout_end(self) -> None:
        steps = self.model.num_timesteps
        if steps - self._logged_at < self._log_every and steps < self._agent.total_steps:
            return
        self._logged_at = steps
        mean = self._sums / max(self._n_sums, 1)
        self._sums[:], self._n_sums = 0.0, 0
        values = {"train/reward": mean[0], "train/profit_usd_per_day": mean[1] * STEPS_PER_DAY}
        values |= {f"cost/{name}": value for name, value in zip(self._env().cost_names, mean[2:], strict=True)}
        values |= self._losses()
        if self._has_validation and steps - self._validated_at >= self._validate_every:
            self._validated_at = steps
            policy = LearnedPolicy(self._agent.name, self._options.action, self.model)
            trace = evaluation.run(policy, self._options, self._seed)
            values["validation/profit_usd_per_day"] = float(trace.usd_per_day.mean())
        row = {"step": float(steps), **{key: float(value) for key, value in values.items()}}
        self.curve.append(row)
        self._tracker.metrics({key: value for key, value in row.items() if key != "step" and np.isfinite(value)}, steps)

    def _losses(self) -> dict[str, float]:
        """Return what the learner's last update recorded."""
        recorded = self.logger.name_to_value.items()
        return {name: float(value) for name, value in recorded if isinstance(value, int | float | np.number)}

    def save(self) -> None:
        """Write a checkpoint of learner, environment and curve."""
        self._saved_at = self.model.num_timesteps
        extra = {
            "run_id": self._tracker.run_id, "curve": self.curve, "sums": self._sums.tolist(), "n_sums": self._n_sums,
            "validated_at": self._validated_at, "logged_at": self._logged_at,
            "losses": self._losses(),
        }  # fmt: skip
        checkpoint.save(self._run_dir / "checkpoints", self.model, self._env().save(), extra)

    def close(self) -> None:
        """Close the progress bar."""
        self._bar.close()


def _csv(curve: list[dict[str, float]]) -> str:
    """Return a curve as CSV text with one column for every name that occurs."""
    names = list(dict.fromkeys(name for row in curve for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="")
    writer.writeheader()
    writer.writerows(curve)
    return text.getvalue()
