"""Wear: how fast a machine ages at a temperature."""

import math
from typing import Final

from .constants import BOLTZMANN_EV_PER_K, ZERO_CELSIUS_K
from .jit import kernel

ACTIVATION_ENERGY_EV: Final = 0.7
"""assumed: customary for silicon and electrolytic capacitors (JEDEC JEP122H, table of activation energies)."""

REFERENCE_TEMP_C: Final = 70.0
"""Chip temperature at which an hour ages a machine by an hour. assumed: the firmware's usual fan target."""


@kernel
def ageing_factor(chip_temp_c: float) -> float:
    """Return hours of ageing per hour at a chip temperature, 1 at the reference temperature.

    AF = exp(Ea/k (1/T_ref - 1/T)).

    Args:
        chip_temp_c: Mean chip temperature. [°C]

    Source:
        Arrhenius acceleration, JEDEC JESD91B.
    """
    inverse_reference = 1.0 / (REFERENCE_TEMP_C + ZERO_CELSIUS_K)
    inverse = 1.0 / (chip_temp_c + ZERO_CELSIUS_K)
    return math.exp(ACTIVATION_ENERGY_EV / BOLTZMANN_EV_PER_K * (inverse_reference - inverse))
