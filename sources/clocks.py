"""Time stamps of all kinds to UTC: in one column or several, local with or without change of clocks, begin or end of an interval."""

import re
from collections.abc import Callable
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from ..sim.foundation.errors import BadInputError
from .mapping import Series
from .tables import Table

Where = Callable[[int], str]

NOT_A_TIME: Final = "is no unambiguous time stamp"

_OFFSET: Final = r"[T ]\d\d.*(?:[+-]\d\d(?::?\d\d)?|Z)$"
"""What ends a stamp that states its offset: a time, then the offset; a date alone has none."""
_MARK: Final = r"\s*(?:\(([A-Z]{3,5})\)|(?<=\s)([A-Z]{3,5})|(\*))$"
"""What ends a stamp that says which clock it is of: (CET), EST, or the * of the hour that autumn repeats."""
_LAST_HOUR_OF_CLOCK: Final = r"(?:(?<=[ T])|^)24(?=(?::00)+(?:$|[Z+\- ]))"
_LAST_HOUR: Final = rf"{_LAST_HOUR_OF_CLOCK}|(?<=\d[ T])24$"
"""The hour that ends a day, written as its twenty-fourth: with minutes, or alone where nothing but an hour can stand there."""
_SPELLED: Final = re.compile(r"(?:%[ZzbBaA]|[A-Za-z()])\s*$(?<!%[a-zA-Z])|%[ZzbBaA]\s*$")
"""What ends a format that has the mark in it, or names of months or days."""
_HOUR: Final = r"^\s*(?:HE?\s*)?(\d{1,2})(?::(\d{2})(?::\d{2})?)?\s*$"
"""An hour in a column of its own: 7, 07:15, 24:00, HE07."""
_UNITS_BY_DIGITS: Final = {10: "s", 13: "ms", 16: "us", 19: "ns"}
"""Unit of a number since 1970 by its digits; so for the years 2001 to 2286."""
_RUN: Final = 4
"""Equal steps that make a step of a series; fewer are gaps. chosen: an hour of quarter hours."""


def to_utc(
    frame: pd.DataFrame, series: Series, table: Table, where: Where, needed: np.ndarray | None = None
) -> pd.DatetimeIndex:
    """Return the UTC times at which the intervals of some rows begin.

    Args:
        frame: The rows.
        series: Says in which columns the stamps stand and how to read them.
        table: The file: the offset and zone that it states, for `timezone: file`.
        where: Names a row.
        needed: Which rows count; an empty value's stamp may be one that does not exist, as spring's hour. All by default.

    Raises:
        BadInputError: Names the first row whose stamp cannot be read, does not exist on its clock or is ambiguous.
    """
    needed = np.ones(len(frame), np.bool_) if needed is None else needed
    if not needed.any():
        return pd.DatetimeIndex([pd.NaT] * len(frame), tz="UTC")
    stamps = _Stamps(frame, series, table, where, needed)
    parsed, marks = stamps.parsed()
    if series.stamp == "hour_ending" and not isinstance(series.time, dict):
        parsed = parsed - pd.Timedelta(seconds=series.interval_s or 3600.0)
    zone = table.offset if series.timezone == "file" else series.timezone
    if parsed.dt.tz is not None:
        if zone is not None and not series.zone_is_default:
            raise BadInputError(f"{where(0)}, {stamps.column}: stamps carry an offset; remove 'timezone'")
        times = pd.DatetimeIndex(parsed.dt.tz_convert("UTC"))
    elif zone is None:
        first = int(np.flatnonzero(needed)[0])
        raise BadInputError(
            f"{where(first)}, {stamps.column}: {stamps.text(first)!r} has no offset; say 'timezone', for example UTC"
        )
    else:
        times = stamps.localized(parsed, marks, zone)
    if series.stamp == "end":
        times = times - stamps.lengths(times)
    return times + pd.Timedelta(hours=series.shift_h)


