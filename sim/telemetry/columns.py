"""What machines report: the table of telemetry, and a fleet's rows from the state of its zones."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from ..hardware.firmware import ASLEEP, HASHING, STARTING, TRIPPED
from ..site.params import SiteParams


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What a column of telemetry means and which numbers it may hold."""

    unit: str
    meaning: str
    low: float = -np.inf
    high: float = np.inf
    is_number: bool = True
    is_required: bool = False


COLUMNS: Final[dict[str, Reported]] = {
    "time_utc": Reported(unit="ISO 8601", meaning="time of the reading", is_number=False, is_required=True),
    "machine_id": Reported(
        unit="", meaning="name of the machine, once in the fleet", is_number=False, is_required=True
    ),
    "zone": Reported(unit="", meaning="number of its zone, from 0", low=0.0, high=1e6),
    "model": Reported(
        unit="", meaning="machine model, by its name or key in the catalogue", is_number=False, is_required=True
    ),
    "status": Reported(unit="", meaning="asleep, starting, hashing or tripped", is_number=False),
    "status_s": Reported(unit="s", meaning="time in this status", low=0.0, high=1e9),
    "freq_mhz": Reported(
        unit="MHz", meaning="clock that is set, of a profile or between two, 0 asleep", low=0.0, high=2000.0
    ),
    "hashrate_ths": Reported(unit="TH/s", meaning="mean of five minutes", low=0.0, high=2000.0, is_required=True),
    "power_w": Reported(unit="W", meaning="mean of five minutes at the socket", low=0.0, high=20000.0),
    "hot_temp_c": Reported(unit="°C", meaning="hottest chip", low=-40.0, high=130.0),
    "inlet_temp_c": Reported(unit="°C", meaning="inlet air", low=-40.0, high=80.0),
    "fan_pu": Reported(unit="1", meaning="fan speed over the highest", low=0.0, high=1.0),
}
"""Columns of a telemetry table, one row a machine and reading. Bounds are chosen: what lies beyond is an error of units or of a sensor.
What is not required may be absent; the advisor models it and says so."""

STATUS: Final = {"asleep": ASLEEP, "starting": STARTING, "hashing": HASHING, "tripped": TRIPPED}
"""Status by its name in telemetry."""

_HASHRATE_SPREAD: Final = 0.015  # assumed, as below
_POWER_SPREAD: Final = 0.02  # assumed, as below
_TEMP_SPREAD_K: Final = 1.5
"""Spread between machines of a zone. assumed: silicon bins and sensors of one model."""


def fleet_rows(site: SiteParams, zones: np.ndarray, stamp: pd.Timestamp, seed: int, n_faults: int = 0) -> pd.DataFrame:
    """Return one row for every machine of a site.

    Args:
        site: The site.
        zones: State of its zones, (n_zones,) of ZONE_STATE: means that the machines lie around.
        stamp: Time of the reading.
        seed: Seed of the spread and of the faults.
        n_faults: Rows of each zone that are wrong in ways seen in the field: a chip sensor that reports nothing, and a
            machine that draws power and hashes nothing.
    """
    rng = np.random.default_rng(seed)
    names = {code: name for name, code in STATUS.items()}
    parts = []
    for number, (zone, params) in enumerate(zip(zones, site.zones, strict=True)):
        n = params.n_units

        def around(value: float, spread: float, n: int = n) -> np.ndarray:
            return value + spread * np.clip(rng.standard_normal(n), -3.0, 3.0)

        part = pd.DataFrame(
            {
                "time_utc": stamp.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "machine_id": [f"z{number}-{unit:04d}" for unit in range(n)],
                "zone": number,
                "model": params.machine.name,
                "status": names[float(zone["mode"])],
                "status_s": float(zone["mode_s"]),
                "freq_mhz": float(zone["target_mhz"]),
                "hashrate_ths": around(zone["hashrate_ths"], _HASHRATE_SPREAD * zone["hashrate_ths"]),
                "power_w": around(zone["power_w"], _POWER_SPREAD * zone["power_w"]),
                "hot_temp_c": around(zone["hot_temp_c"], _TEMP_SPREAD_K),
                "inlet_temp_c": around(zone["inlet_temp_c"], 0.5),
                "fan_pu": np.clip(around(zone["fan_pu"], 0.01 * float(zone["fan_pu"] > 0.0)), 0.0, 1.0),
            }
        )
        faulty = rng.choice(n, min(n_faults, n), replace=False)
        part.loc[faulty[::2], "hot_temp_c"] = np.nan
        part.loc[faulty[1::2], "hashrate_ths"] = 0.0
        parts.append(part)
    rows = pd.concat(parts, ignore_index=True)
    digits = {"hashrate_ths": 2, "power_w": 0, "hot_temp_c": 1, "inlet_temp_c": 1, "fan_pu": 3}
    return rows.round(digits)[list(COLUMNS)]
