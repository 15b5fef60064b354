"""Validated parameters of a machine model and of its firmware."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from ..foundation.checks import require, require_fraction, require_positive
from . import machine as physics
from .fans import fan_power_w

COOLING: Final = ("air", "liquid")
ALGORITHMS: Final = ("sha256", "scrypt")


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineParams:
    """One machine model. Sources of the values stand beside them in machines.yaml."""

    name: str
    algorithm: str
    """"sha256" or "scrypt": what it can mine."""
    cooling: str
    """"air" or "liquid": which plants it fits."""
    chips: float
    n_fans: float
    rated_power_w: float
    rated_hashrate_ths: float
    ths_per_mhz: float
    ref_mhz: float
    ref_v: float
    slope_v_per_mhz: float
    floor_v: float
    a_w_per_mhz_v2: float
    b_w_per_mhz: float
    base_w: float
    leak_w_per_v2: float
    leak_ref_temp_c: float
    leak_per_k: float
    psu_efficiency: float
    control_w: float
    fan_rated_w: float = 0.0
    air_flow_m3_per_s: float = 0.0
    """Air flow of one machine at full fan speed, 0 without fans. [m³/s]"""
    chip_w_per_k: float
    """Conductance from the mean chip to the heatsinks, or to the coolant. [W/K]"""
    hot_k_per_w: float
    """Excess of the hottest chip over the mean, per watt of chip heat. [K/W]"""
    sink_w_per_k: float = 0.0
    """Conductance from heatsink to air at full fan speed, 0 without fans. [W/K]"""
    chip_j_per_k: float
    sink_j_per_k: float
    error_ref_frac: float
    error_ref_temp_c: float
    error_per_k: float
    start_min_temp_c: float
    """Coldest heatsink, or coolant, at which the machine starts. [°C]"""
    inlet_off_temp_c: float
    """Inlet air, or coolant, at which the machine shuts down. [°C]"""
    outlet_off_temp_c: float = math.inf
    """Air behind the boards, as their outlet sensors read it, at which the machine shuts down; liquids have none. [°C]"""
    voltage_spread_frac: float
    """Standard deviation of the rail voltage that units need for one frequency: silicon lottery."""
    power_bias_frac: float
    """Standard deviation of a unit's reported power around the metered one, constant in time."""
    profiles_mhz: tuple[float, ...]
    """Frequencies of the firmware's ladder, ascending. [MHz]"""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        require_positive(
            self,
            "rated_power_w",
            "rated_hashrate_ths",
            "ths_per_mhz",
            "ref_mhz",
            "ref_v",
            "floor_v",
            "a_w_per_mhz_v2",
            "chip_w_per_k",
            "chip_j_per_k",
            "sink_j_per_k",
            "chips",
        )
        require(self.cooling in COOLING, "MachineParams", "cooling", self.cooling, f"one of {', '.join(COOLING)}")
        require(
            self.algorithm in ALGORITHMS,
            "MachineParams",
            "algorithm",
            self.algorithm,
            f"one of {', '.join(ALGORITHMS)}",
        )
        if self.cooling == "air":
            require_positive(self, "fan_rated_w", "air_flow_m3_per_s", "sink_w_per_k")
        linear = self.b_w_per_mhz > -self.a_w_per_mhz_v2 * self.floor_v**2
        require(linear, "MachineParams", "b_w_per_mhz", self.b_w_per_mhz, "such that power grows with frequency")
        require(0.5 < self.psu_efficiency <= 1.0, "MachineParams", "psu_efficiency", self.psu_efficiency, "in (0.5, 1]")
        ladder = self.profiles_mhz
        ascending = len(ladder) >= 2 and ladder[0] > 0.0 and all(low < high for low, high in pairwise(ladder))
        require(ascending, "MachineParams", "profiles_mhz", ladder, "two or more frequencies above 0, ascending")

    def power_w(self, freq_mhz: float, chip_temp_c: float, fan_pu: float) -> float:
        """Return the power at the socket at a frequency, mean chip temperature and fan speed. [W]"""
        rail_v = physics.rail_voltage_v(freq_mhz, self.ref_mhz, self.ref_v, self.slope_v_per_mhz, self.floor_v)
        board_w = physics.switching_power_w(freq_mhz, rail_v, self.a_w_per_mhz_v2, self.b_w_per_mhz, self.base_w)
        board_w += physics.leakage_w(rail_v, chip_temp_c, self.leak_w_per_v2, self.leak_ref_temp_c, self.leak_per_k)
        return physics.wall_power_w(board_w, self.psu_efficiency, self.control_w, fan_power_w(fan_pu, self.fan_rated_w))


PROFILE_CHIP_TEMP_C: Final = 65.0
"""Mean chip temperature to which published profiles are taken to belong. [°C] Source: steady points of S19 XP and
S21 Pro, 63-70 °C at full power (Braiins telemetry in 256foundation/asic-rs, braiins v25_05 and v26_04)."""

PROFILE_FAN_PU: Final = 0.6
"""Fan speed to which published profiles are taken to belong. assumed: mild weather."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareParams:
    """Behaviour of a machine's firmware. Sources stand beside the values in firmware.yaml."""

    name: str
    boot_s: float
    boot_power_frac: float
    restart_s: float
    ramp_s: float
    start_wear_usd: float
    sleep_w: float
    fan_min_pu: float
    fan_target_temp_c: float
    throttle_down_temp_c: float
    throttle_rise_temp_c: float
    trip_temp_c: float
    trip_restart_temp_c: float
    trip_hold_s: float
    stagger_s: float
    """Time over which the machines of a zone are started one after the other. [s]"""
    tune_s: float
    """Time to tune a preset that is not known yet, without hashing. [s]"""
    tuned_low_pu: float
    tuned_high_pu: float
    """Part of the ladder that is tuned when a run begins, 0 its lowest and 1 its highest frequency."""
    ceiling_pu: float
    """Part of the ladder above which tuning fails for want of good silicon; 1: it never does."""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        require_fraction(self, "boot_power_frac", "tuned_low_pu", "tuned_high_pu", "ceiling_pu")
        tuned = self.tuned_low_pu <= self.tuned_high_pu <= self.ceiling_pu
        require(tuned, "FirmwareParams", "tuned_high_pu", self.tuned_high_pu, "from tuned_low_pu to ceiling_pu")
        require_positive(self, "ramp_s", "fan_min_pu", "sleep_w")
        for name in ("boot_s", "restart_s", "start_wear_usd", "trip_hold_s", "stagger_s", "tune_s"):
            require(getattr(self, name) >= 0.0, "FirmwareParams", name, getattr(self, name), "0 or more")
        require(self.fan_min_pu < 1.0, "FirmwareParams", "fan_min_pu", self.fan_min_pu, "below 1")
        ordered = (
            self.trip_restart_temp_c < self.throttle_rise_temp_c < self.throttle_down_temp_c < self.trip_temp_c
            and self.fan_target_temp_c < self.throttle_down_temp_c
        )
        require(
            ordered,
            "FirmwareParams",
            "trip_temp_c",
            self.trip_temp_c,
            "above throttle_down_temp_c, that above throttle_rise_temp_c and fan_target_temp_c, those above trip_restart_temp_c",
        )
