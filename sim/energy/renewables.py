"""Power of sun and wind from the weather: pvlib's models of a fixed array, a turbine's curve, or measured series."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..foundation.checks import require, require_fraction, require_positive
from ..foundation.errors import BadInputError
from ..history.history import History

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SunParams:
    """A fixed array of modules behind its inverter."""

    power_w: float
    """Rated power of modules and of their inverter. [W]"""
    latitude_deg: float
    """[°], north positive"""
    longitude_deg: float
    """[°], east positive"""
    tilt_deg: float = 25.0
    """Of the modules from the horizontal. [°] chosen: what gives most in a year at 30 degrees of latitude."""
    azimuth_deg: float = 180.0
    """Direction that they face, clockwise from north. [°] chosen: south; 0 in the south of the world."""
    per_k: float = -0.0035
    """Growth of their power with cell temperature. [1/K] Source: PVWatts' premium module type (NREL/TP-6A20-62641)."""
    losses_frac: float = 0.14
    """Soiling, wiring, mismatch and the rest. Source: PVWatts' default (as above), 14.08 %."""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        require_positive(self, "power_w")
        require_fraction(self, "losses_frac")
        for name, most in (
            ("latitude_deg", 90.0),
            ("longitude_deg", 180.0),
            ("tilt_deg", 90.0),
            ("azimuth_deg", 360.0),
        ):
            value = getattr(self, name)
            require(-most <= value <= most, type(self).__name__, name, value, f"in ±{most:g}")

    def power_w_of(self, history: History) -> FloatArray:
        """Return the power that the array could give in each step, (n_steps,). [W]

        From `sun_power_pu` of the history where it was measured, over rated power; else from `ghi_w_per_m2`, temperature and wind
        by pvlib: Erbs' split into beam and diffuse, isotropic sky, SAPM's cell temperature, PVWatts' DC power and inverter.

        Raises:
            BadInputError: The history has neither column.
        """
        frame = history.frame
        if "sun_power_pu" in frame:
            return self.power_w * frame["sun_power_pu"].to_numpy(np.float64)
        if "ghi_w_per_m2" not in frame:
            raise BadInputError(
                f"site.sun needs the column 'ghi_w_per_m2' or 'sun_power_pu'; the {history.kind} history {history.hash} has neither. "
                "Import one, or ask a synthetic history for it: history.weather: [sun]"
            )
        import pvlib

        middle = pd.DatetimeIndex(frame.index) + pd.Timedelta(seconds=150)
        sun = pvlib.solarposition.get_solarposition(middle, self.latitude_deg, self.longitude_deg, method="nrel_numpy")
        ghi = frame["ghi_w_per_m2"].to_numpy(np.float64)
        zenith, azimuth = sun["zenith"].to_numpy(), sun["azimuth"].to_numpy()
        parts = pvlib.irradiance.erbs(ghi, zenith, middle)
        plane = pvlib.irradiance.get_total_irradiance(
            self.tilt_deg, self.azimuth_deg % 360.0, zenith, azimuth, parts["dni"], ghi, parts["dhi"], model="isotropic"
        )
        poa = np.nan_to_num(np.asarray(plane["poa_global"], np.float64)).clip(0.0)
        wind = frame["wind_speed_m_per_s"].to_numpy(np.float64) if "wind_speed_m_per_s" in frame else USUAL_WIND_M_PER_S
        cell = pvlib.temperature.sapm_cell(
            poa,
            frame["outdoor_temp_c"].to_numpy(np.float64),
            wind,
            **pvlib.temperature.TEMPERATURE_MODEL_PARAMETERS["sapm"]["open_rack_glass_glass"],
        )
        dc_w = pvlib.pvsystem.pvwatts_dc(poa, cell, self.power_w, self.per_k) * (1.0 - self.losses_frac)
        ac_w = pvlib.inverter.pvwatts(dc_w, self.power_w / NOMINAL_EFFICIENCY)
        return np.nan_to_num(np.asarray(ac_w, np.float64)).clip(0.0, self.power_w)


NOMINAL_EFFICIENCY: Final = 0.96
"""Of the inverter. Source: PVWatts' default, as SunParams."""

USUAL_WIND_M_PER_S: Final = 3.0
"""Wind where the history has none. [m/s] assumed: it moves cell temperature by a few kelvins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindParams:
    """A turbine, or several of one kind."""

    power_w: float
    """Rated power. [W]"""
    hub_height_m: float = 100.0
    """[m] assumed: turbines of 2-3 MW on land."""
    shear: float = 0.143
    """Exponent of the wind's growth with height over 10 m. Source: the one-seventh law (IEC 61400-1 has 0.2)."""
    losses_frac: float = 0.1
    """Wake, availability and the rest. assumed: 8-15 % are usual."""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        require_positive(self, "power_w", "hub_height_m")
        require_fraction(self, "losses_frac", "shear")

    def power_w_of(self, history: History) -> FloatArray:
        """Return the power that the turbine could give in each step, (n_steps,). [W]

        From `wind_power_pu` of the history where it was measured; else from `wind_speed_m_per_s` at 10 m and a curve of power.

        Raises:
            BadInputError: The history has neither column.
        """
        frame = history.frame
        if "wind_power_pu" in frame:
            return self.power_w * frame["wind_power_pu"].to_numpy(np.float64)
        if "wind_speed_m_per_s" not in frame:
            raise BadInputError(
                f"site.wind needs the column 'wind_speed_m_per_s' or 'wind_power_pu'; the {history.kind} history {history.hash} has "
                "neither. Import one, or ask a synthetic history for it: history.weather: [wind]"
            )
        at_hub = frame["wind_speed_m_per_s"].to_numpy(np.float64) * (self.hub_height_m / 10.0) ** self.shear
        share = np.interp(at_hub, *POWER_CURVE, left=0.0, right=0.0)
        return self.power_w * (1.0 - self.losses_frac) * share


POWER_CURVE: Final = (
    (3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 25.0, 25.01),
    (0.0, 0.017, 0.066, 0.138, 0.235, 0.362, 0.518, 0.688, 0.840, 0.941, 0.983, 0.995, 1.0, 1.0, 0.0),
)
"""Wind at the hub [m/s] and power over the rated one: cut in at 3, out at 25. Source: mean of the curves of R's WindCurves in merra2ools."""
