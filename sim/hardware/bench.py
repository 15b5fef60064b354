"""One machine on the bench: what it does at a frequency and a voltage of one's own, when its silicon is not the model's."""

import math
from typing import Final, NamedTuple

import numpy as np

from ..foundation.jit import kernel
from . import machine
from .fans import fan_power_w, holding_sink_pu
from .thermal import flow_pu

STOCK_MARGIN_FRAC: Final = 0.03
"""Margin that a stock voltage has over what the mean chip needs. assumed: LuxOS runs an S19j Pro from 13.2 to 13.8 V at one preset, by
unit, which spreads 2 % around the mean."""
UNIT_SPREAD_FRAC: Final = 0.011
"""Standard deviation, over units, of the voltage that is needed. Source: as above, 13.2-13.8 V taken as four standard deviations."""
CHIP_SPREAD_FRAC: Final = 0.010
"""The same over the chips of a unit. assumed: as between units."""
HOT_FRAC_PER_K: Final = 0.0004
"""Growth of the needed voltage above 70 °C. [1/K] assumed: 1 % for 25 K, as timing of CMOS slows with heat."""
REFERENCE_C: Final = 70.0
"""Chip temperature at which a stock margin is stated. [°C] assumed: that of the machines' error_ref_temp_c."""

_SETTLE_ROUNDS: Final = 12
"""Rounds in which temperature, leakage and fans settle; each takes off the most of the error."""


@kernel
def failing_frac(rail_v: float, stock_v: float, silicon_frac: float, chip_temp_c: float) -> float:
    """Return the share of a unit's chips whose voltage is too low for their frequency.

    The chips' needs are normally spread: Φ(-margin / spread).

    Args:
        rail_v: Voltage of the boards. [V]
        stock_v: Voltage of the stock curve at the frequency. [V]
        silicon_frac: By what share this unit needs more than the mean one.
        chip_temp_c: Mean chip temperature. [°C]
    """
    need = 1.0 - STOCK_MARGIN_FRAC + silicon_frac + HOT_FRAC_PER_K * (chip_temp_c - REFERENCE_C)
    margin = rail_v / stock_v - need
    return 0.5 * math.erfc(margin / (CHIP_SPREAD_FRAC * math.sqrt(2.0)))


class Steady(NamedTuple):
    """What a machine does at steady state."""

    power_w: float
    """At the socket. [W]"""
    hashrate_ths: float
    hot_temp_c: float
    """Hottest chip. [°C]"""
    error_frac: float
    """Share of failed work."""
    fan_pu: float


@kernel
def steady_state(
    p: np.void, freq_mhz: float, rail_v: float, inlet_temp_c: float, silicon_frac: float, leak_frac: float
) -> Steady:
    """Return what a machine does when a setting has settled.

    The fans hold the firmware's target as far as they can; leakage and temperature are iterated to their fixed point, which is
    cut at 150 °C where there is none.

    Args:
        p: Parameters of an air-cooled zone, as the kernel reads them.
        freq_mhz: Frequency. [MHz]
        rail_v: Voltage of the boards. [V]
        inlet_temp_c: Inlet air. [°C]
        silicon_frac: As in `failing_frac`.
        leak_frac: By what share this unit leaks more than the mean one.
    """
    stock_v = machine.rail_voltage_v(freq_mhz, p["ref_mhz"], p["ref_v"], p["slope_v_per_mhz"], p["floor_v"])
    switching_w = machine.switching_power_w(freq_mhz, rail_v, p["a_w_per_mhz_v2"], p["b_w_per_mhz"], p["base_w"])
    chip_c, hot_c, board_w, sink_pu = p["fan_target_temp_c"], p["fan_target_temp_c"], switching_w, 1.0
    for _ in range(_SETTLE_ROUNDS):
        leak_w = machine.leakage_w(rail_v, chip_c, p["leak_w_per_v2"], p["leak_ref_temp_c"], p["leak_per_k"])
        board_w = switching_w + leak_w * (1.0 + leak_frac)
        held = holding_sink_pu(board_w, p["fan_target_temp_c"], inlet_temp_c, p["chip_k_per_w"], p["sink_full_w_per_k"])
        sink_pu = min(1.0, max(p["fan_min_sink_pu"], held))
        hot_c = min(150.0, inlet_temp_c + board_w * (p["chip_k_per_w"] + 1.0 / (sink_pu * p["sink_full_w_per_k"])))
        chip_c = hot_c - p["hot_k_per_w"] * board_w
    fan_pu = min(1.0, flow_pu(sink_pu, p["sink_per_air"]))
    error = machine.error_frac(hot_c, p["error_ref_frac"], p["error_ref_temp_c"], p["error_per_k"])
    error = min(1.0, error + failing_frac(rail_v, stock_v, silicon_frac, chip_c))
    power_w = machine.wall_power_w(board_w, p["psu_efficiency"], p["control_w"], fan_power_w(fan_pu, p["fan_full_w"]))
    return Steady(power_w, p["ths_per_mhz"] * freq_mhz * (1.0 - error), hot_c, error, fan_pu)
