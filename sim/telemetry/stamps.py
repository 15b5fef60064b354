"""Times of readings: with their offset, or with the time zone that is given for all of them."""

from typing import Final
from zoneinfo import ZoneInfo

import pandas as pd

from ..foundation.errors import BadInputError

_FIRST: Final = pd.Timestamp("1970-01-01", tz="UTC")
_LAST: Final = pd.Timestamp("2200-01-01", tz="UTC")
"""Readings are of computers' time, and of no far future."""


def utc_stamps(values: pd.Series, timezone: str | None) -> pd.Series:
    """Return times in UTC, NaT where one is no full time stamp.

    Raises:
        BadInputError: The column is of no such type, or stamps state no offset and no time zone is given.
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    is_stamp = pd.api.types.is_datetime64_any_dtype(values)
    if not (is_stamp or pd.api.types.is_object_dtype(values) or pd.api.types.is_string_dtype(values) or values.empty):
        raise BadInputError(f"column 'time_utc' has type {values.dtype}; it must hold time stamps or ISO 8601 text")
    if is_stamp:
        is_naive = pd.Series(values.dt.tz is None, index=values.index) & values.notna()
    else:
        text = values.astype(str)
        is_full = text.str.match(r"^\s*\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}").astype(bool)
        values = text.where(is_full, None)
        is_naive = is_full & ~text.str.contains(r"(?:[+-]\d{2}:?\d{2}|Z|z|UTC)\s*$", regex=True)
    if is_naive.any() and timezone is None:
        first = values[is_naive].iloc[0]
        raise BadInputError(
            f"column 'time_utc': {int(is_naive.sum())} stamps state no offset, the first is {str(first)!r}; write them with Z or "
            "+02:00, or say their time zone: --timezone America/Chicago"
        )
    stamps = pd.to_datetime(values, utc=True, errors="coerce", format=None if is_stamp else "ISO8601")
    if is_naive.any():
        try:
            zone = ZoneInfo(str(timezone))
        except (ValueError, OSError, KeyError) as error:
            raise BadInputError(f"timezone {timezone!r} is none; write a name like America/Chicago") from error
        local = stamps.dt.tz_localize(None).dt.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
        stamps = stamps.where(~is_naive, local.dt.tz_convert("UTC"))
    near = stamps.where((stamps >= _FIRST) & (stamps < _LAST))
    return near.astype("datetime64[ns, UTC]")
