"""Moist air: pressure at an altitude, humidity and wet bulb, by the equations of the ASHRAE handbook."""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from ..foundation.constants import SEA_LEVEL_PA, ZERO_CELSIUS_K
from ..foundation.jit import kernel

FloatArray = npt.NDArray[np.float64]

_MOLE_RATIO: Final = 0.621945
"""Molar mass of water over that of dry air. Source: ASHRAE Handbook Fundamentals 2017, ch. 1, eq. 20."""

_FREEZING_C: Final = 0.01
"""Triple point of water: below it over ice. [°C] Source: ASHRAE Handbook Fundamentals 2017, ch. 1."""

_N_BISECTIONS: Final = 40
"""Halvings of the bracket of the wet bulb. assumed: 100 K over 2^40 is below a temperature's last digit."""


def pressure_pa(altitude_m: float) -> float:
    """Return the standard pressure at an altitude. [Pa]

    Source:
        ASHRAE Handbook Fundamentals 2017, ch. 1, eq. 3.
    """
    return SEA_LEVEL_PA * float(1.0 - 2.25577e-5 * altitude_m) ** 5.2559


@kernel
def saturation_pa(temp_c: float) -> float:
    """Return the saturation pressure of water vapour, over ice below 0.01 °C. [Pa]

    Source:
        R. Hyland, A. Wexler (1983), as ASHRAE Handbook Fundamentals 2017, ch. 1, eq. 5 and 6; -100…200 °C.
    """
    t = temp_c + ZERO_CELSIUS_K
    if temp_c <= _FREEZING_C:
        return math.exp(
            -5.6745359e3 / t + 6.3925247 - 9.677843e-3 * t + 6.2215701e-7 * t * t + 2.0747825e-9 * t * t * t
            - 9.484024e-13 * t * t * t * t + 4.1635019 * math.log(t)
        )  # fmt: skip
    return math.exp(
        -5.8002206e3 / t + 1.3914993 - 4.8640239e-2 * t + 4.1764768e-5 * t * t - 1.4452093e-8 * t * t * t
        + 6.5459673 * math.log(t)
    )  # fmt: skip


@kernel
def humidity_ratio(vapour_pa: float, pressure: float) -> float:
    """Return kilograms of water per kilogram of dry air. Source: ASHRAE Handbook Fundamentals 2017, ch. 1, eq. 20."""
    return _MOLE_RATIO * vapour_pa / (pressure - vapour_pa)


@kernel
def _ratio_at_wet_bulb(dry_bulb_temp_c: float, wet_c: float, pressure: float) -> float:
    """Return the humidity ratio of air of a dry and a wet bulb. Source: ASHRAE Fundamentals 2017, ch. 1, eq. 33, 35."""
    saturated = humidity_ratio(saturation_pa(wet_c), pressure)
    if wet_c >= 0.0:
        latent = (2501.0 - 2.326 * wet_c) * saturated
        return (latent - 1.006 * (dry_bulb_temp_c - wet_c)) / (2501.0 + 1.86 * dry_bulb_temp_c - 4.186 * wet_c)
    latent = (2830.0 - 0.24 * wet_c) * saturated
    return (latent - 1.006 * (dry_bulb_temp_c - wet_c)) / (2830.0 + 1.86 * dry_bulb_temp_c - 2.1 * wet_c)


@kernel
def wet_bulb_one_c(dry_bulb_temp_c: float, relative_humidity_pct: float, pressure: float) -> float:
    """Return the wet bulb of one dry bulb and relative humidity, by bisection. [°C]"""
    share = min(max(relative_humidity_pct * 0.01, 0.001), 1.0)
    ratio = humidity_ratio(share * saturation_pa(dry_bulb_temp_c), pressure)
    low_c, high_c = dry_bulb_temp_c - 100.0, dry_bulb_temp_c
    for _ in range(_N_BISECTIONS):
        middle_c = 0.5 * (low_c + high_c)
        if _ratio_at_wet_bulb(dry_bulb_temp_c, middle_c, pressure) > ratio:
            high_c = middle_c
        else:
            low_c = middle_c
    return 0.5 * (low_c + high_c)


