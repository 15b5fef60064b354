"""Mappings: a YAML for each source says which file and column holds what, in which unit, currency and time zone."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from ..sim.foundation.checks import Problems, require_known
from ..sim.foundation.errors import BadInputError
from ..sim.foundation.renamed import renamed_hint
from ..sim.foundation.yamls import read_yaml
from ..sim.history.history import PUBLISHED_H, Channel
from .units import CURRENCIES, UNITS

FORMATS: Final = ("csv", "parquet", "json", "epw")
STAMPS: Final = ("begin", "end", "hour_ending")
REPEATED: Final = ("refuse", "twice", "once")
DUPLICATES: Final = ("refuse", "same")
DERIVED: Final = ("retarget",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One entry of a mapping.

    column: of the history, or the name of a declared channel. files: names or patterns, relative to the mapping or to the
    given root. unit: of the values. format: csv, parquet, json or epw. separator: of a CSV's columns. decimal: sign before
    decimals. thousands: sign between thousands. encoding: of a CSV. skip_rows: lines before the header. header: false
    where a CSV has none; columns then are positions from 0. records: key of the rows in a
    JSON, with dots for deeper ones. where: rows that count, as {Name: WEST}; a list of values allows each. missing: what
    stands for no value, as [-999, "N/A"]. value: column of the values; in rows that are lists, its position. time: column of the
    stamps; a list of columns, joined by a blank; or columns by what they hold, as {date: Day, hour: HourEnding, interval: Quarter} or
    {year: YEAR, month: MO, day: DY, hour: HR}. time_format: as
    strptime has it, if the stamps or dates are not ISO 8601. time_unit: s, ms, us or ns of numbers since 1970, or auto, by their
    digits; by default their digits tell it. time_split: text before
    which a stamp ends ("begin - end"). stamp: whether stamps are of an interval's begin, of its end as the clock has it then, or
    number the hour that ends (hour_ending: 1 to 24, or 01:00 to 24:00). interval_s: length of the intervals, where stamps of their ends do not tell it [s]. timezone: of stamps
    without offset: a name, "+01:00", or "file" for the offset that the file states; by default the mapping's. A mark behind a stamp, as (CET),
    tells which clock it is of. repeated: what stands for the hour that autumn
    repeats: refuse, twice (both rows in order), once (the second is missing and held), or the column that tells the second, as {DSTFlag: Y}. duplicates: "same" drops
    rows that repeat a stamp with the same value, wherever they stand. typical_year: the file's year stands for every
    year. shift_h: added to stamps that are known to be wrong. delay_s: time after a row's stamp from which its value is in
    force, or known (an hourly close: 3600): rows are moved by it, so that a history holds nothing before it is known. max_age_h: how long a value may be held, as
    where a format omits repeats; a longer gap is refused; by default
    three times the step at that place. usd_per_unit: dollars for a unit of the currency; a number, or a series of its own.
    derive: "retarget" computes difficulty from the blocks of one file. height: its column of block heights. first_difficulty: that
    of the first epoch that begins among them. expect: columns that must hold one value, as {Currency: EUR}. channel: unit, low and high of a declared channel. constant: a number for the whole span; changes: others from stamps
    on, as {"2024-04-20T00:09:27Z": 2.0}.
    """

    column: str
    files: tuple[Path, ...] = ()
    format: str = "csv"
    separator: str = ","
    decimal: str = "."
    thousands: str = ""
    encoding: str = "utf-8"
    skip_rows: int = 0
    header: bool = True
    records: str | None = None
    where: dict[str | int, tuple[str, ...]] = field(default_factory=dict)
    missing: tuple[str | float, ...] = ()
    value: str | int = ""
    unit: str = ""
    time: str | int | tuple[str | int, ...] | dict[str, str | int] = ""
    time_format: str | None = None
    time_unit: str | None = None
    time_split: str | None = None
    stamp: str = "begin"
    interval_s: float | None = None
    timezone: str | None = None
    repeated: str | dict[str | int, str] = "refuse"
    duplicates: str = "refuse"
    typical_year: bool = False
    shift_h: float = 0.0
    delay_s: float = 0.0
    max_age_h: float | None = None
    usd_per_unit: "float | Series" = 1.0
    derive: str | None = None
    height: str = ""
    first_difficulty: float = 0.0
    channel: Channel | None = None
    constant: float | None = None
    changes: tuple[tuple[pd.Timestamp, float], ...] = ()
    expect: dict[str | int, str] = field(default_factory=dict)
    origin: str = ""
    role: str = ""
    zone_is_default: bool = False

    @property
    def label(self) -> str:
        """What messages call it: its column, or what it stands for within another series."""
        return self.role or self.column

    @property
    def time_columns(self) -> tuple[str | int, ...]:
        """Columns that hold the stamps."""
        if isinstance(self.time, dict):
            return tuple(self.time.values())
        return self.time if isinstance(self.time, tuple) else (self.time,)

    @property
    def columns(self) -> tuple[str | int, ...]:
        """Columns of a file that are read."""
        repeated = self.repeated if isinstance(self.repeated, dict) else {}
        value = self.height if self.derive else self.value
        return (*self.time_columns, value, *self.where, *self.expect, *repeated)

    def convert(self, values: Any) -> Any:
        """Convert values to the history's unit, currency left as it is."""
        return values if self.channel is not None else UNITS[self.column][self.unit](values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """One source, or several put together: span, market's clock, publication of prices, and series."""

    start: str
    end: str
    timezone: str
    publication: str
    interval_s: int
    published_h: float
    series: tuple[Series, ...]
    sources: tuple[dict[str, str], ...] = ()


KEYS: Final = {
    "source": "where the files come from; kept in the history's provenance",
    "start": "first moment, UTC; the command line may replace it",
    "end": "end, UTC; the command line may replace it",
    "timezone": "local time of the market, a name like America/Chicago",
    "price": "when the settlement price is known",
    "series": "list: which file and column holds what",
}
"""Keys of a mapping's YAML and what they mean."""

PRICE_KEYS: Final = {
    "publication": "after_interval or day_ahead; required",
    "interval_s": "length of a settlement interval [s]; required",
    "published_h": f"local hour at which day-ahead prices are out; default {PUBLISHED_H:g}",
}
_SERIES_KEYS: Final = {entry.name for entry in fields(Series)} - {"origin", "role", "zone_is_default"}
TIME_PARTS: Final = ("date", "year", "month", "day", "hour", "minute", "interval")
"""What a column of a stamp may hold, where several make it up."""
_CHOICES: Final = {
    "format": FORMATS, "stamp": STAMPS, "duplicates": DUPLICATES, "derive": DERIVED,
    "time_unit": ("s", "ms", "us", "ns", "auto"),
}  # fmt: skip


def read_mappings(paths: Sequence[Path], start: str | None, end: str | None, root: Path | None) -> Mapping:
    """Read mappings and put them together.

    Args:
        paths: YAML files.
        start: First moment, UTC, in place of the mappings'.
        end: End, UTC, in place of the mappings'.
        root: Folder that file names are relative to; None: that of each mapping.

    Raises:
        BadInputError: Names file and key.
    """
    found: dict[str, Any] = {"start": start, "end": end}
    given = {key for key, value in found.items() if value is not None}
    series: dict[str, Series] = {}
    sources = []
    problems = Problems()
    for path in paths:
        content = _content(path, problems)
        sources.append({"mapping": path.name, "source": str(content.get("source", path.stem))})
        for key in ("start", "end", "timezone", "price"):
            if key in content and key not in given:
                if found.get(key) not in (None, content[key]):
                    raise BadInputError(f"{path}: '{key}' is {content[key]!r}; another mapping has {found[key]!r}")
                found[key] = content[key]
        for entry in content.get("series") or ():
            with problems.noted():
                one = _series(entry, path, path.parent if root is None else root, content.get("timezone"))
                if one.column in series:
                    raise BadInputError(
                        f"{path}: column {one.column!r} is mapped twice, also in {series[one.column].origin}"
                    )
                series[one.column] = one
    names = ", ".join(path.name for path in paths)
    for key in ("start", "end", "timezone", "price", "series"):
        with problems.noted():
            if found.get(key) is None and not (key == "series" and (series or problems.lines)):
                raise BadInputError(f"{names}: key '{key}' is missing; it is {KEYS[key]}")
    price = found.get("price") or {}
    with problems.noted():
        _check_keys(paths[0], "price.", price, set(PRICE_KEYS), {"publication", "interval_s"} if price else set())
        _number(paths[0], "price.", price, "published_h")
    problems.raise_all()
    return Mapping(
        start=str(found["start"]),
        end=str(found["end"]),
        timezone=found["timezone"],
        publication=price["publication"],
        interval_s=price["interval_s"],
        published_h=float(price.get("published_h", PUBLISHED_H)),
        series=tuple(series.values()),
        sources=tuple(sources),
    )


def span_of(mapping: Mapping, step: pd.Timedelta) -> pd.DatetimeIndex:
    """Return the steps of a mapping's span, UTC; raises BadInputError if they are not two or more."""
    try:
        index = pd.date_range(mapping.start, mapping.end, freq=step, inclusive="left", tz="UTC")
    except (TypeError, ValueError) as error:
        raise BadInputError(
            f"'start' {mapping.start!r}, 'end' {mapping.end!r}: not times like 2024-01-01 ({error})"
        ) from error
    if len(index) < 2:
        raise BadInputError(f"'end' {mapping.end} must lie after 'start' {mapping.start}")
    if index[0] != index[0].floor(step):
        raise BadInputError(f"'start' {mapping.start} must be a whole step of 5 minutes")
    return index


def _content(path: Path, problems: Problems) -> dict[str, Any]:
    content = read_yaml(path, "mapping")
    if not isinstance(content, dict):
        raise BadInputError(f"{path}: a mapping is a YAML dictionary with the keys {', '.join(sorted(KEYS))}")
    with problems.noted():
        _check_keys(path, "", content, set(KEYS), set())
    if not isinstance(content.get("series", []), list):
        raise BadInputError(f"{path}: 'series' must be a list")
    if not isinstance(content.get("timezone", ""), str):
        raise BadInputError(f"{path}: 'timezone' is {content['timezone']!r}; it must be a name like America/Chicago")
    return content


def _check_keys(path: Path, prefix: str, entry: Any, allowed: set[str], needed: set[str]) -> None:
    if not isinstance(entry, dict):
        raise BadInputError(f"{path}: '{prefix.rstrip('.') or 'mapping'}' is {entry!r}; it must be a dictionary")
    problems = Problems()
    for key in entry:
        with problems.noted():
            require_known(f"{path}: unknown key", [key], allowed, prefix)
    problems.lines += [f"{path}: key '{prefix}{key}' is missing" for key in sorted(needed) if key not in entry]
    problems.raise_all()


def _series(entry: Any, path: Path, root: Path, zone: str | None = None) -> Series:
    if not isinstance(entry, dict) or "column" not in entry:
        _check_keys(path, "series.", entry, _SERIES_KEYS, {"column"})
    column = str(entry["column"])
    prefix = f"series[{column}]."
    channel = _channel(entry, path, prefix)
    if channel is None and column not in UNITS:
        raise BadInputError(
            f"{path}: unknown column {column!r}{renamed_hint([column], UNITS)}; there are {', '.join(UNITS)}; "
            "another one is declared with 'channel'"
        )
    if "constant" in entry:
        _number(path, prefix, entry, "constant")
        _check_keys(path, prefix, entry, {"column", "constant", "changes", "channel"}, set())
        changes = _changes(path, prefix, entry.get("changes", {}))
        return Series(
            column=column, constant=float(entry["constant"]), changes=changes, channel=channel, origin=path.name
        )
    needed = {"files", "time", "value"} | (set() if channel is not None else {"unit"})
    if entry.get("derive") == "retarget":
        needed = needed - {"value"} | {"height", "first_difficulty"}
    problems = Problems()
    with problems.noted():
        _check_keys(path, prefix, entry, _SERIES_KEYS, needed)
    with problems.noted():
        _check_values(path, prefix, entry)
    unit = str(entry.get("unit", ""))
    if channel is None and "unit" in entry and unit not in UNITS[column]:
        problems.lines.append(f"{path}: unit {unit!r} of {column!r} is unknown; use {', '.join(UNITS[column])}")
    problems.raise_all()
    files = _files(entry, path, prefix, root)
    if entry.get("derive") == "retarget" and len(files) != 1:
        raise BadInputError(
            f"{path}: '{prefix}files' names {len(files)} files; blocks are read from one, so that no epoch is cut"
        )
    apart = ("files", "unit", "column", "channel", "usd_per_unit", "where", "missing", "time", "timezone")
    time = entry["time"]
    return Series(
        column=column,
        files=files,
        unit=unit,
        channel=channel,
        origin=path.name,
        zone_is_default="timezone" not in entry,
        timezone=entry.get("timezone", zone),
        usd_per_unit=_rate(entry, unit, path, prefix, root, zone),
        time=tuple(time) if isinstance(time, list) else time,
        missing=tuple(_listed(entry.get("missing", ()))),
        where={name: tuple(map(str, _listed(wanted))) for name, wanted in entry.get("where", {}).items()},
        **{key: value for key, value in entry.items() if key not in apart},
    )


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _check_values(path: Path, prefix: str, entry: dict[str, Any]) -> None:
    problems = Problems()

    def check(ok: bool, key: str, allowed: str) -> None:
        if not ok:
            problems.lines.append(f"{path}: '{prefix}{key}' is {entry[key]!r}; it must be {allowed}")

    for key, least in (
        ("shift_h", -np.inf), ("delay_s", 0.0), ("max_age_h", 0.0), ("first_difficulty", 0.0), ("interval_s", 1.0),
    ):  # fmt: skip
        with problems.noted():
            _number(path, prefix, entry, key, least)
    for key, choices in _CHOICES.items():
        check(key not in entry or entry[key] in choices, key, f"one of {', '.join(choices)}")
    for key in ("time_format", "time_split", "records", "timezone", "encoding", "thousands"):
        check(isinstance(entry.get(key, ""), str), key, "text")
    for key in ("separator", "decimal"):
        check(isinstance(entry.get(key, ","), str) and len(entry.get(key, ",")) == 1, key, "one sign")
    check(isinstance(entry.get("header", True), bool), "header", "true or false")
    rows = entry.get("skip_rows", 0)
    check(isinstance(rows, int) and not isinstance(rows, bool) and rows >= 0, "skip_rows", "a whole number, 0 or more")
    for key in ("expect", "where"):
        check(isinstance(entry.get(key, {}), dict), key, "a dictionary of columns, as {Name: WEST}")
    repeated = entry.get("repeated", "refuse")
    check(repeated in REPEATED or (isinstance(repeated, dict) and len(repeated) > 0), "repeated",
          f"one of {', '.join(REPEATED)}, or the column that tells the second hour, as {{DSTFlag: Y}}")  # fmt: skip
    marks = _listed(entry.get("missing", []))
    check(all(isinstance(mark, str | int | float) for mark in marks), "missing", "a list of what stands for no value")
    problems.lines += _time_problems(path, prefix, entry)
    problems.raise_all()


def _time_problems(path: Path, prefix: str, entry: dict[str, Any]) -> list[str]:
    """Return what is wrong with the columns of the stamps."""
    time = entry.get("time", "")
    if isinstance(time, dict):
        unknown = [str(part) for part in time if part not in TIME_PARTS]
        if unknown:
            return [f"{path}: '{prefix}time' has {', '.join(unknown)}; its columns are {', '.join(TIME_PARTS)}"]
        if "date" not in time and not {"year", "month", "day"} <= set(time):
            return [f"{path}: '{prefix}time' needs a column of the date, or those of year, month and day"]
        if "interval" in time and "interval_s" not in entry:
            return [
                f"{path}: '{prefix}interval_s' is missing; it is the length of what {time['interval']!r} counts [s]"
            ]
        return []
    columns = time if isinstance(time, list) else [time]
    if not columns or not all(isinstance(name, str | int) and not isinstance(name, bool) for name in columns):
        return [f"{path}: '{prefix}time' is {time!r}; it must be a column, a list of columns or a dictionary of them"]
    return []


def _channel(entry: dict[str, Any], path: Path, prefix: str) -> Channel | None:
    if "channel" not in entry:
        return None
    if entry["column"] in UNITS:
        raise BadInputError(
            f"{path}: '{prefix}channel': {entry['column']!r} is a column of its own; choose another name"
        )
    content = entry["channel"]
    _check_keys(path, f"{prefix}channel.", content, {"unit", "low", "high"}, {"unit", "low", "high"})
    for key in ("low", "high"):
        _number(path, f"{prefix}channel.", content, key)
    return Channel(
        unit=str(content["unit"]),
        low=float(content["low"]),
        high=float(content["high"]),
    )


def _number(path: Path, prefix: str, entry: dict[str, Any], key: str, least: float = -np.inf) -> None:
    if key not in entry:
        return
    value = entry[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value) or value < least:
        allowed = "a number" if least == -np.inf else f"a number, {least:g} or more"
        raise BadInputError(f"{path}: '{prefix}{key}' is {value!r}; it must be {allowed}")


def _files(entry: dict[str, Any], path: Path, prefix: str, root: Path) -> tuple[Path, ...]:
    if not isinstance(entry["files"], list):
        raise BadInputError(f"{path}: '{prefix}files' is {entry['files']!r}; it must be a list of names or patterns")
    found: list[Path] = []
    for name in entry["files"]:
        whole = root / str(name)
        has_pattern = any(sign in str(name) for sign in "*?[")
        matches = sorted(Path(whole.anchor).glob(str(whole.relative_to(whole.anchor)))) if has_pattern else [whole]
        if not matches:
            raise BadInputError(f"{path}: '{prefix}files': no file matches {name!r} in {root}")
        for match in matches:
            if not match.resolve().is_relative_to(root.resolve()):
                raise BadInputError(
                    f"{path}: '{prefix}files': {name!r} leads out of {root}; name the folder that holds all files with --root"
                )
        found += matches
    return tuple(found)


def _changes(path: Path, prefix: str, given: Any) -> tuple[tuple[pd.Timestamp, float], ...]:
    """Return stamps and the constant from each on, in order; raises BadInputError for what is none."""
    if not isinstance(given, dict):
        raise BadInputError(
            f"{path}: '{prefix}changes' is {given!r:.80}; it must be a dictionary of stamps and numbers"
        )
    found = []
    for stamp, value in given.items():
        _number(path, f"{prefix}changes.", {str(stamp): value}, str(stamp))
        try:
            when = pd.Timestamp(str(stamp))
        except ValueError as error:
            raise BadInputError(
                f"{path}: '{prefix}changes' has {stamp!r}; it must be a stamp like 2024-04-20T00:00Z"
            ) from error
        if when.tz is None:
            raise BadInputError(
                f"{path}: '{prefix}changes' has {stamp!r}; it must say its offset, as 2024-04-20T00:00Z"
            )
        found.append((when.tz_convert("UTC"), float(value)))
    return tuple(sorted(found))


def _rate(entry: dict[str, Any], unit: str, path: Path, prefix: str, root: Path, zone: str | None) -> float | Series:
    rate = entry.get("usd_per_unit")
    is_foreign = "/" in unit and unit.split("/")[0] in CURRENCIES[1:]
    if rate is None:
        if is_foreign:
            raise BadInputError(f"{path}: unit {unit!r} needs '{prefix}usd_per_unit', a number or a series of rates")
        return 1.0
    if isinstance(rate, dict):
        series = _series({"column": "coin_price_usd", "unit": "usd", **rate}, path, root, zone)
        return replace(series, role="usd_per_unit") if series.constant is None else series.constant
    _number(path, prefix, entry, "usd_per_unit")
    if rate <= 0.0:
        raise BadInputError(f"{path}: '{prefix}usd_per_unit' is {rate!r}; it must be above 0")
    return float(rate)
