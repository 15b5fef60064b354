"""`hashgym update`: let a trained policy go on with newer history under the shield, and take it only if held-out days say that it is not worse."""

import argparse
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from hashgym.agents.learning.checkpoint import weights_hash
from hashgym.agents.learning.learners import PpoConfig, SacConfig
from hashgym.agents.learning.training import Judged, Training, load_policy
from hashgym.agents.policy import Policy
from hashgym.envs.batch.operating import as_texts
from hashgym.evaluation.intervals import interval
from hashgym.evaluation.paired import run
from hashgym.experiments.settings import TrainSettings
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.foundation.files import write_json
from hashgym.sim.history.history import History
from hashgym.sim.series.exogenous import STEPS_PER_DAY

LEAST_EPISODES: Final = 5
"""Held-out episodes that an interval needs at least. chosen: of fewer a bootstrap says nothing."""


@dataclass(frozen=True, slots=True)
class Update:
    """What came of an update.

    is_accepted: whether the new policy is not worse. gain_pct: what it earns more than the old one on the held-out days, in percent of it, with
    its bootstrap 95 % interval over episodes. margin_pct: by how much it may be worse at the lower end.
    """

    is_accepted: bool
    gain_pct: dict[str, float]
    margin_pct: float
    episodes: int
    held_out: tuple[str, str]
    weights_before: str
    weights_after: str


class _Untold:
    """Keeps no curve elsewhere than in the run's folder."""

    run_id = None

    def metrics(self, values: Any, step: int) -> None:
        """Take values of a step."""


def settings_for(run_dir: Path, history: Path, first: str | None, held_days: int, steps: int) -> TrainSettings:
    """Return a run's settings on a newer history: all but the last days to learn from, those to be judged on, the shield in place.

    Raises:
        BadInputError: The run's learner cannot go on, or the history is too short.
    """
    before = TrainSettings.of_run(run_dir)
    if not isinstance(before.agent, PpoConfig | SacConfig):
        raise BadInputError(f"{run_dir}: {before.agent.name} does not learn step by step; an update needs PPO or SAC")
    newer = History.load(history)
    end = (newer.start + pd.Timedelta(minutes=5) * len(newer.frame)).normalize()
    held = end - pd.Timedelta(days=held_days)
    start = newer.start.normalize() + pd.Timedelta(days=3) if first is None else pd.Timestamp(first, tz="UTC")
    if start + pd.Timedelta(days=held_days) > held:
        raise BadInputError(
            f"{history}: {start.date()}…{held.date()} is shorter than the {held_days} held-out days behind it"
        )
    # Nothing is chosen on the way, so that the validation months are only there because a scenario has them.
    names = [str(stamp.date()) for stamp in (start, held - pd.Timedelta(days=1), held, end)]
    splits = {"train": names[:2], "validation": names[1:3], "test": names[2:]}
    env = {**before.content["env"], "shield": True, "episode_steps": _episode_steps(before), "randomize": {}}
    if (rule := before.env.load().rule) is not None:
        env["rule"] = as_texts(rule)
    return TrainSettings.of(
        {
            **before.content,
            "scenario": {**before.content["scenario"], "splits": splits},
            "history": str(history),
            "env": env,
            "agent": {**before.content["agent"], "total_steps": steps},
            "curriculum": [],
            "validations": 0,
        }
    )


def _episode_steps(settings: TrainSettings) -> int | None:
    """Return a day, so that there are many episodes; where the month's peak is paid, the scenario's own."""
    return None if settings.env.load().scenario.site.contract.demand else STEPS_PER_DAY


def update(run_dir: Path, settings: TrainSettings, out: Path, margin_pct: float) -> Update:
    """Let a run's policy go on, and judge it beside what it was on the held-out days, both under the shield.

    Args:
        run_dir: The run.
        settings: As `settings_for` has them.
        out: Folder of the run that goes on; one that was killed goes on from its last checkpoint.
        margin_pct: By how much the lower end of the interval may lie below 0.

    Raises:
        BadInputError: There are too few held-out episodes.
    """
    trained = TrainSettings.of_run(run_dir)
    old = load_policy(run_dir, trained.agent, trained.env)
    training = Training(settings.agent, settings.env, settings.schedule, out, settings.wrappers)
    if training.is_new:
        training.model.policy.load_state_dict(old.model.policy.state_dict())
        write_json(out / "config.json", settings.content)
    before = _profits(old, settings)
    if len(before) < LEAST_EPISODES:
        raise BadInputError(
            f"{len(before)} held-out episodes; at least {LEAST_EPISODES} are needed: hold out more days"
        )

    def judge(policy: Policy) -> Judged:
        return Judged({"selection": 0.0})

    training.learn(judge, _Untold())
    after = _profits(training.policy, settings)
    gain = interval(after - before, np.random.default_rng(0), abs(float(before.mean())) / 100.0)
    found = Update(
        is_accepted=gain["lo"] >= -margin_pct,
        gain_pct=gain,
        margin_pct=margin_pct,
        episodes=len(before),
        held_out=settings.env.load().scenario.splits["test"],
        weights_before=weights_hash(old.model),
        weights_after=training.weights_hash,
    )
    write_json(out / "update.json", asdict(found))
    return found


def _profits(policy: Policy, settings: TrainSettings) -> np.ndarray:
    return run(policy, replace(settings.env, split="test", reward="profit"), settings.schedule.seed).usd_per_day


def main(args: list[str]) -> int:
    """Update; returns 0 where the new policy was taken, 1 where the old one stays."""
    parser = argparse.ArgumentParser(prog="hashgym update", description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of the training run whose policy goes on")
    parser.add_argument("--history", type=Path, required=True, help="folder of the newer history")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run that goes on")
    parser.add_argument("--start", help="first day to learn from, ISO date, UTC (default: the history's third)")
    parser.add_argument(
        "--held-days", type=int, default=14, help="last days of the history that are held out (default 14)"
    )
    parser.add_argument("--steps", type=int, default=200_000, help="environment steps to learn (default 200000)")
    parser.add_argument(
        "--margin-pct",
        type=float,
        default=0.2,
        help="by how much the interval's lower end may lie below 0, in percent of profit (default 0.2)",
    )
    options = parser.parse_args(args)
    if options.held_days < 1 or options.steps < 1:
        raise BadInputError("--held-days and --steps must be 1 or more")
    settings = settings_for(options.run, options.history, options.start, options.held_days, options.steps)
    found = update(options.run, settings, options.out, options.margin_pct)
    gain = found.gain_pct
    sys.stdout.write(
        f"{'taken' if found.is_accepted else 'not taken: the old policy stays'}: {gain['mean']:+.2f} % ({gain['lo']:+.2f} … {gain['hi']:+.2f}) over the "
        f"policy before on {found.episodes} held-out episodes, {found.held_out[0]}…{found.held_out[1]}, at least {-found.margin_pct:+.2f} is asked; in {options.out}\n"
    )
    return 0 if found.is_accepted else 1
