"""A machine's fans: what they draw, and how fast they must turn to hold a chip temperature."""

import math

from ..foundation.jit import kernel


@kernel
def fan_power_w(speed_pu: float, rated_w: float) -> float:
    """Return the power of a fan, P = P_rated s³. [W]

    Source:
        Fan affinity laws, ASHRAE Handbook HVAC Systems and Equipment 2020, ch. 21.

    Examples:
        >>> fan_power_w(0.5, 100.0)
        12.5
    """
    return rated_w * speed_pu * speed_pu * speed_pu


@kernel
def holding_sink_pu(
    heat_w: float, hot_temp_c: float, air_temp_c: float, chip_k_per_w: float, rated_w_per_k: float
) -> float:
    """Return the sink conductance, of the rated one, at which the hottest chip settles at a temperature.

    Inverts T_hot = T_air + Q (R_chip + 1/G). It stands for the firmware's fan loop, which settles within a sub-step.
    Infinite if no flow can hold the temperature.

    Args:
        heat_w: Heat of the chips Q. [W]
        hot_temp_c: Temperature to hold at the hottest chip. [°C]
        air_temp_c: Temperature of the inlet air. [°C]
        chip_k_per_w: Resistance from the heatsink to the hottest chip. [K/W]
        rated_w_per_k: Conductance from heatsink to air at the rated flow. [W/K]
    """
    rise_k = hot_temp_c - air_temp_c - heat_w * chip_k_per_w
    if rise_k <= 0.0:
        return math.inf
    return heat_w / (rise_k * rated_w_per_k)
