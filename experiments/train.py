"""`hashgym train`: train a policy; `hashgym train resume=FOLDER` goes on with a run."""

import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from hashgym.agents import learners
from hashgym.agents.learners import LearnedPolicy
from hashgym.agents.policy import Policy
from hashgym.agents.rules import Hysteresis, Menu
from hashgym.agents.training import Training, csv_text
from hashgym.evaluation.paired import run
from hashgym.evaluation.tuning import Tuning, tune
from hashgym.experiments import hydra_main
from hashgym.experiments.settings import TrainSettings
from hashgym.experiments.tracking import flatten, open_tracker, provenance
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


def main(args: list[str]) -> int:
    """Train with Hydra overrides; returns the exit code."""
    return hydra_main.run("train", _train, args)


def _train(config: dict[str, Any], run_dir: Path) -> float:
    """Train, or go on with the run that `resume` names; returns the last validated profit for sweepers."""
    if config["resume"] is None:
        result = train(TrainSettings.of(config), run_dir)
    else:
        others = [text for text in HydraConfig.get().overrides.task if not text.startswith("resume=")]
        if others:
            raise BadInputError(f"resume goes on with the run's own configuration; leave out {', '.join(others)}")
        run_dir = Path(config["resume"])
        result = train(TrainSettings.of_run(run_dir), run_dir, is_resumed=True)
    log.info(
        "trained %s in %.0f s; weights %s; in %s", result.policy.name, result.seconds, result.weights_hash, run_dir
    )
    validated = [row["validation/profit_usd_per_day"] for row in result.curve if "validation/profit_usd_per_day" in row]
    return validated[-1] if validated else float("nan")


def train(settings: TrainSettings, run_dir: Path, *, is_resumed: bool = False) -> Result:
    """Train a policy, or go on with the run in `run_dir`, as `agents.training.Training` does.

    The run folder gets config.json, checkpoints/, curve.csv and result.json.

    Raises:
        BadInputError: Settings do not fit each other, or `run_dir` holds a run and is not to be resumed.
        CheckpointError: The newest checkpoint is damaged or was made on another history.
    """
    began = time.perf_counter()
    if not is_resumed and (run_dir / "config.json").exists():
        raise BadInputError(f"{run_dir} holds a run; go on with it by resume={run_dir} or name another folder")
    learners.set_threads(settings.threads)
    training = Training(settings.agent, settings.env, settings.schedule, run_dir)
    if settings.teacher is not None:
        training.clonable()
    history, seed = training.scenario.history, settings.schedule.seed
    tags = {
        "history.kind": history.kind,
        "history.hash": history.hash,
        "scenario.hash": training.scenario.config_hash,
        **provenance(),
    }
    tracker = open_tracker(settings.tracking, run_dir.name, flatten(settings.content), tags, training.extra["run_id"])
    if training.is_new:
        write_json(run_dir / "config.json", settings.content)

    def judge(policy: Policy, split: str) -> float:
        trace = run(policy, replace(settings.env, reward="profit", split=split), seed)
        return float(trace.usd_per_day.mean())

    status, tuning = "FAILED", None
    try:
        if training.is_new and settings.teacher is not None:
            tuning = tune(settings.env, seed, progress=settings.schedule.progress)
            rule = Hysteresis(Menu.of(training.env.batch.site), **tuning.thresholds)
            scores = training.clone(rule, settings.clone_steps)
            log.info("cloned %s (%s): %s", rule.name, tuning.thresholds, scores)
            tracker.metrics({f"warm_start/{key}": value for key, value in scores.items()}, 0)
        training.learn(judge, tracker)
        write_text(run_dir / "curve.csv", csv_text(training.curve))
        result = Result(
            run_dir, training.policy, training.curve, time.perf_counter() - began, training.weights_hash, tuning
        )
        write_json(
            run_dir / "result.json",
            {
                "weights_hash": result.weights_hash,
                "steps": training.model.num_timesteps,
                "seconds": result.seconds,
                **tags,
            },
        )
        for name in ("config.json", "curve.csv", "result.json"):
            tracker.artifact(run_dir / name)
        status = "FINISHED"
        return result
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        tracker.close(status)
