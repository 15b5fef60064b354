"""Rear doors: air-cooled machines in a closed hall, each rack with a heat exchanger in its door, and a dry cooler for the doors' water."""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from ..foundation.checks import require, require_fraction, require_not_negative, require_positive
from ..foundation.constants import SUB_STEP_S
from ..foundation.jit import kernel
from ..hardware import thermal
from ..hardware.fans import fan_power_w
from ..hardware.params import PROFILE_FAN_PU
from ..hardware.thermal import CONVECTION_EXPONENT
from . import air
from .air import AirParams
from .plant import Boards, Command, CooledZone, Weather

KIND: Final = 3.0
"""Code of the kind in records, by definition."""

WATER_K: Final = (-6.0, 12.0)
"""What moves the water of the doors: 18 to 36 °C at the usual 24. [K] chosen: above most dew points, below the inlet limit of 45 °C."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RearDoorParams(AirParams):
    """Machines in a closed hall whose racks have heat exchangers in their doors; the machines' own fans push the air through."""

    kind: ClassVar[float] = KIND

    intake_flow_frac: float = 2.0
    """As in AirParams. assumed: the hall is open inside, nothing limits the flow."""
    intake_fan_w_per_m3_per_s: float = 0.0
    """As in AirParams. assumed: passive doors have no fans of their own; their pressure drop is left out."""
    door_effectiveness: float = 0.85
    """Heat taken over that of air cooled to the water's temperature. assumed: a door that cools a rack alone, see door_w_per_unit."""
    door_w_per_unit: float = 3375.0
    """Most heat that a door takes, per machine. [W] Source: doors cool racks of up to 27 kW without other cooling (ASME IMECE2010, vol. 4,
    p. 405); eight machines a rack. Makers list doors of 14 to 75 kW."""
    water_target_c: float = 24.0
    """Water to the doors. [°C] Source: 2 K above the highest dew point (HPE, liquid-cooled doors, QuickSpecs 2026); assumed a dew point of 22."""
    cooler_w_per_k: float = 500.0
    """Conductance from water to outdoor air at full fan speed, per machine. [W/K] Source: as LoopParams."""
    cooler_air_w_per_k: float = 750.0
    """Heat capacity flow of the cooler's air at full speed, per machine. [W/K] assumed: as LoopParams."""
    cooler_fan_w_per_unit: float = 130.0
    """Power of the cooler's fans at full speed, per machine. [W] Source: as LoopParams."""
    cooler_still_frac: float = 0.01
    """Conductance of the cooler with its fans standing. assumed: as LoopParams."""
    pump_w_per_unit: float = 60.0
    """Pump power per machine. [W] Source: as LoopParams."""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        self.check_air()
        require_fraction(self, "door_effectiveness", "cooler_still_frac")
        require_positive(self, "door_effectiveness", "door_w_per_unit", "cooler_w_per_k", "cooler_still_frac")
        require_not_negative(self, "cooler_fan_w_per_unit", "pump_w_per_unit")
        carried = self.cooler_w_per_k <= self.cooler_air_w_per_k
        allowed = "cooler_air_w_per_k at most: air cannot carry more"
        require(carried, "RearDoorParams", "cooler_w_per_k", self.cooler_w_per_k, allowed)

    def target_c(self, zone: CooledZone) -> float:
        """Return what the zone's cooling holds: the water to the doors. [°C]"""
        return self.water_target_c

    def record(self, zone: CooledZone, air_pu: float) -> dict[str, float]:
        """Return what kernels need of fans, doors and cooler at a site, as `AirParams.record` has it."""
        slots = zone.slots_per_unit
        return {
            **AirParams.record(self, zone, air_pu),
            "door_full_w": self.door_w_per_unit * slots,
            "water_full_w_per_k": self.cooler_w_per_k * slots * air_pu**CONVECTION_EXPONENT,
            "water_per_air": self.cooler_w_per_k / self.cooler_air_w_per_k * air_pu ** (CONVECTION_EXPONENT - 1.0),
            "water_fan_full_w": self.cooler_fan_w_per_unit * slots * air_pu,
            "water_pump_w": self.pump_w_per_unit * slots,
        }

    def steady_power_w(self, record: np.void) -> float:
        """Return the plant's power per machine in mild weather. [W]"""
        return float(record["water_pump_w"] + fan_power_w(PROFILE_FAN_PU, record["water_fan_full_w"]))

    def commands(self, zone: CooledZone) -> tuple[Command, Command]:
        """Return what the zone's cooling can be told."""
        low_k, high_k = WATER_K
        meaning = "water to the doors that the dry cooler holds"
        return self.fan_command(zone), Command("water", "°C", self.water_target_c, low_k, high_k, meaning)


REAR_DOOR_FIELDS: Final = ("door_full_w", "water_full_w_per_k", "water_per_air", "water_fan_full_w", "water_pump_w")
"""Derived fields beside those of air, per machine at the site's density of air: most heat of a door, conductance of the dry cooler, over the
heat capacity flow of its air, power of its fans at full speed, power of the pump."""


@kernel
def cool_water(zone: np.void, p: np.void, heat_w: float, outdoor_temp_c: float) -> tuple[float, float]:
    """Return the temperature of the water that a dry cooler gives back [°C] and the speed of its fans.

    The fans take away the heat that arrives at the target as far as they can; in the cold a valve holds the target.
    """
    full_w_per_k = p["water_full_w_per_k"] * zone["plant_share"] * (1.0 - zone["fouling_frac"])
    target_c = p["water_target_c"] + zone["plant_shift_k"]
    still, excess_k = p["cooler_still_frac"], target_c - outdoor_temp_c
    wanted = heat_w / (full_w_per_k * excess_k) if excess_k > 0.0 else 1.0
    conductance_pu = min(1.0, max(still, wanted))
    fan_pu = 0.0 if conductance_pu <= still else min(1.0, thermal.flow_pu(conductance_pu, p["water_per_air"]))
    return max(target_c, outdoor_temp_c + heat_w / (full_w_per_k * conductance_pu)), fan_pu


@kernel
def sub_step(zone: np.void, p: np.void, weather: Weather, boards: Boards, sums: np.void) -> None:
    """Advance a zone behind rear doors by a sub-step; without grid power the hall is opened."""
    flow = air.move_air(zone, p, boards)
    supply_c, plant_w, pump_w = weather.outdoor_temp_c, 0.0, 0.0
    if zone["is_dark"] == 0.0:
        machine_w = boards.heat_w * (1.0 + p["psu_loss_pu"]) + boards.control_w + flow.fan_w
        water_c, fan_pu = cool_water(zone, p, machine_w, weather.outdoor_temp_c)
        return_c, share = zone["exhaust_temp_c"], zone["plant_share"]
        taken_w = p["door_effectiveness"] * flow.w_per_k * max(0.0, return_c - water_c)
        supply_c = return_c - min(taken_w, p["door_full_w"] * share) / flow.w_per_k
        pump_w = p["water_pump_w"] * share
        plant_w = pump_w + fan_power_w(fan_pu, p["water_fan_full_w"] * share)
    air.exchange_heat(zone, p, boards, flow, supply_c, sums)
    sums["pump_energy_j"] += pump_w * SUB_STEP_S
    sums["cooling_energy_j"] += (plant_w + flow.intake_w + flow.exhaust_w) * SUB_STEP_S
    sums["approach_sum_k"] += supply_c - weather.outdoor_temp_c
