"""Read real files into a history: a mapping says which file and column holds what, in which unit and time zone."""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import yaml

from .errors import BadInputError
from .history import COLUMNS, STEP, History, check_range
from .market import subsidy_btc_at

UNITS: Final[dict[str, dict[str, Callable[[Any], Any]]]] = {
    "outdoor_temp_c": {"c": lambda x: x, "f": lambda x: (x - 32.0) / 1.8, "k": lambda x: x - 273.15},
    "relative_humidity_pct": {"percent": lambda x: x, "fraction": lambda x: 100.0 * x},
    "price_usd_per_mwh": {"usd/mwh": lambda x: x, "usd/kwh": lambda x: 1000.0 * x},
    "day_ahead_price_usd_per_mwh": {"usd/mwh": lambda x: x, "usd/kwh": lambda x: 1000.0 * x},
    "coin_price_usd": {"usd": lambda x: x},
    "difficulty": {"1": lambda x: x},
    "fee_share": {"fraction": lambda x: x, "percent": lambda x: x / 100.0},
    "fees_usd_per_day": {"usd": lambda x: x},
}
"""Units that a mapping may declare for a column, and how to convert them. fees_usd_per_day becomes fee_share."""

_BLOCKS_PER_DAY: Final = 144.0
"""Source: Bitcoin's target of a block in ten minutes."""

_KWH_PRICE_MEDIAN: Final = 2.0
"""Electricity whose median is below this is taken to be in USD/kWh. assumed: no market has cleared at such a level in USD/MWh."""

