"""From a history to the series that forecasts read, and from a bundle to its forecaster."""

import numpy as np
import pandas as pd

from ..forecast.model import Forecaster
from ..forecast.series import Published, World
from ..sim import exogenous
from ..sim.constants import CONTROL_STEP_S
from ..sim.errors import BadInputError
from ..sim.history import COLUMNS, History
from ..sim.publication import day_ahead_until, settled_until

_PUBLISHED_LATER = ("price_usd_per_mwh", "day_ahead_price_usd_per_mwh")


def world_of(history: History) -> World:
    """Return a history's columns and its hashprice as published series.

    Weather, coin price, difficulty and fees are known while they are in force; prices as `sim.publication` says.
    """
    n_steps = len(history.frame)
    in_force = np.arange(1, n_steps + 1)
    series = {}
    for name in COLUMNS:
        if name in history.frame:
            until = in_force
            if name in _PUBLISHED_LATER:
                out = settled_until(history) if name == "price_usd_per_mwh" else day_ahead_until(history)
                until = np.minimum(out, n_steps)
            series[name] = Published(history.frame[name].to_numpy(np.float64), until)
    series["hashprice_usd_per_ph_day"] = Published(exogenous.hashprice(history), in_force)
    return World(series, history.start, int(CONTROL_STEP_S), history.timezone)


def read_forecaster(content: bytes, where: str) -> Forecaster:
    """Return the forecaster of a bundle; raises BadInputError that names the file if it is none."""
    try:
        return Forecaster.parse(content)
    except ValueError as error:
        raise BadInputError(f"{where}: {error}") from error


def step_of(history: History, stamp: pd.Timestamp) -> int:
    """Return the step of a history that a time lies in; it may be beyond the history's end."""
    return int((stamp - history.start) // pd.Timedelta(seconds=CONTROL_STEP_S))
