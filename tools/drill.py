"""The drill: commands are killed at random moments, and what they leave must be whole or absent. `make drill`; minutes, so outside CI.

    python -m tools.drill [--moments 20] [--seed 0] [--only NAME]

Each command runs once to the end, to know how long it takes and what it makes; then it is killed -9 at so many random moments, in a folder of
its own each time. After each kill what stands there must load, or not be there; the same command (for a run: `resume`) must end well; nothing
may be left that was written aside; and a resumed run must have the weights of the unbroken one.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hashgym.advisor.bundle import Bundle
from hashgym.sim.history.history import History

SMALL = (
    "experiment=smoke",
    "progress=false",
    "warm_start.teacher=null",
    "validations=0",
    "tracking=none",
    "scenario=site/site.yaml",
)


@dataclass(frozen=True)
class Job:
    """A command to kill: its arguments, what it must leave whole, and how it is gone on with."""

    name: str
    args: tuple[str, ...]
    whole: Callable[[Path], object]
    again: tuple[str, ...] | None = None
    same: str | None = None


def _weights(folder: Path) -> str:
    return str(json.loads((folder / "result.json").read_text(encoding="utf-8"))["weights_hash"])


def _loads(folder: Path) -> object:
    return History.load(folder)


def _dataset(folder: Path) -> int:
    import minari

    os.environ["MINARI_DATASETS_PATH"] = str(folder)
    return int(minari.load_dataset("hashgym/hashrate-tuning/rollouts-v0").total_episodes)


JOBS = (
    Job(
        "train",
        ("train", *SMALL, "agent.total_steps=65536", "checkpoint_steps=4096", "hydra.run.dir=out"),
        lambda work: _weights(work / "out"),
        ("train", "resume=out"),
        "weights",
    ),
    Job(
        "export",
        ("export", "run=site/run", "out=out", "forecast=null", "tracking=none", "progress=false"),
        lambda work: Bundle(work / "out").manifest["model_sha256"],
        same="model",
    ),
    Job("import", ("data", "import", "site/mapping.yaml", "--out", "out"), lambda work: _loads(work / "out"), same="hash"),
    Job(
        "rollouts",
        ("data", "rollouts", "--policy", "always_on", "--scenario", "site/site.yaml", "--episodes", "8", "--out", "out"),
        lambda work: _dataset(work / "out"),
        same="episodes",
    ),
    Job(
        "sweep",
        ("train", "-m", "seed=0,1", *SMALL, "agent.total_steps=8192", "hydra.sweep.dir=out"),
        lambda work: [_weights(work / "out" / name) for name in ("0", "1")],
        same="weights",
    ),
    Job(
        "backtest",
        ("backtest", "--bundle", "site/advised", "--history", "site/long", "--start", "2025-06-16", "--end", "2025-06-19",
         "--every-h", "6", "--json", "out.json"),
        lambda work: json.loads((work / "out.json").read_text(encoding="utf-8"))["decisions"],
        same="decisions",
    ),
)  # fmt: skip


def main() -> int:
    """Run the drill; returns the number of faults."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="one job by name")
    options = parser.parse_args()
    rng, faults = random.Random(options.seed), 0
    with tempfile.TemporaryDirectory() as folder:
        stage = Path(folder) / "stage"
        _stage(stage)
        for job in JOBS:
            if options.only in (None, job.name):
                faults += _drill(job, stage, Path(folder), options.moments, rng)
    return faults


def _run(args: tuple[str, ...], work: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hashgym.experiments.cli", *args]
    return subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)


def _stage(stage: Path) -> None:
    """Make what the commands read: a site with its history, a run, a bundle with a forecast."""
    stage.mkdir()
    long = ("data", "synthesize", "--start", "2025-01-01", "--end", "2025-07-01", "--seed", "1", "--out", "site/long")
    train = ("train", *SMALL, "agent.total_steps=4096", "hydra.run.dir=site/run")
    advised = (
        "train", "scenario=site/site.yaml", "history=site/long", "scenario.splits.train=['2025-01-05','2025-06-01']",
        "scenario.splits.validation=['2025-06-01','2025-06-08']", "scenario.splits.test=['2025-06-08','2025-06-15']",
        *(arg for arg in SMALL if not arg.startswith("scenario=")), "agent.total_steps=4096", "hydra.run.dir=site/other",
    )  # fmt: skip
    export = (
        "export",
        "run=site/other",
        "out=site/advised",
        "tracking=none",
        "progress=false",
        "forecast.n_vintages=1",
        "forecast.n_trees=20",
    )
    for args in (("new", "site", "site"), long, train, advised, export):
        done = _run(args, stage)
        if done.returncode:
            sys.exit(f"{' '.join(args)}: {done.stderr[-2000:]}")


def _drill(job: Job, stage: Path, folder: Path, moments: int, rng: random.Random) -> int:
    work = folder / "whole"
    shutil.copytree(stage, work)
    began = time.monotonic()
    done = _run(job.args, work)
    seconds = time.monotonic() - began
    if done.returncode:
        sys.exit(f"{job.name}: {done.stderr[-2000:]}")
    expected = _told(job, work)
    shutil.rmtree(work)
    whole = absent = 0
    faults: list[str] = []
    for moment in range(moments):
        work = folder / f"{job.name}{moment}"
        shutil.copytree(stage, work)
        at = rng.uniform(0.3, seconds)
        _kill(job.args, work, at)
        state, fault = _after(job, work, expected)
        whole, absent = whole + (state == "whole"), absent + (state == "absent")
        faults += [f"at {at:.2f} s: {fault}"] if fault else []
        shutil.rmtree(work)
    sys.stdout.write(
        f"{job.name}: {moments} kills within {seconds:.1f} s; left whole {whole}, absent or to be gone on with {absent}, faults {len(faults)}\n"
    )
    for fault in faults:
        sys.stdout.write(f"  {fault}\n")
    sys.stdout.flush()
    return len(faults)


def _told(job: Job, work: Path) -> str:
    made = job.whole(work)
    return made.hash if isinstance(made, History) else str(made)


def _kill(args: tuple[str, ...], work: Path, at_s: float) -> None:
    command = [sys.executable, "-m", "hashgym.experiments.cli", *args]
    with subprocess.Popen(
        command, cwd=work, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as victim:
        try:
            victim.wait(at_s)
        except subprocess.TimeoutExpired:
            os.killpg(victim.pid, signal.SIGKILL)


def _after(job: Job, work: Path, expected: str) -> tuple[str, str]:
    """Return what a kill has left, and what is wrong with it, empty if nothing."""
    try:
        found = _told(job, work)
        state = "whole"
    except Exception as error:  # absent, as far as anybody can load it
        found, state = "", "absent"
        if isinstance(error, EOFError | KeyError):
            return state, f"half written: {error!r}"
    if state == "whole" and found != expected:
        return state, f"differs: {found}, unbroken {expected}"
    if state == "absent":
        is_run = job.again is not None and (work / "out" / "config.json").is_file()
        done = _run(job.again if is_run and job.again else job.args, work)
        if done.returncode:
            return state, f"the next call fails: {done.stderr.strip()[-300:]}"
        if job.same and _told(job, work) != expected:
            return state, f"the next call makes {_told(job, work)}, unbroken {expected}"
    left = [str(path.relative_to(work)) for path in work.rglob(".*aside*")] + [
        str(path.relative_to(work)) for path in work.rglob(".writing.*")
    ]
    return state, f"left over: {', '.join(left)}" if left else ""


if __name__ == "__main__":
    sys.exit(min(main(), 1))
