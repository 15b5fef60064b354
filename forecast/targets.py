"""What is forecast: each target with its transform, its base and its features."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from .features import LEADS_H, PRICE_SCALE_USD_PER_MWH, OriginView, spread
from .series import FloatArray, IntArray, PublishedSeries

_CALENDAR: Final = ("lead_h", "day_sin", "day_cos", "week_sin", "week_cos", "year_sin", "year_cos")


@dataclass(frozen=True, slots=True)
class Target:
    """A series that is forecast as transform(value) = transform(base) + what the trees add.

    base: a value that is known at the origin, (n_origins, n_leads); trees then need not extrapolate levels.
    """

    name: str
    unit: str
    transform: Callable[[FloatArray], FloatArray]
    inverse: Callable[[FloatArray], FloatArray]
    base: Callable[[OriginView], FloatArray]
    features: tuple[str, ...]


def _price_base(view: OriginView) -> FloatArray:
    """Return the published day-ahead price where there is one, else the price of the same hour a day before."""
    lag = view.at_lead("market_price_usd_per_mwh", 24)
    lag = np.where(np.isnan(lag), view.at_lead("market_price_usd_per_mwh", 48), lag)
    if "day_ahead_price_usd_per_mwh" not in view.world.series:
        return lag
    ahead = view.at_lead("day_ahead_price_usd_per_mwh")
    return np.where(np.isnan(ahead), lag, ahead)


def _identity(values: FloatArray) -> FloatArray:
    return values


_PRICE_FEATURES: Final = (
    *_CALENDAR, "price_latest", "price_mean_1h", "price_mean_6h", "price_mean_24h", "price_mean_168h", "price_lag_24h",
    "price_lag_48h", "price_lag_168h", "price_std_24h", "temp_latest", "temp_mean_24h", "temp_lag_24h", "temp_change_24h",
)  # fmt: skip
DAY_AHEAD_FEATURES: Final = ("day_ahead", "day_ahead_error_24h")
"""Features of the price that need a day-ahead market in the history."""

TARGETS: Final = {
    entry.name: entry
    for entry in (
        Target(
            "market_price_usd_per_mwh", "USD/MWh", spread, lambda values: PRICE_SCALE_USD_PER_MWH * np.sinh(values),
            _price_base, (*_PRICE_FEATURES, *DAY_AHEAD_FEATURES),
        ),
        Target(
            "expected_hashprice_usd_per_ph_day", "USD/(PH/s)/day", np.log, np.exp,
            lambda view: np.broadcast_to(view.latest("expected_hashprice_usd_per_ph_day"), (len(view.origin), view.lead.shape[1])),
            (
                "lead_h", "day_sin", "day_cos", "week_sin", "week_cos", "hashprice_over_mean_3h",
                "hashprice_over_mean_24h", "hashprice_over_mean_168h", "coin_over_mean_24h", "coin_over_mean_168h",
                "coin_volatility_24h", "fee_share_latest", "fee_share_mean_24h", "fee_share_mean_168h", "since_retarget_h",
            ),
        ),
        Target(
            "outdoor_temp_c", "°C", _identity, _identity, lambda view: view.at_lead("outdoor_temp_c", 24),
            (
                *_CALENDAR, "temp_latest", "temp_mean_3h", "temp_mean_24h", "temp_mean_168h", "temp_lag_24h",
                "temp_lag_48h", "temp_change_24h", "humidity_latest",
            ),
        ),
    )
}  # fmt: skip
"""Targets by name. The year's phase is not among hashprice's features: a coin has no season."""


def actual(world: PublishedSeries, name: str, origins: IntArray) -> FloatArray:
    """Return what came: the mean of each hour ahead, (n_origins, LEADS_H); every hour must lie inside the series."""
    hour = world.steps_per_hour
    first = origins[:, None] + np.arange(LEADS_H)[None, :] * hour
    total = np.concatenate([[0.0], np.cumsum(world.series[name].values)])
    return np.asarray((total[first + hour] - total[first]) / hour)


def base(world: PublishedSeries, target: Target, origins: IntArray) -> FloatArray:
    """Return the transformed base of a target, (n_origins, LEADS_H)."""
    view = OriginView(world, origins[:, None], np.arange(1, LEADS_H + 1)[None, :])
    return target.transform(target.base(view))


def miss_now(world: PublishedSeries, target: Target, origins: IntArray) -> FloatArray:
    """Return by how much the newest value differs from what the base says of the hour before, (n_origins, 1)."""
    view = OriginView(world, origins[:, None], np.zeros((1, 1), dtype=np.int64))
    return target.transform(view.latest(target.name)) - target.transform(target.base(view))


def known_hours(world: PublishedSeries, name: str, origins: IntArray) -> FloatArray:
    """Return the mean of each hour ahead that is wholly published at its origin, else NaN, (n_origins, LEADS_H)."""
    view = OriginView(world, origins[:, None], np.arange(1, LEADS_H + 1)[None, :])
    ends = view.origin + view.lead * view.hour
    return np.where(world.series[name].known_until[view.origin] >= ends, view.at_lead(name), np.nan)
