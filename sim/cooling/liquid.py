"""A liquid loop: a cooler with fans and wetted pads holds the temperature of the coolant in the machines."""

import numpy as np

from ..foundation.jit import kernel
from ..hardware.thermal import CONVECTION_EXPONENT


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
    wanted_w = heat_w + p["sink_j_per_k"] * (felt_temp_c - p["coolant_target_c"]) / p["control_time_s"]
    if excess_k <= 0.0 or wanted_w <= 0.0:
        return p["cooler_still_frac"]
    return min(1.0, max(p["cooler_still_frac"], wanted_w / (excess_k * cooler_w_per_k)))


@kernel
def pumped_w_per_k(p: np.void, pump_pu: float) -> float:
    """Return the conductance from chip to coolant at a pump speed: a part of the resistance falls with flow^0.8. [W/K]"""
    share = p["pump_share"]
    return p["chip_w_per_k"] / (1.0 - share + share * pump_pu**-CONVECTION_EXPONENT)
