"""Weather: dry bulb, and a dew point that leans on it; humidity and wet bulb follow."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from ..sim.psychrometrics import dew_point_temp_c, relative_humidity_pct
from .scores import ScoreModel, between_months, fit

FloatArray = npt.NDArray[np.float64]

_NO_SHIFT: Final = (0.0,) * 12


@dataclass(frozen=True, slots=True, kw_only=True)
class WeatherModel:
    """Fitted weather of a place. shift_c: what is added to each month's temperatures to stand for a place nearby."""

    dry_bulb: ScoreModel
    dew_point: ScoreModel
    shift_c: tuple[float, ...] = _NO_SHIFT

    @classmethod
    def parse(cls, entry: dict[str, Any], shift_c: list[float] | None = None) -> "WeatherModel":
        """Read a model as `as_dict` writes it."""
        shift = _NO_SHIFT if shift_c is None else tuple(shift_c)
        return cls(
            dry_bulb=ScoreModel.parse(entry["dry_bulb"]), dew_point=ScoreModel.parse(entry["dew_point"]), shift_c=shift
        )

    def as_dict(self) -> dict[str, Any]:
        """Return plain lists and numbers for a YAML."""
        return {"dry_bulb": self.dry_bulb.as_dict(), "dew_point": self.dew_point.as_dict()}

    def draw(
        self, local: pd.DatetimeIndex, step_h: float, rng: np.random.Generator, *, is_anchored: bool
    ) -> tuple[FloatArray, FloatArray]:
        """Draw dry bulb [°C] and relative humidity [%] on a local clock, (n,) each."""
        score = self.dry_bulb.scores(local, step_h, {}, rng, is_anchored=is_anchored)
        moist = self.dew_point.scores(local, step_h, moisture_drivers(score, local), rng, is_anchored=is_anchored)
        shift_c = monthly(local, self.shift_c)
        dry_c = self.dry_bulb.values(score) + shift_c
        dew_c = np.minimum(self.dew_point.values(moist) + shift_c, dry_c)
        return dry_c, relative_humidity_pct(dry_c, dew_c)


def fit_weather(dry_c: FloatArray, humidity_pct: FloatArray, local: pd.DatetimeIndex, step_h: float) -> WeatherModel:
    """Fit the weather of a place to its temperatures and humidities, (n,) each."""
    dry = fit(dry_c, local, step_h, {})
    dew_c = dew_point_temp_c(dry_c, np.maximum(humidity_pct, 1.0))
    return WeatherModel(dry_bulb=dry, dew_point=fit(dew_c, local, step_h, moisture_drivers(normal(dry_c), local)))


def moisture_drivers(dry_score: FloatArray, local: pd.DatetimeIndex) -> dict[str, FloatArray]:
    """Return the dry bulb's score, and the same by season: warm air is moist in winter and dry in summer, (n,) each."""
    year = 2.0 * np.pi * (local.dayofyear.to_numpy() - 1) / 365.25
    return {
        "dry_bulb": dry_score, "dry_bulb_cos": dry_score * np.cos(year), "dry_bulb_sin": dry_score * np.sin(year)
    }  # fmt: skip


def normal(values: FloatArray) -> FloatArray:
    """Return the normal scores of a series by rank, (n,)."""
    return np.asarray(special.ndtri((pd.Series(values).rank().to_numpy() - 0.5) / len(values)))


def monthly(local: pd.DatetimeIndex, values: tuple[float, ...]) -> FloatArray:
    """Return monthly values interpolated between mid-months over the year, (n,)."""
    before, after, share = between_months(local)
    table = np.array(values, dtype=np.float64)
    return np.asarray((1.0 - share) * table[before] + share * table[after])