@kernel
def _wet_bulbs(
    dry_bulb_temp_c: np.ndarray, relative_humidity_pct: np.ndarray, pressure: float, out: np.ndarray
) -> None:
    """Fill the wet bulbs of flat arrays."""
    for i in range(out.shape[0]):
        out[i] = wet_bulb_one_c(dry_bulb_temp_c[i], relative_humidity_pct[i], pressure)


def wet_bulb_temp_c(
    dry_bulb_temp_c: FloatArray, relative_humidity_pct: FloatArray, altitude_m: float = 0.0
) -> FloatArray:
    """Return the wet-bulb temperature, never above the dry bulb. [°C], broadcast shape.

    Args:
        dry_bulb_temp_c: Dry-bulb temperature. [°C]
        relative_humidity_pct: Relative humidity; below 0.1 it is taken as 0.1, above 100 as 100. [%]
        altitude_m: Height above the sea. [m]

    Source:
        ASHRAE Handbook Fundamentals 2017, ch. 1, eq. 33 and 35, solved for the wet bulb.
    """
    dry, humidity = np.broadcast_arrays(np.asarray(dry_bulb_temp_c, np.float64), np.asarray(relative_humidity_pct))
    out = np.empty(dry.size)
    flat = np.ascontiguousarray(dry, np.float64).ravel(), np.ascontiguousarray(humidity, np.float64).ravel()
    _wet_bulbs(*flat, pressure_pa(altitude_m), out)
    return np.minimum(out, flat[0]).reshape(dry.shape)


def humidity_of_wet_bulb(dry_bulb_temp_c: float, wet_bulb_c: float, altitude_m: float = 0.0) -> float:
    """Return the humidity ratio of air of a dry and a wet bulb, 0 at least. [kg/kg]"""
    return max(0.0, float(_ratio_at_wet_bulb(dry_bulb_temp_c, wet_bulb_c, pressure_pa(altitude_m))))


def humidity_after_pct(dry_bulb_temp_c: FloatArray, ratio: FloatArray, altitude_m: float = 0.0) -> FloatArray:
    """Return the relative humidity of air of a humidity ratio at a temperature, at most 100. [%], broadcast shape."""
    pressure = pressure_pa(altitude_m)
    vapour_pa = pressure * np.asarray(ratio) / (_MOLE_RATIO + np.asarray(ratio))
    saturated = np.vectorize(saturation_pa, otypes=[np.float64])(dry_bulb_temp_c)
    return np.minimum(100.0, 100.0 * vapour_pa / saturated)


def relative_humidity_pct(dry_bulb_temp_c: FloatArray, dew_point_c: FloatArray) -> FloatArray:
    """Return the relative humidity, at most 100. [%], broadcast shape.

    Source:
        Magnus formula, O. Alduchov, R. Eskridge, J. Appl. Meteorol. 35, 601 (1996), eq. 21.
    """
    return np.minimum(100.0, 100.0 * np.exp(_magnus(dew_point_c) - _magnus(dry_bulb_temp_c)))


_MAGNUS_B: Final = 17.625  # source as below
_MAGNUS_C: Final = 243.04  # [°C] source as below
"""Source: as `relative_humidity_pct`."""


def _magnus(temp_c: FloatArray) -> FloatArray:
    return np.asarray(_MAGNUS_B * temp_c / (temp_c + _MAGNUS_C))


def dew_point_temp_c(dry_bulb_temp_c: FloatArray, relative_humidity_pct: FloatArray) -> FloatArray:
    """Return the dew point of air, the inverse of `relative_humidity_pct`. [°C]

    Args:
        dry_bulb_temp_c: Dry-bulb temperature, array of any shape. [°C]
        relative_humidity_pct: Relative humidity, above 0, of the same shape. [%]
    """
    share = np.log(relative_humidity_pct / 100.0) + _magnus(dry_bulb_temp_c)
    return np.asarray(_MAGNUS_C * share / (_MAGNUS_B - share))
