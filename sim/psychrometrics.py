"""Moist air: wet-bulb temperature from dry bulb and relative humidity."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def wet_bulb_temp_c(dry_bulb_temp_c: FloatArray, relative_humidity_pct: FloatArray) -> FloatArray:
    """Return the wet-bulb temperature at sea-level pressure, never above the dry bulb. [°C], broadcast shape.

    Args:
        dry_bulb_temp_c: Dry-bulb temperature, -20…50. [°C]
        relative_humidity_pct: Relative humidity, 5…99; outside it is taken at the limit. [%]

    Source:
        R. Stull, "Wet-bulb temperature from relative humidity and air temperature", J. Appl. Meteorol. Climatol. 50,
        2267 (2011), eq. 1; within -1.0…+0.65 K.
    """
    rh = np.clip(relative_humidity_pct, 5.0, 99.0)
    wet = (
        dry_bulb_temp_c * np.arctan(0.151977 * np.sqrt(rh + 8.313659))
        + np.arctan(dry_bulb_temp_c + rh)
        - np.arctan(rh - 1.676331)
        + 0.00391838 * rh**1.5 * np.arctan(0.023101 * rh)
        - 4.686035
    )
    return np.asarray(np.minimum(wet, dry_bulb_temp_c), dtype=np.float64)


def relative_humidity_pct(dry_bulb_temp_c: FloatArray, dew_point_c: FloatArray) -> FloatArray:
    """Return the relative humidity, at most 100. [%], broadcast shape.

    Source:
        Magnus formula, O. Alduchov, R. Eskridge, J. Appl. Meteorol. 35, 601 (1996), eq. 21.
    """

    def log_pressure(temp_c: FloatArray) -> FloatArray:
        return 17.625 * temp_c / (temp_c + 243.04)

    return np.minimum(100.0, 100.0 * np.exp(log_pressure(dew_point_c) - log_pressure(dry_bulb_temp_c)))
