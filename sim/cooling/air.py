"""Air around machines: evaporative wall, tower, recirculation and damper, and what plants have in common that cool by air."""

import math
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, Protocol

import numpy as np

from ..foundation.checks import require, require_fraction, require_not_negative, require_positive
from ..foundation.constants import (
    AIR_DENSITY_KG_PER_M3,
    AIR_HEAT_CAPACITY_J_PER_KG_K,
    SUB_STEP_S,
    WATER_LATENT_HEAT_J_PER_KG,
)
from ..foundation.jit import kernel
from ..hardware import firmware, thermal
from ..hardware.fans import fan_power_w
from ..hardware.firmware import ASLEEP
from ..hardware.params import PROFILE_FAN_PU
from ..hardware.thermal import CONVECTION_EXPONENT
from .plant import Boards, Command, CooledZone, HeatPath, advance_lumps, between

_MAX_RECIRCULATION: Final = 4.0
"""Largest recirculated flow per fresh flow: the damper cannot close below a fifth. assumed."""

_MAX_RECIRCULATION_ASLEEP: Final = 15.0
"""The same of machines that sleep behind closed shutters. assumed: 170 W/K are left of a container of 280, walls of 150 m² at 0.6 W/(m² K) and leaks."""


@kernel
def supply_temp_c(outdoor_temp_c: float, wet_bulb_temp_c: float, pad_effectiveness: float) -> float:
    """Return the temperature behind a wetted pad, T = T_db - ε (T_db - T_wb); ε = 0 is a dry pad. [°C]

    Source:
        ASHRAE Handbook HVAC Systems and Equipment 2020, ch. 41 (direct evaporative air coolers).
    """
    return outdoor_temp_c - pad_effectiveness * (outdoor_temp_c - wet_bulb_temp_c)


@kernel
def pad_water_kg_per_s(air_w_per_k: float, outdoor_temp_c: float, supply_c: float, bleed_frac: float) -> float:
    """Return the water that a pad takes: what evaporates (adiabatic cooling) and the bleed-off. [kg/s]"""
    if outdoor_temp_c == supply_c:
        return 0.0
    return air_w_per_k * (outdoor_temp_c - supply_c) / WATER_LATENT_HEAT_J_PER_KG * (1.0 + bleed_frac)


@kernel
def evaporated_kg_per_s(heat_w: float, bleed_frac: float) -> float:
    """Return the water that a cooling tower takes to reject heat by evaporation alone, with its bleed-off. [kg/s]

    Source:
        ASHRAE Handbook HVAC Systems and Equipment 2020, ch. 40: about 1 % of the circulating water per 7 K, all latent.
    """
    return heat_w / WATER_LATENT_HEAT_J_PER_KG * (1.0 + bleed_frac)


@kernel
def air_capacity_w_per_k(flow_m3_per_s: float, air_kg_per_m3: float) -> float:
    """Return the heat capacity flow of an air stream. [W/K]"""
    return flow_m3_per_s * air_kg_per_m3 * AIR_HEAT_CAPACITY_J_PER_KG_K


@kernel
def recirculation_ratio(
    machine_flow: float,
    supply_flow: float,
    leak_frac: float,
    inlet_min_c: float,
    supply_c: float,
    sink_temp_c: float,
    sink_per_air: float,
    direct_rise_k: float,
    most: float,
) -> float:
    """Return recirculated flow per fresh flow at the machines' inlet.

    Machines whose fans draw more than the supply delivers take the rest from their own exhaust; a leak is always
    there; in the cold a damper mixes in exhaust, where that is the warmer air, until the inlet reaches its lower limit.

    Args:
        machine_flow: Flow that the machine fans draw, in the unit of supply_flow.
        supply_flow: Flow that the supply fans deliver.
        leak_frac: Least share of exhaust in the inlet air.
        inlet_min_c: Lower limit of the inlet temperature. [°C]
        supply_c: Temperature of the fresh air. [°C]
        sink_temp_c: Heatsink temperature. [°C]
        sink_per_air: Heat taken from the heatsinks per heat capacity flow of the air, G/(m cp).
        direct_rise_k: Rise of the air by heat that does not pass the heatsinks. [K]
        most: Largest recirculated flow per fresh flow, with the damper closed.
    """
    fresh_frac = 1.0 - leak_frac
    if machine_flow > supply_flow:
        fresh_frac = min(fresh_frac, supply_flow / machine_flow)
    ratio = (1.0 - fresh_frac) / fresh_frac
    if supply_c < inlet_min_c and sink_per_air * (sink_temp_c - supply_c) + direct_rise_k > 0.0:
        rise_k = sink_per_air * (sink_temp_c - inlet_min_c) + direct_rise_k
        gap_k = inlet_min_c - supply_c
        ratio = max(ratio, gap_k / rise_k) if rise_k * most > gap_k else most
    return min(ratio, most)


