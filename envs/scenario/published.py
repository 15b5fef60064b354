"""From a history to the series that forecasts read, and to what they say along it."""

import hashlib
import json
from dataclasses import asdict
from typing import Final

import numpy as np
import numpy.typing as npt

from ...forecast.fitting import FitConfig
from ...forecast.series import Published, PublishedSeries
from ...forecast.walk import walked
from ...sim.foundation import jit
from ...sim.foundation.constants import CONTROL_STEP_S
from ...sim.foundation.files import keep_arrays
from ...sim.history.history import COLUMNS, History, price_ahead
from ...sim.history.publication import day_ahead_until, settled_until
from ...sim.market.pools import Market
from ...sim.series import exogenous
from ...sim.series.exogenous import STEPS_PER_HOUR, PriceQuantiles

_PUBLISHED_APART = ("market_price_usd_per_mwh", "day_ahead_price_usd_per_mwh")


def published_series(history: History, market: Market) -> PublishedSeries:
    """Return a history's columns and a market's expected payout as published series.

    Weather, coin price, difficulty and fees are known while they are in force; prices as `sim.publication` says.
    """
    n_steps, n_ahead = len(history.frame), 0 if history.ahead is None else len(history.ahead)
    in_force = np.minimum(np.arange(1, n_steps + n_ahead + 1), n_steps)
    series = {}
    for name in (*COLUMNS, *history.channels):
        if name in history.frame:
            values = history.frame[name].to_numpy(np.float64)
            # Beyond the frame stands the last value, which nothing reads: it is not published.
            values = (
                price_ahead(history)
                if name == history.ahead_column
                else np.append(values, np.full(n_ahead, values[-1]))
            )
            series[name] = Published(values, _until(history, name, n_ahead) if name in _PUBLISHED_APART else in_force)
    hashprice = exogenous.hashprice(history, market)
    series["expected_hashprice_usd_per_ph_day"] = Published(
        np.append(hashprice, np.full(n_ahead, hashprice[-1])), in_force
    )
    return PublishedSeries(series, history.start, int(CONTROL_STEP_S), history.timezone)


def _until(history: History, name: str, n_ahead: int) -> npt.NDArray[np.int64]:
    """Return for each step the step before which a price is out, as far as the history holds it."""
    out = settled_until(history) if name == "market_price_usd_per_mwh" else day_ahead_until(history)
    held = len(history.frame) + (n_ahead if name == history.ahead_column else 0)
    return np.minimum(np.append(out, np.full(n_ahead, out[-1])), held)


WALK: Final = FitConfig(
    n_trees=150, learning_rate=0.08, min_child_weight=100.0, stopping_days=14, vintage_days=90, n_threads=1
)
"""How trees of the environments' forecast are grown. chosen: quicker than those of a bundle, since every drawn history needs its own models; one
thread, so that their sums do not depend on it."""

REVISION: Final = 1
"""Counts changes of what forecasts come to, so that kept ones are made anew."""

MOST_KEPT: Final = 200
"""Forecasts that the user's cache keeps. chosen: some 5 MB each."""


def price_quantiles(history: History, market: Market) -> PriceQuantiles:
    """Return what models of the past say of the market's price at the begin of every hour, from the user's cache where it was made before.

    Models are the project's: gradient-boosted quantiles, walk-forward (`forecast.walk`).
    """
    said = json.dumps([REVISION, history.hash, asdict(WALK)])
    path = jit.kept_folder("forecasts") / f"{hashlib.sha256(said.encode()).hexdigest()[:24]}.npz"
    try:
        with np.load(path, allow_pickle=False) as stored:
            return PriceQuantiles(int(stored["every"]), stored["usd_per_mwh"])
    except (OSError, ValueError, KeyError, EOFError):
        made = _made(history, market)
        keep_arrays(path, MOST_KEPT, every=made.every, usd_per_mwh=made.usd_per_mwh)
        return made


def _made(history: History, market: Market) -> PriceQuantiles:
    series, origins = published_series(history, market), np.arange(0, len(history.frame), STEPS_PER_HOUR)
    usd_per_mwh = walked(series, "market_price_usd_per_mwh", origins, WALK).astype(np.float32)
    return PriceQuantiles(STEPS_PER_HOUR, usd_per_mwh)
