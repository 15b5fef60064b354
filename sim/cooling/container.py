"""A ventilated container with an evaporative wall."""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from ..foundation.constants import SUB_STEP_S
from ..foundation.jit import kernel
from . import air
from .air import AirParams, check_pads
from .plant import Boards, Command, CooledZone, Weather

KIND: Final = 0.0
"""Code of the kind in records, by definition."""

PADS_K: Final = (-10.0, 12.0)
"""What moves the outdoor temperature at which pads go on: from 18 to 40 °C at the usual 28. [K] chosen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerParams(AirParams):
    """A ventilated container with an evaporative wall."""

    kind: ClassVar[float] = KIND

    fan_stages: float = 8.0
    """As in AirParams. assumed: fans of a container are switched, two or four by one thermostat's contact."""
    pad_effectiveness: float = 0.8
    """Source: ASHRAE HVAC Systems and Equipment 2020, ch. 41: 0.7-0.9 for rigid media. 0: no wall."""
    pad_on_temp_c: float = 28.0
    """Outdoor temperature at which the pads go on. [°C] assumed: inlet advised ≤31 °C behind a water curtain (buybtc123.com)."""
    pad_off_temp_c: float = 25.0
    """Outdoor temperature at which they go off. [°C] assumed: 3 K of hysteresis."""
    pad_pump_w_per_unit: float = 4.0
    """Pad pump power per machine. [W] assumed: 1.1 kW for a container of 280."""
    bleed_frac: float = 0.25
    """Bleed-off per evaporated water. assumed: five cycles of concentration."""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        self.check_air()
        check_pads(self)

    def target_c(self, zone: CooledZone) -> float:
        """Return what the zone's cooling holds: the hottest chip. [°C]"""
        return zone.firmware.fan_target_temp_c

    def commands(self, zone: CooledZone) -> tuple[Command, Command]:
        """Return what the zone's cooling can be told."""
        low_k, high_k = PADS_K
        meaning = "outdoor temperature at which the pads go on"
        return self.fan_command(zone), Command("pads", "°C", self.pad_on_temp_c, low_k, high_k, meaning)


@kernel
def begin_step(zone: np.void, p: np.void, outdoor_temp_c: float) -> None:
    """Let the thermostat of the pads act."""
    air.switch_pads(zone, p, outdoor_temp_c - zone["plant_shift_k"])


@kernel
def sub_step(zone: np.void, p: np.void, weather: Weather, boards: Boards, sums: np.void) -> None:
    """Advance a zone in a container by a sub-step."""
    flow = air.move_air(zone, p, boards)
    pad_on = zone["pad_on"]
    supply_c = air.supply_temp_c(weather.outdoor_temp_c, weather.wet_bulb_temp_c, pad_on * p["pad_effectiveness"])
    pad_w = pad_on * p["pad_pump_w_per_unit"] * zone["plant_share"]
    _, fresh_w_per_k = air.exchange_heat(zone, p, boards, flow, supply_c, sums)
    sums["pump_energy_j"] += pad_w * SUB_STEP_S
    sums["cooling_energy_j"] += (flow.intake_w + flow.exhaust_w + pad_w) * SUB_STEP_S
    if pad_on > 0.0:
        sums["water_l"] += SUB_STEP_S * air.pad_water_kg_per_s(
            fresh_w_per_k, weather.outdoor_temp_c, supply_c, p["bleed_frac"]
        )
        sums["approach_sum_k"] += supply_c - weather.wet_bulb_temp_c
    else:
        sums["approach_sum_k"] += supply_c - weather.outdoor_temp_c
