"""When prices are out: for each step of a history, the step before which a price is published."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..foundation.constants import CONTROL_STEP_S
from .history import History, price_ahead

IntArray = npt.NDArray[np.int64]


def day_ahead_until(history: History) -> IntArray:
    """Return for each step the step before which day-ahead prices are out: end of the local day, or of the next.

    The result may lie beyond the history's end.
    """
    local = pd.DatetimeIndex(history.frame.index).tz_convert(history.timezone)
    is_out = (local.hour + local.minute / 60.0).to_numpy() >= history.published_h
    # Days are counted on the local calendar, so that a change of clocks does not move the border.
    until = local.tz_localize(None).normalize() + pd.to_timedelta(np.where(is_out, 2, 1), unit="D")
    until = until.tz_localize(history.timezone, ambiguous=np.ones(len(until), np.bool_), nonexistent="shift_forward")
    steps = (until.tz_convert("UTC") - history.start) // pd.Timedelta(seconds=CONTROL_STEP_S)
    return np.asarray(steps, dtype=np.int64)


def settled_until(history: History) -> IntArray:
    """Return for each step the step before which settlement prices are out.

    A price that settles after its interval is out from the interval's end on, so inside an interval (of the market's
    local clock) those of the intervals before are. A day-ahead market's are out as `day_ahead_until` says.
    """
    if history.publication == "day_ahead":
        return day_ahead_until(history)
    local = pd.DatetimeIndex(history.frame.index).tz_convert(history.timezone).tz_localize(None)
    offset = (local.as_unit("s").asi8 % history.price_interval_s) // int(CONTROL_STEP_S)
    return np.arange(len(local)) - offset


def ahead_until(history: History, step: int) -> int:
    """Return the step before which day-ahead prices are out at one step, as `day_ahead_until` does for all."""
    first = max(step - 1, 0)
    return (
        int(day_ahead_until(replace(history, frame=history.frame.iloc[first : first + 2], ahead=None))[step - first])
        + first
    )


def until(history: History, step: int) -> History:
    """Return what of a history is there at a step: rows up to it, and the prices that are published ahead."""
    frame = history.frame.iloc[: step + 1]
    if history.ahead_column not in frame:
        return replace(history, frame=frame, ahead=None)
    out = min(ahead_until(history, step), len(price_ahead(history)))
    ahead = price_ahead(history)[step + 1 : out]
    return replace(history, frame=frame, ahead=ahead if len(ahead) else None)