class _Stamps:
    """The stamps of a file: what stands in it, and how messages name it."""

    def __init__(self, frame: pd.DataFrame, series: Series, table: Table, where: Where, needed: np.ndarray) -> None:
        self.frame, self.series, self.table, self.where, self.needed = frame, series, table, where, needed
        self.columns = series.time_columns
        self.column = "column " + ", ".join(map(repr, self.columns))

    def text(self, row: int) -> str:
        return " ".join(str(self.frame[name].iloc[row]).strip() for name in self.columns)

    def refuse(self, bad: np.ndarray, why: str) -> None:
        rows = np.flatnonzero(bad)
        if rows.size:
            row = int(rows[0])
            raise BadInputError(f"{self.where(row)}, {self.column}: {self.text(row)!r} {why}")

    def parsed(self) -> tuple[pd.Series, pd.Series | None]:
        """Return the stamps, naive or in UTC, and the mark of the clock that each carries, if any does."""
        series = self.series
        if isinstance(series.time, dict):
            parsed, marks = self._parts(series.time), None
        elif len(self.columns) == 1 and pd.api.types.is_datetime64_any_dtype(self.frame[self.columns[0]].dtype):
            parsed, marks = self.frame[self.columns[0]], None
        elif (unit := self._unit()) is not None:
            parsed, marks = self._since_1970(unit), None
        else:
            parsed, marks = self._texts()
        self.refuse(parsed.isna().to_numpy() & self.needed, self._unread())
        return parsed, marks

    def _unread(self) -> str:
        """Return what is said of a stamp that could not be read, with how it was tried."""
        if self.series.time_format is not None:
            return f"{NOT_A_TIME} of time_format {self.series.time_format!r}"
        if self.series.time_unit is not None:
            return f"{NOT_A_TIME} in {self.series.time_unit} since 1970; numbers of 10 digits are s, of 13 ms, of 16 us, of 19 ns"
        return NOT_A_TIME

    def _unit(self) -> str | None:
        """Return the unit of stamps that are numbers since 1970: as declared, else "auto" where digits tell it."""
        if self.series.time_unit is not None or self.series.time_format is not None or len(self.columns) > 1:
            return self.series.time_unit
        digits = self.frame[self.columns[0]].astype(str).str.strip().str.replace(r"\.0*$", "", regex=True)[self.needed]
        if not digits.str.fullmatch(r"\d{10}|\d{13}|\d{16}|\d{19}").all():
            return None
        hours = pd.to_datetime(digits, format="%Y%m%d%H", errors="coerce")
        if hours.notna().mean() > 0.5:  # an hour 24 is none
            first = int(np.flatnonzero(self.needed)[0])
            raise BadInputError(
                f"{self.where(first)}, {self.column}: {self.text(first)!r} may be a date with an hour or seconds since 1970; "
                "say time_format: '%Y%m%d%H' or time_unit: s"
            )
        return "auto"

    def _since_1970(self, unit: str) -> pd.Series:
        numbers = pd.to_numeric(self.frame[self.columns[0]], errors="coerce")
        if unit != "auto":
            return pd.to_datetime(numbers, unit=unit, errors="coerce", utc=True)  # type: ignore[call-overload]
        result = pd.Series(pd.NaT, index=numbers.index, dtype="datetime64[ns, UTC]")
        sizes = numbers.fillna(0.0).abs().astype("int64").astype(str).str.len()
        for digits, one in _UNITS_BY_DIGITS.items():
            these = (sizes == digits) & numbers.notna()
            result[these] = pd.to_datetime(numbers[these].astype("int64"), unit=one, utc=True).astype(  # type: ignore[call-overload]
                "datetime64[ns, UTC]"
            )
        return result

    def _texts(self) -> tuple[pd.Series, pd.Series | None]:
        text = self.frame[self.columns[0]].astype(str).str.strip()
        for name in self.columns[1:]:
            text = text + " " + self.frame[name].astype(str).str.strip()
        if self.series.time_split is not None:
            text = text.str.split(self.series.time_split, n=1, regex=False).str[0].str.strip()
        form = self.series.time_format or "ISO8601"
        text, marks, is_utc = self._without_marks(text, form)
        last_hour = _LAST_HOUR if form.endswith("%H") or self.series.time_format is None else _LAST_HOUR_OF_CLOCK
        is_last = text.str.contains(last_hour, regex=True)
        if is_last.any():
            text = text.str.replace(last_hour, "00", regex=True)
        # Of a format the format tells: a date behind a time looks like an offset.
        has_offset = np.full(len(text), "%z" in form)
        if self.series.time_format is None:
            has_offset = text.str.contains(_OFFSET, regex=True).to_numpy()
        is_aware = bool(has_offset[self.needed].any())
        parsed = pd.to_datetime(text, errors="coerce", format=form, utc=is_aware or is_utc)
        mixed = parsed.notna().to_numpy() & ~has_offset & is_aware
        self.refuse(self.needed & mixed, "has no offset; other rows have one")
        return parsed + pd.to_timedelta(is_last.astype(int), unit="D"), marks

    def _without_marks(self, text: pd.Series, form: str) -> tuple[pd.Series, pd.Series | None, bool]:
        """Return stamps without the marks of their clocks, the marks if there are any, and whether all are of UTC."""
        found = text.str.extract(_MARK)
        if _SPELLED.search(form) or not found.notna().to_numpy().any():
            return text, None, False
        marks = found[0].fillna(found[1]).fillna(found[2])
        bare = text.str.replace(_MARK, "", regex=True)
        if marks[self.needed].isin(["UTC", "GMT"]).all() and self.series.timezone in (None, "UTC", "file"):
            return bare, None, True
        return bare, marks, False

    def _parts(self, parts: dict[str, Any]) -> pd.Series:
        """Return stamps put together from columns for date, or year, month and day, and hour, minute and interval."""
        if "date" in parts:
            form = self.series.time_format or "ISO8601"
            day = pd.to_datetime(self.frame[parts["date"]].astype(str).str.strip(), format=form, errors="coerce")
        else:
            fields = {
                name: pd.to_numeric(self.frame[parts[name]], errors="coerce") for name in ("year", "month", "day")
            }
            day = pd.to_datetime(pd.DataFrame(fields), errors="coerce")
        clock = pd.DataFrame(0.0, index=self.frame.index, columns=["hour", "minute"])
        if "hour" in parts:
            found = self.frame[parts["hour"]].astype(str).str.replace(r"\.0+$", "", regex=True).str.extract(_HOUR)
            clock = found.astype(float).set_axis(["hour", "minute"], axis=1).fillna({"minute": 0.0})
        if "minute" in parts:
            clock["minute"] = pd.to_numeric(self.frame[parts["minute"]], errors="coerce")
        clock = clock.where((clock["hour"] <= 24) & (clock["minute"] < 60))
        seconds = 3600.0 * clock["hour"] + 60.0 * clock["minute"]
        length_s = self.series.interval_s or 3600.0
        if "interval" in parts:
            number = pd.to_numeric(self.frame[parts["interval"]], errors="coerce")
            seconds += (number.where(number >= 1) - 1.0) * length_s
            length_s = 3600.0  # the hour is what has the ending number
        if self.series.stamp == "hour_ending":
            seconds -= length_s
        return day + pd.to_timedelta(seconds, unit="s")

    def localized(self, parsed: pd.Series, marks: pd.Series | None, zone: str) -> pd.DatetimeIndex:
        series, local = self.series, pd.DatetimeIndex(parsed)
        stated = self.table.zone if series.timezone == "file" else None
        try:
            is_repeated = _is_repeated(local, zone)
            self._refuse_local_clock(local, stated)
            marks = self._of_two_clocks(marks, local, zone)
            if marks is not None:
                is_summer = self._is_summer(marks, local, zone)
            elif isinstance(series.repeated, dict):
                is_second = np.logical_and.reduce(
                    [self.frame[name].astype(str).str.strip() == str(said) for name, said in series.repeated.items()]
                )
                # The column speaks of the interval; the clock at the end of its first hour's last part has gone back already.
                is_summer = ~(is_second | (_is_second_pass(local, is_repeated) if series.stamp == "end" else False))
            else:
                is_summer = ~_is_second_pass(local, is_repeated)
            ambiguous = (
                "NaT" if series.repeated == "refuse" and marks is None else is_summer | (series.repeated == "once")
            )
            times = local.tz_localize(zone, ambiguous=ambiguous, nonexistent="NaT")  # type: ignore[arg-type]
        except (KeyError, OSError, ValueError) as error:
            if isinstance(error, BadInputError):
                raise
            raise BadInputError(
                f"{series.origin}: timezone {zone!r} of {series.column!r} is none; write a name like Europe/Berlin or an offset like '+10:00'"
            ) from error
        self.refuse(
            np.asarray(times.isna()) & self.needed,
            f"{NOT_A_TIME} in {zone}: clocks change then. A market may keep one offset all year, as '+10:00': say it as timezone. "
            "If its clocks do change, 'repeated' says whether autumn's hour stands twice or once, or which column tells; "
            "hours that are numbered 1 to 24 are stamp: hour_ending",
        )
        if series.repeated == "twice" and marks is None:
            alone = is_repeated & ~_is_told(local, is_repeated)
            self.refuse(alone, "stands once; autumn repeats it, and 'repeated: twice' promises both")
        return times.tz_convert("UTC")

    def _of_two_clocks(self, marks: pd.Series | None, local: pd.DatetimeIndex, zone: str) -> pd.Series | None:
        """Return marks that tell two clocks apart, None where the zone has one; marks of two clocks cannot be of one offset."""
        if marks is None or (marks == "*").any() or _abbreviations(zone, local.dropna()):
            return marks
        there = sorted(set(marks[self.needed].dropna()))
        if len(there) > 1:
            raise BadInputError(
                f"{self.where(0)}, {self.column}: stamps carry {' and '.join(there)}, clocks of two offsets, and timezone {zone!r} has one; "
                "name the zone, for example America/New_York"
            )
        return None

    def _is_summer(self, marks: pd.Series, local: pd.DatetimeIndex, zone: str) -> np.ndarray:
        """Tell for each stamp whether its mark is of summer time; refuse marks that are not of the zone."""
        if (marks == "*").any():
            return np.asarray(marks != "*")
        known = _abbreviations(zone, local.dropna())
        strange = marks.notna() & ~marks.isin(list(known))
        there = ", ".join(known) or "none"
        self.refuse(strange.to_numpy() & self.needed, f"has a mark that {zone} does not know; there are {there}")
        is_summer = marks.map(known).eq(True).to_numpy(np.bool_)
        sure = local.tz_localize(zone, ambiguous=is_summer, nonexistent="NaT")
        is_one = np.asarray(sure == local.tz_localize(zone, ambiguous=~is_summer, nonexistent="NaT"))
        other = is_one & marks.notna().to_numpy() & (_is_summer_time(sure, zone) != is_summer)
        self.refuse(
            other & self.needed, f"is not of the clock that {zone} keeps then; if the market keeps one offset, say it"
        )
        # A stamp without a mark is ambiguous in autumn's hour: that of a zone that marks it must carry one.
        alone = _is_repeated(local, zone) & marks.isna().to_numpy()
        self.refuse(
            alone & self.needed, f"{NOT_A_TIME} in {zone}: autumn repeats it, and it has no mark as others have"
        )
        return is_summer

    def _refuse_local_clock(self, local: pd.DatetimeIndex, stated: str | None) -> None:
        """Refuse stamps that change their clock in a file that states one offset for all of them."""
        if stated is None or len(local) < 3:
            return
        try:
            times = local.tz_localize(stated, ambiguous=True, nonexistent="NaT")
        except (KeyError, OSError, ValueError):
            return
        if times.hasnans:
            return  # an hour that the clock of the zone leaves out: the stamps keep the stated offset
        steps = np.diff(local.as_unit("s").asi8)
        moves = np.diff(_offsets(times).as_unit("s").asi8) != 0
        changes = (moves & (steps != np.median(steps))) | (steps <= 0)
        if changes.any():
            row = int(np.flatnonzero(changes)[0]) + 1
            raise BadInputError(
                f"{self.where(row)}, {self.column}: {self.text(row)!r}: the clock of {stated} changes here, and the file states "
                f"one offset, {self.table.offset}, for all its stamps; ask the service for timezone=GMT, or say timezone: {stated} "
                "and 'repeated: twice'"
            )

    def lengths(self, times: pd.DatetimeIndex) -> pd.TimedeltaIndex:
        """Return the length of the interval that ends at each stamp."""
        if self.series.interval_s is not None:
            return pd.to_timedelta(np.full(len(times), self.series.interval_s), unit="s")
        known = np.flatnonzero(times.notna())
        order = known[np.argsort(times.asi8[known], kind="stable")]
        if len(order) < 2:
            raise BadInputError(
                f"{self.where(0)}, {self.column}: one stamp that ends an interval does not say how long that is; say 'interval_s'"
            )
        steps = own_steps(times.as_unit("ns").asi8[order])
        lengths = np.zeros(len(times), np.int64)
        lengths[order] = np.concatenate([steps[:1], steps[:-1]])
        return pd.to_timedelta(lengths, unit="ns")