@kernel
def bank_power_w(flow_pu: float, stages: float, full_w: float) -> float:
    """Return the power of a bank of fans that brings a share of its full flow. [W]

    Without stages the bank's speed follows the flow, and its power the cube of it. Else fans are switched on one stage after the
    other, each at full speed.

    Args:
        flow_pu: Flow over the full one.
        stages: Number of stages; 0 for a bank whose speed is controlled.
        full_w: Power of the whole bank at full speed. [W]

    Examples:
        >>> bank_power_w(0.5, 0.0, 80.0), bank_power_w(0.5, 4.0, 80.0), bank_power_w(0.55, 4.0, 80.0)
        (10.0, 40.0, 60.0)
    """
    if stages <= 0.0:
        return fan_power_w(flow_pu, full_w)
    return min(1.0, math.ceil(flow_pu * stages - _WHOLE_STAGE) / stages) * full_w


_WHOLE_STAGE: Final = 1e-9
"""Flow beyond a whole stage that asks for no further one. chosen: rounding of floats."""


@kernel
def switch_pads(zone: np.void, p: np.void, felt_temp_c: float) -> None:
    """Let a thermostat with hysteresis wet or dry the pads; they are dry while the machines sleep."""
    if felt_temp_c >= p["pad_on_temp_c"]:
        zone["pad_on"] = 1.0
    elif felt_temp_c <= p["pad_off_temp_c"]:
        zone["pad_on"] = 0.0
    if zone["mode"] == ASLEEP or p["pad_effectiveness"] <= 0.0:
        zone["pad_on"] = 0.0


@kernel
def command(zone: np.void, p: np.void, first: float, second: float) -> None:
    """Move the chip temperature that the machines' fans hold, and what the plant aims at."""
    zone["fan_shift_k"] = between(first, p["first_low"], p["first_high"])
    zone["plant_shift_k"] = between(second, p["second_low"], p["second_high"])


class AirFlow(NamedTuple):
    """Air of the mean machine in a sub-step, and the fans that move it."""

    fan_pu: float
    """Speed of the machine's fans."""
    flow_pu: float
    """Flow through the machine over that at full speed."""
    fresh_pu: float
    """Flow that intake and exhaust bring, in the same unit."""
    w_per_k: float
    """Heat capacity flow through the machine. [W/K]"""
    sink_w_per_k: float
    """Conductance from heatsinks to air. [W/K]"""
    fan_w: float
    """Power of the machine's fans. [W]"""
    intake_w: float
    """Power of the intake fans. [W]"""
    exhaust_w: float
    """Power of the exhaust fans. [W]"""


@kernel
def move_air(zone: np.void, p: np.void, boards: Boards) -> AirFlow:
    """Let the machines' fans hold their chips, and the banks follow them.

    The plant is made for all machines: those that work share that of those that do not. Asleep, the draught through the
    stopped machines needs no fan: its flow is not short of supply.
    """
    asleep = zone["mode"] == ASLEEP
    fouled_w_per_k = p["sink_full_w_per_k"] * (1.0 - zone["fouling_frac"]) * (1.0 + zone["sink_dev"])
    sink_pu = firmware.sink_conductance_pu(zone, p, boards.heat_w, fouled_w_per_k)
    flow_pu = thermal.flow_pu(sink_pu, p["sink_per_air"])
    fan_pu = 0.0 if asleep else min(1.0, flow_pu)
    share = zone["plant_share"]
    intake_full_pu, exhaust_full_pu = p["intake_flow_pu"] * share, p["exhaust_flow_pu"] * share
    intake_pu = min(1.0, fan_pu / intake_full_pu)
    exhaust_pu = min(1.0, fan_pu / exhaust_full_pu)
    return AirFlow(
        fan_pu,
        flow_pu,
        flow_pu if asleep else min(intake_pu * intake_full_pu, exhaust_pu * exhaust_full_pu),
        p["full_air_w_per_k"] * flow_pu,
        sink_pu * fouled_w_per_k,
        fan_power_w(fan_pu, p["fan_full_w"]),
        bank_power_w(intake_pu, p["fan_stages"], p["intake_fan_full_w"] * share),
        bank_power_w(exhaust_pu, p["fan_stages"], p["exhaust_fan_full_w"] * share),
    )


