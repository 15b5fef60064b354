"""A series as a normal score: season, drivers, a slow level and parts that die out, mapped through quantiles.

One model serves temperature, depression of the dew point, electricity prices and carbon intensity. With z the score at local month m and hour h,

    z = season[m, h] + weekend + sum_k slope_k driver_k + level + spread[m] spread[h] sum_j sqrt(v_j) OU_j,    sum_j v_j = 1,

and value = Q(z), where Q interpolates the values at given scores. Ornstein-Uhlenbeck parts OU_j have unit variance and
correlation times tau_j. Source of the form: normal-score transform of geostatistics (Deutsch, Journel, GSLIB, 2nd ed.,
sec. V.2.3); sums of OU processes for electricity as in Benth, Kallsen, Meyer-Brandis, Appl. Math. Finance 14 (2007) 153.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import signal, special

FloatArray = npt.NDArray[np.float64]

PROBABILITIES: Final = (
    0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.175, 0.25, 0.375, 0.5, 0.625, 0.75, 0.825, 0.9, 0.95, 0.975, 0.99, 0.995,
    0.999, 0.9999,
)  # fmt: skip
"""Probabilities at which a fit keeps quantiles; the smallest and the largest value stand beside them. chosen: dense in the
tails, which scarcity prices fill."""

_END_SCORE: Final = 5.0
"""Score of the smallest and the largest value. chosen: beyond what any history holds, 1 in 3.5 million."""

KNOTS: Final = np.concatenate([[-_END_SCORE], special.ndtri(np.array(PROBABILITIES)), [_END_SCORE]])
"""Standard normal scores that a model's knots stand for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreModel:
    """A fitted model of one series.

    score, value: knots of Q. season: mean score by local month and hour, (12, 24). weekend: what Saturdays and Sundays add.
    slopes: score per unit of each driver. spread_month, spread_hour: (12,) and (24,). parts: (variance, tau [h]).
    level_std, level_tau_h: slow level when it runs freely; anchors: its mean in months of real history, "2021-06".
    """

    score: FloatArray
    value: FloatArray
    season: FloatArray
    weekend: float
    slopes: dict[str, float]
    spread_month: FloatArray
    spread_hour: FloatArray
    parts: tuple[tuple[float, float], ...]
    level_std: float = 0.0
    level_tau_h: float = 1440.0  # assumed: two months, where a region's file says nothing
    anchors: dict[str, float] = field(default_factory=dict)

    @classmethod
    def parse(cls, entry: dict[str, Any]) -> "ScoreModel":
        """Read a model as `as_dict` writes it."""
        arrays: dict[str, Any] = {name: np.array(entry[name], dtype=np.float64) for name in _ARRAYS}
        rest: dict[str, Any] = {name: entry[name] for name in ("weekend", "slopes", "level_std", "level_tau_h")}
        return cls(**arrays, **rest, parts=tuple(tuple(p) for p in entry["parts"]), anchors=entry.get("anchors", {}))

    def as_dict(self) -> dict[str, Any]:
        """Return plain lists and numbers for a YAML."""
        arrays = {name: _rounded(getattr(self, name)) for name in _ARRAYS}
        rest = {"weekend": round(self.weekend, 4), "slopes": {k: round(v, 5) for k, v in self.slopes.items()}}
        parts = [[round(v, 4), tau] for v, tau in self.parts]
        level = {"level_std": round(self.level_std, 4), "level_tau_h": self.level_tau_h}
        return {**arrays, **rest, "parts": parts, **level, "anchors": {k: round(v, 3) for k, v in self.anchors.items()}}

    def scores(
        self,
        local: pd.DatetimeIndex,
        step_h: float,
        drivers: dict[str, FloatArray],
        rng: np.random.Generator,
        *,
        is_anchored: bool,
    ) -> FloatArray:
        """Draw the score on a local clock, (n,).

        Args:
            local: Local times, a regular step apart.
            step_h: The step. [h]
            drivers: Each driver of `slopes`, (n,).
            rng: Generator of the draws.
            is_anchored: Whether months that have an anchor take it as their level; others run freely.
        """
        n = len(local)
        month, hour = local.month.to_numpy() - 1, local.hour.to_numpy()
        noise = np.zeros(n)
        for variance, tau_h in self.parts:
            noise += np.sqrt(variance) * ou(rng.standard_normal(n), step_h / tau_h)
        noise *= self.spread_month[month] * self.spread_hour[hour]
        noise += self.level_std * ou(rng.standard_normal(n), step_h / self.level_tau_h)
        if is_anchored and self.anchors:
            noise += self._towards_anchors(local, noise)
        return self._mean(local, drivers) + noise

    def moments(
        self, local: pd.DatetimeIndex, drivers: dict[str, FloatArray], *, is_anchored: bool
    ) -> tuple[FloatArray, FloatArray]:
        """Return mean and standard deviation of the score at each time, drivers given, (n,) each; scores are normal."""
        mean, level_var = self._mean(local, drivers), np.full(len(local), self.level_std**2)
        if is_anchored and self.anchors:
            anchor = _of_month(local, self.anchors)
            mean = mean + np.nan_to_num(anchor)
            level_var = np.where(np.isfinite(anchor), 0.0, level_var)
        spread = self.spread_month[local.month.to_numpy() - 1] * self.spread_hour[local.hour.to_numpy()]
        return mean, np.sqrt(spread**2 + level_var)

    def _mean(self, local: pd.DatetimeIndex, drivers: dict[str, FloatArray]) -> FloatArray:
        """Return what calendar and drivers make of the score, (n,)."""
        hour = local.hour.to_numpy()
        before, after, share = between_months(local)
        season = (1.0 - share) * self.season[before, hour] + share * self.season[after, hour]
        result = season + self.weekend * (local.dayofweek.to_numpy() >= 5)
        for name, slope in self.slopes.items():
            result = result + slope * drivers[name]
        return np.asarray(result)

    def _towards_anchors(self, local: pd.DatetimeIndex, noise: FloatArray) -> FloatArray:
        """Return what makes the noise's mean in each month with an anchor that anchor, (n,).

        It runs straight from mid-month to mid-month, so that no month begins with a step. `local` is of whole months.
        """
        months = local.tz_localize(None).to_period("M")
        number = np.asarray((months.year - months.year[0]) * 12 + months.month - months.month[0])
        n = int(number[-1]) + 1
        day = local.day.to_numpy() - 1 + local.hour.to_numpy() / 24.0 + local.minute.to_numpy() / 1440.0
        at = np.clip(number + day / local.days_in_month.to_numpy() - 0.5, 0.0, n - 1.0)
        before = np.minimum(at.astype(np.int64), max(n - 2, 0))
        share = at - before
        counts = np.bincount(number, minlength=n)
        anchor = np.full(n, np.nan)
        anchor[number] = _of_month(local, self.anchors)
        held = np.flatnonzero(np.isfinite(anchor))
        weights = np.zeros((n, n))
        np.add.at(weights, (number, before), (1.0 - share) / counts[number])
        np.add.at(weights, (number, np.minimum(before + 1, n - 1)), share / counts[number])
        wanted = anchor - np.bincount(number, noise, n) / counts
        knots = np.zeros(n)
        knots[held] = np.linalg.solve(weights[np.ix_(held, held)], wanted[held])
        return np.asarray((1.0 - share) * knots[before] + share * knots[np.minimum(before + 1, n - 1)])

    def standard(self, scores: FloatArray) -> FloatArray:
        """Return the standard normal scores that scores stand for, (n,): what drivers of other series are."""
        return np.interp(scores, self.score, KNOTS)

    def values(self, scores: FloatArray) -> FloatArray:
        """Map scores to values, (n,)."""
        return np.interp(scores, self.score, self.value)

    def latent(self, values: FloatArray) -> FloatArray:
        """Return the score of values inside the knots, (n,)."""
        grows = np.concatenate([[True], np.diff(self.value) > 0.0])
        return np.interp(values, self.value[grows], self.score[grows])


