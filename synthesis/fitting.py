"""From a series to its model of normal scores: season and drivers, level, spreads, memory and quantiles."""

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize, special

from .scores import KNOTS, PROBABILITIES, ScoreModel

FloatArray = npt.NDArray[np.float64]

TAUS_H: Final = (0.5, 2.0, 8.0, 24.0, 72.0, 240.0)
"""Correlation times among which a fit shares the variance. [h] chosen: about a factor of three apart, from an interval to ten days."""

_MONTH_H: Final = 730.5  # by definition, a twelfth of a year of 365.25 days
_FULL_MONTH_H: Final = 0.9 * 28.0 * 24.0
"""Least hours of a month from which its level is known. chosen."""
_LEAST_MONTHS: Final = 24
"""Months from which the level can be told from the season."""
_LEVEL_TAUS_H: Final = (240.0, 360.0, 540.0, 800.0, 1200.0, 1800.0, 2700.0, 4000.0)
"""Correlation times among which a fit chooses that of the slow level. [h] chosen: half as long again each, from ten days to half a year."""

_LAGS_H: Final = (0.25, 0.5, 1.0, 2.0, 3.0, 6.0, 12.0, 18.0, 24.0, 48.0, 96.0, 168.0)
"""Lags at which the autocorrelation is fitted. [h] chosen: from a quarter of an hour to a week."""
_QUANTILE_STRIDE: Final = 5
"""Every fifth time is looked at for quantiles: all hours and weekdays are among them."""


def fit(
    values: FloatArray,
    local: pd.DatetimeIndex,
    step_h: float,
    drivers: dict[str, FloatArray],
    *,
    has_level: bool = True,
) -> ScoreModel:
    """Fit a model to a series.

    Season and drivers by least squares on harmonics (two a year, four a day and their products), the level as the
    residual's mean by calendar month, spreads as its standard deviations, parts by non-negative least squares on the
    residual's autocorrelation; knots so that a long run of the model has the quantiles of the values.

    Args:
        values: The series, (n,), without gaps.
        local: Its local times.
        step_h: Its step. [h]
        drivers: Series that it leans on, (n,) each.
        has_level: Whether its months are those of real years, which have a level of their own; two years of them at least.

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
    full = pd.Series(1.0, key).groupby(level=0).sum() * step_h >= _FULL_MONTH_H
    has_level = has_level and int(full.sum()) >= _LEAST_MONTHS
    level = np.zeros(n)
    for _ in range(3):
        beta = np.linalg.lstsq(whole, score - level, rcond=None)[0]
        residual = score - whole @ beta
        if has_level:
            level = pd.Series(residual).groupby(key).transform("mean").to_numpy()
    residual = residual - level
    month, hour = local.month.to_numpy() - 1, local.hour.to_numpy()
    spread_month = _by(residual, month, 12, float(residual.std()))
    spread_hour = _by(residual / spread_month[month], hour, 24, 1.0)
    standard = residual / (spread_month[month] * spread_hour[hour])
    grid = _grid()
    season = (_design(grid) @ beta[: design.shape[1]]).reshape(12, 24)
    anchors = pd.Series(level).groupby(key).first()
    anchors = anchors[full.reindex(anchors.index)] if has_level else anchors[:0]
    parts = _parts(standard, step_h)
    spread_var = float(np.mean(spread_month**2) * np.mean(spread_hour**2))
    level_std, level_tau_h = 0.0, _LEVEL_TAUS_H[0]
    if has_level:
        level_std, level_tau_h = _level(np.asarray(anchors, dtype=np.float64), parts, spread_var)
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
        anchors={str(name): float(value) for name, value in anchors.items()},
    )
    return with_quantiles(model, local, drivers)


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
    model: ScoreModel, local: pd.DatetimeIndex, drivers: dict[str, FloatArray], *, is_anchored: bool = False
) -> ScoreModel:
    """Return the model with its knots moved to the quantiles of its own scores, which are a mixture of normals.

    Args:
        model: A model whose knots stand for KNOTS of a standard normal.
        local: A clock of whole years, if possible.
        drivers: Each driver on that clock.
        is_anchored: Whether the quantiles are those of the clock's own months, with their anchors, not of any months.
    """
    mean, std = (
        np.asarray(part)[::_QUANTILE_STRIDE] for part in model.moments(local, drivers, is_anchored=is_anchored)
    )
    wanted = special.ndtr(KNOTS)
    low, high = (np.full(len(KNOTS), edge) for edge in (float((mean - 6 * std).min()), float((mean + 6 * std).max())))
    for _ in range(40):  # bisection
        middle = 0.5 * (low + high)
        share = special.ndtr((middle[:, None] - mean[None, :]) / std[None, :]).mean(axis=1)
        low, high = np.where(share < wanted, middle, low), np.where(share < wanted, high, middle)
    return replace(model, score=0.5 * (low + high))


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
