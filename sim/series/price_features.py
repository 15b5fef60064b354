"""What rules and planners make of published prices: ranks within the day, dear and cheap hours ahead, percentiles of days past.

Everything is a function of the known channels of the exogenous world at the same step or before: nothing sees the future.
"""

from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contract.channels import BEGINS_DAY
from ..contract.contract import RealTimeTariff
from ..site.params import SiteParams
from ..site.world import Exogenous
from .exogenous import CURVE_CHANNELS, STEPS_PER_DAY, STEPS_PER_HOUR

FloatArray = npt.NDArray[np.float32]

AHEAD: Final = ((8, 1), (12, 2), (18, 2), (24, 1), (24, 2), (24, 3), (34, 2), (34, 4))
"""Hours ahead, and how many of the dearest (and cheapest) known ones among them are averaged. chosen."""

PAST: Final = (
    (1, 0.9, 0.1),
    (1, 0.95, 0.2),
    (3, 0.8, 0.2),
    (3, 0.9, 0.1),
    (3, 0.95, 0.15),
    (7, 0.9, 0.1),
    (7, 0.95, 0.2),
    (7, 0.97, 0.1),
)
"""Days past, and the high and the low percentile of their known prices. chosen."""


SEEN: Final = (
    "curve_now_usd_per_mwh",
    "hours_dearer",
    "hours_cheaper",
    "day_spread_usd_per_mwh",
    "dear_price_usd_per_mwh",
    "cheap_price_usd_per_mwh",
)
"""What a rule for a battery sees of published prices. curve_now: price of the running hour by the known curve; hours_dearer, hours_cheaper:
hours of this local day that are dearer, or cheaper, by the curve; day_spread: mean of the day's two dearest hours less that of its two cheapest;
dear_price, cheap_price: means of the dearest and the cheapest hours ahead, or percentiles of days past."""

TODAY: Final = tuple(f"curve_{hour:02d}h_usd_per_mwh" for hour in range(24))
"""The known curve of the 24 hours from the local midnight on, seen where reserve is sold."""


class PriceFeatures:
    """Features of the market's price, computed when they are first asked for, (n_series, n_steps) each unless said otherwise. [USD/MWh]

    Attributes:
        market: Last known price of the market, without what the tariff adds.
        today: Known curve of the 24 hours from the local midnight on, (n_series, n_steps, 24).
    """

    def __init__(self, exogenous: Exogenous, site: SiteParams) -> None:
        """Take the world; where no curve is known the same hours of the day before stand for it."""
        self.market = known_market(exogenous, site).astype(np.float32)
        self._curve = known_curve(exogenous, site)
        begins = (exogenous.in_force("clock")[0].astype(np.int64) & BEGINS_DAY) > 0
        begins[0] = True
        first = np.maximum.accumulate(np.where(begins, np.arange(len(begins)), 0))
        self.today = self._curve[:, first][:, :, :24].astype(np.float32)
        self._varied: dict[tuple[str, int], FloatArray] = {}

    @cached_property
    def of_day(self) -> FloatArray:
        """The first four of SEEN, (4, n_series, n_steps)."""
        hour, ordered = self._curve[:, :, 0], np.sort(self.today, axis=2)
        dearer = (self.today > hour[..., None]).sum(axis=2)
        cheaper = (self.today < hour[..., None]).sum(axis=2)
        spread = ordered[:, :, -2:].mean(axis=2) - ordered[:, :, :2].mean(axis=2)
        return np.stack([hour, dearer, cheaper, spread]).astype(np.float32)

    def ahead(self, variant: int) -> FloatArray:
        """Return the means of the dearest and of the cheapest known hours ahead, of AHEAD[variant], (2, n_series, n_steps)."""
        if ("ahead", variant) not in self._varied:
            hours, count = AHEAD[variant]
            ordered = np.sort(self._curve[:, :, :hours], axis=2)
            both = ordered[:, :, -count:].mean(axis=2), ordered[:, :, :count].mean(axis=2)
            self._varied["ahead", variant] = np.stack(both).astype(np.float32)
        return self._varied["ahead", variant]

    def past(self, variant: int) -> FloatArray:
        """Return the high and the low percentile of days past, of PAST[variant], (2, n_series, n_steps)."""
        if ("past", variant) not in self._varied:
            self._varied["past", variant] = _past(self.market, *PAST[variant])
        return self._varied["past", variant]


