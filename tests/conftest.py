"""Fixtures: a small scenario whose history takes milliseconds to make."""

import os
from pathlib import Path
from typing import Any

# Before anything of ours is imported: tests run side by side, each process with one thread for linear algebra and a
# cache of compiled kernels of its own, since numba's mixes up kernels that two processes add at once.
os.environ.setdefault("OMP_NUM_THREADS", "1")
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    home = os.environ.get("HASHGYM_CACHE_DIR", "~/.cache/hashgym")
    os.environ["HASHGYM_CACHE_DIR"] = str(Path(home).expanduser() / worker)

import numpy as np
import pytest

from hashgym.envs.scenario import scenario as scenarios
from hashgym.envs.scenario.scenario import Scenario
from hashgym.sim.hardware import catalogue
from hashgym.sim.site.params import SiteParams, ZoneParams
from hashgym.sim.site.world import Exogenous
from hashgym.synthesis.generate import synthesize

SMALL: dict[str, Any] = {
    "name": "small",
    "site": {"altitude_m": 900.0, "zones": [{"machine": "s19j_pro", "firmware": "slow_tuner", "n_units": 280}]},
    "tariff": {"kind": "real_time", "adder_usd_per_mwh": 15.0},
    "history": {"region": "ercot", "start": "2024-06-01", "end": "2024-07-16", "seed": 3},
    "splits": {
        "train": ["2024-06-03", "2024-06-25"],
        "validation": ["2024-06-25", "2024-07-01"],
        "test": ["2024-07-01", "2024-07-15"],
    },
    "episode_days": 1,
}

REST: dict[str, float] = {
    "market_price_usd_per_mwh": 30.0,
    "outdoor_temp_c": 15.0,
    "relative_humidity_pct": 50.0,
    "coin_price_usd": 30e3,
    "difficulty": 5e13,
    "fee_share": 0.02,
}
"""Constants for the columns of an imported history that a test is not about."""


STORED_SITE: dict[str, Any] = {
    **SMALL["site"],
    "battery": {"power_w": 1.5e6, "energy_wh": 3.0e6},
    "sun": {"power_w": 1.5e6, "latitude_deg": 32.8, "longitude_deg": -96.8},
    "interconnect": {"import_limit_w": 1.0e6, "export_limit_w": 1.0e6},
}
"""The site of SMALL with a battery and sun behind a small connection."""


@pytest.fixture(scope="session")
def stored() -> Scenario:
    history = synthesize("ercot", "2024-06-01", "2024-07-16", 3, weather=("sun",), hashprice_usd_per_ph_day=39.0)
    tariff = {"kind": "real_time", "adder_usd_per_mwh": 15.0, "coincident_peak": {}}
    return scenarios.from_mapping({**SMALL, "name": "stored", "site": STORED_SITE, "tariff": tariff}, history)


@pytest.fixture(scope="session")
def small() -> Scenario:
    return scenarios.from_mapping(SMALL)


@pytest.fixture(scope="session")
def two_zones() -> Scenario:
    zones = [
        {"machine": "s19j_pro", "firmware": "slow_tuner", "n_units": 200},
        {"machine": "s21", "firmware": "fast_curtail", "n_units": 80},
    ]
    return scenarios.from_mapping({**SMALL, "name": "two_zones", "site": {"altitude_m": 0.0, "zones": zones}})


def site(machine: str = "s19j_pro", firmware: str = "slow_tuner", **options: Any) -> SiteParams:
    zone = ZoneParams(machine=catalogue.machine(machine), firmware=catalogue.firmware(firmware), n_units=10)
    return SiteParams(zones=(zone,), **options)


def weather(n_steps: int, temp_c: float | np.ndarray = 20.0, price: float | np.ndarray = 30.0) -> Exogenous:
    outdoor_temp_c = np.full((1, n_steps), temp_c, np.float64)
    return Exogenous.plain(outdoor_temp_c, outdoor_temp_c - 5.0, price, 50.0)
