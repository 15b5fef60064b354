"""From a history and a tariff to the exogenous world: what is in force, and beside it what is known of it.

Every known channel at step t is a function of what is published when step t begins. A test changes the future and
finds these channels unchanged.
"""

from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from .constants import CONTROL_STEP_S, SECONDS_PER_HOUR
from .errors import BadInputError
from .history import History
from .market import hashprice_usd_per_ph_day, subsidy_btc_at
from .power import Tariff, TimeOfUseTariff, known_price_usd_per_mwh
from .psychrometrics import wet_bulb_temp_c
from .state import SIM_CHANNELS, Exogenous

FloatArray = npt.NDArray[np.float64]

STEPS_PER_HOUR: Final = int(SECONDS_PER_HOUR / CONTROL_STEP_S)
STEPS_PER_DAY: Final = 24 * STEPS_PER_HOUR
WARM_UP_STEPS: Final = 2 * STEPS_PER_DAY
"""Steps at the start of a series in which trailing means and lagged prices are not yet complete: no episode there."""

FORECAST_EDGES_H: Final = (0, 1, 3, 6, 12, 24)
"""Borders of the spans ahead whose mean price is forecast. [h]"""

FORECASTS: Final = ("none", "persistence", "day_ahead")

FORECAST_CHANNELS: Final = tuple(
    f"price_forecast_{first}_{last}h_usd_per_mwh" for first, last in pairwise(FORECAST_EDGES_H)
)

_DAY_AHEAD_PUBLISHED_H: Final = 13.5
"""Local hour at which the day-ahead prices of the next day are out. Source: ERCOT posts DAM results by 13:30."""


def build(history: History, tariff: Tariff, forecast: str = "none") -> Exogenous:
    """Return the exogenous array of one series.

    Args:
        history: The history.
        tariff: What energy costs.
        forecast: "none"; "persistence" (the same span a day ago) or "day_ahead" (published day-ahead prices, where not
            yet out those of a day before).

    Raises:
        BadInputError: The forecast is unknown or needs a column that the history lacks.
    """
    if forecast not in FORECASTS:
        raise BadInputError(f"forecast is {forecast!r}; it must be one of {', '.join(FORECASTS)}")
    frame = history.frame
    settlement = tariff.settlement_usd_per_mwh(history)
    is_known_ahead = tariff.is_known_ahead(history)
    known = known_price_usd_per_mwh(settlement, history, is_known_ahead=is_known_ahead)
    in_force: dict[str, FloatArray] = {
        "outdoor_temp_c": frame["outdoor_temp_c"].to_numpy(np.float64),
        "wet_bulb_temp_c": wet_bulb_temp_c(
            frame["outdoor_temp_c"].to_numpy(np.float64), frame["relative_humidity_pct"].to_numpy(np.float64)
        ),
        "price_usd_per_mwh": settlement,
        "hashprice_usd_per_ph_day": hashprice(history),
    }
    channels: dict[str, FloatArray] = {
        "price_known_usd_per_mwh": known,
        "price_mean_1h_usd_per_mwh": _trailing_mean(known, STEPS_PER_HOUR),
        "price_mean_24h_usd_per_mwh": _trailing_mean(known, STEPS_PER_DAY),
        "hashprice_usd_per_ph_day": in_force["hashprice_usd_per_ph_day"],
        "outdoor_temp_c": in_force["outdoor_temp_c"],
        "wet_bulb_temp_c": in_force["wet_bulb_temp_c"],
        **_calendar(history),
    }
    if forecast == "persistence":
        channels.update(_persistence(settlement, history, is_known_ahead=is_known_ahead))
    elif forecast == "day_ahead":
        channels.update(_day_ahead(settlement, history, tariff))
    return Exogenous(
        np.stack([in_force[name] for name in SIM_CHANNELS], axis=1)[None],
        np.stack(list(channels.values()), axis=1)[None].astype(np.float32),
        tuple(channels),
    )


def hashprice(history: History) -> FloatArray:
    """Return the hashprice of each step of a history, (n_steps,). [USD/(PH/s)/day]"""
    frame = history.frame
    times = pd.DatetimeIndex(frame.index).tz_localize(None).to_numpy()
    return hashprice_usd_per_ph_day(
        frame["coin_price_usd"].to_numpy(np.float64),
        frame["difficulty"].to_numpy(np.float64),
        subsidy_btc_at(times),
        frame["fee_share"].to_numpy(np.float64),
    )


