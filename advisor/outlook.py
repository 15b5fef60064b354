"""From a history to the series that forecasts read, and from a bundle to its forecaster."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..forecast.model import Forecaster
from ..forecast.series import Published, PublishedSeries
from ..sim.foundation.constants import CONTROL_STEP_S
from ..sim.foundation.errors import BadInputError
from ..sim.history.history import COLUMNS, History, price_ahead
from ..sim.history.publication import day_ahead_until, settled_until
from ..sim.market.pools import Market
from ..sim.series import exogenous

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


def read_forecaster(content: bytes, where: str) -> Forecaster:
    """Return the forecaster of a bundle; raises BadInputError that names the file if it is none."""
    try:
        return Forecaster.parse(content)
    except ValueError as error:
        raise BadInputError(f"{where}: {error}") from error


def step_of(history: History, stamp: pd.Timestamp) -> int:
    """Return the step of a history that a time lies in; it may be beyond the history's end."""
    return int((stamp - history.start) // pd.Timedelta(seconds=CONTROL_STEP_S))
