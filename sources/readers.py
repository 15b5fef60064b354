"""Tables of every format as frames, and the values of a series on UTC stamps."""

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from ..sim.foundation.errors import BadInputError
from ..sim.history.history import COLUMNS, check_range
from ..sim.market.coins import difficulty_of_blocks
from .clocks import ordered, to_utc
from .mapping import Series

_KWH_PRICE: Final = 2.0
"""Electricity of which 95 % costs less than this is taken to be priced by the kilowatt-hour. assumed: no market clears so low for weeks on end
by the megawatt-hour."""

EPW_COLUMNS: Final = {"dry_bulb_c": 6, "dew_point_c": 7, "relative_humidity_pct": 8, "pressure_pa": 9}
"""Places in a row of an EPW. Source: EnergyPlus, Auxiliary Programs, "EPW CSV Format"."""

EPW_HEADER_LINES: Final = 8
"""Source: as above."""


def read_series(path: Path, series: Series) -> pd.Series:
    """Return the values of one file on the UTC times at which they begin, converted and checked.

    Raises:
        BadInputError: Names file, row and column.
    """
    table, offset, first_row = _table(path, series)
    needed = [series.time, *series.expect] + ([series.height] if series.derive else [series.value])
    for name in needed:
        if name not in table.columns:
            raise BadInputError(f"{path}: no column {name!r}; there are {', '.join(map(repr, table.columns[:12]))}")

    def where(row: int) -> str:
        return f"{path}, row {row + first_row}"

    if series.derive == "retarget":
        return _retargets(table, series, offset, where)
    values = _numbers(table[series.value], series.value, where)
    kept = np.isfinite(values)
    _expect(table, series, kept, where)
    rows = np.flatnonzero(kept)
    stamps = to_utc(table[series.time], series, offset, where, kept)[kept]
    result = pd.Series(np.asarray(series.convert(values[kept]), dtype=np.float64), index=stamps)
    if series.channel is not None or series.column in COLUMNS:
        check_range(series.column, result.to_numpy(), lambda row: where(int(rows[row])), series.channel)
    return ordered(result, series, lambda row: where(int(rows[row])))


def _expect(table: pd.DataFrame, series: Series, kept: np.ndarray, where: Callable[[int], str]) -> None:
    for name, expected in series.expect.items():
        other = np.flatnonzero(kept & (table[name].astype(str).to_numpy() != str(expected)))
        if other.size:
            row = int(other[0])
            raise BadInputError(
                f"{where(row)}, column {name!r}: {table[name].iloc[row]!r}; the mapping expects {expected!r}"
            )


def check_price(series: Series, values: pd.Series) -> None:
    """Refuse prices by the megawatt-hour that look like prices by the kilowatt-hour; raises BadInputError."""
    per_mwh = series.column.endswith("usd_per_mwh") and series.unit.endswith("/mwh")
    high = float(values.abs().quantile(0.95)) if len(values) else np.inf
    if per_mwh and high < _KWH_PRICE:
        names = ", ".join(path.name for path in series.files)
        raise BadInputError(
            f"{names}, column {series.value!r}: 95 % of prices lie within {high:g} {series.unit.upper()}, which looks like "
            f"{series.unit.upper().replace('MWH', 'kWh')}; declare unit: {series.unit.replace('mwh', 'kwh')}"
        )


def _table(path: Path, series: Series) -> tuple[pd.DataFrame, str | None, int]:
    """Return a file as a frame, the offset that it states, and the number of its first row."""
    readers: dict[str, Callable[[], tuple[pd.DataFrame, str | None, int]]] = {
        "csv": lambda: (pd.read_csv(path, dtype=str, sep=series.separator), None, 2),
        "parquet": lambda: (pd.read_parquet(path), None, 0),
        "json": lambda: _json(path, series),
        "epw": lambda: _epw(path),
    }
    if not path.is_file():
        raise BadInputError(f"{path}: there is no such file")
    try:
        return readers[series.format]()
    except BadInputError:
        raise
    except Exception as error:
        raise BadInputError(f"{path}: not a readable {series.format} file ({error})") from error


def _bytes(path: Path) -> bytes:
    raw = path.read_bytes()
    return gzip.decompress(raw) if path.suffix == ".gz" else raw


def _json(path: Path, series: Series) -> tuple[pd.DataFrame, str | None, int]:
    content: Any = json.loads(_bytes(path))
    offset = None
    if isinstance(content, dict) and "utc_offset_seconds" in content:
        seconds = int(content["utc_offset_seconds"])
        offset = f"{'-' if seconds < 0 else '+'}{abs(seconds) // 3600:02d}:{abs(seconds) // 60 % 60:02d}"
    for key in series.records.split(".") if series.records else ():
        if not isinstance(content, dict) or key not in content:
            raise BadInputError(f"{path}: no key {key!r} of records {series.records!r}")
        content = content[key]
    return pd.DataFrame(content), offset, 0


def _epw(path: Path) -> tuple[pd.DataFrame, str | None, int]:
    text = _bytes(path).decode("latin-1")
    head = text.split("\n", 1)[0].split(",")
    if head[0].strip().upper() != "LOCATION" or len(head) < 10:
        raise BadInputError(
            f"{path}, row 1: an EPW begins with LOCATION and nine fields; it begins with {head[0][:20]!r}"
        )
    hours = float(head[8])
    rows = pd.read_csv(io.StringIO(text), skiprows=EPW_HEADER_LINES, header=None)
    # Hours run from 1 to 24 and are those that end then; every month is of a year of its own.
    stamps = pd.to_datetime({"year": np.full(len(rows), 2001), "month": rows[1], "day": rows[2]}) + pd.to_timedelta(
        rows[3] - 1, unit="h"
    )
    frame = pd.DataFrame({"time": stamps, **{name: rows[column] for name, column in EPW_COLUMNS.items()}})
    sign = "-" if hours < 0 else "+"
    return frame, f"{sign}{int(abs(hours)):02d}:{round(abs(hours) % 1 * 60):02d}", EPW_HEADER_LINES + 1


def _numbers(column: pd.Series, name: str | int, where: Callable[[int], str]) -> np.ndarray:
    numbers = pd.to_numeric(column, errors="coerce")
    infinite = np.isinf(numbers.to_numpy(np.float64, na_value=np.nan))
    bad = np.flatnonzero(infinite | (numbers.isna() & column.notna() & (column.astype(str).str.strip() != "")))
    if bad.size:
        row = int(bad[0])
        raise BadInputError(f"{where(row)}, column {name!r}: {column.iloc[row]!r} is not a number")
    return numbers.to_numpy(np.float64, na_value=np.nan)


def _retargets(table: pd.DataFrame, series: Series, offset: str | None, where: Callable[[int], str]) -> pd.Series:
    """Return the difficulty of each epoch that a table of blocks shows, at the time of the epoch's first block."""
    heights = _numbers(table[series.height], series.height, where).astype(np.int64)
    times = to_utc(table[series.time], series, offset, where)
    seconds = times.as_unit("s").asi8.astype(np.float64)
    starts, values = difficulty_of_blocks(heights, seconds, series.first_difficulty)
    known = starts <= heights[-1]
    return pd.Series(values[known], index=times[starts[known] - heights[0]])