_SERIES_KEYS: Final = {
    "column", "files", "format", "records", "time", "value", "unit", "timezone", "delay_s", "max_age_h", "constant",
}  # fmt: skip
_MAPPING_KEYS: Final = {"start", "end", "timezone", "price", "series"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One entry of a mapping.

    delay_s: time after a row's stamp from which its value is in force (an hourly close: 3600). max_age_h: how long a
    value may be held; a longer gap is refused. Both default to what suits a point measurement of regular step.
    """

    column: str
    files: tuple[Path, ...] = ()
    format: str = "csv"
    records: str | None = None
    time: str = ""
    value: str = ""
    unit: str = ""
    timezone: str | None = None
    delay_s: float = 0.0
    max_age_h: float | None = None
    constant: float | None = None


def import_history(mapping_path: Path) -> History:
    """Build a history from the files that a mapping names.

    Rule for gaps: a value is held until the next, for at most max_age_h (default three times the series' usual step);
    anything longer is refused by name. No value is used before its stamp plus delay_s.

    Raises:
        BadInputError: Names mapping key, or file, row and column, and what would be right.
    """
    mapping = _read_mapping(mapping_path)
    index = pd.date_range(mapping["start"], mapping["end"], freq=STEP, inclusive="left", tz="UTC")
    if len(index) < 2:
        raise BadInputError(f"{mapping_path}: 'end' {mapping['end']} must lie after 'start' {mapping['start']}")
    frame = pd.DataFrame(index=index)
    provenance: list[dict[str, Any]] = []
    ahead: dict[str, np.ndarray | None] = {}
    for entry in mapping["series"]:
        series = _series(entry, mapping_path)
        if series.constant is not None:
            frame[series.column] = float(series.constant)
            provenance.append({"column": series.column, "constant": series.constant})
            continue
        parts = [_read_file(path, series) for path in series.files]
        joined = _join(parts, series)
        frame[series.column] = _hold(joined, index, series)
        ahead[series.column] = _ahead(joined, index, series)
        provenance.append(
            {"column": series.column, "files": [p.name for p in series.files], "rows": len(joined), "unit": series.unit}
        )
    if "fees_usd_per_day" in frame:
        reward = subsidy_btc_at(index.tz_localize(None).to_numpy()) * _BLOCKS_PER_DAY * frame["coin_price_usd"]
        frame["fee_share"] = frame["fees_usd_per_day"] / (frame["fees_usd_per_day"] + reward)
        frame = frame.drop(columns="fees_usd_per_day")
    missing = [name for name, column in COLUMNS.items() if column.is_required and name not in frame]
    if missing:
        raise BadInputError(f"{mapping_path}: 'series' lacks {', '.join(missing)}")
    price = mapping["price"]
    name = "price_usd_per_mwh" if price["publication"] == "day_ahead" else "day_ahead_price_usd_per_mwh"
    return History(
        ahead=ahead.get(name),
        frame=frame,
        kind="imported",
        publication=price["publication"],
        price_interval_s=price["interval_s"],
        timezone=mapping["timezone"],
        provenance=provenance,
    )


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        mapping = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise BadInputError(f"{path}: not a readable mapping ({error})") from error
    if not isinstance(mapping, dict):
        raise BadInputError(f"{path}: a mapping is a YAML dictionary with the keys {', '.join(sorted(_MAPPING_KEYS))}")
    _check_keys(path, "", mapping, _MAPPING_KEYS, _MAPPING_KEYS)
    _check_keys(path, "price.", mapping["price"], {"publication", "interval_s"}, {"publication", "interval_s"})
    return mapping


def _check_keys(path: Path, prefix: str, entry: dict[str, Any], allowed: set[str], needed: set[str]) -> None:
    for key in entry:
        if key not in allowed:
            raise BadInputError(f"{path}: unknown key '{prefix}{key}'; there are {', '.join(sorted(allowed))}")
    for key in sorted(needed):
        if key not in entry:
            raise BadInputError(f"{path}: key '{prefix}{key}' is missing")


def _series(entry: dict[str, Any], mapping_path: Path) -> Series:
    _check_keys(mapping_path, "series.", entry, _SERIES_KEYS, {"column"})
    column = entry["column"]
    if column not in UNITS:
        raise BadInputError(f"{mapping_path}: unknown column {column!r}; there are {', '.join(UNITS)}")
    if "constant" in entry:
        return Series(column=column, constant=entry["constant"])
    _check_keys(mapping_path, f"series[{column}].", entry, _SERIES_KEYS, {"files", "time", "value", "unit"})
    unit = str(entry["unit"])
    if unit not in UNITS[column]:
        raise BadInputError(f"{mapping_path}: unit {unit!r} of {column!r} is unknown; use {', '.join(UNITS[column])}")
    files = tuple(mapping_path.parent / name for name in entry["files"])
    rest = {key: value for key, value in entry.items() if key not in ("files", "unit", "column")}
    return Series(column=column, files=files, unit=unit, **rest)


def _read_table(path: Path, series: Series) -> pd.DataFrame:
    readers: dict[str, Callable[[], pd.DataFrame]] = {
        "csv": lambda: pd.read_csv(path, dtype=str),
        "parquet": lambda: pd.read_parquet(path),
        "json": lambda: _read_json(path, series),
    }
    if series.format not in readers:
        raise BadInputError(f"{path}: format {series.format!r} is unknown; use {', '.join(readers)}")
    try:
        return readers[series.format]()
    except Exception as error:
        raise BadInputError(f"{path}: not a readable {series.format} file ({error})") from error


def _read_file(path: Path, series: Series) -> pd.Series:
    """Return the values of one file on UTC stamps, converted and checked."""
    table = _read_table(path, series)
    for name in (series.time, series.value):
        if name not in table.columns:
            raise BadInputError(f"{path}: no column {name!r}; there are {', '.join(map(repr, table.columns[:12]))}")
    first_row = 2 if series.format == "csv" else 0

    def where(row: int) -> str:
        return f"{path}, row {row + first_row}"

    values = _numbers(table[series.value], series, where)
    stamps = _stamps(table[series.time], series, where)
    kept = np.isfinite(values)
    result = pd.Series(np.asarray(UNITS[series.column][series.unit](values[kept])), index=stamps[kept])
    if series.column in COLUMNS:
        rows = np.flatnonzero(kept)
        check_range(series.column, result.to_numpy(), lambda row: where(int(rows[row])))
    is_price = series.column.endswith("usd_per_mwh") and series.unit == "usd/mwh"
    if is_price and len(result) and abs(float(result.median())) < _KWH_PRICE_MEDIAN:
        raise BadInputError(
            f"{path}, column {series.value!r}: the median price is {result.median():g} USD/MWh, which looks like USD/kWh; "
            "declare unit: usd/kwh"
        )
    return result


def _read_json(path: Path, series: Series) -> pd.DataFrame:
    raw = path.read_bytes()
    content = json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    return pd.DataFrame(content[series.records] if series.records else content)


def _numbers(column: pd.Series, series: Series, where: Callable[[int], str]) -> np.ndarray:
    numbers = pd.to_numeric(column, errors="coerce")
    bad = np.flatnonzero(numbers.isna() & column.notna() & (column.astype(str).str.strip() != ""))
    if bad.size:
        row = int(bad[0])
        raise BadInputError(f"{where(row)}, column {series.value!r}: {column.iloc[row]!r} is not a number")
    return numbers.to_numpy(np.float64)


def _stamps(column: pd.Series, series: Series, where: Callable[[int], str]) -> pd.DatetimeIndex:
    if series.timezone is None:
        parsed = pd.to_datetime(column, errors="coerce", utc=True, format="ISO8601")
    else:
        local = pd.to_datetime(column, errors="coerce", format="ISO8601")
        if local.dt.tz is not None:
            raise BadInputError(f"{where(0)}, column {series.time!r}: stamps carry an offset; remove 'timezone'")
        parsed = local.dt.tz_localize(series.timezone, ambiguous="NaT", nonexistent="NaT").dt.tz_convert("UTC")
    bad = np.flatnonzero(parsed.isna())
    if bad.size:
        row = int(bad[0])
        raise BadInputError(
            f"{where(row)}, column {series.time!r}: {column.iloc[row]!r} is no unambiguous time stamp (ISO 8601)"
        )
    stamps = pd.DatetimeIndex(parsed)
    steps = np.diff(stamps.asi8)
    if (steps == 0).any():
        row = int(np.flatnonzero(steps == 0)[0]) + 1
        raise BadInputError(f"{where(row)}, column {series.time!r}: {stamps[row]} stands twice")
    if (steps < 0).any():
        row = int(np.flatnonzero(steps < 0)[0]) + 1
        raise BadInputError(f"{where(row)}, column {series.time!r}: {stamps[row]} is earlier than the row before")
    return stamps


def _join(parts: list[pd.Series], series: Series) -> pd.Series:
    joined = pd.concat(parts)
    if not joined.index.is_monotonic_increasing or joined.index.has_duplicates:
        names = ", ".join(path.name for path in series.files)
        raise BadInputError(f"{names}: the files of {series.column!r} overlap or are not in order of time")
    if joined.empty:
        raise BadInputError(f"{series.files[0]}: no value in column {series.value!r}")
    return joined


def _hold(values: pd.Series, index: pd.DatetimeIndex, series: Series) -> np.ndarray:
    """Hold each value from the time it is in force until the next; refuse gaps longer than the series allows."""
    in_force = pd.DatetimeIndex(values.index).as_unit("ns").asi8 + int(series.delay_s * 1e9)
    wanted = index.as_unit("ns").asi8
    position = np.searchsorted(in_force, wanted, side="right") - 1
    usual_ns = float(np.median(np.diff(in_force))) if len(in_force) > 1 else 0.0
    limit_ns = series.max_age_h * 3.6e12 if series.max_age_h is not None else 3.0 * usual_ns
    age_ns = wanted - in_force[np.maximum(position, 0)]
    bad = np.flatnonzero((position < 0) | (age_ns >= limit_ns))
    if bad.size:
        first = int(bad[0])
        run = int(np.flatnonzero(np.diff(np.append(bad, -1)) != 1)[0])
        names = ", ".join(path.name for path in series.files)
        raise BadInputError(
            f"{names}: no value of {series.column!r} for {index[first]}…{index[int(bad[run])]}; "
            f"a value is held for at most {limit_ns / 3.6e12:g} h (max_age_h)"
        )
    return values.to_numpy(np.float64)[position]


def _ahead(values: pd.Series, index: pd.DatetimeIndex, series: Series) -> np.ndarray | None:
    """Return what the files hold beyond the index's end, two days at most: prices that are out ahead; None if nothing."""
    usual = pd.DatetimeIndex(values.index).to_series().diff().median()
    last = min(values.index[-1] + pd.Timedelta(seconds=series.delay_s) + usual, index[-1] + STEP + _MOST_AHEAD)
    beyond = pd.date_range(index[-1] + STEP, last, freq=STEP, inclusive="left")
    return _hold(values, beyond, series) if len(beyond) else None


_MOST_AHEAD: Final = pd.Timedelta(days=2)
