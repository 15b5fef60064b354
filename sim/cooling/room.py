"""A hosted room: an air handler with an economizer, and a chiller with its condenser on a tower or in dry air."""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from ..foundation.checks import require, require_fraction, require_not_negative, require_positive
from ..foundation.constants import SUB_STEP_S
from ..foundation.jit import kernel
from ..hardware.firmware import ASLEEP
from . import air, chiller
from .air import AirParams
from .plant import Boards, Command, CooledZone, Weather

KIND: Final = 1.0
"""Code of the kind in records, by definition."""

SUPPLY_K: Final = (-6.0, 8.0)
"""What moves a room's supply air: 18 to 32 °C at the usual 24. [K] Source: ASHRAE TC 9.9's recommended envelope up to its allowable one (A1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomParams(AirParams):
    """A hosted room: an air handler with an economizer, and a chiller with its condenser on a tower or in dry air."""

    kind: ClassVar[float] = KIND

    intake_flow_frac: float = 1.0
    """As in AirParams. assumed: an air handler made for its machines."""
    intake_fan_w_per_m3_per_s: float = 800.0
    """As in AirParams. [W/(m³/s)] assumed: 400 Pa over coil and filters at 50 % total efficiency."""
    supply_target_c: float = 24.0
    """Temperature of the supply air. [°C] Source: middle of ASHRAE TC 9.9's recommended envelope, 18-27 °C."""
    outdoor_min_frac: float = 0.05
    """Least share of outdoor air. assumed: ventilation of the room."""
    chiller_w_per_unit: float = 3500.0
    """Rated cooling power per machine. [W] assumed: the heat of one air-cooled machine of 3.5 kW."""
    chilled_water_c: float = 7.0
    """Leaving chilled water. [°C] Source: AHRI 550/590 rating point, 44 °F; the fitted chillers ran at 5.5."""
    condenser_approach_k: float = 3.3
    """Condenser water of a tower above the wet bulb. [K] Source: medians of 2.6 and 4.0 K of the two towers in
    docs/validation.md."""
    condenser_is_wet: bool = True
    """A cooling tower, which takes water; else a dry condenser."""
    dry_approach_k: float = 14.0
    """Dry condenser above the outdoor air. [K] assumed: as air-cooled chillers have it; not validated."""
    chiller_entropy_per_k: float = 4.476156545225778e-05
    """Gordon-Ng s. [1/K] Source: fit to a real chiller, May 2018, judged on June: docs/validation.md."""
    chiller_loss: float = 0.13842016720945804
    """Gordon-Ng l, heat gains over rated cooling. Source: as s."""
    chiller_resistance_k: float = 5.558021209155202
    """Gordon-Ng r, heat exchangers' resistance times rated cooling. [K] Source: as s."""
    chiller_side_frac: float = 0.035
    """Pumps and tower fans per rejected heat. Source: medians of the two chillers in docs/validation.md: pumps 1.9-2.3 %,
    tower fans 0.7-1.2 %."""
    bleed_frac: float = 0.25
    """Bleed-off per evaporated water. assumed: five cycles of concentration."""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        self.check_air()
        require_positive(self, "chiller_w_per_unit")
        require_fraction(self, "outdoor_min_frac")
        require(
            self.condenser_is_wet in (True, False),
            "RoomParams",
            "condenser_is_wet",
            self.condenser_is_wet,
            "true or false",
        )
        require_not_negative(
            self,
            "condenser_approach_k",
            "dry_approach_k",
            "chiller_entropy_per_k",
            "chiller_loss",
            "chiller_resistance_k",
            "chiller_side_frac",
            "bleed_frac",
        )
        above = self.chilled_water_c < self.supply_target_c
        require(above, "RoomParams", "chilled_water_c", self.chilled_water_c, "below supply_target_c")

    def target_c(self, zone: CooledZone) -> float:
        """Return what the zone's cooling holds: the supply air. [°C]"""
        return self.supply_target_c

    def record(self, zone: CooledZone, air_pu: float) -> dict[str, float]:
        """Return what kernels need of fans, air and chiller at a site, as `AirParams.record` has it."""
        # zero-argument super() does not find the class that dataclass(slots=True) makes anew
        return {
            **AirParams.record(self, zone, air_pu),
            "chiller_full_w": self.chiller_w_per_unit * zone.slots_per_unit,
        }

    def commands(self, zone: CooledZone) -> tuple[Command, Command]:
        """Return what the zone's cooling can be told."""
        low_k, high_k = SUPPLY_K
        meaning = "supply air that economizer and chiller hold"
        return self.fan_command(zone), Command("supply", "°C", self.supply_target_c, low_k, high_k, meaning)


ROOM_FIELDS: Final = ("chiller_full_w",)
"""Derived field of a room beside those of air: rated cooling of the chiller, per machine. [W]"""


@kernel
def sub_step(zone: np.void, p: np.void, weather: Weather, boards: Boards, sums: np.void) -> None:
    """Advance a zone in a room by a sub-step."""
    flow = air.move_air(zone, p, boards)
    supply_c, share, plant_w = weather.outdoor_temp_c, zone["plant_share"], flow.intake_w + flow.exhaust_w
    if zone["mode"] != ASLEEP:
        fresh_share = 1.0 - sums["mixed_frac"]
        coil_w_per_k = flow.w_per_k * fresh_share * min(1.0 - p["leak_frac"], flow.fresh_pu / flow.flow_pu)
        supply_c, taken_w, chiller_w = chiller.room_supply(
            p, coil_w_per_k, share, flow.intake_w, weather, zone["exhaust_temp_c"], zone["plant_shift_k"]
        )
        sums["chiller_heat_j"] += taken_w * SUB_STEP_S
        sums["chiller_energy_j"] += chiller_w * SUB_STEP_S
        plant_w += chiller_w
        if p["condenser_is_wet"] > 0.0:
            sums["water_l"] += SUB_STEP_S * air.evaporated_kg_per_s(taken_w + chiller_w, p["bleed_frac"])
    air.exchange_heat(zone, p, boards, flow, supply_c, sums)
    sums["cooling_energy_j"] += plant_w * SUB_STEP_S
    sums["approach_sum_k"] += supply_c - weather.outdoor_temp_c
