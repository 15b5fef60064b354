"""Time stamps of all kinds to UTC: ISO or not, local with or without change of clocks, begin or end of an interval."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd

from ..sim.foundation.errors import BadInputError
from .mapping import Series

Where = Callable[[int], str]

NOT_A_TIME: Final = "is no unambiguous time stamp"


_OFFSET: Final = r"[T ]\d\d.*(?:[+-]\d\d(?::?\d\d)?|Z)$"
"""What ends a stamp that states its offset: a time, then the offset; a date alone has none."""


def to_utc(
    column: pd.Series, series: Series, offset: str | None, where: Where, needed: np.ndarray | None = None
) -> pd.DatetimeIndex:
    """Return the UTC times at which the intervals of some rows begin.

    Args:
        column: The stamps as they stand in the file.
        series: Says how to read them.
        offset: Offset that the file states, for `timezone: file`.
        where: Names a row.
        needed: Which rows count; an empty value's stamp may be one that does not exist, as spring's hour. All by default.

    Raises:
        BadInputError: Names the first row whose stamp cannot be read, does not exist on its clock or is ambiguous.
    """
    needed = np.ones(len(column), np.bool_) if needed is None else needed
    if not needed.any():
        return pd.DatetimeIndex([pd.NaT] * len(column), tz="UTC")
    parsed = _parsed(column, series, where, needed)
    zone = offset if series.timezone == "file" else series.timezone
    if zone is None:
        times = _aware(parsed, column, series, where)
    else:
        times = _localized(parsed, column, series, zone, where, needed)
    if series.stamp == "end" and len(times) > 1:
        usual = pd.Series(times).diff().median()
        times = times - usual
    return times + pd.Timedelta(hours=series.shift_h)


def _parsed(column: pd.Series, series: Series, where: Where, needed: np.ndarray) -> pd.Series:
    if series.time_unit is not None:
        numbers = pd.to_numeric(column, errors="coerce")
        unit: Any = series.time_unit
        parsed = pd.to_datetime(numbers, unit=unit, errors="coerce", utc=True)
    elif pd.api.types.is_datetime64_any_dtype(column.dtype):
        parsed = column
    else:
        text = column.astype(str)
        if series.time_split is not None:
            text = text.str.split(series.time_split, n=1, regex=False).str[0].str.strip()
        form = series.time_format or "ISO8601"
        has_offset = text.str.contains(_OFFSET, regex=True).to_numpy()
        is_aware = bool(has_offset[needed].any())
        parsed = pd.to_datetime(text, errors="coerce", format=form, utc=is_aware)
        mixed = parsed.notna().to_numpy() & ~has_offset & is_aware
        _refuse(needed & mixed, column, series, where, "has no offset; other rows have one")
    _refuse(parsed.isna().to_numpy() & needed, column, series, where, NOT_A_TIME)
    return parsed


def _aware(parsed: pd.Series, column: pd.Series, series: Series, where: Where) -> pd.DatetimeIndex:
    if parsed.dt.tz is None:
        raise BadInputError(
            f"{where(0)}, column {series.time!r}: {column.iloc[0]!r} has no offset; say 'timezone', for example UTC"
        )
    return pd.DatetimeIndex(parsed.dt.tz_convert("UTC"))


def _localized(
    parsed: pd.Series, column: pd.Series, series: Series, zone: str, where: Where, needed: np.ndarray
) -> pd.DatetimeIndex:
    if parsed.dt.tz is not None:
        raise BadInputError(f"{where(0)}, column {series.time!r}: stamps carry an offset; remove 'timezone'")
    local = pd.DatetimeIndex(parsed)
    try:
        is_repeated = _is_repeated(local, zone)
        if series.repeated == "twice":
            ambiguous: object = _second_time(local)
        elif series.repeated == "once":
            ambiguous = np.ones(len(local), np.bool_)
        else:
            ambiguous = "NaT"
        times = local.tz_localize(zone, ambiguous=ambiguous, nonexistent="NaT")  # type: ignore[arg-type]
    except (KeyError, OSError, ValueError) as error:
        raise BadInputError(f"{series.where}: timezone {zone!r} of {series.column!r} is unknown ({error})") from error
    hint = f"{NOT_A_TIME} in {zone}: clocks change then; say 'repeated' if autumn's hour stands twice or once"
    _refuse(np.asarray(times.isna()) & needed, column, series, where, hint)
    if series.repeated == "twice":
        alone = is_repeated & ~pd.Series(local).duplicated(keep=False).to_numpy()
        _refuse(alone, column, series, where, "stands once; autumn repeats it, and 'repeated: twice' promises both")
    return times.tz_convert("UTC")


def _is_repeated(local: pd.DatetimeIndex, zone: str) -> np.ndarray:
    """Tell for each stamp whether autumn's change of clocks repeats it."""
    first, second = (
        local.tz_localize(zone, ambiguous=np.full(len(local), is_summer), nonexistent="NaT")
        for is_summer in (True, False)
    )
    return np.asarray(first != second) & ~np.asarray(first.isna())


