"""Price models from published figures, for markets whose series are not at hand."""

from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import special

from .fitting import autocorrelation, parts_of
from .scores import KNOTS, ScoreModel

FloatArray = npt.NDArray[np.float64]

_LEAST_PART: Final = 0.15
"""Least variance that is left to what dies out. chosen: below it a price would be its calendar."""


def from_figures(figures: dict[str, Any], slopes: dict[str, float], driver: ScoreModel | None = None) -> ScoreModel:
    """Return a model from published figures where the series itself is not at hand; its knots are still to be moved.

    Args:
        figures: quantiles {probability: value}, low, high, median_by_hour and p95_by_hour (24), median_by_month (12), ac (1 h,
            24 h, 168 h; of asinh(value/20)), weekend_ratio; level_std.
        slopes: Score per unit of each driver.
        driver: Model of the first driver, whose season and variance are taken off.
    """
    value, score = from_quantiles(figures["quantiles"], figures["low"], figures["high"]), KNOTS

    def latent(values: Any) -> FloatArray:
        return np.interp(np.asarray(values, dtype=np.float64), value + 1e-9 * np.arange(len(value)), score)

    hour, month = latent(figures["median_by_hour"]), latent(figures["median_by_month"])
    season = hour[None, :] + (month - month.mean())[:, None]
    spread = (latent(figures["p95_by_hour"]) - hour) / float(special.ndtri(0.95))
    level_std = float(figures.get("level_std", 0.3))
    known_var = level_std**2 + float(month.var())
    if driver is not None:
        slope = next(iter(slopes.values()))
        noise_var = np.outer(driver.spread_month**2, driver.spread_hour**2).mean(axis=0) + driver.level_std**2
        season = hour[None, :] - slope * driver.season.mean(axis=0)[None, :]
        season = np.repeat(season, 12, axis=0)
        known_var = slope**2 * (noise_var + driver.season.std(axis=0) ** 2)
        level_std = 0.0
    rest = np.sqrt(np.maximum(spread**2 - known_var, _LEAST_PART))
    return ScoreModel(
        score=score,
        value=value,
        season=season,
        weekend=float(latent(np.median(value) * figures["weekend_ratio"]) - latent(np.median(value))),
        slopes=slopes,
        spread_month=np.ones(12),
        spread_hour=rest,
        parts=_parts_from(figures["ac"], hour, float(np.mean(rest**2)), driver),
        level_std=level_std,
    )


def _parts_from(
    ac: dict[float, float], hour: FloatArray, rest_var: float, driver: ScoreModel | None
) -> tuple[tuple[float, float], ...]:
    """Return the parts that give a whole series its autocorrelations, beside what its season and drivers give."""
    lags = np.array(sorted(float(k) for k in ac))
    wanted = np.array([float(ac[k]) for k in sorted(ac)])
    seasonal = np.array([autocorrelation(np.tile(hour, 3), max(1, round(lag)) % 24 or 24) for lag in lags])
    other_var = 1.0 - rest_var
    slow = 0.97 if driver is None else 0.9
    # What is not the rest is season, level and driver: the season comes back daily, the others fade slowly.
    share = min(float(hour.var()) / max(other_var, 1e-6), 1.0)
    other = other_var * (share * seasonal + (1.0 - share) * slow ** (lags / 24.0))
    return parts_of(lags, np.clip((wanted - other) / rest_var, 0.0, 1.0))


def scaled_to(model: ScoreModel, quantiles: dict[float, float], low: float, high: float) -> ScoreModel:
    """Return a model of other quantiles; anchors are moved so that each month keeps its median."""
    fresh = from_quantiles(quantiles, low, high)
    moved = {}
    for name, level in model.anchors.items():
        season = float(model.season[int(name[5:]) - 1].mean())
        median = model.values(np.array([season + level]))
        moved[name] = float(np.interp(median, fresh, KNOTS)[0]) - season
    return replace(model, value=fresh, score=KNOTS, anchors=moved)


def from_quantiles(quantiles: dict[float, float], low: float, high: float) -> FloatArray:
    """Return the values at a model's knots from some quantiles, interpolated in asinh(value/20)."""
    given = sorted((float(p), float(v)) for p, v in quantiles.items())
    z = np.concatenate([[-5.0], special.ndtri(np.array([p for p, _ in given])), [5.0]])
    v = np.arcsinh(np.array([low, *[v for _, v in given], high]) / 20.0)
    return 20.0 * np.sinh(np.interp(KNOTS, z, v))
