"""What cooling plants have in common: what they are told, what they take in, how a zone's heat moves through its two lumps."""

from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import numpy as np

from ..foundation.constants import SUB_STEP_S
from ..foundation.jit import kernel
from ..foundation.records import float_record
from ..hardware import thermal
from ..hardware.params import FirmwareParams, MachineParams


class CooledZone(Protocol):
    """What a plant needs to know of the zone that it cools."""

    @property
    def machine(self) -> MachineParams:
        """Its machines."""

    @property
    def firmware(self) -> FirmwareParams:
        """What they run."""

    @property
    def slots_per_unit(self) -> float:
        """Slots of the plant over machines in it."""

    @property
    def chip_k_per_w(self) -> float:
        """Resistance from the heatsink, or the coolant, to the hottest chip. [K/W]"""


@dataclass(frozen=True, slots=True)
class Command:
    """One thing that a plant can be told: where it stands by itself, and by how much a command moves it at most."""

    name: str
    unit: str
    neutral: float
    low: float
    high: float
    meaning: str


COMMAND_FIELDS: Final = ("first_low", "first_high", "second_low", "second_high")
"""Ranges of a plant's two commands in the record of a zone."""


class Weather(NamedTuple):
    """Outdoor air of a step."""

    outdoor_temp_c: float
    wet_bulb_temp_c: float


class Boards(NamedTuple):
    """What the mean machine's boards and control give off in a sub-step."""

    heat_w: float
    slope_w_per_k: float
    """Growth of the heat with chip temperature."""
    control_w: float


class HeatPath(NamedTuple):
    """How heat leaves the mean machine in a sub-step."""

    direct_w: float
    """Heat that does not pass the chips. [W]"""
    received_w: float
    """Heat from elsewhere. [W]"""
    base_c: float
    """Temperature that the sinks would have without heat from the boards. [°C]"""
    chip_w_per_k: float
    """Conductance from chips to sinks. [W/K]"""
    out_w_per_k: float
    """Conductance from sinks to what cools them. [W/K]"""


ZONE_SUMS: Final = float_record(
    "it_energy_j",
    "cooling_energy_j",
    "hash_th",
    "water_l",
    "ageing_h",
    "starts",
    "trips",
    "rise_pu",
    "max_chip_temp_c",
    "chip_temp_sum_c",
    "freq_sum_mhz",
    "powered_sum",
    "heat_rejected_j",
    "stored_j",
    "received_j",
    "mixed_frac",
    "mixed_temp_c",
    "inlet_temp_sum_c",
    "supply_temp_sum_c",
    "return_temp_sum_c",
    "exhaust_temp_sum_c",
    "approach_sum_k",
    "air_sum_w_per_k",
    "fan_energy_j",
    "pump_energy_j",
    "chiller_heat_j",
    "chiller_energy_j",
)
"""What the mean machine of a zone, and its share of the plant, have done since the step began: sums over the sub-steps.

starts and trips count machines of the zone; max_chip_temp_c is the highest so far; mixed_frac, mixed_temp_c: share of other zones'
exhaust in the supply and its temperature, of the present sub-step; powered_sum: sub-steps in which boards were powered, as shares."""


@kernel
def advance_lumps(zone: np.void, p: np.void, boards: Boards, path: HeatPath, sums: np.void) -> float:
    """Advance chips and heatsinks (or coolant) by a sub-step, add up energy and heat, and return the mean sink temperature. [°C]

    Args:
        zone: State.
        p: Parameters.
        boards: What is given off.
        path: How it leaves.
        sums: Sums of the step, (ZONE_SUMS).
    """
    slope = thermal.stable_slope_w_per_k(boards.slope_w_per_k, path.chip_w_per_k, path.out_w_per_k)
    before_chip_c, before_sink_c = zone["chip_temp_c"], zone["sink_temp_c"]
    chip_c, sink_c, mean_chip_c, mean_sink_c = thermal.two_lumps(
        before_chip_c,
        before_sink_c,
        boards.heat_w,
        slope,
        path.base_c,
        path.chip_w_per_k,
        path.out_w_per_k,
        p["chip_j_per_k"],
        p["lump_j_per_k"],
        SUB_STEP_S,
    )
    zone["chip_temp_c"], zone["sink_temp_c"] = chip_c, sink_c
    zone["hot_temp_c"] = chip_c + p["hot_k_per_w"] * (boards.heat_w + slope * (chip_c - before_chip_c))
    board_j = (boards.heat_w + slope * (mean_chip_c - before_chip_c)) * SUB_STEP_S
    received_j = path.received_w * SUB_STEP_S
    out_j = path.out_w_per_k * (mean_sink_c - path.base_c) * SUB_STEP_S
    sums["it_energy_j"] += board_j + path.direct_w * SUB_STEP_S
    sums["heat_rejected_j"] += out_j + path.direct_w * SUB_STEP_S + received_j
    sums["stored_j"] += p["chip_j_per_k"] * (chip_c - before_chip_c) + p["lump_j_per_k"] * (sink_c - before_sink_c)
    sums["received_j"] += received_j
    sums["chip_temp_sum_c"] += mean_chip_c
    sums["max_chip_temp_c"] = max(sums["max_chip_temp_c"], zone["hot_temp_c"])
    return mean_sink_c


@kernel
def between(action: float, low: float, high: float) -> float:
    """Return what an action in [-1, 1] commands: 0 is 0, -1 is low, 1 is high."""
    action = min(max(action, -1.0), 1.0)
    return action * high if action > 0.0 else -action * low