def _of_month(local: pd.DatetimeIndex, anchors: dict[str, float]) -> FloatArray:
    """Return each time's anchor, NaN where its month has none, (n,)."""
    months = local.tz_localize(None).to_period("M")
    codes, names = pd.factorize(months)
    return np.array([anchors.get(str(name), np.nan) for name in names], dtype=np.float64)[codes]


_ARRAYS: Final = ("score", "value", "season", "spread_month", "spread_hour")


def _rounded(array: FloatArray) -> Any:
    return np.round(array, 4).tolist()


def between_months(local: pd.DatetimeIndex) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], FloatArray]:
    """Return the months whose middles lie before and after each time, 0 to 11, and how far it is between them."""
    at = (local.dayofyear.to_numpy() - 1 + local.hour.to_numpy() / 24.0) / 365.25 * 12.0 - 0.5
    before = np.floor(at).astype(np.int64)
    return before % 12, (before + 1) % 12, at - before


def ou(noise: FloatArray, rate: float) -> FloatArray:
    """Return a stationary Ornstein-Uhlenbeck series of unit variance from unit noise; rate: step over correlation time."""
    phi = float(np.exp(-rate))
    scale = np.sqrt(1.0 - phi * phi)
    first = noise.copy()
    first[:1] /= scale
    return np.asarray(signal.lfilter([scale], [1.0, -phi], first))
