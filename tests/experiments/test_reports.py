"""Figures of reports: drawn without a display's backend, with the thresholds of the environment."""

import ast
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hashgym.advisor import packing
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.envs.forms.render import Canvas
from hashgym.envs.scenario import scenario as scenarios
from hashgym.evaluation import site_log
from hashgym.experiments.cli import main
from hashgym.experiments.reports import report
from tests.conftest import SMALL

ROOT = Path(__file__).resolve().parents[2]
STRICT = {**SMALL, "thresholds": {"chip_over_temp": 61.5}}


def pyplot_imports(path: Path) -> list[str]:
    """Return the places of a module at which it imports pyplot or chooses a backend."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        whole = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
        if any(f"{whole}{name}".startswith("matplotlib.pyplot") for name in names):
            found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
        if isinstance(node, ast.Attribute) and node.attr in ("use", "switch_backend"):
            found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    return found


def test_no_page_sets_matplotlibs_backend_or_keeps_figures_in_pyplot() -> None:
    paths = [*ROOT.glob("experiments/**/*.py"), *ROOT.glob("tools/**/*.py")]
    assert len(paths) > 30
    assert [place for path in paths for place in pyplot_imports(path)] == []


def week() -> pd.DataFrame:
    columns = ("energy_price_usd_per_mwh", "break_even_usd_per_mwh", "power_kw", "max_chip_temp_c", "outdoor_temp_c")
    times = pd.date_range("2024-06-01", periods=50, freq="5min")
    return pd.DataFrame({name: np.linspace(1.0, 50.0, 50) for name in (*columns, "profit_usd", "always_on_usd")}, times)


def test_figures_show_the_threshold_that_they_are_given() -> None:
    figures = (report.draw_week(week(), 61.5), report.draw_temperatures({"a": np.linspace(40.0, 90.0, 99)}, 61.5))
    for figure in figures:
        lines = [line for axis in figure.axes for line in axis.get_lines()]
        assert any(list(line.get_ydata()) == [61.5, 61.5] or list(line.get_xdata()) == [61.5, 61.5] for line in lines)
        assert report.image(figure).startswith('<img alt="" src="data:image/png;base64,iVBOR')


def test_a_scenarios_own_threshold_is_the_one_that_counts() -> None:
    config = EnvConfig(scenario=scenarios.from_mapping(STRICT))
    batch = Batch(config)
    assert batch.setup.thresholds["chip_over_temp"] == 61.5
    assert batch.setup.thresholds["power_ramp"] == 0.2
    assert packing._envelope(batch)["costs"]["chip_over_temp"]["threshold"] == 61.5
    assert Canvas(batch).episode.limit_c == 61.5


def test_a_log_is_judged_by_the_scenarios_own_threshold(tmp_path: Path) -> None:
    stamps = pd.date_range("2024-06-05", periods=20, freq="5min", tz="UTC")
    frame = pd.DataFrame(
        {
            "time_utc": stamps.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "zone": 0,
            "status": "hashing",
            "target_mhz": 545.0,
            "power_w": 3000.0,
            "hashrate_ths": 100.0,
            "hot_temp_c": 70.0,
            "inlet_temp_c": 20.0,
            "fan_pu": 0.5,
            "energy_kwh": 50.0,
        }
    )
    frame.to_csv(tmp_path / "log.csv", index=False)
    counted = []
    for mapping in (SMALL, STRICT):
        config = EnvConfig(scenario=scenarios.from_mapping(mapping))
        (episode,) = site_log.read(tmp_path / "log.csv", config).episodes
        counted.append(episode["costs"][:, 0].sum() / len(episode["costs"]))
    assert counted == [0.0, 1.0]


@pytest.mark.parametrize("task", ["cooling", "operation", "coin"])
def test_export_refuses_another_task_before_any_work(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    run.mkdir()
    agent = {"_target_": "hashgym.agents.learning.learners.PpoConfig", "name": "ppo"}
    config = {"scenario": {}, "env": {"task": task}, "agent": agent, "seed": 0, "history": None}
    (run / "config.json").write_text(json.dumps(config))
    assert main(["export", "run=run", "tracking=none"]) == 2
    error = capsys.readouterr().err
    assert f"task {task!r}" in error
    assert "'hashrate' (hashgym/HashrateTuning-v0)" in error
    assert "Traceback" not in error
    assert [path.name for path in run.iterdir()] == ["config.json"]
