"""Heat of a machine: chips and heatsinks as two lumps, advanced exactly over a sub-step."""

import math
from typing import Final

from ..foundation.jit import kernel

CONVECTION_EXPONENT: Final = 0.8
"""Exponent of flow in forced convection. Source: Dittus-Boelter; Incropera et al., 7th ed., eq. 8.60."""

_STABLE_FRAC: Final = 0.9
"""Largest leakage slope, as a share of the conductance from chip to air. assumed: keeps the linearised balance stable;
above it the true device is in thermal runaway, which the firmware's trip ends within a sub-step."""


@kernel
def flow_pu(sink_pu: float, sink_per_air: float) -> float:
    """Return the air flow, of the rated flow, that gives a conductance from heatsink to air, of the rated one.

    Inverts G = G_rated flow^0.8, so flow = sink^1.25; as roots and products, which cost a tenth of a power. Air leaves no
    hotter than what heats it: the conductance is the heat capacity flow of the air at most.

    Args:
        sink_pu: Conductance over the rated one.
        sink_per_air: Rated conductance over the rated heat capacity flow of the air.

    Source:
        Turbulent forced convection, Nu ∝ Re^0.8 (Dittus-Boelter; Incropera et al., 7th ed., eq. 8.60).
    """
    return max(sink_pu * math.sqrt(math.sqrt(sink_pu)), sink_pu * sink_per_air)


@kernel
def stable_slope_w_per_k(slope_w_per_k: float, chip_w_per_k: float, air_w_per_k: float) -> float:
    """Return the leakage slope, limited so that the two-lump balance keeps a stable steady state. [W/K]"""
    total, product = chip_w_per_k + air_w_per_k, _STABLE_FRAC * chip_w_per_k * air_w_per_k
    return slope_w_per_k if slope_w_per_k * total <= product else product / total


@kernel
def two_lumps(
    chip_temp_c: float,
    sink_temp_c: float,
    heat_w: float,
    slope_w_per_k: float,
    air_temp_c: float,
    chip_w_per_k: float,
    air_w_per_k: float,
    chip_j_per_k: float,
    sink_j_per_k: float,
    dt_s: float,
) -> tuple[float, float, float, float]:
    """Advance chip and heatsink temperature, exactly for frozen flow and a heat that is linear in temperature.

    Solves, with T0 the chip temperature at the start of the span,

        C_c dT_c/dt = Q + g (T_c - T0) - G_1 (T_c - T_s)
        C_s dT_s/dt = G_1 (T_c - T_s) - G_2 (T_s - T_a)

    by the closed form of a 2x2 system, so that the result does not depend on how a span with the same
    linearisation is cut.

    Args:
        chip_temp_c: Mean chip temperature T_c at the start. [°C]
        sink_temp_c: Heatsink temperature T_s at the start. [°C]
        heat_w: Heat Q given to the chips at T0. [W]
        slope_w_per_k: Growth g of that heat with chip temperature, below the series conductance. [W/K]
        air_temp_c: Temperature T_a of the cooling air. [°C]
        chip_w_per_k: Conductance G_1 from chip to heatsink. [W/K]
        air_w_per_k: Conductance G_2 from heatsink to air. [W/K]
        chip_j_per_k: Heat capacity C_c. [J/K]
        sink_j_per_k: Heat capacity C_s. [J/K]
        dt_s: Length of the span. [s]

    Returns:
        Chip temperature at the end [°C], heatsink temperature at the end [°C], mean chip temperature over
        the span [°C], mean heatsink temperature over the span [°C].

    Source:
        W. Boyce, R. DiPrima, Elementary Differential Equations, ch. 7 (matrix exponential of a 2x2 system).
    """
    per_chip, per_sink = 1.0 / chip_j_per_k, 1.0 / sink_j_per_k
    a = (slope_w_per_k - chip_w_per_k) * per_chip
    b = chip_w_per_k * per_chip
    c = chip_w_per_k * per_sink
    d = -(chip_w_per_k + air_w_per_k) * per_sink
    per_det = 1.0 / (a * d - b * c)
    source_c = (heat_w - slope_w_per_k * chip_temp_c) * per_chip
    source_s = air_w_per_k * air_temp_c * per_sink
    steady_c = (b * source_s - d * source_c) * per_det
    steady_s = (c * source_c - a * source_s) * per_det

    half = 0.5 * (a + d)
    root = math.sqrt(0.25 * (a - d) * (a - d) + b * c)
    # Chips follow their heatsink within seconds: e^-50 is nothing beside a temperature's last digit.
    fast = math.exp((half - root) * dt_s) if (half - root) * dt_s > -50.0 else 0.0
    slow = math.exp((half + root) * dt_s)
    mean = 0.5 * (slow + fast)
    rate = (slow - fast) / (2.0 * root)
    off_c = chip_temp_c - steady_c
    off_s = sink_temp_c - steady_s
    end_c = steady_c + mean * off_c + rate * ((a - half) * off_c + b * off_s)
    end_s = steady_s + mean * off_s + rate * (c * off_c + (d - half) * off_s)

    gain_c = end_c - chip_temp_c
    gain_s = end_s - sink_temp_c
    per_span = per_det / dt_s
    mean_c = steady_c + (d * gain_c - b * gain_s) * per_span
    mean_s = steady_s + (a * gain_s - c * gain_c) * per_span
    return end_c, end_s, mean_c, mean_s
