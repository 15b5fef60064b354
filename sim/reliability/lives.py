"""Parts that fail: their lives, and how fast weather and dust age a zone's machines, by the simulator's own kernel."""

from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import yaml

from ..foundation.checks import require, require_positive
from ..hardware import catalogue, wear
from ..site.params import SiteParams, ZoneParams
from ..site.step import Site
from ..site.world import Events, Exogenous

FloatArray = npt.NDArray[np.float64]

TABLE_TEMPS_C: Final = (-30.0, -10.0, 0.0, 10.0, 20.0, 26.0, 30.0, 34.0, 38.0, 42.0, 46.0)
"""Outdoor temperatures of the ageing table. Chosen: dense where fans reach their limit."""

TABLE_FOULING: Final = (0.0, 0.1, 0.2, 0.3, 0.4)
"""Shares of conductance lost to dust of the ageing table. Chosen: up to the most dust."""

_WET_BULB_BELOW_K: Final = 8.0
"""Wet bulb below the dry bulb in the table. assumed: 50 % relative humidity at 30 °C."""

_SETTLE_STEPS: Final = 72
"""Steps until a zone is taken as settled. assumed: six hours, many time constants of any plant."""


MOST_SLOTS: Final = 8
"""Slots for parts of one kind in a machine, at most. Chosen: hydro machines have four boards, the largest eight fans."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A kind of part of a machine. Sources stand beside the values in parts.yaml."""

    name: str
    per_machine: int
    shape: float
    scale_h: float
    ages_like_fan: int
    warning_h: float
    warned_frac: float
    swap_h: float
    bench_h: float
    """Work on the bench, after which the part is a spare again; 0: it is thrown away and another one ordered. [h]"""
    mend_usd: float
    spare_usd: float
    lead_days: float
    electronics: int

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        require_positive(self, "shape", "scale_h", "per_machine")
        require(
            self.per_machine <= MOST_SLOTS,
            f"Part {self.name}",
            "per_machine",
            self.per_machine,
            f"{MOST_SLOTS} at most",
        )


@cache
def _parts_yaml() -> dict[str, Any]:
    text = resources.files("hashgym.sim.reliability").joinpath("parts.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    return content


@cache
def reliability_figures() -> dict[str, Any]:
    """Return parts.yaml without its sources, section by section."""
    content = _parts_yaml()
    return {name: catalogue.values_of(content[name]) for name in ("bad_batch", "crew", "dust", "disturbances")}


def parts(zone: ZoneParams, *, bad_batch: bool = False) -> tuple[Part, ...]:
    """Return the parts of a zone's machines; in a bad batch boards and supplies live shorter."""
    life_frac = reliability_figures()["bad_batch"]["life_frac"] if bad_batch else 1.0
    result = []
    for name, entry in _parts_yaml()["parts"].items():
        values = catalogue.values_of(entry)
        if name == "fan" and zone.machine.cooling != "air":
            continue
        if name in ("hash_board", "psu"):
            values["scale_h"] *= life_frac
        result.append(Part(name=name, **values))
    return tuple(result)


def ageing_table(site: SiteParams, number: int, setpoint_mhz: float | None = None) -> FloatArray:
    """Return hours of ageing per hour of a zone's chips and of its fans in settled weather.

    Args:
        site: The site; its other zones are left out.
        number: The zone.
        setpoint_mhz: Frequency set-point, the top profile by default. [MHz]

    Returns:
        (len(TABLE_TEMPS_C), len(TABLE_FOULING), 2): chips (boards, supplies), fans.
    """
    zone = site.zones[number]
    return _table(zone, site.altitude_m, zone.max_mhz if setpoint_mhz is None else setpoint_mhz)


@lru_cache(maxsize=64)
def _table(zone: ZoneParams, altitude_m: float, setpoint_mhz: float) -> FloatArray:
    grid = [(temp_c, fouling) for temp_c in TABLE_TEMPS_C for fouling in TABLE_FOULING]
    outdoor_temp_c = np.repeat(np.array([temp_c for temp_c, _ in grid])[:, None], _SETTLE_STEPS, axis=1)
    zone_events = np.ones((len(grid), 1, 1, 2))
    zone_events[:, 0, 0, 1] = [fouling for _, fouling in grid]
    world = Exogenous.plain(outdoor_temp_c, outdoor_temp_c - _WET_BULB_BELOW_K, 0.0, 0.0)
    alone = SiteParams(zones=(zone,), altitude_m=altitude_m)
    run = Site(alone, world, len(grid), events=Events(np.ones((1, 1, 3)), zone_events))
    run.state.site["series"] = np.arange(len(grid))
    chips, fans = np.zeros(len(grid)), np.zeros(len(grid))
    half = _SETTLE_STEPS // 2
    setpoints = np.full((len(grid), 1), setpoint_mhz)
    for step in range(_SETTLE_STEPS):
        run.step(setpoints)
        if step < half:
            continue  # a throttle may swing: the mean of the second half counts
        chips += run.zone_flow["ageing_h"][:, 0] / zone.n_units * 12.0 / half
        state = run.state.zone[:, 0]
        fans += [
            wear.fan_ageing_factor(pu, c) / half for pu, c in zip(state["fan_pu"], state["inlet_temp_c"], strict=True)
        ]
    table = np.stack([chips, fans], axis=-1).reshape(len(TABLE_TEMPS_C), len(TABLE_FOULING), 2)
    table.flags.writeable = False
    return table


def ageing_at(table: FloatArray, temp_c: FloatArray, fouling: float) -> FloatArray:
    """Return the ageing rates of a table at temperatures and one fouling, by linear interpolation. (n, 2)"""
    at = float(np.interp(fouling, TABLE_FOULING, np.arange(len(TABLE_FOULING))))
    low = min(int(at), len(TABLE_FOULING) - 2)
    row = table[:, low] * (1.0 - (at - low)) + table[:, low + 1] * (at - low)
    return np.stack([np.interp(temp_c, TABLE_TEMPS_C, row[:, k]) for k in range(2)], axis=-1)


def lives_h(part: Part, uniform: FloatArray, age_h: float = 0.0) -> FloatArray:
    """Return the rest of the lives of parts of an age, from uniform draws. [h of ageing], shape of `uniform`."""
    past = (age_h / part.scale_h) ** part.shape
    return np.asarray(part.scale_h * (past - np.log1p(-uniform)) ** (1.0 / part.shape) - age_h)
