"""The examples run as they stand, with small arguments, and do what they say."""

import ast
import csv
import json
import math
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(FOLDER.glob("*.py"))


def main_of(name):
    return runpy.run_path(str(FOLDER / f"{name}.py"))["main"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_an_example_is_short(script):
    assert len(script.read_text(encoding="utf-8").splitlines()) <= 60


def test_step_a_site(capsys):
    assert math.isfinite(main_of("step_a_site")(["--days", "1"]))
    assert "1 days: " in capsys.readouterr().out


def test_thousands_in_one_call():
    profit_usd = main_of("thousands_in_one_call")(["--envs", "1000", "--steps", "3"])
    assert profit_usd.shape == (1000,)
    assert profit_usd.std() > 0.0


@pytest.mark.slow
def test_ppo_in_30_lines():
    assert math.isfinite(main_of("ppo_in_30_lines")(1024, 32))


@pytest.mark.slow
def test_cleanrl_style_learns_something():
    curve = main_of("cleanrl_style")(12, 128, 16)
    assert len(curve) == 12
    assert np.mean(curve[-3:]) > np.mean(curve[:3])


def imported(script):
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module).split(".")[0]


def test_a_bundle_in_production_needs_numpy_and_onnxruntime_alone():
    others = set(imported(FOLDER / "bundle_in_production.py")) - set(sys.stdlib_module_names)
    assert others == {"numpy", "onnxruntime"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A bundle of an untrained policy."""
    from hashgym.advisor.packing import Origin, pack
    from hashgym.agents.learning.learners import PpoConfig
    from hashgym.envs.batch.config import EnvConfig
    from hashgym.envs.forms.sb3 import SiteVecEnv
    from hashgym.envs.scenario.scenario import from_mapping
    from tests.conftest import SMALL

    scenario = from_mapping(SMALL)
    env = SiteVecEnv(4, range(4), scenario=scenario)
    model = PpoConfig(n_envs=4, n_steps=16, batch_size=64).build(env, env.batch.table, 0)
    metrics = {"split": "test", "episodes": 1, "episode_days": 1, "values": {}}
    origin = Origin(name="ppo", scenario=SMALL, metrics=metrics, tags={"git.revision": "none"})
    folder = tmp_path_factory.mktemp("production") / "bundle"
    pack(folder, model, EnvConfig(scenario=scenario), origin, 0)
    return folder


def rows_of(folder, path, *changes):
    """Write a row of observations in the middle of what was trained on for each set of changes."""
    entries = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["observations"]
    middle = {entry["name"]: 0.5 * (entry["trained_low"] + entry["trained_high"]) for entry in entries}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(middle))
        writer.writeheader()
        writer.writerows({**middle, **change} for change in changes)
    return path


@pytest.mark.slow
def test_a_bundle_in_production_decides_as_the_library_does(bundle, tmp_path, capsys):
    from hashgym.advisor.bundle import Bundle

    path = rows_of(bundle, tmp_path / "observations.csv", {}, {"outdoor_temp_c": 54.0})
    assert main_of("bundle_in_production")([str(bundle), str(path)]) == 0
    header, inside, outside = list(csv.reader(capsys.readouterr().out.splitlines()))
    assert header == ["zone0_setpoint_mhz", "outside"]
    assert outside == ["", "outdoor_temp_c"]
    with path.open(encoding="utf-8") as file:
        row = next(csv.DictReader(file))
    decision = Bundle(bundle).decide([float(row[name]) for name in Bundle(bundle).names])
    assert float(inside[0]) == pytest.approx(float(decision.setpoint_mhz[0, 0]))


@pytest.mark.slow
def test_a_bundle_in_production_refuses_another_file(bundle, tmp_path):
    path = rows_of(bundle, tmp_path / "observations.csv", {})
    card = bundle / "model_card.md"
    before = card.read_bytes()
    card.write_bytes(before + b" ")
    try:
        with pytest.raises(SystemExit, match="changed since it was exported"):
            main_of("bundle_in_production")([str(bundle), str(path)])
    finally:
        card.write_bytes(before)
