"""Export, registration, advice and back-test as commands, with a real MLflow store."""

import json
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from hashgym.advisor.backtest import stock_states
from hashgym.advisor.bundle import Bundle
from hashgym.experiments.cli import main
from hashgym.experiments.sample import write_telemetry
from tests.advisor.conftest import Workshop
from tests.advisor.conftest import workshop as workshop

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def files(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("files")
    workshop.scenario.history.save(folder / "history")
    step = workshop.step("2024-06-20T22:00")
    ((_, zones),) = stock_states(workshop.scenario, workshop.scenario.exogenous("day_ahead"), range(step, step + 1))
    write_telemetry(workshop.scenario, zones, step, 1, folder / "telemetry.csv")
    return {
        "bundle": str(workshop.seasoned),
        "telemetry": str(folder / "telemetry.csv"),
        "history": str(folder / "history"),
    }


def arguments(files: dict[str, str], *names: str) -> list[str]:
    return [part for name in names for part in (f"--{name}", files[name])]


def test_a_run_is_exported_and_served_from_the_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    short = (
        "scenario.history.start=2024-11-01",
        "scenario.history.end=2025-09-01",
        "scenario.splits.train=['2024-11-03','2025-06-01']",
        "scenario.splits.validation=['2025-06-01','2025-07-01']",
        "scenario.splits.test=['2025-07-01','2025-08-30']",
    )
    smoke = ("experiment=smoke", "progress=false", "warm_start.teacher=null", "threads=1", "validations=0")
    assert main(["train", *smoke, *short, "hydra.run.dir=run"]) == 0
    forest = ("forecast.n_vintages=1", "forecast.n_trees=5")
    assert main(["export", "run=run", "out=bundle", "years=2", *forest]) == 0
    assert "models:/hashgym-west_texas_air@candidate is version 1" in capsys.readouterr().out
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/outputs/mlflow.db")
    bundle = Bundle(tmp_path / "bundle")
    assert bundle.manifest["metrics"]["episodes"] == 16
    values = bundle.manifest["metrics"]["values"]["net_profit_usd_per_day"]
    assert values["lo"] <= values["mean"] <= values["hi"]
    before = set(sys.path)
    served = mlflow.pyfunc.load_model("models:/hashgym-west_texas_air@candidate")
    # What MLflow puts on the path holds no `hashgym`, which a process begun later would take for the installed one.
    assert {entry.name for path in {*sys.path} - before for entry in Path(path).iterdir()} == {"hashgym_bundle"}
    observations = np.array([[entry["trained_high"] for entry in bundle.observations]] * 3)
    frame = pd.DataFrame(observations, columns=list(bundle.names))
    predicted = served.predict(frame[frame.columns[::-1]])
    assert predicted["zone0_setpoint_mhz"].tolist() == bundle.decide(observations).setpoint_mhz[:, 0].tolist()
    with pytest.raises(mlflow.MlflowException, match="missing inputs"):
        served.predict(frame.drop(columns="outdoor_temp_c"))
    # The model stands in the training run, beside its curves.
    client = mlflow.MlflowClient()
    version = client.get_model_version_by_alias("hashgym-west_texas_air", "candidate")
    trained = json.loads((tmp_path / "run" / "config.json").read_text())
    assert client.get_run(version.run_id).data.params["seed"] == str(trained["seed"])
    assert not list((tmp_path / "outputs").rglob("*.pkl"))
    # A second export replaces the bundle and makes a second version.
    assert main(["export", "run=run", "out=bundle", "years=2", *forest, "alias=champion"]) == 0
    assert str(client.get_model_version_by_alias("hashgym-west_texas_air", "champion").version) == "2"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("run=nowhere",), "nowhere has no config.json"),
        (("run=nowhere", "+colour=red"), "unknown key 'colour'"),
        ((), "name the training run: hashgym export run=FOLDER"),
        (("run=nowhere", "forecast.n_trees=0"), "forecast.n_trees is 0; it must be a whole number above 0"),
        (("run=nowhere", "forecast.vintage_days=-1"), "forecast.vintage_days is -1"),
    ],
)
def test_an_export_that_cannot_be_is_told(
    args: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", *args]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()


def test_advice_is_printed_and_written(files: dict[str, str], tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "advice.json"
    assert main(["advise", *arguments(files, "bundle", "telemetry", "history"), "--json", str(out)]) == 0
    text = capsys.readouterr().out
    content = json.loads(out.read_text())
    assert content["clock"] == "telemetry"
    assert content["at_utc"] == "2024-06-20T22:00:00Z"
    assert len(content["rejected_rows"]) == 3
    assert "3 rows of telemetry were set aside" in text
    assert content["advice"][0]["kind"] in text


def test_the_table_of_a_history_stands_for_its_folder(files: dict[str, str], capsys: Any) -> None:
    history = str(Path(files["history"]) / "history.parquet")
    assert main(["advise", *arguments(files, "bundle", "telemetry"), "--history", history]) == 0
    assert "Advice for advised at" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("bundle", "nowhere", "nowhere: not a policy bundle"),
        ("telemetry", "nowhere.csv", "nowhere.csv: not readable"),
        ("history", "nowhere", "no history.json"),
        *(
            ("at", value, "is not a time; write it like")
            for value in ("NaT", "now", "2025", "9999-12-31T00:00", "07/08/2025 10:00")
        ),
        ("json", "{telemetry}", "which is read; name another file"),
        ("json", "{bundle}/manifest.json", "which is read; name another file"),
        ("json", ".", "is a folder; name a file"),
        ("json", "/proc/x.json", "no file can be made there"),
    ],
)
def test_what_is_not_there_is_named(files: dict[str, str], name: str, value: str, message: str, capsys: Any) -> None:
    given = {**files, "at": "2024-06-20T22:00", name: value.format(**files)}
    assert (
        main(
            ["advise", *arguments(given, "bundle", "telemetry", "history", "at", *(["json"] if name == "json" else []))]
        )
        == 2
    )
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err


