"""A liquid loop, immersion tank or cold plates: a pump, and a cooler with fans and wetted pads that holds the coolant's temperature."""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from ..foundation.checks import require, require_fraction, require_not_negative, require_positive
from ..foundation.constants import SUB_STEP_S
from ..foundation.jit import kernel
from ..hardware import thermal
from ..hardware.fans import fan_power_w
from ..hardware.firmware import ASLEEP
from ..hardware.params import PROFILE_FAN_PU
from ..hardware.thermal import CONVECTION_EXPONENT
from . import air
from .air import check_pads
from .plant import Boards, Command, CooledZone, HeatPath, Weather, advance_lumps, between

KIND: Final = 2.0
"""Code of the kind in records, by definition."""

COOLANT_K: Final = (-10.0, 12.0)
"""What moves a loop's coolant: 28 to 50 °C at the usual 38, less where its machines shut down earlier. [K] Source: 50 is normal for hydro
machines (miningos, Whatsminer)."""

INLET_MARGIN_K: Final = 2.0
"""How far below the machines' limit their coolant stays when it is told to be as warm as it may. [K] chosen."""

HELD_ABOVE_START_K: Final = 2.0
"""How far above the machines' lowest start temperature the heater aims. [K] chosen: what its proportional control lacks when it is cold."""

PUMP_LOW_PU: Final = -0.6
"""Most by which a loop's pump may run slower. chosen: laminar flow below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopParams:
    """A liquid loop, immersion tank or cold plates: pump, coolant with its heat capacity, dry or adiabatic cooler."""

    kind: ClassVar[float] = KIND
    cooling: ClassVar[str] = "liquid"
    delivers_heat: ClassVar[bool] = True

    coolant_j_per_k: float = 60000.0
    """Heat capacity of the coolant per machine. [J/K] assumed: 14 kg of water; an immersion tank holds 40 kg of oil, 80 kJ/K."""
    coolant_w_per_k: float = 700.0
    """Heat capacity flow of the coolant per machine. [W/K] Source: 43 → 49 °C over a machine of 5.4 kW takes 890
    (tetherto/miningos-wrk-container-antspace); assumed 8 K."""
    coolant_target_c: float = 38.0
    """Mean coolant temperature that the cooler holds. [°C] Source: supply set-point 35 °C (miningos, Antspace), plus half
    the rise."""
    pump_w_per_unit: float = 60.0
    """Pump power per machine. [W] Source: ≤25 kW fans and pumps on 720 kW of heat (minerbase.com, immersion container), a third of it."""
    pump_idle_pu: float = 0.5
    """Pump speed while the machines sleep. assumed."""
    pump_share: float = 0.3
    """Share of the resistance from chip to coolant that falls with flow^0.8. assumed: the rest is solid."""
    cooler_w_per_k: float = 500.0
    """Conductance from coolant to cooling air at full fan speed, per machine. [W/K] Source: 720 kW rejected at 28 °C wet
    bulb (minerbase.com): 5.5 kW at 11 K."""
    cooler_air_w_per_k: float = 750.0
    """Heat capacity flow of the cooler's air at full speed, per machine. [W/K] assumed: a cooler of effectiveness 2/3."""
    cooler_fan_w_per_unit: float = 130.0
    """Power of the cooler's fans at full speed, per machine. [W] Source: as pump_w_per_unit, two thirds."""
    cooler_still_frac: float = 0.01
    """Conductance of the cooler with its fans standing. assumed: shutters and a bypass; the coolant holds glycol."""
    heater_w_per_unit: float = 300.0
    """Heater that keeps the coolant warm enough for a start, per machine. [W] assumed: what a sleeping loop loses at -35 °C."""
    control_time_s: float = 300.0
    """Time in which the cooler's control takes out a deviation. [s] assumed."""
    pad_effectiveness: float = 0.8
    """Of the wetted coil, by how much of the way to the wet bulb the air at it comes. Source: as ContainerParams. 0: a dry cooler."""
    pad_on_temp_c: float = 24.0
    """Outdoor temperature at which the pads go on. [°C] assumed: below it the dry cooler holds its target."""
    pad_off_temp_c: float = 21.0
    """Outdoor temperature at which they go off. [°C] assumed: 3 K of hysteresis."""
    pad_pump_w_per_unit: float = 4.0
    """Pad pump power per machine. [W] assumed: as ContainerParams."""
    bleed_frac: float = 0.25
    """Bleed-off per evaporated water. assumed: five cycles of concentration."""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        check_pads(self)
        require_positive(self, "coolant_j_per_k", "coolant_w_per_k", "pump_idle_pu", "control_time_s")
        require_positive(self, "cooler_w_per_k", "cooler_air_w_per_k", "cooler_still_frac")
        require_fraction(self, "pump_idle_pu", "pump_share", "cooler_still_frac")
        most = self.cooler_w_per_k <= self.cooler_air_w_per_k
        require(
            most,
            "LoopParams",
            "cooler_w_per_k",
            self.cooler_w_per_k,
            "cooler_air_w_per_k at most: air cannot carry more",
        )
        require_not_negative(self, "pump_w_per_unit", "cooler_fan_w_per_unit", "heater_w_per_unit")

    def target_c(self, zone: CooledZone) -> float:
        """Return what the zone's cooling holds: the coolant. [°C]"""
        return self.coolant_target_c

    def start_temp_c(self, zone: CooledZone) -> float:
        """Return the temperature of the hottest chip while hashing, which a start swings to. [°C]"""
        heat_w = zone.machine.rated_power_w * zone.machine.psu_efficiency
        return self.coolant_target_c + heat_w * zone.chip_k_per_w

    def record(self, zone: CooledZone, air_pu: float) -> dict[str, float]:
        """Return what kernels need of a loop at a site; it is shared by the machines that are there.

        Args:
            zone: The zone.
            air_pu: Density of the air over that at sea level.
        """
        machine, slots = zone.machine, zone.slots_per_unit
        slower = self.pump_share * self.pump_idle_pu**-CONVECTION_EXPONENT
        return {
            "lump_j_per_k": machine.sink_j_per_k + self.coolant_j_per_k * slots,
            "idle_chip_w_per_k": machine.chip_w_per_k / (1.0 - self.pump_share + slower),
            "coolant_full_w_per_k": self.coolant_w_per_k * slots,
            "pump_full_w": self.pump_w_per_unit * slots,
            "heater_full_w": self.heater_w_per_unit * slots,
            "cooler_full_w_per_k": self.cooler_w_per_k * slots * air_pu**CONVECTION_EXPONENT,
            "cooler_full_air_w_per_k": self.cooler_air_w_per_k * slots * air_pu,
            "cooler_fan_full_w": self.cooler_fan_w_per_unit * slots * air_pu,
            "sink_per_air": self.cooler_w_per_k / self.cooler_air_w_per_k * air_pu ** (CONVECTION_EXPONENT - 1.0),
        }

    def steady_power_w(self, record: np.void) -> float:
        """Return the plant's power per machine in mild weather, without pads. [W]"""
        return float(record["pump_full_w"] + fan_power_w(PROFILE_FAN_PU, record["cooler_fan_full_w"]))

    def commands(self, zone: CooledZone) -> tuple[Command, Command]:
        """Return what the zone's cooling can be told."""
        low_k, high_k = COOLANT_K
        half_rise_k = 0.5 * zone.machine.rated_power_w / self.coolant_w_per_k
        highest_c = zone.machine.inlet_off_temp_c - INLET_MARGIN_K + half_rise_k
        high_k = max(0.0, min(high_k, highest_c - self.coolant_target_c))
        pump = Command("pump", "rated speed", 1.0, PUMP_LOW_PU, 0.0, "speed of the pump; from 0 on it is the rated one")
        return pump, Command("coolant", "°C", self.coolant_target_c, low_k, high_k, "coolant that the cooler holds")


