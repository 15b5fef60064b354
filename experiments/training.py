"""Train a policy: build environment and learner from a config, keep checkpoints and curves, go on after a kill."""

import csv
import io
import json
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
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from tqdm import tqdm

log = logging.getLogger(__name__)

CONFIG_KEYS: Final = {
    "scenario", "env", "reward", "agent", "tracking", "seed", "history", "checkpoint_steps", "validations", "warm_start",
    "resume", "threads", "progress", "out",
}  # fmt: skip
"""Top-level keys of a training configuration."""

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


def check_keys(prefix: str, mapping: dict[str, Any], known: set[str]) -> None:
    """Refuse keys that nothing reads; raises BadInputError that lists what there is."""
    for key in mapping:
        if key not in known:
            raise BadInputError(f"unknown key '{prefix}{key}'; there are {', '.join(sorted(known))}")


def read_config(run_dir: Path) -> dict[str, Any]:
    """Return the configuration of a training run; raises BadInputError if there is none or it is not readable."""
    path = run_dir / "config.json"
    if not path.is_file():
        raise BadInputError(f"{run_dir} has no config.json; name the folder of a training run")
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadInputError(f"{path}: not readable ({error})") from error
    return config


def env_config(config: dict[str, Any], split: str) -> EnvConfig:
    """Return the environment options of a composed configuration; raises BadInputError on unknown keys."""
    check_keys("env.", config["env"], {entry.name for entry in fields(EnvConfig)})
    scenario = scenarios.from_mapping(config["scenario"], config["history"])
    reward = config["reward"]["name"] if "reward" in config else "profit"
    return EnvConfig(**config["env"], scenario=scenario, split=split, reward=reward, n_threads=config.get("threads"))


def train(config: dict[str, Any], run_dir: Path, *, is_resumed: bool = False) -> Result:
    """Train a policy as a composed configuration says, or go on with the run in `run_dir`.

    The run folder gets config.json, checkpoints/, curve.csv and result.json.

    Raises:
        BadInputError: The configuration is wrong, or `run_dir` holds a run and is not to be resumed.
        CheckpointError: The newest checkpoint is damaged or was made on another history.
    """
    began = time.perf_counter()
    check_keys("", config, CONFIG_KEYS)
    check_keys("warm_start.", config["warm_start"], {"teacher", "steps"})
    if not is_resumed and (run_dir / "config.json").exists():
        raise BadInputError(f"{run_dir} holds a run; go on with it by resume={run_dir} or name another folder")
    learners.set_threads(config["threads"])
    agent: LearnerConfig = learners.from_mapping(config["agent"])
    options = env_config(config, "train")
    seeds = draw_seeds(config["seed"], TRAIN_ROLE, agent.n_envs)
    env = HashrateTuningVecEnv(agent.n_envs, seeds, **{f.name: getattr(options, f.name) for f in fields(EnvConfig)})
    model = learners.build(agent, env, env.batch.table, config["seed"])
    model.set_logger(Logger(folder=None, output_formats=[]))
    _check_warm_start(config, options, model)

    extra: dict[str, Any] = {"run_id": None, "curve": []}
    newest = checkpoint.latest(run_dir / "checkpoints")
    if newest is not None:
        env_state, extra = checkpoint.load(newest, model)
        if extra["history_hash"] != env.batch.scenario.history.hash:
            raise CheckpointError(
                f"{newest}: made on history {extra['history_hash']}, this is {env.batch.scenario.history.hash}"
            )
        env.restore(env_state)
        for name, value in extra["losses"].items():
            model.logger.record(name, value)
        log.info("resumed %s at step %d", newest, model.num_timesteps)
    scenario = env.batch.scenario
    tags = {
        "history.kind": scenario.history.kind,
        "history.hash": scenario.history.hash,
        "scenario.hash": scenario.config_hash,
        **provenance(),
    }
    tracker = open_tracker(config["tracking"], run_dir.name, flatten(config), tags, extra["run_id"])
    if newest is None:
        write_json(run_dir / "config.json", config)
    callback = _RunCallback(config, agent, options, run_dir, tracker, extra)
    status, tuning = "FAILED", None
    try:
        if newest is None and config["warm_start"]["teacher"] is not None:
            tuning, scores = _warm_start(config, options, model, env)
            tracker.metrics(scores, 0)
        remaining = agent.total_steps - model.num_timesteps
        if remaining > 0:
            model.learn(remaining, callback, log_interval=None, reset_num_timesteps=newest is None)  # type: ignore[arg-type]
            callback.validate()
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


def _check_warm_start(config: dict[str, Any], options: EnvConfig, model: BaseAlgorithm) -> None:
    """Refuse a teacher that there is not, or that this learner cannot be cloned from; raises BadInputError."""
    teacher = config["warm_start"]["teacher"]
    if teacher not in (None, "hysteresis"):
        raise BadInputError(f"warm_start.teacher is {teacher!r}; it must be hysteresis or null")
    if teacher is not None and not (isinstance(model, PPO) and options.action == "discrete"):
        raise BadInputError("warm_start needs agent=ppo and env.action=discrete; else set warm_start.teacher=null")


def _warm_start(
    config: dict[str, Any], options: EnvConfig, model: BaseAlgorithm, env: HashrateTuningVecEnv
) -> tuple[Tuning, dict[str, float]]:
    """Clone the teacher that a config names into the learner; returns its thresholds and how well that went."""
    if not isinstance(model, PPO):
        raise TypeError("checked before: only PPO is cloned into")
    tuning = evaluation.tune(options, config["seed"])
    menu = Menu.of(env.batch.profiles, env.batch.menus)
    rule = evaluation.rule_policy(Hysteresis(menu, tuning.off_ratio, tuning.on_ratio))
    # The discrete action that stands for "the myopic profile" is the one with offset 0.
    stay = tables.DISCRETE_OFFSETS.index(0) + 1

    def teach() -> npt.NDArray[Any]:
        return np.where(rule.act(env.batch) == 0, 0, stay)

    scores = cloning.clone(model, env, teach, config["warm_start"]["steps"])
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
    agent: LearnerConfig = learners.from_mapping(config["agent"])
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
        values: dict[str, float] = {"train/reward": mean[0], "train/profit_usd_per_day": mean[1] * STEPS_PER_DAY}
        values |= {f"cost/{name}": value for name, value in zip(self._env().cost_names, mean[2:], strict=True)}
        values |= self._losses()
        if self._has_validation and steps - self._validated_at >= self._validate_every:
            values["validation/profit_usd_per_day"] = self._validation_usd()
        self._tell(values)

    def _tell(self, values: dict[str, float]) -> None:
        steps = self.model.num_timesteps
        row = {"step": float(steps), **{key: float(value) for key, value in values.items()}}
        self.curve.append(row)
        self._tracker.metrics({key: value for key, value in row.items() if key != "step" and np.isfinite(value)}, steps)

    def _validation_usd(self) -> float:
        self._validated_at = self.model.num_timesteps
        policy = LearnedPolicy(self._agent.name, self._options.action, self.model)
        return float(evaluation.run(policy, self._options, self._seed).usd_per_day.mean())

    def validate(self) -> None:
        """Judge the finished policy on the validation months."""
        if self._has_validation:
            self._tell({"validation/profit_usd_per_day": self._validation_usd()})

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
            "losses": self._losses(), "history_hash": self._env().batch.scenario.history.hash,
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
