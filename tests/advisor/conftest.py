"""A workshop in small: a history of fifteen weeks, a cloned policy, its bundle and a forecaster fitted in a second."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hashgym.advisor.advise import Advisor
from hashgym.advisor.bundle import FORECAST, Bundle
from hashgym.advisor.packing import Origin, pack
from hashgym.advisor.trial import Settings
from hashgym.agents.learning import cloning
from hashgym.agents.learning.learners import PpoConfig
from hashgym.agents.rules import Hysteresis, Menu
from hashgym.envs.batch import tables
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.seeding import draw_seeds
from hashgym.envs.forms.sb3 import SiteVecEnv
from hashgym.envs.scenario import scenario as scenarios
from hashgym.envs.scenario.published import published_series
from hashgym.envs.scenario.scenario import Scenario
from hashgym.forecast.fitting import FitConfig, fit
from hashgym.sim.history.history import STEP, History
from tests.conftest import SMALL

MAPPING: dict[str, Any] = {
    **SMALL,
    "name": "advised",
    "history": {"region": "ercot", "start": "2024-04-01", "end": "2024-07-16", "seed": 3},
    "splits": {
        "train": ["2024-04-03", "2024-05-20"],
        "validation": ["2024-05-20", "2024-06-01"],
        "test": ["2024-06-01", "2024-07-15"],
    },
}
FIT = FitConfig(
    n_trees=20, learning_rate=0.2, min_child_weight=20, n_vintages=2, vintage_days=10, stopping_days=5, early_stopping=5
)


@dataclass(frozen=True)
class Workshop:
    scenario: Scenario
    config: EnvConfig
    model: Any
    bundle: Path
    seasoned: Path
    """The bundle as if it had been trained on everything that can be observed."""

    def advisor(self, **settings: Any) -> Advisor:
        return Advisor.of(Bundle(self.seasoned), Settings(**{"n_paths": 40, **settings}))

    def step(self, stamp: str) -> int:
        return int((pd.Timestamp(stamp, tz="UTC") - self.scenario.history.start) / STEP)


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return opened(MAPPING, _with_a_dear_night(), tmp_path_factory.mktemp("workshop"))


@pytest.fixture(scope="session")
def day_ahead_workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A site whose energy settles at day-ahead prices."""
    history = _with_a_dear_night()
    frame = history.frame.drop(columns="market_price_usd_per_mwh")
    frame = frame.rename(columns={"day_ahead_price_usd_per_mwh": "market_price_usd_per_mwh"})
    market = replace(history, frame=frame, publication="day_ahead", price_interval_s=3600)
    return opened(MAPPING, market, tmp_path_factory.mktemp("day_ahead"))


@pytest.fixture(scope="session")
def two_zone_workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    zones = [
        {"machine": "s19j_pro", "firmware": "slow_tuner", "n_units": 200},
        {"machine": "s21", "firmware": "fast_curtail", "n_units": 80},
    ]
    mapping = {**MAPPING, "name": "two", "site": {"altitude_m": 0.0, "zones": zones}}
    return opened(mapping, _with_a_dear_night(), tmp_path_factory.mktemp("two"))


def opened(mapping: dict[str, Any], history: History, folder: Path) -> Workshop:
    """Clone a rule into a policy on a history, and export it with a forecaster."""
    scenario = scenarios.from_mapping(mapping, history)
    config = EnvConfig(scenario=scenario, split="train", n_threads=1)
    env = SiteVecEnv(64, draw_seeds(0, 0, 64), scenario=scenario, n_threads=1)
    model = PpoConfig(n_envs=64, n_steps=16, batch_size=256).build(env, env.batch.table, 0)
    rule = Hysteresis(Menu.of(scenario.site), 4.0, 1.1)
    stay = tables.DISCRETE_OFFSETS.index(0) + 1
    cloning.clone(model, env, lambda: np.where(rule.act(env.batch) == 0, 0, stay), 48)
    forecaster = fit(
        published_series(scenario.history, scenario.site.markets[0]), pd.Timestamp("2024-05-20", tz="UTC"), FIT
    )
    metrics = {
        "split": "test",
        "episodes": 1,
        "episode_days": 1,
        "values": {"score": {"mean": 0.5, "lo": 0.4, "hi": 0.6}},
    }
    extra = {FORECAST: forecaster.dump().encode()}
    origin = Origin(name="ppo", scenario=mapping, metrics=metrics, tags={"git.revision": "none"}, extra=extra)
    pack(folder / "bundle", model, config, origin, 0)
    return Workshop(
        scenario, config, model, folder / "bundle", rewritten(folder / "bundle", folder / "seasoned", _season)
    )


def _with_a_dear_night() -> History:
    """Return the history with a night of scarcity in the held-out months, which the day-ahead market had seen coming."""
    history = scenarios.from_mapping(MAPPING).history
    frame = history.frame.copy()
    night = slice("2024-06-20T18:00", "2024-06-21T08:00")
    for name in ("market_price_usd_per_mwh", "day_ahead_price_usd_per_mwh"):
        frame.loc[night, name] += 250.0
    return replace(history, frame=frame)


def _season(manifest: dict[str, Any]) -> None:
    """Seven weeks of spring are no training for summer: take what may be observed as what was trained on."""
    for entry in manifest["observations"]:
        entry["trained_low"], entry["trained_high"] = entry["low"], entry["high"]


def rewritten(bundle: Path, folder: Path, change: Any) -> Path:
    """Copy a bundle with another manifest, its sums made anew."""
    import hashlib
    import shutil

    shutil.copytree(bundle, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    names = [line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()]
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}" for name in names]
    (folder / "SHA256SUMS").write_text("\n".join(sums) + "\n")
    return folder