def seen_of(site: SiteParams) -> tuple[str, ...]:
    """Return the names of what the operator's rule sees of published prices on a site: nothing where there is no battery."""
    if site.battery is None and site.contract.reserve is None:
        return ()
    return SEEN + (TODAY if site.contract.reserve is not None else ())


def seen_channels(features: PriceFeatures, site: SiteParams, *, is_past: bool, variant: int) -> FloatArray:
    """Return what the rule sees as known channels, (n_series, n_steps, n_seen).

    Args:
        features: Of the world.
        site: The site.
        is_past: Whether the rule's dear and cheap prices are percentiles of days past.
        variant: Which of PAST or AHEAD.
    """
    prices = features.past(variant) if is_past else features.ahead(variant)
    seen = np.moveaxis(np.concatenate([features.of_day, prices]), 0, 2)
    return seen if site.contract.reserve is None else np.concatenate([seen, features.today], axis=2)


def with_seen(exogenous: Exogenous, of: Exogenous, site: SiteParams, how: tuple[bool, int] | None) -> Exogenous:
    """Return a world with what the operator's rule sees of published prices behind its known channels.

    Args:
        exogenous: The world.
        of: A world of the same series that holds the curve which the rule looks at.
        site: The site.
        how: `is_past` and `variant` of `seen_channels`; None adds nothing.
    """
    names = () if how is None else seen_of(site)
    if how is None or not names:
        return exogenous
    seen = seen_channels(PriceFeatures(of, site), site, is_past=how[0], variant=how[1])
    return Exogenous(exogenous.values, np.concatenate([exogenous.known, seen], axis=2), (*exogenous.channels, *names))


def known_market(exogenous: Exogenous, site: SiteParams) -> npt.NDArray[np.float64]:
    """Return the last known price of the market at each step, without what the tariff adds, (n_series, n_steps). [USD/MWh]"""
    known = exogenous.known[:, :, exogenous.column("known_energy_price_usd_per_mwh")].astype(np.float64)
    return _without_tariff(known, site)


def _without_tariff(price: npt.NDArray[np.float64], site: SiteParams) -> npt.NDArray[np.float64]:
    tariff = site.contract.energy
    if isinstance(tariff, RealTimeTariff):
        return np.asarray((price - tariff.adder_usd_per_mwh) / (1.0 + tariff.markup_frac))
    return price


def known_curve(exogenous: Exogenous, site: SiteParams) -> FloatArray:
    """Return the known price of the market in each hour ahead, the running one first, (n_series, n_steps, hours). [USD/MWh]

    Where none is published the same hours of the last days stand for it.
    """
    market = known_market(exogenous, site)
    if CURVE_CHANNELS[0] in exogenous.channels:
        at = exogenous.column(CURVE_CHANNELS[0])
        curve = exogenous.known[:, :, at : at + len(CURVE_CHANNELS)]
        return _without_tariff(curve.astype(np.float64), site).astype(np.float32)
    hourly = market[:, : market.shape[1] // STEPS_PER_HOUR * STEPS_PER_HOUR]
    means = hourly.reshape(len(market), -1, STEPS_PER_HOUR).mean(axis=2)
    hour = np.arange(market.shape[1]) // STEPS_PER_HOUR
    # A day before is known: two days before, where the hour ahead lies beyond what a day before tells.
    back = [np.maximum(0, hour + k - 24 * (1 + (k >= 23))) for k in range(len(CURVE_CHANNELS))]
    return np.stack([means[:, np.minimum(at, means.shape[1] - 1)] for at in back], axis=2).astype(np.float32)


def _past(market: FloatArray, days: int, upper: float, lower: float) -> FloatArray:
    """Return a high and a low percentile of days past, (2, n_series, n_steps); quarter-hours are looked at."""
    stride, found = 3, np.empty((2, *market.shape), np.float32)
    for series, prices in enumerate(market):
        rolling = pd.Series(prices[::stride].astype(np.float64)).rolling(days * STEPS_PER_DAY // stride, min_periods=48)
        for target, share in zip(found, (upper, lower), strict=True):
            values = rolling.quantile(share).bfill().to_numpy()
            target[series] = np.repeat(values, stride)[: market.shape[1]]
    return found
