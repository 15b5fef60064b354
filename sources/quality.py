"""What there is to say of an imported series: coverage, gaps, outliers, ranges, and signs of the usual mistakes."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from ..sim.history.history import STEP
from .mapping import Series

OUTLIER_STEP_PU: Final = 25.0
"""A value is called an outlier where it leaves both neighbours by more than this many typical steps. chosen: spikes of spot prices stay below."""
PAIRS_SHARE: Final = 0.45
"""Share of values that repeat the one before at which a series looks like means over two steps. chosen: such means repeat every other value."""
ZEROS: Final = 4
"""Prices of zero at the end of a series that look like prices not yet published, if no earlier run is as long. chosen: an hour of quarter hours."""
RUN: Final = 5
"""Equal values in a row that say nothing. chosen: quarter hours of an hourly price."""
WARMEST_HOURS: Final = (11, 19)
"""Local hours between which the mean day is warmest. Source: calibration of twelve places, 13 to 16."""
CLOCK_HINT: Final = (
    "the warmest hour of the mean day is {hour} local; it is 13 to 16 as a rule: is the time zone right?"
)


@dataclass(frozen=True, slots=True)
class Quality:
    """Quality of one column.

    rows: values in the files within the span; fresh_share: share of steps whose value is not older than the series' usual
    step; longest_hold_h: longest time over which a value was held; n_gaps: times it was held beyond its usual step;
    low, median, high: of the values; n_outliers: values that leave their neighbours and come back; warnings: in words; stale_days: days with a value older than the usual step.
    """

    column: str
    rows: int
    usual_step_h: float
    fresh_share: float
    longest_hold_h: float
    n_gaps: int
    low: float
    median: float
    high: float
    n_outliers: int
    warnings: tuple[str, ...]
    stale_days: tuple[str, ...]


def assess(
    series: Series, values: pd.Series, index: pd.DatetimeIndex, age_ns: np.ndarray, step_ns: np.ndarray, timezone: str
) -> Quality:
    """Judge a series.

    Args:
        series: Its entry in the mapping.
        values: Its values on UTC stamps.
        index: The steps of the history.
        age_ns: How long the value of each step has been held. [ns]
        step_ns: The step of the series at that place. [ns]
        timezone: Local time, for the check of clocks.
    """
    column = series.column
    inside = values[(values.index >= index[0] - pd.Timedelta(days=1)) & (values.index <= index[-1])]
    inside = values if inside.empty else inside
    usual_ns = float(np.median(step_ns)) or float(age_ns.max()) + 1.0
    stale = age_ns >= 1.5 * np.where(step_ns > 0, step_ns, usual_ns)
    numbers = inside.to_numpy(np.float64)
    return Quality(
        column=column,
        rows=len(inside),
        usual_step_h=usual_ns / 3.6e12,
        fresh_share=float(1.0 - stale.mean()),
        longest_hold_h=float((age_ns.max() + STEP.value) / 3.6e12),
        n_gaps=int(np.sum(np.diff(stale.astype(int), prepend=0) == 1)),
        low=float(numbers.min()),
        median=float(np.median(numbers)),
        high=float(numbers.max()),
        n_outliers=_outliers(numbers),
        warnings=(*_warnings(column, inside, timezone), *_doubts(series, values, index)),
        stale_days=tuple(f"{day:%Y-%m-%d}" for day in index[stale].normalize().unique()),
    )


def _outliers(numbers: np.ndarray) -> int:
    if len(numbers) < 3:
        return 0
    before, after = np.diff(numbers)[:-1], np.diff(numbers)[1:]
    typical = float(np.quantile(np.abs(np.diff(numbers)), 0.95))
    leaves = np.minimum(np.abs(before), np.abs(after)) > OUTLIER_STEP_PU * max(typical, 1e-12)
    return int(np.sum(leaves & (np.sign(before) != np.sign(after))))


def _warnings(column: str, values: pd.Series, timezone: str) -> list[str]:
    found = []
    numbers = values.to_numpy(np.float64)
    same = np.diff(numbers) == 0.0
    if len(same) > 48 and PAIRS_SHARE < same.mean() < 0.6 and not (same[1:] & same[:-1]).any():
        found.append("every other value repeats the one before: means over two steps?")
    run, longest = 0, 0
    for repeats in same:
        run = run + 1 if repeats else 0
        longest = max(longest, run)
    if (
        len(numbers) > 100
        and longest > max(0.02 * len(numbers), RUN)
        and column not in ("difficulty", "curtailment_call")
    ):
        found.append(f"one value stands {longest + 1} times in a row")
    if column == "outdoor_temp_c" and len(numbers) > 24 * 14:
        local = pd.DatetimeIndex(values.index).tz_convert(timezone)
        warmest = int(np.argmax(values.groupby(local.hour).mean().to_numpy()))
        if not WARMEST_HOURS[0] <= warmest <= WARMEST_HOURS[1]:
            found.append(CLOCK_HINT.format(hour=warmest))
    return found


def _doubts(series: Series, values: pd.Series, index: pd.DatetimeIndex) -> list[str]:
    """Return doubts that the mapping or the end of the files raise."""
    found = []
    zone = series.timezone
    if series.repeated == "once" and zone not in (None, "file"):
        offsets = pd.Series(index.tz_convert(zone).tz_localize(None) - index.tz_localize(None))
        for at in np.flatnonzero(offsets.diff() < pd.Timedelta(0)).tolist():
            found.append(
                f"autumn's second hour is missing and held on {index[at].tz_convert(zone):%Y-%m-%d} ('repeated: once'): is it so, "
                "or does the market keep one offset all year, as '+10:00'?"
            )
    if series.column.endswith("price_usd_per_mwh"):
        zero = values.to_numpy(np.float64) == 0.0
        ends = np.flatnonzero(np.diff(np.concatenate([[False], zero, [False]]).astype(np.int8)))
        runs = ends[1::2] - ends[::2]
        last = int(runs[-1]) if runs.size and zero[-1] else 0
        if last >= ZEROS and not (runs[:-1] >= last).any() and last < len(zero):
            found.append(
                f"the last {last} prices are 0, from {values.index[-last]:%Y-%m-%d %H:%M} UTC on: not yet published? End the span "
                "before them"
            )
    return found


def as_text(quality: tuple[Quality, ...]) -> str:
    """Return the report as a table with warnings below it."""
    lines = [
        f"{'column':30s} {'rows':>8s} {'step':>8s} {'fresh':>7s} {'gaps':>5s} {'longest':>8s} {'outliers':>8s} {'low':>12s} {'median':>12s} {'high':>12s}"
    ]
    for entry in quality:
        lines.append(
            f"{entry.column:30s} {entry.rows:8d} {entry.usual_step_h:6.2f} h {100 * entry.fresh_share:6.2f}% {entry.n_gaps:5d} "
            f"{entry.longest_hold_h:6.1f} h {entry.n_outliers:8d} {entry.low:12.5g} {entry.median:12.5g} {entry.high:12.5g}"
        )
    lines += [f"  {entry.column}: {text}" for entry in quality for text in entry.warnings]
    return "\n".join(lines)
