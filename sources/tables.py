"""Files of every format as frames, with a bound on what one file may unfold to."""

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ..sim.foundation.errors import BadInputError
from .mapping import Series

MAX_BYTES: Final = 256 << 20
"""Most bytes that a file may unfold to. chosen: a year of 5-minute rows of fifteen places takes some 100 MB."""
MAX_ROWS: Final = 20_000_000
"""Most rows of a Parquet file, whose repeats take next to no bytes. chosen: as many as the bytes above hold."""

EPW_COLUMNS: Final = {
    "dry_bulb_c": (6, 99.9),
    "dew_point_c": (7, 99.9),
    "relative_humidity_pct": (8, 999.0),
    "pressure_pa": (9, 999999.0),
}
"""Places in a row of an EPW, and what stands there for no value. Source: EnergyPlus, Auxiliary Programs, "EPW CSV Format"."""

EPW_HEADER_LINES: Final = 8
"""Source: as above."""


@dataclass(frozen=True, slots=True)
class Table:
    """A file as a frame.

    first_row: number of its first row: the line in a text file, 1 in files without lines. offset: UTC offset that the file
    states, or None. zone: name of the time zone that it states, or None.
    """

    frame: pd.DataFrame
    first_row: int = 1
    offset: str | None = None
    zone: str | None = None


def read_table(path: Path, series: Series) -> Table:
    """Return the columns of a file that a series needs.

    Raises:
        BadInputError: The file is absent, unreadable or too large, or lacks a column.
    """
    readers: dict[str, Callable[[Path, Series], Table]] = {
        "csv": _csv,
        "parquet": _parquet,
        "json": _json,
        "epw": _epw,
    }
    if not path.is_file():
        raise BadInputError(f"{path}: there is no such file")
    try:
        return readers[series.format](path, series)
    except BadInputError:
        raise
    except UnicodeDecodeError as error:
        raise BadInputError(
            f"{path}: is not in {series.encoding} ({error.reason} at byte {error.start}); say 'encoding', as latin-1"
        ) from error
    except Exception as error:
        raise BadInputError(f"{path}: not a readable {series.format} file ({error})") from error


def _bytes(path: Path) -> bytes:
    """Return a file's content, unpacked where its name ends in .gz or .zip."""
    if path.suffix == ".gz":
        with gzip.open(path) as file:
            return _bounded(path, file)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            members = [entry for entry in archive.infolist() if not entry.is_dir()]
            if len(members) != 1:
                raise BadInputError(f"{path}: holds {len(members)} files; unpack it and name the one that counts")
            with archive.open(members[0]) as file:
                return _bounded(path, file)
    with path.open("rb") as file:
        return _bounded(path, file)


def _bounded(path: Path, file: IO[bytes] | gzip.GzipFile) -> bytes:
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise BadInputError(
            f"{path}: holds more than {MAX_BYTES >> 20} MiB; split it, or keep only the columns and rows that count"
        )
    return content


def _require(path: Path, columns: list[Any], series: Series) -> None:
    for name in series.columns:
        if name not in columns:
            shown = ", ".join(map(repr, columns[:12])) + (", …" if len(columns) > 12 else "")
            raise BadInputError(f"{path}: no column {name!r}; there are {shown}{_hint(columns, series)}")


def _hint(columns: list[Any], series: Series) -> str:
    """Return which key of a mapping would make columns of what was taken for one, or for names."""
    if series.format != "csv":
        return ""
    if isinstance(series.columns[0], int) and series.header:
        return "; a file without names needs header: false"
    for separator in (";", "\t", "|", ","):
        if len(columns) == 1 and separator in str(columns[0]):
            return f"; say separator: {separator!r}".replace("'", '"')
    return ""


def _csv(path: Path, series: Series) -> Table:
    content = _bytes(path)
    options: dict[str, Any] = {
        "sep": series.separator,
        "skiprows": series.skip_rows,
        "header": 0 if series.header else None,
        "encoding": "utf-8-sig" if series.encoding == "utf-8" else series.encoding,
        "dtype": str,
        "skip_blank_lines": False,
    }
    names = pd.read_csv(io.BytesIO(content), nrows=1, **options).columns
    named = {raw: raw.strip() if isinstance(raw, str) else raw for raw in names}
    _require(path, list(named.values()), series)
    for name in series.columns:
        if list(named.values()).count(name) > 1:
            raise BadInputError(f"{path}: column {name!r} stands twice, once with blanks around it")
    wanted = [raw for raw, name in named.items() if name in series.columns]
    frame = pd.read_csv(io.BytesIO(content), usecols=wanted, **options).rename(columns=named)
    return Table(frame, series.skip_rows + (2 if series.header else 1))


def _parquet(path: Path, series: Series) -> Table:
    with pq.ParquetFile(path) as file:
        meta = file.metadata
        size = sum(meta.row_group(k).total_byte_size for k in range(meta.num_row_groups))
        if meta.num_rows > MAX_ROWS or size > MAX_BYTES:
            raise BadInputError(
                f"{path}: holds {meta.num_rows} rows in {size >> 20} MiB; at most {MAX_ROWS} in {MAX_BYTES >> 20} MiB are read"
            )
    frame = pd.read_parquet(path)
    if not all(name in frame.columns for name in series.columns):
        # A frame's index is a column like another to those who wrote the file.
        frame = frame.reset_index()
    _require(path, list(frame.columns), series)
    return Table(frame)


def _json(path: Path, series: Series) -> Table:
    content: Any = json.loads(_bytes(path))
    offset = zone = None
    if isinstance(content, dict) and "utc_offset_seconds" in content:
        seconds = int(content["utc_offset_seconds"])
        offset = f"{'-' if seconds < 0 else '+'}{abs(seconds) // 3600:02d}:{abs(seconds) // 60 % 60:02d}"
        zone = content.get("timezone")
    for key in series.records.split(".") if series.records else ():
        if not isinstance(content, dict) or key not in content:
            raise BadInputError(f"{path}: no key {key!r} of records {series.records!r}")
        content = content[key]
    frame = pd.DataFrame(content)
    _require(path, list(frame.columns), series)
    return Table(frame, offset=offset, zone=zone)


def _epw(path: Path, series: Series) -> Table:
    text = _bytes(path).decode("latin-1")
    head = text.split("\n", 1)[0].split(",")
    if head[0].strip().upper() != "LOCATION" or len(head) < 10:
        raise BadInputError(
            f"{path}, row 1: an EPW begins with LOCATION and nine fields; it begins with {head[0][:20]!r}"
        )
    hours = float(head[8])
    rows = pd.read_csv(io.StringIO(text), skiprows=EPW_HEADER_LINES, header=None)
    # Hours run from 1 to 24 and are those that end then; every month is of a year of its own.
    is_leap = bool(((rows[1] == 2) & (rows[2] == 29)).any())
    days = pd.to_datetime({"year": np.full(len(rows), 2000 if is_leap else 2001), "month": rows[1], "day": rows[2]})
    values = {name: rows[place].mask(rows[place] == none) for name, (place, none) in EPW_COLUMNS.items()}
    frame = pd.DataFrame({"time": days + pd.to_timedelta(rows[3] - 1, unit="h"), **values})
    _require(path, list(frame.columns), series)
    sign = "-" if hours < 0 else "+"
    return Table(frame, EPW_HEADER_LINES + 1, f"{sign}{int(abs(hours)):02d}:{round(abs(hours) % 1 * 60):02d}")
