"""MLflow as a user has it: whose store, which lock, what is kept, how runs end."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from hashgym.advisor.bundle import Bundle
from hashgym.advisor.packing import Origin, pack
from hashgym.agents.learning.learners import PpoConfig
from hashgym.agents.learning.training import tracked_run
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.forms.sb3 import SiteVecEnv
from hashgym.experiments import tracking
from tests.conftest import SMALL

TINY = [
    "train", "experiment=smoke", "agent.total_steps=4096", "progress=false", "warm_start.teacher=null", "validations=0",
    "scenario.history.end='2024-01-15'", "scenario.splits.train=['2023-07-03','2023-11-01']",
    "scenario.splits.validation=['2023-11-01','2023-12-01']", "scenario.splits.test=['2023-12-01','2024-01-12']",
]  # fmt: skip


def started(*args: str, cwd: Path, **env: str) -> subprocess.Popen[str]:
    cwd.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "hashgym.experiments.cli", *args],
        cwd=cwd, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def runs(uri: str) -> list[Any]:
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("hashgym")
    return [] if experiment is None else list(client.search_runs([experiment.experiment_id]))


def config(uri: str | None) -> dict[str, Any]:
    return {"kind": "mlflow", "uri": uri, "experiment": "hashgym"}


def test_the_store_of_the_environment_is_honoured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/theirs.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    tracker = tracking.open_tracker(config(None), "a", {}, {}, None)
    tracker.close("FINISHED")
    assert [run.info.run_id for run in runs(uri)] == [tracker.run_id]
    assert not (tmp_path / "outputs").exists()
    own = f"sqlite:///{tmp_path}/ours.db"
    assert tracking.open_tracker(config(own), "b", {}, {}, None).run_id in {run.info.run_id for run in runs(own)}
    assert os.environ["MLFLOW_TRACKING_URI"] == uri


def test_what_is_not_finite_is_no_metric(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/s.db"
    tracker = tracking.open_tracker(config(uri), "a", {"a[0]": "x\x1b[31m"}, {}, None)
    tracker.metrics({"a": float("nan"), "b": float("inf"), "c": 1.0}, 0)
    (run,) = runs(uri)
    assert run.data.metrics == {"c": 1.0}
    assert run.data.params == {"a_0_": "x\\x1b[31m"}


def test_an_old_schema_gets_the_command_that_upgrades_it(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/s.db"
    tracking.open_tracker(config(uri), "a", {}, {}, None).close("FINISHED")
    with sqlite3.connect(tmp_path / "s.db") as database:
        database.execute("update alembic_version set version_num = 'bda7b8c39065'")
    # A process of its own, as a user's: MLflow keeps a store open that it has checked.
    done = started(*TINY, f"tracking.uri={uri}", "hydra.run.dir=run", cwd=tmp_path)
    _, err = done.communicate(timeout=120)
    assert done.returncode == 2
    assert f"run `mlflow db upgrade sqlite:///{tmp_path}/s.db`" in err
    assert "Traceback" not in err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_two_sweeps_from_two_folders_share_a_store(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/store/s.db"
    both = [started(*TINY, f"tracking.uri={uri}", "hydra.run.dir=run", cwd=tmp_path / name) for name in ("a", "b")]
    for process in both:
        _, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
    assert {run.info.status for run in runs(uri)} == {"FINISHED"}
    assert len(runs(uri)) == 2
    assert {Path(run.info.artifact_uri.removeprefix("file://")).parents[1] for run in runs(uri)} == {
        tmp_path / "store" / "mlartifacts"
    }


@pytest.mark.slow
def test_a_killed_run_is_ended_and_gone_on_with_as_the_same_run(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/s.db"
    long = [*TINY, f"tracking.uri={uri}", "agent.total_steps=4000000", "checkpoint_steps=100000000"]

    def killed(number: int, name: str) -> None:
        process = started(*long, f"hydra.run.dir={name}", cwd=tmp_path)
        deadline = time.monotonic() + 120.0
        while not (tmp_path / name / "tracked.json").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(1.0)
        process.send_signal(number)
        process.communicate(timeout=60)

    def status() -> dict[str, str]:
        return {run.data.tags["mlflow.runName"]: run.info.status for run in runs(uri)}

    killed(signal.SIGTERM, "asked")
    assert list(status().values()) == ["KILLED"]
    killed(signal.SIGKILL, "shot")
    (shot,) = (run for run in runs(uri) if run.info.status == "RUNNING")
    path = tmp_path / "shot" / "config.json"
    content = json.loads(path.read_text())
    content["agent"]["total_steps"] = 2048
    path.write_text(json.dumps(content))
    other = started(*TINY, f"tracking.uri={uri}", "hydra.run.dir=other", cwd=tmp_path)
    assert other.communicate(timeout=240) is not None
    assert next(run for run in runs(uri) if run.info.run_id == shot.info.run_id).info.status == "KILLED"
    resumed = started("train", "resume=shot", cwd=tmp_path)
    assert resumed.communicate(timeout=240) is not None
    assert len(runs(uri)) == 3
    assert next(run for run in runs(uri) if run.info.run_id == shot.info.run_id).info.status == "FINISHED"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    options = EnvConfig(scenario=SMALL)
    agent = PpoConfig(n_envs=2, n_steps=4, batch_size=8, net_arch=(4,))
    env = SiteVecEnv(2, [1, 2], options)
    model = agent.build(env, env.batch.table, 0)
    origin = Origin(name="ppo", scenario=SMALL, metrics={}, tags={}, extra={})
    return pack(tmp_path_factory.mktemp("b") / "bundle", model, options, origin, 0)


@pytest.mark.slow
def test_a_registered_model_loads_anywhere_and_leaves_the_runs_duration(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/s.db"
    tracker = tracking.open_tracker(config(uri), "a", {}, {}, None)
    tracker.close("FINISHED")
    client = mlflow.MlflowClient(uri)
    before = client.get_run(str(tracker.run_id)).info
    time.sleep(0.05)
    version = tracking.register(config(uri), bundle, "m", "candidate", tracker.run_id)
    after = client.get_run(str(tracker.run_id)).info
    assert (after.end_time, after.status) == (before.end_time, "FINISHED")
    source = Path(client.get_model_version_download_uri("m", version).removeprefix("file://"))
    wanted = (source / "requirements.txt").read_text()
    assert "+" not in wanted
    assert "hashgym" not in wanted
    rows = pd.DataFrame([{entry["name"]: entry["trained_low"] for entry in bundle.observations}] * 3)
    rows.to_json(tmp_path / "rows.json", orient="split")
    (tmp_path / "elsewhere").mkdir()
    # Where nothing of hashgym is installed but what came with the model.
    script = (
        "import sys; sys.meta_path = [f for f in sys.meta_path if 'hashgym' not in repr(f) and '__editable__' not in repr(f)]\n"
        f"import mlflow, pandas as pd; model = mlflow.pyfunc.load_model({str(source)!r})\n"
        f"out = model.predict(pd.read_json({str(tmp_path / 'rows.json')!r}, orient='split').astype(float))\n"
        "import hashgym_bundle.advisor.bundle as b; print(b.__file__); print(out.to_json(orient='split'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path / "elsewhere", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    file, told = done.stdout.strip().splitlines()[-2:]
    assert str(source) in file or "mlartifacts" in file
    expected = bundle.decide(rows.to_numpy(np.float32)).setpoint_mhz[:, 0]
    assert json.loads(told)["data"][0][0] == pytest.approx(float(expected[0]))


def test_where_a_run_is_tracked_is_known_before_its_first_checkpoint(tmp_path: Path) -> None:
    assert tracked_run(tmp_path) is None
    (tmp_path / "tracked.json").write_text('{"run_id": "abc"}')
    assert tracked_run(tmp_path) == "abc"
