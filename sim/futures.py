"""The exogenous world of many futures that begin where a history stands."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from . import exogenous
from .exogenous import STEPS_PER_DAY, WARM_UP_STEPS
from .history import STEP, History
from .power import Tariff
from .psychrometrics import wet_bulb_temp_c
from .publication import day_ahead_until
from .state import Exogenous

FloatArray = npt.NDArray[np.float64]


def build(history: History, origin: int, tariff: Tariff, forecast: str, paths: dict[str, FloatArray]) -> Exogenous:
    """Return the world from step `origin` of a history on, one series for each path.

    Nothing of the history is read that is not known at the origin. What an operator will know inside a future follows
    from the path as it follows from a history: prices are published after their interval, means trail. Day-ahead prices
    that are not yet out are taken as the mean of the paths, and the humidity of an hour as that of a day before.

    Args:
        history: The history; it may end at the origin or go on.
        origin: Step at which the futures begin, two days or more after the history's start.
        tariff: What energy costs.
        forecast: Forecast channels, as `exogenous.build` has them.
        paths: price_usd_per_mwh (of the market), hashprice_usd_per_ph_day and outdoor_temp_c, each (n_paths, n_steps),
            for the steps from `origin` on; a day at most.

    Raises:
        ValueError: The origin has too little history before it, or the paths are longer than a day.
    """
    n_steps = paths["price_usd_per_mwh"].shape[1]
    if origin < WARM_UP_STEPS or n_steps > STEPS_PER_DAY:
        raise ValueError(
            f"origin is step {origin}, paths have {n_steps} steps; there must be {WARM_UP_STEPS} before it and {STEPS_PER_DAY} at most"
        )
    past = history.frame.iloc[origin - WARM_UP_STEPS : origin]
    clock = _clock(history, origin, past, paths)
    humidity_pct = clock.frame["relative_humidity_pct"].to_numpy(np.float64)
    outdoor_temp_c = _joined(past["outdoor_temp_c"], paths["outdoor_temp_c"])
    columns = {
        "outdoor_temp_c": outdoor_temp_c,
        "wet_bulb_temp_c": wet_bulb_temp_c(outdoor_temp_c, np.broadcast_to(humidity_pct, outdoor_temp_c.shape)),
        "price_usd_per_mwh": _joined(past["price_usd_per_mwh"], paths["price_usd_per_mwh"]),
        "hashprice_usd_per_ph_day": _joined(
            exogenous.hashprice(replace(history, frame=past)), paths["hashprice_usd_per_ph_day"]
        ),
    }
    whole = exogenous.build(clock, tariff, forecast, columns)
    return Exogenous(whole.values[:, WARM_UP_STEPS:].copy(), whole.known[:, WARM_UP_STEPS:].copy(), whole.channels)


def _clock(history: History, origin: int, past: pd.DataFrame, paths: dict[str, FloatArray]) -> History:
    """Return two days of history and the futures' span after it, with what all futures share."""
    n_steps = paths["price_usd_per_mwh"].shape[1]
    stamps = pd.date_range(history.frame.index[0] + STEP * origin, periods=n_steps, freq=STEP)
    ahead = pd.DataFrame({name: past[name].iloc[-1] for name in past}, index=stamps)
    ahead["relative_humidity_pct"] = past["relative_humidity_pct"].to_numpy()[-STEPS_PER_DAY:][:n_steps]
    if "day_ahead_price_usd_per_mwh" in past:
        day_ahead = paths["price_usd_per_mwh"].mean(axis=0)
        out = int(day_ahead_until(replace(history, frame=history.frame.iloc[origin - 1 : origin + 1]))[-1]) + origin - 1
        published = history.frame["day_ahead_price_usd_per_mwh"].to_numpy(np.float64)[
            origin : min(out, origin + n_steps)
        ]
        day_ahead[: len(published)] = published
        ahead["day_ahead_price_usd_per_mwh"] = day_ahead
    return replace(history, frame=pd.concat([past, ahead]))


def _joined(past: pd.Series | FloatArray, ahead: FloatArray) -> FloatArray:
    """Return a shared past followed by each path, (n_paths, steps of both)."""
    before = np.broadcast_to(np.asarray(past, dtype=np.float64), (len(ahead), len(past)))
    return np.concatenate([before, ahead], axis=1)
