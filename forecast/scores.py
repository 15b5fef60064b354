"""Judge a forecaster on held-out time against the naive forecasts that it has to beat."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .features import LEADS_H, OriginView
from .model import QUANTILES, Forecaster
from .paths import interval, joint_paths
from .series import FloatArray, IntArray, PublishedSeries
from .targets import actual

NAIVE: Final = ("persistence", "lag_24h", "lag_168h")
MODEL: Final = "xgboost"

SPANS: Final = {"1": slice(0, 1), "24": slice(LEADS_H - 1, LEADS_H), "1-24": slice(0, LEADS_H)}
"""Hours ahead that are judged: the first, the last, and all of them together."""

_BOOTSTRAP: Final = 2000
_BLOCK_H: Final = 168
"""Resampled blocks are whole weeks: errors of neighbouring origins hang together."""


def naive(world: PublishedSeries, name: str, origins: IntArray) -> dict[str, FloatArray]:
    """Return the naive forecasts of the hours ahead, each (n_origins, LEADS_H).

    persistence: the newest published value. lag_24h, lag_168h: the same hour a day and a week before, as far as it is
    published, else persistence. day_ahead: the published day-ahead price, else lag_24h; where there is such a market.
    """
    view = OriginView(world, origins[:, None], np.arange(1, LEADS_H + 1)[None, :])
    shape = (len(origins), LEADS_H)
    persistence = np.broadcast_to(view.latest(name), shape)
    result = {"persistence": persistence}
    for lag_h in (24, 168):
        lagged = view.at_lead(name, lag_h)
        result[f"lag_{lag_h}h"] = np.where(np.isnan(lagged), persistence, lagged)
    if name == "market_price_usd_per_mwh" and "day_ahead_price_usd_per_mwh" in world.series:
        ahead = view.at_lead("day_ahead_price_usd_per_mwh")
        result["day_ahead"] = np.where(np.isnan(ahead), result["lag_24h"], ahead)
    return result


def rows(
    forecaster: Forecaster, world: PublishedSeries, origins: IntArray, n_paths: int, history: str
) -> list[dict[str, Any]]:
    """Return the scores of every target over the origins, in the form of docs/forecast.json.

    A row's `hours` says which hours ahead it is about: "1", "24" or all of them, "1-24". mae_skill_pct is by how many
    percent the error lies below that of the best of persistence, lag 24 h and lag 168 h over the same hours.

    Args:
        forecaster: Fitted before the first origin, or refitted in between: each origin is answered by what was fitted
            before it.
        world: The series, a day beyond the last origin.
        origins: Where forecasts are made, equally spaced.
        n_paths: Paths whose interval is judged beside the quantiles'.
        history: Hash of the history.
    """
    weeks = (origins - origins[0]) // (_BLOCK_H * world.steps_per_hour)
    result: list[dict[str, Any]] = []
    covered = _covered_by_paths(forecaster, world, origins, n_paths)
    for name in forecaster.vintages:
        came, quantiles = actual(world, name, origins), forecaster.quantiles(world, name, origins)
        errors = {key: np.abs(value - came) for key, value in naive(world, name, origins).items()}
        errors[MODEL] = np.abs(quantiles[:, :, 1] - came)

        def add(model: str, metric: str, values: npt.NDArray[np.floating], name: str = name) -> None:
            for hours, leads in SPANS.items():
                result.append(
                    _row(name, hours, model, metric, history, _by_week(values[:, leads].mean(axis=1), None, weeks))
                )

        for model, error in errors.items():
            add(model, "mae", error)
        for hours, leads in SPANS.items():
            ours, *others = (errors[model][:, leads].mean(axis=1) for model in (MODEL, *NAIVE))
            best = min(others, key=lambda error: float(error.mean()))
            result.append(_row(name, hours, MODEL, "mae_skill_pct", history, _by_week(ours, best, weeks)))
        add(MODEL, "pinball", _pinball(quantiles, came))
        if name == "expected_hashprice_usd_per_ph_day":  # the others may be 0
            add(MODEL, "mape_pct", 100.0 * errors[MODEL] / came)
        add(MODEL, "coverage_80_pct", 100.0 * _inside(came, quantiles[:, :, 0], quantiles[:, :, -1]))
        add("paths", "coverage_80_pct", 100.0 * covered[name])
    return result


def _row(
    target: str, hours: str, model: str, metric: str, history: str, figures: tuple[float, float, float]
) -> dict[str, Any]:
    value, low, high = figures
    return {
        "target": target,
        "horizon_h": int(hours.split("-")[-1]),
        "hours": hours,
        "model": model,
        "metric": metric,
        "value": value,
        "lo": low,
        "hi": high,
        "history": history,
    }


def _covered_by_paths(
    forecaster: Forecaster, world: PublishedSeries, origins: IntArray, n_paths: int
) -> dict[str, FloatArray]:
    """Return whether each hour came inside the 80 % interval of the paths, by target, (n_origins, LEADS_H)."""
    covered: dict[str, list[FloatArray]] = {name: [] for name in forecaster.vintages}
    for origin in origins:
        paths = joint_paths(forecaster, world, int(origin), n_paths)
        for name, entries in covered.items():
            low, high = interval(paths.hourly(name), 0.8)
            came = actual(world, name, np.array([origin]))[0]
            entries.append(_inside(came, low, high))
    return {name: np.array(entries) for name, entries in covered.items()}


def _inside(came: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Return 1 where a value lies in its interval; what is known ahead lies in one of no width, up to rounding."""
    slack = 1e-9 * np.abs(came)
    return ((came >= low - slack) & (came <= high + slack)).astype(np.float64)