@kernel
def exchange_heat(
    zone: np.void, p: np.void, boards: Boards, flow: AirFlow, supply_c: float, sums: np.void
) -> tuple[float, float]:
    """Advance a zone that breathes supply air, other zones' exhaust and its own by a sub-step.

    Args:
        zone: State.
        p: Parameters.
        boards: What the machines give off.
        flow: Air that moves.
        supply_c: Supply air, before other zones' exhaust is mixed in. [°C]
        sums: Sums of the step, with the exhaust of other zones in them.

    Returns:
        Heat capacity flow that leaves the zone and, of it, that of the fresh supply. [W/K]
    """
    per_air = 1.0 / flow.w_per_k
    sink_per_air = flow.sink_w_per_k * per_air
    fresh_share = 1.0 - sums["mixed_frac"]
    mixed_c = supply_c + sums["mixed_frac"] * (sums["mixed_temp_c"] - supply_c)
    direct_w = boards.heat_w * p["psu_loss_pu"] + boards.control_w + flow.fan_w
    direct_k = direct_w * per_air
    ratio = recirculation_ratio(
        flow.flow_pu,
        flow.fresh_pu,
        p["leak_frac"],
        p["inlet_min_c"],
        mixed_c,
        zone["sink_temp_c"],
        sink_per_air,
        direct_k,
        _MAX_RECIRCULATION_ASLEEP if zone["mode"] == ASLEEP else _MAX_RECIRCULATION,
    )
    back = ratio * sink_per_air
    fresh_frac = 1.0 / (1.0 + back)
    out_w_per_k = flow.sink_w_per_k * fresh_frac
    base_c = mixed_c + ratio * direct_k
    leaving_w_per_k = flow.w_per_k / (1.0 + ratio)
    received_w = leaving_w_per_k * (mixed_c - supply_c)

    path = HeatPath(direct_w, received_w, base_c, p["chip_w_per_k"], out_w_per_k)
    mean_sink_c = advance_lumps(zone, p, boards, path, sums)
    inlet_c = (base_c + back * mean_sink_c) * fresh_frac
    exhaust_c = mixed_c + (out_w_per_k * (mean_sink_c - base_c) + direct_w) / leaving_w_per_k
    zone["inlet_temp_c"], zone["fan_pu"] = inlet_c, flow.fan_pu
    zone["exhaust_temp_c"], zone["exhaust_w_per_k"] = exhaust_c, leaving_w_per_k
    sums["fan_energy_j"] += flow.fan_w * SUB_STEP_S
    sums["inlet_temp_sum_c"] += inlet_c
    sums["supply_temp_sum_c"] += mixed_c
    sums["return_temp_sum_c"] += exhaust_c
    sums["exhaust_temp_sum_c"] += exhaust_c
    sums["air_sum_w_per_k"] += leaving_w_per_k
    return leaving_w_per_k, leaving_w_per_k * fresh_share


