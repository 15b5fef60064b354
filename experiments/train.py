"""`hashgym train`: train a policy; `hashgym train resume=FOLDER` goes on with a run."""

import json
import logging
import math
import platform
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from hashgym.agents.learning import cloning, learners
from hashgym.agents.learning.hindsight import Teaching
from hashgym.agents.learning.learners import HindsightConfig, LearnedPolicy, OfflineConfig
from hashgym.agents.learning.training import SELECTION, TRACKED, Judge, Judged, Training, csv_text, tracked_run
from hashgym.agents.policy import Policy
from hashgym.agents.rules import Hysteresis, Menu
from hashgym.envs.batch.actions import RESIDUAL
from hashgym.envs.scenario.tuned import tuned_settings
from hashgym.evaluation.paired import run
from hashgym.evaluation.search import search
from hashgym.evaluation.tuning import Tuning, tune
from hashgym.evaluation.years import EPISODES_A_YEAR, drawn_years
from hashgym.experiments import hydra_main
from hashgym.experiments.settings import TrainSettings
from hashgym.experiments.tracking import FOLDER_TAG, LOCK, flatten, open_tracker, provenance
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.foundation.files import write_json, write_text

log = logging.getLogger(__name__)


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

    @property
    def objective(self) -> float:
        """Last profit on the validation months, NaN if there was none. [USD/d]"""
        key = "validation/profit_usd_per_day"
        return next((row[key] for row in reversed(self.curve) if key in row), float("nan"))


def main(args: list[str]) -> int:
    """Train with Hydra overrides; returns the exit code."""
    return hydra_main.run("train", _train, args)


def _train(config: dict[str, Any], run_dir: Path) -> float:
    """Train, or go on with the run that `resume` names; returns the last validated profit for sweepers.

    A job of a sweep whose folder holds its run already is done, or gone on with: the same command does what is missing.
    """
    hydra = HydraConfig.get()
    is_sweep = hydra.mode == RunMode.MULTIRUN
    if config["resume"] is None:
        is_there = is_sweep and (run_dir / "config.json").is_file()
        if is_there and _stored(run_dir, has_rule=config["env"].get("rule") is not None) != _plain(config):
            raise BadInputError(
                f"{run_dir} holds a run of another configuration; remove it, or name another hydra.sweep.dir"
            )
        if is_there and (run_dir / "result.json").is_file():
            log.info("%s is done", run_dir)
            objective = json.loads((run_dir / "result.json").read_text(encoding="utf-8"))["objective"]
            return float("nan") if objective is None else float(objective)
        told = {"mlflow.source.name": "hashgym train", "mlflow.source.type": "LOCAL"}
        if is_sweep:
            told |= {"sweep": str(hydra.sweep.dir), "sweep.job": str(hydra.job.num)}
        result = train(TrainSettings.of(config), run_dir, is_resumed=is_there, name=_name(hydra, run_dir), tags=told)
    else:
        others = [text for text in hydra.overrides.task if not text.startswith("resume=")]
        if others:
            raise BadInputError(f"resume goes on with the run's own configuration; leave out {', '.join(others)}")
        run_dir = Path(config["resume"])
        result = train(TrainSettings.of_run(run_dir), run_dir, is_resumed=True)
    log.info(
        "trained %s in %.0f s; weights %s; in %s", result.policy.name, result.seconds, result.weights_hash, run_dir
    )
    return result.objective


def _name(hydra: Any, run_dir: Path) -> str:
    """Return what a run is called: what it was told otherwise than usual, else its folder."""
    quiet = ("tracking", "progress", "threads", "hydra", "resume", "experiment=smoke")
    said = [text for text in hydra.overrides.task if not text.startswith(quiet)]
    return ",".join(said)[:200] or run_dir.name


def _plain(config: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(config, default=str))


def _stored(run_dir: Path, *, has_rule: bool) -> Any:
    """Return a run's configuration; without the rule that it searched itself, where none is asked for."""
    content = json.loads((run_dir / "config.json").read_text(encoding="utf-8"))
    if not has_rule and isinstance(content.get("env"), dict) and "rule" in content["env"]:
        content["env"]["rule"] = None
    return content


