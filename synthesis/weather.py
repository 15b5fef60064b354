"""Weather: dry bulb, and a depression of the dew point that leans on it; humidity and wet bulb follow."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from ..sim.cooling.psychrometrics import dew_point_temp_c, relative_humidity_pct
from .fitting import fit
from .scores import ScoreModel, between_months

FloatArray = npt.NDArray[np.float64]

_HALF_YEAR_D: Final = 182
_NO_SHIFT: Final = (0.0,) * 12


@dataclass(frozen=True, slots=True, kw_only=True)
class WeatherModel:
    """Fitted weather of a place.

    depression: of the dew point below the dry bulb, up to the highest dew point of the place, dew_max_c. shift_c: what is added to each month's temperatures to stand for another
    place; is_south: the place lies on the other hemisphere, half a year apart. The months of one place are not those of
    another, so that a moved place has no anchors.
    """

    dry_bulb: ScoreModel
    depression: ScoreModel
    dew_max_c: float
    shift_c: tuple[float, ...] = _NO_SHIFT
    is_south: bool = False

    @classmethod
    def parse(
        cls, entry: dict[str, Any], shift_c: list[float] | None = None, *, is_south: bool = False
    ) -> "WeatherModel":
        """Read a model as `as_dict` writes it."""
        shift = _NO_SHIFT if shift_c is None else tuple(shift_c)
        models = {name: ScoreModel.parse(entry[name]) for name in ("dry_bulb", "depression")}
        return cls(**models, dew_max_c=float(entry["dew_max_c"]), shift_c=shift, is_south=is_south)

    def as_dict(self) -> dict[str, Any]:
        """Return plain lists and numbers for a YAML."""
        models = {name: getattr(self, name).as_dict() for name in ("dry_bulb", "depression")}
        return {**models, "dew_max_c": round(self.dew_max_c, 2)}

    def draw(
        self, local: pd.DatetimeIndex, step_h: float, rng: np.random.Generator, *, is_anchored: bool
    ) -> tuple[FloatArray, FloatArray]:
        """Draw dry bulb [°C] and relative humidity [%] on a local clock, (n,) each."""
        season = local + pd.Timedelta(days=_HALF_YEAR_D) if self.is_south else local
        is_anchored = is_anchored and not self.is_south and self.shift_c == _NO_SHIFT
        score = self.dry_bulb.scores(season, step_h, {}, rng, is_anchored=is_anchored)
        drivers = moisture_drivers(self.dry_bulb.standard(score), season)
        dry = self.depression.scores(season, step_h, drivers, rng, is_anchored=is_anchored)
        dry_c = self.dry_bulb.values(score) + monthly(local, self.shift_c)
        dew_c = np.minimum(dry_c - self.depression.values(dry), self.dew_max_c)
        return dry_c, relative_humidity_pct(dry_c, np.minimum(dew_c, dry_c))


def fit_weather(
    dry_c: FloatArray, humidity_pct: FloatArray, local: pd.DatetimeIndex, step_h: float, *, has_level: bool = True
) -> WeatherModel:
    """Fit the weather of a place to its temperatures and humidities, (n,) each; `has_level` as `scores.fit` has it."""
    dry = fit(dry_c, local, step_h, {}, has_level=has_level)
    dew_c = dew_point_temp_c(dry_c, np.maximum(humidity_pct, 1.0))
    drivers = moisture_drivers(normal(dry_c), local)
    depression = fit(dry_c - dew_c, local, step_h, drivers, has_level=has_level)
    return WeatherModel(dry_bulb=dry, depression=depression, dew_max_c=float(dew_c.max()))


def moisture_drivers(dry_score: FloatArray, local: pd.DatetimeIndex) -> dict[str, FloatArray]:
    """Return the dry bulb's score, and the same by season: warm air is moist in winter and dry in summer, (n,) each."""
    year = 2.0 * np.pi * (local.dayofyear.to_numpy() - 1) / 365.25
    return {"dry_bulb": dry_score, "dry_bulb_cos": dry_score * np.cos(year), "dry_bulb_sin": dry_score * np.sin(year)}


def normal(values: FloatArray) -> FloatArray:
    """Return the normal scores of a series by rank, (n,)."""
    return np.asarray(special.ndtri((pd.Series(values).rank().to_numpy() - 0.5) / len(values)))


def monthly(local: pd.DatetimeIndex, values: tuple[float, ...]) -> FloatArray:
    """Return monthly values interpolated between mid-months over the year, (n,)."""
    before, after, share = between_months(local)
    table = np.array(values, dtype=np.float64)
    return np.asarray((1.0 - share) * table[before] + share * table[after])