LOOP_FIELDS: Final = (
    "lump_j_per_k",
    "idle_chip_w_per_k",
    "coolant_full_w_per_k",
    "pump_full_w",
    "heater_full_w",
    "cooler_full_w_per_k",
    "cooler_full_air_w_per_k",
    "cooler_fan_full_w",
    "sink_per_air",
)
"""Derived fields of a loop, per machine at the site's density of air: heat capacity of coolant and machine, conductance from
chips with an idling pump, heat capacity flow of the coolant, power of pump, heater and cooler fans, conductance and heat capacity flow
of the cooler at full speed, and the ratio of these two."""


@kernel
def command(zone: np.void, p: np.void, first: float, second: float) -> None:
    """Move the speed of the pump, and the target of the coolant."""
    zone["pump_shift_pu"] = between(first, p["first_low"], p["first_high"])
    zone["plant_shift_k"] = between(second, p["second_low"], p["second_high"])


@kernel
def begin_step(zone: np.void, p: np.void, outdoor_temp_c: float) -> None:
    """Let the thermostat of the cooler's pads act."""
    air.switch_pads(zone, p, outdoor_temp_c)


@kernel
def cooler_pu(
    p: np.void, heat_w: float, coolant_temp_c: float, felt_temp_c: float, air_temp_c: float, cooler_w_per_k: float
) -> float:
    """Return the conductance of the cooler, of the rated one, that its control asks for.

    It takes away the heat that arrives and, within the control's time, the deviation from the target; still air is the
    least and full fans are the most.

    Args:
        p: The zone's parameters.
        heat_w: Heat that the coolant receives, per machine. [W]
        coolant_temp_c: Mean coolant temperature. [°C]
        felt_temp_c: The same less the command that moves the target. [°C]
        air_temp_c: Air that cools it, behind the pads. [°C]
        cooler_w_per_k: Conductance of the cooler at full fans, as dusty as it is, per working machine. [W/K]
    """
    excess_k = coolant_temp_c - air_temp_c
    wanted_w = heat_w + p["lump_j_per_k"] * (felt_temp_c - p["coolant_target_c"]) / p["control_time_s"]
    if excess_k <= 0.0 or wanted_w <= 0.0:
        return p["cooler_still_frac"]
    return min(1.0, max(p["cooler_still_frac"], wanted_w / (excess_k * cooler_w_per_k)))