@dataclass(frozen=True, slots=True, kw_only=True)
class AirParams:
    """What plants have in common that cool by air: fans bring it to the machines and take it away."""

    cooling: ClassVar[str] = "air"
    delivers_heat: ClassVar[bool] = False

    intake_flow_frac: float = 0.9
    """Flow of the intake fans at full speed as a share of what the machines in all slots draw. assumed: a filled container."""
    intake_fan_w_per_m3_per_s: float = 300.0
    """Power per flow at full speed. [W/(m³/s)] Source: 150 Pa at 50 % total efficiency (31,000 CFM class, systech-design.com)."""
    exhaust_flow_frac: float = 2.0
    """The same of the exhaust fans or shutters. assumed: open shutters, which do not limit the flow."""
    exhaust_fan_w_per_m3_per_s: float = 0.0
    """The same of the exhaust fans. [W/(m³/s)] assumed: shutters without fans."""
    fan_stages: float = 0.0
    """Stages in which the banks are switched on, each at full speed; 0: their speed is controlled."""
    leak_frac: float = 0.02
    """Share of exhaust that finds its way back. assumed."""
    inlet_min_c: float = 5.0
    """Lowest inlet temperature that the damper holds. [°C] Source: nominal range 5-45 °C of Bitmain air chassis."""
    asleep_flow_frac: float = 0.05
    """Draught through a stopped machine as a share of its full flow. assumed: natural convection."""

    def check_air(self) -> None:
        """Check ranges; raises BadInputError."""
        require_positive(self, "intake_flow_frac", "exhaust_flow_frac", "asleep_flow_frac")
        require_fraction(self, "asleep_flow_frac", "leak_frac")
        require_not_negative(self, "intake_fan_w_per_m3_per_s", "exhaust_fan_w_per_m3_per_s", "fan_stages")
        require(self.leak_frac < 1.0, type(self).__name__, "leak_frac", self.leak_frac, "below 1")

    def start_temp_c(self, zone: CooledZone) -> float:
        """Return the temperature of the hottest chip while hashing, which a start swings to: what the machines' fans hold. [°C]"""
        return zone.firmware.fan_target_temp_c

    def record(self, zone: CooledZone, air_pu: float) -> dict[str, float]:
        """Return what kernels need of fans and air at a site.

        Args:
            zone: The zone.
            air_pu: Density of the air over that at sea level; fans move volume, not mass.
        """
        machine, slots = zone.machine, zone.slots_per_unit
        flow_m3_per_s = machine.air_flow_m3_per_s
        full_air_w_per_k = air_capacity_w_per_k(flow_m3_per_s, AIR_DENSITY_KG_PER_M3 * air_pu)
        sink_full_w_per_k = machine.sink_w_per_k * air_pu**CONVECTION_EXPONENT
        return {
            "lump_j_per_k": machine.sink_j_per_k,
            "full_air_w_per_k": full_air_w_per_k,
            "fan_full_w": machine.fan_rated_w * air_pu,
            "sink_full_w_per_k": sink_full_w_per_k,
            "sink_per_air": sink_full_w_per_k / full_air_w_per_k,
            "intake_flow_pu": self.intake_flow_frac * slots,
            "exhaust_flow_pu": self.exhaust_flow_frac * slots,
            "intake_fan_full_w": self.intake_flow_frac
            * slots
            * flow_m3_per_s
            * self.intake_fan_w_per_m3_per_s
            * air_pu,
            "exhaust_fan_full_w": self.exhaust_flow_frac
            * slots
            * flow_m3_per_s
            * self.exhaust_fan_w_per_m3_per_s
            * air_pu,
            "asleep_sink_pu": self.asleep_flow_frac**CONVECTION_EXPONENT,
        }

    def steady_power_w(self, record: np.void) -> float:
        """Return the plant's power per machine in mild weather, without pads or chiller. [W]"""
        return banks_w(record, PROFILE_FAN_PU)

    def fan_command(self, zone: CooledZone) -> Command:
        """Return the command of the machines' fans."""
        target_c = zone.firmware.fan_target_temp_c
        highest_c = min(MOST_CHIP_C, zone.firmware.throttle_down_temp_c - 2.0)
        high_k = max(0.0, highest_c - target_c)
        return Command("chip", "°C", target_c, FAN_LOW_K, high_k, "hottest chip that the machines' fans hold")


AIR_FIELDS: Final = (
    "lump_j_per_k",
    "full_air_w_per_k",
    "fan_full_w",
    "sink_full_w_per_k",
    "sink_per_air",
    "intake_flow_pu",
    "exhaust_flow_pu",
    "intake_fan_full_w",
    "exhaust_fan_full_w",
    "asleep_sink_pu",
)
"""Derived fields of a plant that cools by air, per machine at the site's density of air: heat capacity of the heatsinks, heat capacity flow
of the machines' air, power of their fans and conductance of their heatsinks at full speed, flows of the banks over the
machines', power of the banks, conductance asleep over the full one."""

FAN_LOW_K: Final = -12.0
"""Most by which fans may hold chips colder than their target. [K] chosen."""

MOST_CHIP_C: Final = 80.0
"""Highest chip temperature that fans may be told to hold, and never within 2 K of the firmware's step-down. [°C] chosen: the threshold of the
cost chip_over_temp."""


def banks_w(record: np.void, fan_pu: float) -> float:
    """Return the power of intake and exhaust fans that follow the machines' fans, per machine. [W]"""
    banks = ((record[f"{bank}_flow_pu"], record[f"{bank}_fan_full_w"]) for bank in ("intake", "exhaust"))
    return float(sum(bank_power_w(min(1.0, fan_pu / share), record["fan_stages"], full_w) for share, full_w in banks))


class PaddedPlant(Protocol):
    """A plant with wetted pads behind a thermostat."""

    @property
    def pad_on_temp_c(self) -> float:
        """Outdoor temperature at which the pads go on. [°C]"""

    @property
    def pad_off_temp_c(self) -> float:
        """Outdoor temperature at which they go off. [°C]"""


def check_pads(plant: PaddedPlant) -> None:
    """Check the parameters of wetted pads; raises BadInputError."""
    require_fraction(plant, "pad_effectiveness")
    ordered, owner = plant.pad_off_temp_c < plant.pad_on_temp_c, type(plant).__name__
    require(ordered, owner, "pad_off_temp_c", plant.pad_off_temp_c, "below pad_on_temp_c")
    require_not_negative(plant, "pad_pump_w_per_unit", "bleed_frac")