def test_a_back_test_compares_what_was_said_with_what_came(files: dict[str, str], tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "b.json"
    span = ["--start", "2024-06-20", "--end", "2024-06-23", "--every-h", "2", "--json", str(out)]
    assert main(["backtest", *arguments(files, "bundle", "history"), *span]) == 0
    content = json.loads(out.read_text())
    assert content["decisions"] == 24
    for entry in content["kinds"].values():
        assert entry["advised"] + sum(entry["abstained_because"].values()) == 24
        assert entry["abstention_rate"] == pytest.approx(1.0 - entry["advised"] / 24)
    dynamic = content["kinds"]["dynamic_hashrate"]
    assert dynamic["advised"] > 0
    assert dynamic["when_advised"]["paid"]["mean"] > 0.5
    assert "abstained" in capsys.readouterr().out
    for start, end, message in (
        ("2024-06-20", "2024-06-21", "is too short; give 2 days"),
        ("foo", "2024-06-21", "'foo' is not a day"),
        ("2024-05-01", "2024-05-05", "lies in the months that the bundle was trained on"),
    ):
        assert main(["backtest", *arguments(files, "bundle", "history"), "--start", start, "--end", end]) == 2
        assert message in capsys.readouterr().err
    days = ["--start", "2024-06-20", "--end", "2024-06-23"]
    assert main(["backtest", *arguments(files, "bundle", "history"), *days, "--every-h", "0.01"]) == 2


def test_a_forecast_is_judged(files: dict[str, str], tmp_path: Path, capsys: Any) -> None:
    span = ["--start", "2024-06-25", "--end", "2024-07-10", "--json", str(tmp_path / "f.json")]
    assert main(["forecast", *arguments(files, "bundle", "history"), *span]) == 0
    assert {row["target"] for row in json.loads((tmp_path / "f.json").read_text())} == {
        "market_price_usd_per_mwh",
        "expected_hashprice_usd_per_ph_day",
        "outdoor_temp_c",
    }
    assert (
        main(["forecast", *arguments(files, "bundle", "history"), "--start", "2024-05-21", "--end", "2024-06-10"]) == 2
    )
    assert "only 10 past forecasts lie between the first model" in capsys.readouterr().err
