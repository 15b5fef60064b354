"""Sun and wind of a synthetic history: clouds over a clear sky, and a wind of Weibull's distribution.

Both are drawn beside temperature and prices and lean on neither: a site's own sky says little about the price of a market that spans a state.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from ..sim.foundation.errors import BadInputError
from .scores import ou

FloatArray = npt.NDArray[np.float64]

PLACES: Final = {
    "atlanta": (33.7, -84.4),
    "calgary": (51.0, -114.1),
    "dallas": (32.8, -96.8),
    "frankfurt": (50.1, 8.7),
    "lulea": (65.6, 22.1),
    "madrid": (40.4, -3.7),
    "malmo": (55.6, 13.0),
    "philadelphia": (40.0, -75.2),
    "sacramento": (38.6, -121.5),
    "sydney": (-33.9, 151.2),
    "toronto": (43.7, -79.4),
}
"""Latitude and longitude of the places whose weather is drawn, [°]. Source: gazetteers, to a tenth of a degree."""

STEP_H: Final = 1.0 / 12.0  # by definition, five minutes

CLOUD_PARTS: Final = ((0.35, 48.0), (0.35, 8.0), (0.30, 0.5))
"""Shares of variance and correlation times [h] of the cloud's score. assumed: fronts of days, fields of hours, passing clouds of half an hour."""

CLEARNESS: Final = ((-2.5, -1.2, -0.4, 0.0, 3.0), (0.1, 0.3, 0.75, 0.97, 1.0))
"""Share of the clear sky's irradiance at scores of the cloud. assumed: half of the time nearly clear, as in Texas and New South Wales."""

WIND_PARTS: Final = ((0.7, 30.0), (0.3, 4.0))
"""Shares of variance and correlation times [h] of the wind's score. assumed: weather systems and gusts of hours."""

WIND_SHAPE: Final = 2.1
WIND_MEAN_M_PER_S: Final = 5.8
"""Weibull shape, and mean wind at 10 m. [m/s] assumed: open plains, as West Texas (class 3-4 of NREL's wind atlas)."""

WIND_BY_NIGHT: Final = 0.3
WIND_PEAK_H: Final = 2.0
"""Amplitude of the wind's daily score, and the local hour of its peak. assumed: nocturnal jets of the plains."""


def columns(
    kinds: tuple[str, ...], index: pd.DatetimeIndex, timezone: str, place: str, rng: np.random.Generator
) -> dict[str, FloatArray]:
    """Draw the columns of sun and wind, (n_steps,) each.

    Args:
        kinds: Of "sun" and "wind".
        index: Steps of 300 s, UTC.
        timezone: Local time of the place.
        place: Place of the region.
        rng: Generator of the draws; each kind has a stream of its own.

    Raises:
        BadInputError: There is no such kind, or the place is not known.
    """
    for kind in kinds:
        if kind not in ("sun", "wind"):
            raise BadInputError(f"weather: unknown {kind!r}; there are sun, wind")
    streams = dict(zip(("sun", "wind"), rng.spawn(2), strict=True))
    result: dict[str, FloatArray] = {}
    if "sun" in kinds:
        if place not in PLACES:
            raise BadInputError(f"weather: the sun over {place!r} is not known; there are {', '.join(PLACES)}")
        cloud = _score(CLOUD_PARTS, len(index), streams["sun"])
        result["ghi_w_per_m2"] = clear_ghi_w_per_m2(index, *PLACES[place]) * np.interp(cloud, *CLEARNESS)
    if "wind" in kinds:
        hour = index.tz_convert(timezone)
        daily = WIND_BY_NIGHT * np.cos(2.0 * np.pi * (hour.hour + hour.minute / 60.0 - WIND_PEAK_H) / 24.0)
        score = (_score(WIND_PARTS, len(index), streams["wind"]) + daily) / np.sqrt(1.0 + 0.5 * WIND_BY_NIGHT**2)
        scale = WIND_MEAN_M_PER_S / special.gamma(1.0 + 1.0 / WIND_SHAPE)
        result["wind_speed_m_per_s"] = scale * (-np.log(special.ndtr(-score))) ** (1.0 / WIND_SHAPE)
    return result


def clear_ghi_w_per_m2(index: pd.DatetimeIndex, latitude_deg: float, longitude_deg: float) -> FloatArray:
    """Return the irradiance of a clear sky on the horizontal in the middle of each step, (n_steps,). [W/m²]

    Source:
        B. Haurwitz, Journal of Meteorology 2 (1945), by pvlib.
    """
    import pvlib

    middle = index + pd.Timedelta(seconds=150)
    sun = pvlib.solarposition.get_solarposition(middle, latitude_deg, longitude_deg, method="nrel_numpy")
    return np.asarray(pvlib.clearsky.haurwitz(sun["apparent_zenith"])["ghi"].to_numpy(), dtype=np.float64)


def _score(parts: tuple[tuple[float, float], ...], n_steps: int, rng: np.random.Generator) -> FloatArray:
    return np.sum([np.sqrt(share) * ou(rng.standard_normal(n_steps), STEP_H / tau_h) for share, tau_h in parts], axis=0)
