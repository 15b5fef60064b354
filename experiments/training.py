"""Train a policy: build environment and learner from a config, keep checkpoints and curves, go on after a kill."""

import logging
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import Logger

from hashgym.agents import checkpoint, cloning, learners, policies
from hashgym.agents.learners import LearnerConfig
from hashgym.agents.rules import Hysteresis, Tuning
from hashgym.envs.batch import tables
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.seeding import draw_seeds
from hashgym.envs.forms.sb3 import SiteVecEnv
from hashgym.evaluation import paired
from hashgym.experiments.progress import LearnedPolicy, RunCallback, csv_text
from hashgym.experiments.settings import CONFIG_KEYS, check_keys, env_config
from hashgym.experiments.tracking import flatten, open_tracker, provenance
from hashgym.sim.foundation.errors import BadInputError, CheckpointError
from hashgym.sim.foundation.files import write_json, write_text

log = logging.getLogger(__name__)

TRAIN_ROLE: Final = 0
"""Role of the training environments in SeedSequence([run seed, role])."""


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


def train(config: dict[str, Any], run_dir: Path, *, is_resumed: bool = False) -> Result:
    """Train a policy as a composed configuration says, or go on with the run in `run_dir`.

    Of the policies that the run passes through, the one is kept that earns most on the training months without
    exploring; the validation months are only looked at. The run folder gets config.json, checkpoints/, curve.csv and
    result.json.

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
    env = SiteVecEnv(agent.n_envs, seeds, **{f.name: getattr(options, f.name) for f in fields(EnvConfig)})
    model = agent.build(env, env.batch.table, config["seed"])
    model.set_logger(Logger(folder=None, output_formats=[]))
    _check_warm_start(config, options, model)

    extra: dict[str, Any] = {"run_id": None, "curve": []}
    best: checkpoint.Weights | None = None
    newest = checkpoint.latest(run_dir / "checkpoints")
    if newest is not None:
        env_state, extra, best = checkpoint.load(newest, model)
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
    callback = RunCallback(config, agent, options, run_dir, tracker, extra, best)
    status, tuning = "FAILED", None
    try:
        if newest is None and config["warm_start"]["teacher"] is not None:
            tuning, scores = _warm_start(config, options, model, env)
            tracker.metrics(scores, 0)
        remaining = agent.total_steps - model.num_timesteps
        if remaining > 0:
            model.learn(remaining, callback, log_interval=None, reset_num_timesteps=newest is None)  # type: ignore[arg-type]
            callback.finish()
        curve = callback.curve
        write_text(run_dir / "curve.csv", csv_text(curve))
        result = Result(
            run_dir, LearnedPolicy(agent.name, options.chosen_action, model), curve, time.perf_counter() - began,
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
    config: dict[str, Any], options: EnvConfig, model: BaseAlgorithm, env: SiteVecEnv
) -> tuple[Tuning, dict[str, float]]:
    """Clone the teacher that a config names into the learner; returns its thresholds and how well that went."""
    if not isinstance(model, PPO):
        raise TypeError("checked before: only PPO is cloned into")
    tuning = paired.tune(options, config["seed"])
    rule = policies.rule_policy(Hysteresis(policies.menu_of(env.batch), **tuning.thresholds))

    def teach() -> npt.NDArray[Any]:
        # The discrete action that comes nearest to a choice is the offset from the myopic profile, on the table's ends.
        choice = rule.act(env.batch)
        offset = np.clip(choice - 1 - env.batch.myopic, tables.DISCRETE_OFFSETS[0], tables.DISCRETE_OFFSETS[-1])
        return np.where(choice == 0, 0, offset - tables.DISCRETE_OFFSETS[0] + 1)

    scores = cloning.clone(model, env, teach, config["warm_start"]["steps"])
    log.info("cloned %s (%s): %s", rule.name, tuning.thresholds, scores)
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
    env = SiteVecEnv(1, [0], **{f.name: getattr(options, f.name) for f in fields(EnvConfig)})
    model = agent.build(env, env.batch.table, config["seed"])
    checkpoint.load_policy(newest, model)
    return LearnedPolicy(name or agent.name, options.chosen_action, model)


def tracked_run(run_dir: Path) -> str | None:
    """Return the MLflow run of a training run, None if it was not tracked."""
    newest = checkpoint.latest(run_dir / "checkpoints")
    return None if newest is None else checkpoint.read_meta(newest)["extra"]["run_id"]
