"""A series as a normal score: season, drivers, a slow level and parts that die out, mapped through quantiles.

One model serves temperature, dew point, electricity prices and carbon intensity. With z the score at local month m and hour h,

    z = season[m, h] + weekend + sum_k slope_k driver_k + level + spread[m] spread[h] sum_j sqrt(v_j) OU_j,    sum_j v_j = 1,

and value = Q(z), where Q interpolates the values at given scores. Ornstein-Uhlenbeck parts OU_j have unit variance and
correlation times tau_j. Source of the form: normal-score transform of geostatistics (Deutsch, Journel, GSLIB, 2nd ed.,
sec. V.2.3); sums of OU processes for electricity as in Benth, Kallsen, Meyer-Brandis, Appl. Math. Finance 14 (2007) 153.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize, signal, special

FloatArray = npt.NDArray[np.float64]

PROBABILITIES: Final = (
    0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.175, 0.25, 0.375, 0.5, 0.625, 0.75, 0.825, 0.9, 0.95, 0.975, 0.99, 0.995,
    0.999, 0.9999,
)  # fmt: skip
"""Probabilities at which a fit keeps quantiles; the smallest and the largest value stand beside them."""

TAUS_H: Final = (0.5, 2.0, 8.0, 24.0, 72.0, 240.0)
"""Correlation times among which a fit shares the variance. [h]"""

_MONTH_H: Final = 730.5
_LEVEL_TAUS_H: Final = (240.0, 360.0, 540.0, 800.0, 1200.0, 1800.0, 2700.0, 4000.0)
"""Correlation times among which a fit chooses that of the slow level. [h]"""

_LAGS_H: Final = (0.25, 0.5, 1.0, 2.0, 3.0, 6.0, 12.0, 18.0, 24.0, 48.0, 96.0, 168.0)
_END_SCORE: Final = 5.0
"""Score of the smallest and the largest value: beyond what any history holds."""

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
    level_tau_h: float = 1440.0
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
        self, local: pd.DatetimeIndex, step_h: float, drivers: dict[str, FloatArray], rng: np.random.Generator,
        *, is_anchored: bool,
    ) -> FloatArray:  # fmt: skip
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
            # The mean of a month is the anchor; within it level and parts still move.
            key = local.tz_localize(None).to_period("M").astype(str)
            anchored = pd.Series(key).map(self.anchors).to_numpy(np.float64)
            means = pd.Series(noise).groupby(np.asarray(key)).transform("mean").to_numpy()
            noise = np.where(np.isfinite(anchored), anchored + noise - means, noise)
        before, after, share = between_months(local)
        season = (1.0 - share) * self.season[before, hour] + share * self.season[after, hour]
        result = season + self.weekend * (local.dayofweek.to_numpy() >= 5) + noise
        for name, slope in self.slopes.items():
            result = result + slope * drivers[name]
        return np.asarray(result)

    def values(self, scores: FloatArray) -> FloatArray:
        """Map scores to values, (n,)."""
        return np.interp(scores, self.score, self.value)

    def latent(self, values: FloatArray) -> FloatArray:
        """Return the score of values inside the knots, (n,)."""
        grows = np.concatenate([[True], np.diff(self.value) > 0.0])
        return np.interp(values, self.value[grows], self.score[grows])


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


def fit(values: FloatArray, local: pd.DatetimeIndex, step_h: float, drivers: dict[str, FloatArray]) -> ScoreModel:
    """Fit a model to a series.

    Season and drivers by least squares on harmonics (two a year, four a day and their products), the level as the
    residual's mean by calendar month, spreads as its standard deviations, parts by non-negative least squares on the
    residual's autocorrelation; knots so that a long run of the model has the quantiles of the values.

    Args:
        values: The series, (n,), without gaps.
        local: Its local times.
        step_h: Its step. [h]
        drivers: Series that it leans on, (n,) each.

    Raises:
        ValueError: There are fewer than 60 days.
    """
    n = len(values)
    if n * step_h < 60.0 * 24.0:
        raise ValueError(f"a fit needs 60 days of a series; there are {n * step_h / 24.0:.0f}")
    score = special.ndtri((pd.Series(values).rank().to_numpy() - 0.5) / n)
    design, columns = _design(local), dict(drivers)
    whole = np.column_stack([design, local.dayofweek.to_numpy() >= 5, *columns.values()]).astype(np.float64)
    key = np.asarray(local.tz_localize(None).to_period("M").astype(str))
    level = np.zeros(n)
    for _ in range(3):
        beta = np.linalg.lstsq(whole, score - level, rcond=None)[0]
        residual = score - whole @ beta
        level = pd.Series(residual).groupby(key).transform("mean").to_numpy()
    residual = residual - level
    month, hour = local.month.to_numpy() - 1, local.hour.to_numpy()
    spread_month = _by(residual, month, 12, float(residual.std()))
    spread_hour = _by(residual / spread_month[month], hour, 24, 1.0)
    standard = residual / (spread_month[month] * spread_hour[hour])
    grid = _grid()
    season = (_design(grid) @ beta[: design.shape[1]]).reshape(12, 24)
    anchors = pd.Series(level).groupby(key).first()
    few = len(anchors) < 24  # with less than two years the level cannot be told from the season
    parts = _parts(standard, step_h)
    spread_var = float(np.mean(spread_month**2) * np.mean(spread_hour**2))
    level_std, level_tau_h = (
        (0.0, _LEVEL_TAUS_H[0]) if few else _level(np.asarray(anchors, dtype=np.float64), parts, spread_var)
    )
    model = ScoreModel(
        score=KNOTS,
        value=np.concatenate([[values.min()], np.quantile(values, PROBABILITIES), [values.max()]]),
        season=season,
        weekend=float(beta[design.shape[1]]),
        slopes={name: float(b) for name, b in zip(columns, beta[design.shape[1] + 1 :], strict=True)},
        spread_month=spread_month,
        spread_hour=spread_hour,
        parts=parts,
        level_std=level_std,
        level_tau_h=level_tau_h,
        anchors={} if few else {str(name): float(value) for name, value in anchors.items()},
    )
    return with_quantiles(model, local, step_h, drivers)


def _level(anchors: FloatArray, parts: tuple[tuple[float, float], ...], spread_var: float) -> tuple[float, float]:
    """Return standard deviation and correlation time [h] of the level whose monthly means vary as the anchors do.

    What the parts add to a monthly mean is taken off the anchors' variance; the time is that at which the covariance of one
    month with the next is the anchors'. Source of the variance of a mean of an OU process: Priestley, Spectral Analysis and
    Time Series, 1981, sec. 5.3.2, integrated.
    """
    centred = anchors - anchors.mean()
    covariance = float(np.mean(centred[:-1] * centred[1:]))
    rest = float(np.var(anchors)) - spread_var * sum(v * _mean_var(tau_h) for v, tau_h in parts)
    if rest <= 0.0:
        return 0.0, _LEVEL_TAUS_H[0]
    lagged = np.array([(tau / _MONTH_H * (1.0 - np.exp(-_MONTH_H / tau))) ** 2 for tau in _LEVEL_TAUS_H])
    of_mean = np.array([_mean_var(tau) for tau in _LEVEL_TAUS_H])
    at = int(np.argmin(np.abs(lagged / of_mean - covariance / rest)))
    return float(np.sqrt(rest / of_mean[at])), _LEVEL_TAUS_H[at]


def _mean_var(tau_h: float) -> float:
    """Return the variance of a month's mean of an OU process of unit variance."""
    r = tau_h / _MONTH_H
    return float(2.0 * r * (1.0 - r * (1.0 - np.exp(-1.0 / r))))