def _second_time(local: pd.DatetimeIndex) -> np.ndarray:
    """Tell for each stamp whether it is of summer time: of equal ones, the first is."""
    return ~pd.Series(local).duplicated().to_numpy()


def _refuse(bad: np.ndarray, column: pd.Series, series: Series, where: Where, why: str) -> None:
    rows = np.flatnonzero(bad)
    if rows.size:
        row = int(rows[0])
        raise BadInputError(f"{where(row)}, column {series.time!r}: {column.iloc[row]!r} {why}")


def ordered(values: pd.Series, series: Series, where: Where) -> pd.Series:
    """Return values in order of time; repeated or backward stamps are refused unless the mapping says otherwise.

    Raises:
        BadInputError: Names the row that stands twice or before its forerunner.
    """
    stamps = pd.DatetimeIndex(values.index)
    if series.duplicates == "same":
        values = values.sort_index(kind="stable")
        again = np.flatnonzero(values.index.duplicated(keep="first"))
        for row in again.tolist():
            if values.iloc[row] != values.iloc[row - 1]:
                one, twin = (where(int(at)) for at in np.flatnonzero(stamps == values.index[row])[:2])
                raise BadInputError(
                    f"{one} and {twin}, column {series.time!r}: {values.index[row]} stands twice with different values, "
                    f"{values.iloc[row - 1]:g} and {values.iloc[row]:g}; 'duplicates: same' drops equal ones only"
                )
        return values[~values.index.duplicated(keep="first")]
    steps = np.diff(stamps.asi8)
    twice = "stands twice; 'duplicates: same' drops rows that repeat a stamp with the same value"
    for bad, what in ((steps == 0, twice), (steps < 0, "is earlier than the row before")):
        if bad.any():
            row = int(np.flatnonzero(bad)[0]) + 1
            raise BadInputError(f"{where(row)}, column {series.time!r}: {stamps[row]} {what}")
    return values


def spread_over(values: pd.Series, first: pd.Timestamp, last: pd.Timestamp) -> pd.Series:
    """Return a typical year's values on every year of a span; 29 February takes those of the day before."""
    stamps = pd.DatetimeIndex(values.index)
    if stamps[-1] - stamps[0] > pd.Timedelta(days=366) or stamps.has_duplicates:
        raise BadInputError(f"a typical year is one year; the values run from {stamps[0]} to {stamps[-1]}")
    has_leap_day = bool(((stamps.month == 2) & (stamps.day == 29)).any())
    parts = []
    for year in range(first.year - 1, last.year + 2):
        moved = pd.to_datetime(
            {
                "year": np.full(len(stamps), year),
                "month": stamps.month,
                "day": stamps.day,
                "hour": stamps.hour,
                "minute": stamps.minute,
            },
            utc=True,
            errors="coerce",
        )
        part = pd.Series(values.to_numpy(), index=pd.DatetimeIndex(moved))
        part = part[part.index.notna()]
        leap = pd.Timestamp(year, 2, 28, tz="UTC") + pd.Timedelta(days=1)
        if leap.month == 2 and not has_leap_day:
            day = part[(part.index >= leap - pd.Timedelta(days=1)) & (part.index < leap)]
            part = pd.concat([part, day.set_axis(pd.DatetimeIndex(day.index) + pd.Timedelta(days=1))])
        parts.append(part)
    return pd.concat(parts).sort_index()
