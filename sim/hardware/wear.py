"""Wear: how fast a machine ages, and how ageing turns into failures of its parts."""

import math
from typing import Final

from ..foundation.constants import BOLTZMANN_EV_PER_K, ZERO_CELSIUS_K
from ..foundation.jit import kernel

ACTIVATION_ENERGY_EV: Final = 0.7
"""assumed: customary for silicon and electrolytic capacitors (JEDEC JEP122H, table of activation energies)."""

REFERENCE_TEMP_C: Final = 70.0
"""Chip temperature at which an hour ages a machine by an hour. assumed: the firmware's usual fan target."""

VOLTAGE_EXPONENT: Final = 6.0
"""Growth of ageing with relative voltage: 10 % more is 1.8 times. assumed: between the exponential and the power laws of
gate-oxide breakdown in JEDEC JEP122H, sec. 5.1."""

CYCLE_HOURS: Final = 4.4
"""Ageing by one thermal cycle of CYCLE_REFERENCE_K. [h] assumed: solder that stands 10,000 such cycles, five years' hours."""

CYCLE_REFERENCE_K: Final = 50.0
"""Temperature swing to which CYCLE_HOURS belongs. [K] assumed: from a mild inlet to the fan target."""


FAN_REFERENCE_PU: Final = 0.6
"""Speed at which an hour ages a fan by an hour. assumed: mild weather."""

FAN_REFERENCE_C: Final = 25.0
"""Air temperature at which an hour ages a fan by an hour. assumed: mild weather."""

FAN_HALVING_K: Final = 15.0
"""Rise of temperature that halves a fan's life. Source: SKF, Rolling bearings, 2018, ch. B.6 (grease life)."""


@kernel
def ageing_factor(chip_temp_c: float, voltage_pu: float) -> float:
    """Return hours of ageing per hour, 1 at the reference temperature and rated voltage.

    AF = exp(Ea/k (1/T_ref - 1/T) + γ (V/V_ref - 1)).

    Args:
        chip_temp_c: Mean chip temperature. [°C]
        voltage_pu: Rail voltage over that at rated power.

    Source:
        Arrhenius acceleration, JEDEC JESD91B; exponential voltage acceleration, JEDEC JEP122H, sec. 5.1.

    Examples:
        >>> ageing_factor(70.0, 1.0)
        1.0
    """
    inverse_reference = 1.0 / (REFERENCE_TEMP_C + ZERO_CELSIUS_K)
    inverse = 1.0 / (chip_temp_c + ZERO_CELSIUS_K)
    heat = ACTIVATION_ENERGY_EV / BOLTZMANN_EV_PER_K * (inverse_reference - inverse)
    return math.exp(heat + VOLTAGE_EXPONENT * (voltage_pu - 1.0))


@kernel
def cycle_ageing_h(swing_k: float) -> float:
    """Return the ageing by one thermal cycle, N ∝ ΔT^-2. [h]

    Args:
        swing_k: Rise of the chips from standing to hashing. [K]

    Source:
        Coffin-Manson, JEDEC JEP122H, sec. 5.12: exponent 1-3 for solder, 2 here.
    """
    ratio = max(0.0, swing_k) / CYCLE_REFERENCE_K
    return CYCLE_HOURS * ratio * ratio


@kernel
def fan_ageing_factor(fan_pu: float, inlet_temp_c: float) -> float:
    """Return hours of ageing per hour of a fan, 1 at FAN_REFERENCE_PU and FAN_REFERENCE_C.

    Args:
        fan_pu: Speed over the highest.
        inlet_temp_c: Air that it moves. [°C]

    Source:
        Life of ball bearings in revolutions; grease life halves every 15 K (SKF, Rolling bearings, 2018, ch. B.6).
    """
    return fan_pu / FAN_REFERENCE_PU * math.pow(2.0, (inlet_temp_c - FAN_REFERENCE_C) / FAN_HALVING_K)