def own_steps(stamps_ns: np.ndarray) -> np.ndarray:
    """Return for each stamp the step of the series at that place: a series may go from hours to quarter hours.

    A step that stands four times running is a step of the series; others are gaps, or repeats that a format omits, and
    take the step before them. A series without any takes its median.

    Args:
        stamps_ns: Stamps in order of time, (n,). [ns]

    Examples:
        >>> own_steps(np.array([0, 4, 8, 12, 16, 17, 18, 19, 20, 22, 23])).tolist()
        [4, 4, 4, 4, 1, 1, 1, 1, 1, 1, 1]
    """
    if len(stamps_ns) < 2:
        return np.zeros(len(stamps_ns), np.int64)
    steps = np.diff(stamps_ns)
    begins = np.flatnonzero(np.diff(steps, prepend=steps[0] - 1))
    runs = np.diff(np.append(begins, len(steps)))
    is_own = np.repeat((runs >= _RUN) & (steps[begins] > 0), runs)
    if not is_own.any():
        return np.full(len(stamps_ns), np.int64(np.median(steps)))
    last_own = np.maximum.accumulate(np.where(is_own, np.arange(len(steps)), -1))
    last_own[last_own < 0] = int(np.argmax(is_own))
    own = steps[last_own]
    return np.append(own, own[-1])


