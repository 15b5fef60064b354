"""The values of a series in one file, on UTC stamps: chosen, converted, checked."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from ..sim.foundation.errors import BadInputError
from ..sim.history.history import COLUMNS, check_range
from ..sim.market.coins import difficulty_of_blocks
from .clocks import Where, ordered, to_utc
from .mapping import Series
from .tables import Table, read_table

_KWH_PRICE: Final = 2.0
"""Electricity of which 95 % costs less than this is taken to be priced by the kilowatt-hour. assumed: no market clears so low for weeks on end
by the megawatt-hour."""

_DECIMAL_COMMA: Final = re.compile(r"-?[\d.]*\d,\d+")
_NO_VALUE: Final = ("-", "--", "n/a", "na", "none", "null", "nan", "m", "x")


def read_series(path: Path, series: Series) -> pd.Series:
    """Return the values of one file on the UTC times at which they begin, converted and checked.

    Raises:
        BadInputError: Names file, row and column.
    """
    table = read_table(path, series)
    frame, numbers = _chosen(path, table, series)

    def where(row: int) -> str:
        return f"{path}, row {int(numbers[row])}"

    if series.derive == "retarget":
        return _retargets(frame, series, table, where)
    values = _numbers(frame[series.value], series, series.value, where)
    kept = np.isfinite(values)
    _expect(frame, series, kept, where)
    rows = np.flatnonzero(kept)
    stamps = to_utc(frame, series, table, where, kept)[kept]
    result = pd.Series(np.asarray(series.convert(values[kept]), dtype=np.float64), index=stamps)
    if series.channel is not None or series.column in COLUMNS:
        _check_range(series, result.to_numpy(), values[kept], lambda row: where(int(rows[row])))
    return ordered(result, series, lambda row: where(int(rows[row])))


def _chosen(path: Path, table: Table, series: Series) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the rows that `where` keeps, and their numbers in the file."""
    frame = table.frame
    numbers = np.arange(len(frame)) + table.first_row
    for name, wanted in series.where.items():
        found = frame[name].astype(str).str.strip()
        kept = found.isin(wanted).to_numpy()
        if not kept.any() and len(frame):
            there = ", ".join(found.drop_duplicates().head(12))
            raise BadInputError(f"{path}: no row has {name!r} {' or '.join(map(repr, wanted))}; there are {there}")
        frame, numbers = frame[kept].reset_index(drop=True), numbers[kept]
    return frame, numbers


def _check_range(series: Series, values: np.ndarray, raw: np.ndarray, where: Where) -> None:
    try:
        check_range(series.column, values, where, series.channel)
    except BadInputError as error:
        worst = raw[np.argmax(np.abs(raw))]
        if worst == np.trunc(worst) and set(f"{abs(worst):.0f}") <= {"9"}:
            raise BadInputError(f"{error}; if {worst:g} stands for no value, say missing: [{worst:g}]") from None
        raise


def _expect(frame: pd.DataFrame, series: Series, kept: np.ndarray, where: Where) -> None:
    for name, expected in series.expect.items():
        other = np.flatnonzero(kept & (frame[name].astype(str).to_numpy() != str(expected)))
        if other.size:
            row = int(other[0])
            raise BadInputError(
                f"{where(row)}, column {name!r}: {frame[name].iloc[row]!r}; the mapping expects {expected!r}"
            )


def check_price(series: Series, values: pd.Series) -> None:
    """Refuse prices by the megawatt-hour that look like prices by the kilowatt-hour; raises BadInputError."""
    per_mwh = series.column.endswith("usd_per_mwh") and series.unit.endswith("/mwh")
    high = float(values.abs().quantile(0.95)) if len(values) else np.inf
    if per_mwh and 0.0 < high < _KWH_PRICE:
        names = ", ".join(path.name for path in series.files)
        raise BadInputError(
            f"{names}, column {series.value!r}: 95 % of prices lie within {high:g} {series.unit.upper()}, which looks like "
            f"{series.unit.upper().replace('MWH', 'kWh')}; declare unit: {series.unit.replace('mwh', 'kwh')}"
        )


def _numbers(column: pd.Series, series: Series, name: str | int, where: Where) -> np.ndarray:
    """Return a column as numbers, NaN where it is empty or holds a mark of `missing`."""
    marks = {str(mark) for mark in series.missing}
    values: Any = column
    if not pd.api.types.is_numeric_dtype(column.dtype):
        values = column.astype("string").str.strip()
        values = values.mask(values.isin({*marks, ""}))
        if series.thousands:
            values = values.str.replace(series.thousands, "", regex=False)
        if series.decimal != ".":
            values = values.str.replace(series.decimal, ".", regex=False)
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    bad = np.flatnonzero(np.isinf(numbers) | (np.isnan(numbers) & pd.Series(values).notna().to_numpy()))
    if bad.size:
        row = int(bad[0])
        text = str(column.iloc[row]).strip()
        hint = ""
        if _DECIMAL_COMMA.fullmatch(text):
            hint = "; say thousands: '.'" if series.decimal == "," else "; say decimal: ','"
        elif text.lower() in _NO_VALUE:
            hint = f"; if it stands for no value, say missing: [{text!r}]"
        raise BadInputError(f"{where(row)}, column {name!r}: {column.iloc[row]!r} is not a number{hint}")
    for mark in series.missing:
        if isinstance(mark, int | float):
            numbers[numbers == float(mark)] = np.nan
    return numbers


def _retargets(frame: pd.DataFrame, series: Series, table: Table, where: Callable[[int], str]) -> pd.Series:
    """Return the difficulty of each epoch that a table of blocks shows, at the time of the epoch's first block."""
    heights = _numbers(frame[series.height], series, series.height, where).astype(np.int64)
    times = to_utc(frame, series, table, where)
    seconds = times.as_unit("s").asi8.astype(np.float64)
    starts, values = difficulty_of_blocks(heights, seconds, series.first_difficulty)
    known = starts <= heights[-1]
    return pd.Series(values[known], index=times[starts[known] - heights[0]])