def with_quantiles(
    model: ScoreModel,
    local: pd.DatetimeIndex,
    step_h: float,
    drivers: dict[str, FloatArray],
    *,
    is_anchored: bool = False,
) -> ScoreModel:
    """Return the model with its knots moved so that long runs of it have the quantiles that its knots stand for.

    Args:
        model: A model whose scores are those of a standard normal at its probabilities.
        local: A clock of whole years, if possible.
        step_h: Its step. [h]
        drivers: Each driver on that clock.
        is_anchored: Whether the quantiles are those of the clock's own months, with their anchors, not of any months.
    """
    runs = [
        model.scores(local, step_h, drivers, np.random.default_rng([k, len(local)]), is_anchored=is_anchored)
        for k in range(max(2, int(12 * 8766 / (len(local) * step_h))))
    ]
    drawn = np.concatenate(runs)
    knots = np.quantile(drawn, PROBABILITIES)
    ends = (min(drawn.min(), knots[0]) - 0.5, max(drawn.max(), knots[-1]) + 0.5)
    score = np.maximum.accumulate(np.concatenate([[ends[0]], knots, [ends[1]]]) + 1e-9 * np.arange(len(knots) + 2))
    return replace(model, score=score)


def _design(local: pd.DatetimeIndex) -> FloatArray:
    """Return harmonics of year and day and their products, (n, 45)."""
    year = 2.0 * np.pi * (local.dayofyear.to_numpy() - 1 + local.hour.to_numpy() / 24.0) / 365.25
    day = 2.0 * np.pi * (local.hour.to_numpy() + 0.5) / 24.0
    annual = [np.ones(len(local))] + [f(k * year) for k in (1, 2) for f in (np.sin, np.cos)]
    diurnal = [np.ones(len(local))] + [f(k * day) for k in (1, 2, 3, 4) for f in (np.sin, np.cos)]
    return np.column_stack([a * d for a in annual for d in diurnal])


def _grid() -> pd.DatetimeIndex:
    """Return the hours of the middle day of each month of a year, month by month."""
    days = [pd.Timestamp(2023, month, 15) for month in range(1, 13)]
    return pd.DatetimeIndex([day + pd.Timedelta(hours=h) for day in days for h in range(24)])


def _by(values: FloatArray, group: npt.NDArray[np.int64], n: int, default: float) -> FloatArray:
    std = pd.Series(values).groupby(group).std().reindex(range(n)).fillna(default)
    return np.maximum(std.to_numpy(np.float64), 1e-3)


def autocorrelation(values: FloatArray, lag: int) -> float:
    """Return the autocorrelation of a series at a lag."""
    centred = values - values.mean()
    return float(np.mean(centred[:-lag] * centred[lag:]) / np.mean(centred * centred))


def parts_of(lags_h: FloatArray, correlations: FloatArray) -> tuple[tuple[float, float], ...]:
    """Return variances of the parts whose autocorrelation comes nearest to given ones."""
    basis = np.exp(-lags_h[:, None] / np.array(TAUS_H)[None, :])
    # One more row makes the variances add up to 1.
    rows = np.vstack([basis, 10.0 * np.ones(len(TAUS_H))])
    weights = optimize.nnls(rows, np.append(correlations, 10.0))[0]
    weights = weights / weights.sum()
    return tuple((float(w), tau) for w, tau in zip(weights, TAUS_H, strict=True) if w > 1e-3)


def _parts(standard: FloatArray, step_h: float) -> tuple[tuple[float, float], ...]:
    lags = np.unique(np.maximum(1, np.round(np.array([lag for lag in _LAGS_H if lag >= step_h]) / step_h)).astype(int))
    found = np.array([autocorrelation(standard, int(lag)) for lag in lags])
    return parts_of(lags * step_h, found)