def train(
    settings: TrainSettings,
    run_dir: Path,
    *,
    is_resumed: bool = False,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Result:
    """Train a policy, or go on with the run in `run_dir`, as `agents.training.Training` does.

    The run folder gets config.json, tracked.json, checkpoints/, curve.csv and result.json. A SIGTERM ends a run as Ctrl-C does.

    Args:
        settings: What to train on what.
        run_dir: Folder of the run.
        is_resumed: Whether `run_dir` may hold a run.
        name: What the run is called where it is tracked (default: as its folder).
        tags: What to say of it there, beside where it came from.

    Raises:
        BadInputError: Settings do not fit each other, or `run_dir` holds a run and is not to be resumed.
        CheckpointError: The newest checkpoint is damaged or was made on another history.
    """
    began = time.perf_counter()
    if not is_resumed and (run_dir / "config.json").exists():
        raise BadInputError(f"{run_dir} holds a run; go on with it by resume={run_dir} or name another folder")
    run_dir.mkdir(parents=True, exist_ok=True)
    with _alone(run_dir), _ended_by_sigterm():
        return _trained(settings, run_dir, name or run_dir.name, dict(tags or {}), began)


@contextmanager
def _alone(run_dir: Path) -> Iterator[None]:
    """Hold the run's folder; the system frees it however the process ends."""
    lock = FileLock(run_dir / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BadInputError(f"{run_dir}: another process is at work on this run") from None
    try:
        yield
    finally:
        lock.release()
        if [path.name for path in run_dir.iterdir()] in ([], [LOCK]):  # refused before anything was made
            shutil.rmtree(run_dir)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM interrupt as Ctrl-C does, in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _teaching(settings: TrainSettings) -> Teaching | None:
    """Return how the policy is fitted to the planner before it learns, None if it is not."""
    if isinstance(settings.agent, HindsightConfig):
        return settings.agent
    if settings.teacher != "planner":
        return None
    usual, steps = Teaching(), settings.clone_steps
    return replace(usual, steps=steps, updates=max(1, round(usual.updates * steps / usual.steps)))


def with_rule(settings: TrainSettings) -> TrainSettings:
    """Return settings whose residual actions have a rule to move: where none was searched for the scenario as it stands, it is now, in minutes."""
    env = replace(settings.env, action=None)  # what can be loaded without a rule
    is_moved = settings.env.action == RESIDUAL
    if not is_moved or env.rule is not None or tuned_settings(env.load().scenario) is not None:
        return settings
    log.info("searching the operator's rule on the training months")
    found = search(env, settings.schedule.seed, progress=settings.schedule.progress).as_dict()["settings"]
    return TrainSettings.of({**settings.content, "env": {**settings.content["env"], "rule": found}})


def judge_of(settings: TrainSettings) -> Judge:
    """Return how a policy is judged while it learns.

    Of what moves a rule the best one on drawn years that training does not see is kept, training and validation months alike, so that a policy is
    no worse there than the rule with which it begins; other learners are selected on the training months, and the validation months are only
    looked at. Where the agent has limits, one that keeps them comes before one that does not.
    """
    env, seed = replace(settings.env, reward="profit"), settings.schedule.seed
    is_residual = env.load().rule is not None
    held = {split: replace(env, split=split) for split in ("train", "validation")}
    is_drawn = is_residual and env.load().scenario.recipe is not None
    if is_drawn:
        held = {split: drawn_years(replace(config, randomize={}), HELD_YEARS) for split, config in held.items()}

    def judge(policy: Policy) -> Judged:
        most = settings.judged_episodes
        if is_drawn:
            most = EPISODES_A_YEAR if most is None else max(1, most // HELD_YEARS)
        seen = {split: run(policy, config, seed, None, most) for split, config in held.items()}
        usd = {split: float(trace.usd_per_day.mean()) for split, trace in seen.items()}
        if is_drawn:
            mean_usd = (usd["train"] + usd["validation"]) / 2.0
            selected = [*seen.values()]
            told = {SELECTION: mean_usd, "unseen_train": usd["train"], "validation": usd["validation"]}
        else:
            split = "validation" if is_residual else "train"
            selected, told = [seen[split]], {SELECTION: usd[split], "validation": usd["validation"]}
        costs = np.mean([trace.costs.mean(axis=0) / trace.n_steps for trace in selected], axis=0)
        return Judged(told, dict(zip(selected[0].cost_names, costs.tolist(), strict=True)))

    return judge


HELD_YEARS: Final = 6
"""Drawn years on which a policy that moves a rule is judged while it learns. chosen: some hundred episodes."""


def _trained(settings: TrainSettings, run_dir: Path, name: str, tags: dict[str, str], began: float) -> Result:
    learners.set_threads(settings.threads)
    settings = with_rule(settings)
    log.info("building %s on scenario %s", settings.agent.name, settings.content["scenario"].get("name"))
    training = Training(settings.agent, settings.env, settings.schedule, run_dir, settings.wrappers, settings.stages)
    teaching = _teaching(settings)
    if settings.teacher is not None and teaching is None and not isinstance(settings.agent, OfflineConfig):
        training.clonable()
    history, seed = training.scenario.history, settings.schedule.seed
    horizons = learners.horizons_h(training.model)
    log.info("%s looks %s ahead", settings.agent.name, learners.horizons_text(horizons))
    tags = {
        **tags,
        **{f"horizon.{key}_h": f"{hours:.3g}" for key, hours in horizons.items()},
        "hashgym.host": platform.node(),
        FOLDER_TAG: str(run_dir.resolve()),
        "history.kind": history.kind,
        "history.hash": history.hash,
        "scenario.hash": training.scenario.config_hash,
        **provenance(),
    }
    tracker = open_tracker(settings.tracking, name, flatten(settings.content), tags, tracked_run(run_dir))
    if training.is_new:
        write_json(run_dir / "config.json", settings.content)
        write_json(run_dir / TRACKED, {"run_id": tracker.run_id})

    judge = judge_of(settings)
    status, tuning = "FAILED", None
    try:
        if training.is_new and teaching is not None:
            log.info("fitting the policy to the planner, %d rounds of %d steps", teaching.rounds, teaching.steps)
            training.begin(judge, tracker)
            tracker.metrics({f"warm_start/{key}": value for key, value in training.teach(teaching).items()}, 0)
        elif training.is_new and isinstance(settings.agent, OfflineConfig):
            log.info("learning from %s, %d updates", settings.agent.dataset, settings.agent.updates)
            tracker.metrics(
                {f"offline/{key}": value for key, value in training.learn_offline(settings.agent).items()}, 0
            )
        elif training.is_new and settings.teacher is not None:
            log.info("tuning %s on the training months", settings.teacher)
            tuning = tune(
                settings.env, seed, progress=settings.schedule.progress, most_episodes=settings.judged_episodes
            )
            log.info("cloning it over %d rounds of %d steps", cloning.ROUNDS, settings.clone_steps)
            rule = Hysteresis(Menu.of(training.env.batch.site), **tuning.thresholds)
            scores = training.clone(rule, settings.clone_steps)
            log.info("cloned %s (%s): %s", rule.name, tuning.thresholds, scores)
            tracker.metrics({f"warm_start/{key}": value for key, value in scores.items()}, 0)
        log.info(
            "learning %d steps, judged %d times on the way", settings.agent.total_steps, settings.schedule.validations
        )
        training.learn(judge, tracker)
        write_text(run_dir / "curve.csv", csv_text(training.curve))
        result = Result(
            run_dir, training.policy, training.curve, time.perf_counter() - began, training.weights_hash, tuning
        )
        objective = result.objective if math.isfinite(result.objective) else None
        write_json(
            run_dir / "result.json",
            {
                "weights_hash": result.weights_hash,
                "steps": training.model.num_timesteps,
                "seconds": result.seconds,
                "objective": objective,
                **tags,
            },
        )
        for file in ("config.json", "curve.csv", "result.json"):
            tracker.artifact(run_dir / file)
        status = "FINISHED"
        return result
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        tracker.close(status)