def _trailing_mean(values: FloatArray, n_steps: int) -> FloatArray:
    """Return the mean over the last n_steps values, the present one included; over fewer where there are no more."""
    return _span_mean(values, np.arange(len(values)) - n_steps + 1, np.arange(len(values)) + 1)


def _span_mean(values: FloatArray, first: npt.NDArray[np.int64], last: npt.NDArray[np.int64]) -> FloatArray:
    """Return the mean of values[first:last] for each pair; spans are cut at the array's start."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    first, last = np.maximum(first, 0), np.maximum(last, 1)
    return (total[last] - total[first]) / np.maximum(last - first, 1)


def _calendar(history: History) -> dict[str, FloatArray]:
    local = pd.DatetimeIndex(history.frame.index).tz_convert(history.timezone)
    day_frac = (local.hour + local.minute / 60.0).to_numpy() / 24.0
    week_frac = (local.dayofweek.to_numpy() + day_frac) / 7.0
    return {
        "hour_sin": np.sin(2.0 * np.pi * day_frac),
        "hour_cos": np.cos(2.0 * np.pi * day_frac),
        "weekday_sin": np.sin(2.0 * np.pi * week_frac),
        "weekday_cos": np.cos(2.0 * np.pi * week_frac),
    }


def _persistence(settlement: FloatArray, history: History, *, is_known_ahead: bool) -> dict[str, FloatArray]:
    """Forecast each span by the same span a day ago, moved back by the publication delay."""
    delay = 0 if is_known_ahead else history.price_interval_s // int(CONTROL_STEP_S)
    base = np.arange(len(settlement)) - STEPS_PER_DAY - delay
    result = {}
    for name, (first_h, last_h) in zip(FORECAST_CHANNELS, pairwise(FORECAST_EDGES_H), strict=True):
        result[name] = _span_mean(settlement, base + first_h * STEPS_PER_HOUR, base + last_h * STEPS_PER_HOUR)
    return result


def _day_ahead(settlement: FloatArray, history: History, tariff: Tariff) -> dict[str, FloatArray]:
    """Forecast each span by published day-ahead prices plus what the tariff adds to the market price.

    A tariff that is a calendar is its own forecast.
    """
    frame = history.frame
    if isinstance(tariff, TimeOfUseTariff):
        energy, published = settlement, np.full(len(settlement), len(settlement) + STEPS_PER_DAY)
    elif "day_ahead_price_usd_per_mwh" in frame:
        market = frame["day_ahead_price_usd_per_mwh"].to_numpy(np.float64)
        energy, published = market + tariff.adder_usd_per_mwh, _published_until(history)
    elif history.publication == "day_ahead":
        energy, published = settlement, _published_until(history)
    else:
        raise BadInputError("forecast 'day_ahead' needs the column 'day_ahead_price_usd_per_mwh' in the history")
    n_steps = len(energy)
    # Beyond what is published, and beyond the history's end, the price of a day before stands.
    a_day_before = np.concatenate([energy[:STEPS_PER_DAY], energy])
    total = np.concatenate([[0.0], np.cumsum(np.concatenate([energy, energy[-STEPS_PER_DAY:]]))])
    total_before = np.concatenate([[0.0], np.cumsum(a_day_before)])
    now = np.arange(n_steps)
    result = {}
    for name, (first_h, last_h) in zip(FORECAST_CHANNELS, pairwise(FORECAST_EDGES_H), strict=True):
        first, last = now + first_h * STEPS_PER_HOUR, now + last_h * STEPS_PER_HOUR
        middle = np.clip(published, first, last)
        sums = total[middle] - total[first] + total_before[last] - total_before[middle]
        result[name] = sums / (last - first)
    return result


def _published_until(history: History) -> npt.NDArray[np.int64]:
    """Return for each step the step until which day-ahead prices are out: end of the local day, or of the next."""
    local = pd.DatetimeIndex(history.frame.index).tz_convert(history.timezone)
    is_out = (local.hour + local.minute / 60.0).to_numpy() >= _DAY_AHEAD_PUBLISHED_H
    # Days are counted on the local calendar, so that a change of clocks does not move the border.
    until = local.tz_localize(None).normalize() + pd.to_timedelta(np.where(is_out, 2, 1), unit="D")
    until = until.tz_localize(history.timezone, ambiguous=np.ones(len(until), np.bool_), nonexistent="shift_forward")
    steps = (until.tz_convert("UTC") - history.start) // pd.Timedelta(seconds=CONTROL_STEP_S)
    return np.minimum(np.asarray(steps, dtype=np.int64), len(history.frame))