def _abbreviations(zone: str, times: pd.DatetimeIndex) -> dict[str, bool]:
    """Return the abbreviations that a zone's two clocks carry, and whether each is of summer time; none of a zone with one clock."""
    found: dict[str, bool] = {}
    if zone[:1] in "+-":
        return found
    place = ZoneInfo(zone)
    for year in range(times.min().year, times.max().year + 1):
        days = [pd.Timestamp(year, month, 15, tz=place) for month in (1, 7)]
        summer = max(day.utcoffset() for day in days)  # type: ignore[type-var]
        if days[0].utcoffset() != days[1].utcoffset():
            found |= {str(day.tzname()): day.utcoffset() == summer for day in days}
    return found


def _offsets(times: pd.DatetimeIndex) -> pd.TimedeltaIndex:
    """Return how far the clock of each time is ahead of UTC."""
    return times.tz_localize(None) - times.tz_convert("UTC").tz_localize(None)


def _is_summer_time(times: pd.DatetimeIndex, zone: str) -> np.ndarray:
    """Tell for each time whether its clock is the later of the year's two."""
    years = pd.Series(times.year)
    winter = {
        year: min(pd.Timestamp(int(year), month, 15, tz=zone).utcoffset() for month in (1, 7))  # type: ignore[type-var]
        for year in years.dropna().unique()
    }
    return np.asarray(pd.Series(_offsets(times)) > pd.to_timedelta(years.map(winter)))


