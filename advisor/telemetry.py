"""Read a fleet's telemetry: rows that cannot be right are set aside with the reason, nothing is filled in."""

import csv
import hashlib
import io
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from ..sim.foundation.constants import CONTROL_STEP_S
from ..sim.foundation.errors import BadInputError
from ..sim.foundation.renamed import renamed_hint
from ..sim.hardware import catalogue
from ..sim.site.params import SiteParams, ZoneParams
from ..sim.telemetry.columns import COLUMNS, STATUS

OVER_RATED: Final = 2.0
"""Readings above this multiple of a machine's rated hashrate or power are wrong. chosen: no firmware profile
reaches it."""

SAME_MHZ: Final = 0.5
"""A reported frequency is a profile's if it is as near as this. [MHz] chosen: profiles lie 22 MHz apart or more."""

HALF: Final = 0.5
"""A hashing machine below this share of its profile's hashrate, or off its power by more than it, has a fault. chosen:
one lost board of three stays above it."""

IDLE_PU: Final = 0.1
"""A machine that draws more than this share of rated power neither sleeps nor is tripped. chosen: fans take 3 %."""

FUTURE_TOLERANCE_S: Final = 60.0
"""Clocks may differ by this much. [s] chosen: little beside a control step."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that is not used. row: number in the file, the header not counted, from 1."""

    row: int
    machine_id: str
    column: str
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """Return it as advice.json has it."""
        return {"row": self.row, "machine_id": self.machine_id, "column": self.column, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Telemetry:
    """A file of telemetry: its table as it was read, every column in its type, and a hash of the file."""

    frame: pd.DataFrame
    sha256: str

    @property
    def reported(self) -> pd.Timestamp | None:
        """Time at which the fleet last reported: the median over its machines, None if no row has a time."""
        newest = self.frame.groupby("machine_id")["time_utc"].max().dropna().sort_values()
        return None if newest.empty else newest.iloc[(len(newest) - 1) // 2]


def read(path: Path) -> Telemetry:
    """Read a CSV or Parquet file.

    Raises:
        BadInputError: The file is missing, not readable, or lacks a column; names it.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInputError(f"{path}: not readable ({error.strerror})") from error
    try:
        is_parquet = path.suffix in (".parquet", ".pq")
        frame = pd.read_parquet(io.BytesIO(content)) if is_parquet else _read_csv(content)
    except BadInputError as error:
        raise BadInputError(f"{path}{error}") from error
    except Exception as error:  # pandas and pyarrow raise many kinds
        raise BadInputError(f"{path}: not a readable CSV or Parquet table ({error})") from error
    try:
        return Telemetry(typed(frame), hashlib.sha256(content).hexdigest())
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from error


def _read_csv(content: bytes) -> pd.DataFrame:
    """Return a CSV table as text; raises BadInputError for a line that does not have the header's fields."""
    lines = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
    header = next(lines, [])
    rows: list[list[str]] = []
    for row in lines:
        if lines.line_num != len(rows) + 2:
            raise BadInputError(f", line {lines.line_num}: a line break inside a field; a quote is missing or too many")
        if len(row) != len(header):
            raise BadInputError(f", line {lines.line_num}: {len(row)} fields, the header has {len(header)}")
        rows.append(row)
    return pd.DataFrame(rows, columns=header, dtype=str)


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a telemetry table with every column in its type; what is not readable is missing there.

    Raises:
        BadInputError: A column is missing; names it.

    Examples:
        >>> row = dict.fromkeys(COLUMNS, "0") | {"time_utc": "2025-07-01T00:00Z", "power_w": "3050", "hot_temp_c": "?"}
        >>> frame = typed(pd.DataFrame([row]))
        >>> float(frame["power_w"][0]), bool(frame["hot_temp_c"].isna()[0])
        (3050.0, True)
    """
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise BadInputError(f"column {twice[0]!r} stands twice")
    missing = [name for name in COLUMNS if name not in frame]
    if missing:
        hint = renamed_hint(map(str, frame), missing)
        raise BadInputError(f"column {missing[0]!r} is missing{hint}; telemetry has {', '.join(COLUMNS)}")
    result = pd.DataFrame(index=range(len(frame)))
    for name, column in COLUMNS.items():
        values = frame[name].reset_index(drop=True)
        if name == "time_utc":
            result[name] = _stamps(values)
        elif column.is_number:
            result[name] = pd.to_numeric(values, errors="coerce").astype(np.float64)
        else:
            result[name] = values.astype(str).str.strip().where(values.notna(), "")
    return result


def _stamps(values: pd.Series) -> pd.Series:
    """Return times in UTC, NaT where one is no full time stamp; raises BadInputError if the column is of no such type."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    is_stamp = pd.api.types.is_datetime64_any_dtype(values)
    if not (is_stamp or pd.api.types.is_object_dtype(values) or pd.api.types.is_string_dtype(values) or values.empty):
        raise BadInputError(f"column 'time_utc' has type {values.dtype}; it must hold time stamps or ISO 8601 text")
    if not is_stamp:
        text = values.astype(str)
        values = text.where(text.str.match(r"^\s*\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}").astype(bool), None)
    stamps = pd.to_datetime(values, utc=True, errors="coerce", format=None if is_stamp else "ISO8601")
    near = stamps.where((stamps >= _FIRST) & (stamps < _LAST))
    return near.astype("datetime64[ns, UTC]")


_FIRST: Final = pd.Timestamp("1970-01-01", tz="UTC")
_LAST: Final = pd.Timestamp("2200-01-01", tz="UTC")


def check(
    telemetry: Telemetry, site: SiteParams, now: pd.Timestamp, max_age_s: float
) -> tuple[pd.DataFrame, list[Rejected]]:
    """Return the newest row of each machine where it is sound, and what was set aside.

    Args:
        telemetry: What was read.
        site: The site that the policy was made for.
        now: Time of the advice.
        max_age_s: Age above which a reading is stale. [s]

    Returns:
        Rows in the file's order with the columns of telemetry, and rejected rows in that order too.
    """
    frame = telemetry.frame
    reasons: dict[int, tuple[str, str]] = {}

    def reject(bad: pd.Series, column: str, reason: Any) -> None:
        for row in np.flatnonzero(bad.to_numpy(dtype=bool)):
            reasons.setdefault(int(row), (column, reason(row) if callable(reason) else reason))

    for name, column in COLUMNS.items():
        values = frame[name]
        if column.is_number:
            reject(~np.isfinite(values), name, "missing or not a number")
            reject(
                (values < column.low) | (values > column.high),
                name,
                lambda r, v=values, c=column: f"{v[r]:g} {c.unit} is not in {c.low:g}…{c.high:g}",
            )
        else:
            reject(values.isna() | (values.astype(str) == ""), name, "missing or not readable")
    age_s = (now - frame["time_utc"]).dt.total_seconds()
    reject(
        age_s < -FUTURE_TOLERANCE_S,
        "time_utc",
        lambda r: f"{-age_s[r]:.0f} s in the future of {now:%Y-%m-%dT%H:%M:%SZ}",
    )
    reject(
        ~frame["status"].isin(list(STATUS)),
        "status",
        lambda r: f"{frame['status'][r]!r} is none of {', '.join(STATUS)}",
    )
    # What a machine said last counts, sound or not: an older good reading does not stand for a newer bad one.
    ahead = age_s < -FUTURE_TOLERANCE_S
    last = frame["time_utc"].where(~ahead).groupby(frame["machine_id"]).transform("max")
    is_last = (frame["time_utc"] == last) | frame["time_utc"].isna() | ahead
    untimed = frame["time_utc"].isna().groupby(frame["machine_id"]).transform("any")
    reject(
        is_last & untimed,
        "time_utc",
        "another reading of this machine has no readable time; which is newer is not known",
    )
    twins = (
        frame[~ahead & is_last]
        .duplicated(["machine_id", "time_utc"], keep=False)
        .reindex(frame.index, fill_value=False)
    )
    reject(
        twins, "machine_id", lambda r: f"machine {frame['machine_id'][r]!r} is reported more than once for this time"
    )
    reject(is_last & (age_s > max_age_s), "time_utc", lambda r: f"stale: {age_s[r]:.0f} s old, {max_age_s:g} s at most")
    for row, entry in enumerate(frame.to_dict("records")):
        if row not in reasons and is_last[row]:
            found = _misfit(entry, site)
            if found is not None:
                reasons[row] = found
    rejected = [Rejected(row + 1, str(frame["machine_id"][row]), *reasons[row]) for row in sorted(reasons)]
    return frame[is_last & ~frame.index.isin(list(reasons))], rejected


def _misfit(row: dict[Hashable, Any], site: SiteParams) -> tuple[str, str] | None:
    """Return the column and the reason for which a row does not fit the site, None if it does."""
    given, zone = row["zone"], int(row["zone"])
    if zone != given or not 0 <= zone < len(site.zones):
        return "zone", f"{given:g} is no zone of this site; it has 0…{len(site.zones) - 1}"
    params = site.zones[zone]
    key = catalogue.key_of(row["model"])
    if key is None:
        return "model", f"{row['model']!r} is not in the catalogue; there are {', '.join(catalogue.machine_names())}"
    if catalogue.machine(key).name != params.machine.name:
        return "model", f"{row['model']!r} in a zone of {params.machine.name}: the policy was not made for it"
    return _contradiction(row, params)


def _contradiction(row: dict[Hashable, Any], params: ZoneParams) -> tuple[str, str] | None:
    machine, status = params.machine, row["status"]
    for column, rated in (("hashrate_ths", machine.rated_hashrate_ths), ("power_w", machine.rated_power_w)):
        if row[column] > OVER_RATED * rated:
            return column, f"{row[column]:g} is above {OVER_RATED:g} times the rated {rated:g}"
    ladder = params.ladder
    off_mhz = abs(row["freq_mhz"] - ladder.freq_mhz[ladder.nearest(row["freq_mhz"])])
    if status in ("hashing", "starting") and off_mhz > SAME_MHZ:
        return (
            "freq_mhz",
            f"{row['freq_mhz']:g} MHz while {status} is no profile; there are {', '.join(f'{f:g}' for f in ladder.freq_mhz)}",
        )
    if row["status_s"] < CONTROL_STEP_S:  # means of five minutes still hold what was before
        return None
    if status in ("asleep", "tripped") and row["hashrate_ths"] > 0.0:
        return "hashrate_ths", f"{row['hashrate_ths']:g} TH/s while {status}: the status is wrong"
    if status in ("asleep", "tripped") and row["power_w"] > IDLE_PU * machine.rated_power_w:
        return "power_w", f"{row['power_w']:g} W while {status}: the status or the meter is wrong"
    if status == "hashing":
        return _off_profile(row, params)
    return None


def _off_profile(row: dict[Hashable, Any], params: ZoneParams) -> tuple[str, str] | None:
    """Return why a hashing machine is not doing what its profile says, None if it is."""
    ladder = params.ladder
    k = ladder.nearest(row["freq_mhz"])
    hashrate_ths, power_w = float(ladder.listed_hashrate_ths[k]), float(ladder.listed_power_w[k])
    if row["hashrate_ths"] < HALF * hashrate_ths:
        return (
            "hashrate_ths",
            f"{row['hashrate_ths']:g} TH/s at {row['power_w']:g} W while hashing, the profile makes {hashrate_ths:.0f}: a fault, not a set-point",
        )
    if not HALF * power_w <= row["power_w"] <= power_w / HALF:
        return (
            "power_w",
            f"{row['power_w']:g} W while hashing, the profile draws {power_w:.0f}: the meter or the status is wrong",
        )
    return None