@kernel
def heater_w(zone: np.void, p: np.void) -> float:
    """Return the power of the heater, per working machine: it keeps the coolant warm enough for a start. [W]"""
    short_k = p["start_min_temp_c"] + HELD_ABOVE_START_K - zone["sink_temp_c"]
    if short_k <= 0.0 or zone["is_dark"] > 0.0:
        return 0.0
    return min(p["heater_full_w"] * zone["plant_share"], p["lump_j_per_k"] * short_k / p["control_time_s"])


@kernel
def pumped_w_per_k(p: np.void, pump_pu: float) -> float:
    """Return the conductance from chip to coolant at a pump speed: a part of the resistance falls with flow^0.8. [W/K]"""
    share = p["pump_share"]
    return p["chip_w_per_k"] / (1.0 - share + share * pump_pu**-CONVECTION_EXPONENT)


@kernel
def sub_step(zone: np.void, p: np.void, weather: Weather, boards: Boards, sums: np.void) -> None:
    """Advance a zone on a loop by a sub-step: its sinks are the coolant, which flows as fast as its pump turns."""
    asleep = zone["mode"] == ASLEEP
    lit = 1.0 - zone["is_dark"]
    pump_pu = lit * (p["pump_idle_pu"] if asleep else 1.0 + zone["pump_shift_pu"])
    share = zone["plant_share"]
    pump_w = fan_power_w(pump_pu, p["pump_full_w"] * share)
    warming_w = heater_w(zone, p)
    received_w = pump_w + warming_w
    direct_w = boards.heat_w * p["psu_loss_pu"] + boards.control_w
    air_c = air.supply_temp_c(weather.outdoor_temp_c, weather.wet_bulb_temp_c, zone["pad_on"] * p["pad_effectiveness"])
    conductance_pu = p["cooler_still_frac"]
    cooler_w_per_k = p["cooler_full_w_per_k"] * share * (1.0 - zone["fouling_frac"]) * (1.0 + zone["sink_dev"])
    if lit > 0.0:
        felt_c = zone["sink_temp_c"] - zone["plant_shift_k"]
        conductance_pu = cooler_pu(
            p, boards.heat_w + direct_w + received_w, zone["sink_temp_c"], felt_c, air_c, cooler_w_per_k
        )
    still = conductance_pu <= p["cooler_still_frac"]
    fan_pu = 0.0 if still else min(1.0, thermal.flow_pu(conductance_pu, p["sink_per_air"]))
    out_w_per_k = conductance_pu * cooler_w_per_k
    chip_w_per_k = p["idle_chip_w_per_k"] if asleep else p["chip_w_per_k"]
    if not asleep and zone["pump_shift_pu"] != 0.0:
        chip_w_per_k = pumped_w_per_k(p, 1.0 + zone["pump_shift_pu"])

    base_c = air_c + (direct_w + received_w) / out_w_per_k
    path = HeatPath(direct_w, received_w, base_c, chip_w_per_k, out_w_per_k)
    mean_sink_c = advance_lumps(zone, p, boards, path, sums)
    half_rise_k = 0.5 * (boards.heat_w + direct_w) / (p["coolant_full_w_per_k"] * share * (1.0 + zone["pump_shift_pu"]))
    zone["inlet_temp_c"], zone["fan_pu"] = mean_sink_c - half_rise_k, fan_pu
    cooler_air_w_per_k = p["cooler_full_air_w_per_k"] * share * fan_pu
    # Standing fans move too little air to tell its temperature: the coolant's is an upper limit.
    rejected_w = out_w_per_k * (mean_sink_c - base_c) + direct_w + received_w
    exhaust_c = mean_sink_c if still else air_c + rejected_w / cooler_air_w_per_k
    zone["exhaust_temp_c"], zone["exhaust_w_per_k"] = exhaust_c, cooler_air_w_per_k
    if zone["pad_on"] > 0.0:
        cooled_kg_per_s = air.pad_water_kg_per_s(cooler_air_w_per_k, weather.outdoor_temp_c, air_c, p["bleed_frac"])
        most_kg_per_s = air.evaporated_kg_per_s(max(0.0, rejected_w), p["bleed_frac"])
        sums["water_l"] += SUB_STEP_S * min(cooled_kg_per_s, most_kg_per_s)
    pumps_w = pump_w + zone["pad_on"] * p["pad_pump_w_per_unit"] * share
    sums["pump_energy_j"] += pumps_w * SUB_STEP_S
    fans_w = fan_power_w(fan_pu, p["cooler_fan_full_w"] * share)
    sums["cooling_energy_j"] += (pumps_w + warming_w + fans_w) * SUB_STEP_S
    sums["approach_sum_k"] += mean_sink_c - air_c
    sums["inlet_temp_sum_c"] += mean_sink_c - half_rise_k
    sums["supply_temp_sum_c"] += mean_sink_c - half_rise_k
    sums["return_temp_sum_c"] += mean_sink_c + half_rise_k
    sums["exhaust_temp_sum_c"] += exhaust_c
    sums["air_sum_w_per_k"] += cooler_air_w_per_k