def _is_repeated(local: pd.DatetimeIndex, zone: str) -> np.ndarray:
    """Tell for each stamp whether autumn's change of clocks repeats it."""
    first, second = (
        local.tz_localize(zone, ambiguous=np.full(len(local), is_summer), nonexistent="NaT")
        for is_summer in (True, False)
    )
    return np.asarray(first != second) & ~np.asarray(first.isna())


def _passes(local: pd.DatetimeIndex, is_repeated: np.ndarray) -> pd.Series:
    """Count for each stamp of autumn's hour how often the clock has gone back within it, in order of time."""
    rows = np.flatnonzero(is_repeated)
    if local[0] > local[-1]:
        rows = rows[::-1]
    wall = pd.Series(local.as_unit("s").asi8[rows], index=rows)
    days = pd.Series(local[rows].normalize(), index=rows)
    back = wall.groupby(days, sort=False).diff() <= 0
    # The end of the hour's first half stands at its begin's name and comes after it.
    return back.groupby(days, sort=False).cumsum()


def _is_second_pass(local: pd.DatetimeIndex, is_repeated: np.ndarray) -> np.ndarray:
    """Tell for each stamp whether it is of the second time that autumn has its hour."""
    second = np.zeros(len(local), np.bool_)
    if is_repeated.any():
        passes = _passes(local, is_repeated)
        second[passes.index[passes > 0]] = True
    return second