def _pinball(quantiles: FloatArray, came: FloatArray) -> FloatArray:
    """Return the mean pinball loss over the quantiles, (n_origins, LEADS_H)."""
    level = np.array(QUANTILES)
    miss = came[:, :, None] - quantiles
    return np.asarray(np.maximum(level * miss, (level - 1.0) * miss).mean(axis=2))


def median_miss(forecasters: Sequence[Forecaster], world: PublishedSeries, name: str, origins: IntArray) -> FloatArray:
    """Return the absolute error of the median, mean over forecasters of several seeds, (n_origins, LEADS_H)."""
    came = actual(world, name, origins)
    return np.asarray(np.mean([np.abs(f.quantiles(world, name, origins)[:, :, 1] - came) for f in forecasters], axis=0))


def gains_pct(
    without: FloatArray, with_more: FloatArray, origins: IntArray, steps_per_hour: int
) -> dict[str, tuple[float, float, float]]:
    """Return by how many percent one error lies below another, both (n_origins, LEADS_H), with 95 % interval, by hours ahead."""
    weeks = (origins - origins[0]) // (_BLOCK_H * steps_per_hour)
    return {
        hours: _by_week(with_more[:, leads].mean(axis=1), without[:, leads].mean(axis=1), weeks)
        for hours, leads in SPANS.items()
    }


def _by_week(values: FloatArray, over: FloatArray | None, weeks: IntArray) -> tuple[float, float, float]:
    """Return mean and 95 % interval by a bootstrap over whole weeks; with `over`, of the percent by which it lies below."""
    counts = np.bincount(weeks).astype(np.float64)
    sums = np.bincount(weeks, values)
    base = counts if over is None else np.bincount(weeks, over)
    picks = np.random.default_rng(0).integers(0, len(counts), (_BOOTSTRAP, len(counts)))
    ratio = sums[picks].sum(axis=1) / base[picks].sum(axis=1)
    whole = sums.sum() / base.sum()
    if over is not None:
        ratio, whole = 100.0 * (1.0 - ratio), 100.0 * (1.0 - whole)
    low, high = np.quantile(ratio, [0.025, 0.975])
    return float(whole), float(low), float(high)
