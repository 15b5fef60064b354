"""What rules and planners make of published prices: ranks within the day, dear and cheap hours ahead, percentiles of days past.

Everything is a function of the known channels of the exogenous world at the same step or before: nothing sees the future.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..sim.contract.channels import BEGINS_DAY
from ..sim.contract.contract import RealTimeTariff
from ..sim.series.exogenous import CURVE_CHANNELS, STEPS_PER_DAY, STEPS_PER_HOUR
from ..sim.site.params import SiteParams
from ..sim.site.world import Exogenous

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


@dataclass(frozen=True, slots=True, eq=False)
class PriceFeatures:
    """Features of the market's price, (n_series, n_steps) each unless said otherwise. [USD/MWh]

    market: Last known price of the market, without what the tariff adds. hour: Price of the running hour by the known curve.
    dearer, cheaper: how many hours of this local day are dearer, or cheaper, than the running one by the curve. spread: mean of the
    day's two dearest hours less that of its two cheapest. dear_ahead, cheap_ahead: means of AHEAD, (len(AHEAD), …). high, low: percentiles of PAST, (len(PAST), …). today: curve of the
    24 hours from the local midnight on, (…, 24).
    """

    market: FloatArray
    hour: FloatArray
    dearer: FloatArray
    cheaper: FloatArray
    spread: FloatArray
    dear_ahead: FloatArray
    cheap_ahead: FloatArray
    high: FloatArray
    low: FloatArray
    today: FloatArray

    @classmethod
    def of(cls, exogenous: Exogenous, site: SiteParams) -> "PriceFeatures":
        """Compute them; where no curve is known the same hours of the day before stand for it."""
        market, curve = known_market(exogenous, site), known_curve(exogenous, site)
        begins = (exogenous.in_force("clock")[0].astype(np.int64) & BEGINS_DAY) > 0
        begins[0] = True
        first = np.maximum.accumulate(np.where(begins, np.arange(len(begins)), 0))
        today = curve[:, first]
        hour = curve[:, :, 0]
        ordered = np.sort(today[:, :, :24], axis=2)
        dear, cheap = [], []
        for hours, count in AHEAD:
            ahead = np.sort(curve[:, :, :hours], axis=2)
            dear.append(ahead[:, :, -count:].mean(axis=2))
            cheap.append(ahead[:, :, :count].mean(axis=2))
        parts = [
            market,
            hour,
            (today[:, :, :24] > hour[..., None]).sum(axis=2),
            (today[:, :, :24] < hour[..., None]).sum(axis=2),
        ]
        parts.append(ordered[:, :, -2:].mean(axis=2) - ordered[:, :, :2].mean(axis=2))
        high, low = _past(market)
        return cls(
            *(
                np.asarray(part, np.float32)
                for part in (*parts, np.stack(dear), np.stack(cheap), high, low, today[:, :, :24])
            )
        )


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


def _past(market: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return high and low percentiles of days past, (len(PAST), n_series, n_steps); quarter-hours are looked at."""
    stride = 3
    high = np.empty((len(PAST), *market.shape))
    low = np.empty_like(high)
    for k, (days, upper, lower) in enumerate(PAST):
        for series in range(len(market)):
            rolling = pd.Series(market[series, ::stride]).rolling(days * STEPS_PER_DAY // stride, min_periods=48)
            for target, share in ((high, upper), (low, lower)):
                values = rolling.quantile(share).bfill().to_numpy()
                target[k, series] = np.repeat(values, stride)[: market.shape[1]]
    return high, low