def _is_told(local: pd.DatetimeIndex, is_repeated: np.ndarray) -> np.ndarray:
    """Tell for each stamp of autumn's hour whether its day has both times of it."""
    told = np.zeros(len(local), np.bool_)
    if is_repeated.any():
        passes = _passes(local, is_repeated)
        days = pd.Series(local[passes.index].normalize(), index=passes.index)
        both = passes.groupby(days, sort=False).transform("max") > 0
        told[both.index[both]] = True
    return told


def ordered(values: pd.Series, series: Series, where: Where) -> pd.Series:
    """Return values in order of time; repeated stamps are refused unless the mapping says otherwise.

    Rows that stand in another order, as newest first, are sorted: nothing is lost.

    Raises:
        BadInputError: Names the rows that share a stamp.
    """
    stamps = pd.DatetimeIndex(values.index)
    values = values.sort_index(kind="stable")
    again = np.flatnonzero(values.index.duplicated(keep="first"))
    for row in again.tolist():
        one, twin = (where(int(at)) for at in np.flatnonzero(stamps == values.index[row])[:2])
        first = one.rpartition(", ")[2]
        place = f"{twin}, column {', '.join(map(repr, series.time_columns))}: {values.index[row]} stands twice (also {first})"
        if values.iloc[row] != values.iloc[row - 1]:
            raise BadInputError(
                f"{place} with different values, {values.iloc[row - 1]:g} and {values.iloc[row]:g}; if rows of "
                "several places stand in one file, 'where' says which count; 'duplicates: same' drops equal ones only"
            )
        if series.duplicates != "same":
            raise BadInputError(
                f"{place}; 'duplicates: same' drops rows that repeat a stamp with the same value, "
                "'where' chooses rows by a column"
            )
    return values[~values.index.duplicated(keep="first")]


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
