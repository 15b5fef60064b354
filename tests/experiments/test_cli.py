"""The command line: one clear message and an exit code for every mistake, nothing half-written."""

import json
import os
import signal
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import mlflow
import pytest

from hashgym.agents.learning import checkpoint
from hashgym.experiments.cli import main

SMOKE = ("experiment=smoke", "tracking=none", "progress=false", "warm_start.teacher=null", "threads=1", "validations=0")
SHORT = (
    "scenario.history.end='2024-01-15'",
    "scenario.splits.train=['2023-07-03','2023-11-01']",
    "scenario.splits.validation=['2023-11-01','2023-12-01']",
    "scenario.splits.test=['2023-12-01','2024-01-12']",
)


def run(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hashgym.experiments.cli", *args]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


def test_help_is_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "train" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["data", "--help"])
    assert "synthesize" in capsys.readouterr().out


def test_unknown_command_lists_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dance"]) == 2
    assert "no command 'dance'. There are train" in capsys.readouterr().err
    assert main(["trian"]) == 2
    assert "no command 'trian'; did you mean train? There are" in capsys.readouterr().err
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"hashgym {metadata.version('hashgym')}\n"


def test_synthesize_and_show_describe_the_history(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tmp_path / "h")
    assert (
        main(["data", "synthesize", "--start", "2024-01-01", "--end", "2024-01-08", "--seed", "4", "--out", folder])
        == 0
    )
    assert main(["data", "show", folder]) == 0
    out = capsys.readouterr().out
    assert out.count("synthetic history") == 2
    assert "expected_hashprice_usd_per_ph_day" in out


def test_an_import_that_fails_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mapping = tmp_path / "m.yaml"
    mapping.write_text("start: 2024-01-01\n")
    assert main(["data", "import", "--mapping", str(mapping), "--out", str(tmp_path / "h")]) == 2
    assert "m.yaml: key 'end' is missing" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["m.yaml"]


def test_a_history_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", f"history={tmp_path / 'absent'}"]) == 2
    assert "no history.json; make a history with" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "message"), [("scenario=moon", "Could not find 'scenario/moon'"), ("agent.sped=3", "agent.sped")]
)
def test_overrides_that_hydra_refuses_end_in_one_message(override: str, message: str, tmp_path: Path) -> None:
    # In a process of its own: where a tracer runs, as coverage does, Hydra raises instead.
    done = run("train", override, cwd=tmp_path)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("train", "env.action=jump", *SMOKE), "action is 'jump'; it must be one of discrete, box, profile"),
        (("train", "+env.colour=red", *SMOKE), "unknown key 'env.colour'"),
        (("train", "resume=nowhere"), "nowhere has no config.json"),
        (("train", "resume=nowhere", "seed=3"), "leave out seed=3"),
        (("train", "+colour=red", *SMOKE), "unknown key 'colour'"),
        (("train", "+agent.sped=3", *SMOKE), "agent: unknown key 'sped'"),
        (
            ("train", "scenario.splits.train=['2023-07-03','2025-08-01']", *SMOKE),
            "'train' and 'validation' overlap",
        ),
        (("evaluate", "runs=[nowhere]"), "nowhere has no config.json"),
        (("evaluate", "split=future", *SHORT), "no split 'future'"),
    ],
)
def test_wrong_overrides_end_in_one_message(
    args: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(list(args)) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert not list(tmp_path.rglob("*.json"))
    assert not list(tmp_path.rglob("step_*"))


@pytest.mark.slow
def test_a_run_killed_in_the_middle_ends_with_the_weights_of_an_unbroken_one(tmp_path: Path) -> None:
    args = (
        "train",
        "experiment=smoke",
        "progress=false",
        "warm_start.steps=32",
        "agent.total_steps=40960",
        "scenario.history.end='2024-03-01'",
        "scenario.splits.train=['2023-07-03','2024-01-01']",
        "scenario.splits.validation=['2024-01-01','2024-02-01']",
        "scenario.splits.test=['2024-02-01','2024-03-01']",
    )
    whole = run(*args, "hydra.run.dir=whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr

    command = [sys.executable, "-m", "hashgym.experiments.cli", *args, "hydra.run.dir=broken"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as victim:
        deadline = time.monotonic() + 120.0
        while checkpoint.latest(tmp_path / "broken" / "checkpoints") is None and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(victim.pid, signal.SIGKILL)
    assert not (tmp_path / "broken" / "result.json").exists()
    newest = checkpoint.latest(tmp_path / "broken" / "checkpoints")
    assert newest is not None
    assert checkpoint.read_meta(newest)["counters"]["num_timesteps"] < 40960

    resumed = run("train", "resume=broken", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    results = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("whole", "broken")]
    assert results[0]["weights_hash"] == results[1]["weights_hash"]
    assert results[0]["steps"] == results[1]["steps"]
    assert (tmp_path / "whole" / "curve.csv").read_text() == (tmp_path / "broken" / "curve.csv").read_text()

    table = newest / "tensors.pt"
    for path in sorted((tmp_path / "broken" / "checkpoints").glob("step_*")):
        table = path / "tensors.pt"
        table.write_bytes(table.read_bytes()[:100])
    refused = run("train", "resume=broken", cwd=tmp_path)
    assert refused.returncode == 2
    assert "tensors.pt: truncated or changed" in refused.stderr


@pytest.mark.slow
def test_a_sweep_over_processes_finishes_its_good_jobs_and_reports_the_bad_one(tmp_path: Path) -> None:
    done = run(
        "train",
        "-m",
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2",
        "agent.batch_size=1024,2048,1000",
        "experiment=smoke",
        "progress=false",
        "warm_start.teacher=null",
        *SHORT,
        cwd=tmp_path,
    )
    assert done.returncode != 0
    assert "agent.batch_size is 1000; it must divide" in done.stderr
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'outputs' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("hashgym")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert {(run.info.status, run.data.params["agent.batch_size"]) for run in runs} == {
        ("FINISHED", "1024"),
        ("FINISHED", "2048"),
    }
