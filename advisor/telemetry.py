"""Read a fleet's telemetry: rows that cannot be right are set aside with the reason; what no machine reports is modelled and told."""

import csv
import hashlib
import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import pandas as pd

from ..sim.cooling.plants import PLANTS
from ..sim.foundation.errors import BadInputError
from ..sim.foundation.foreign import read_file
from ..sim.foundation.parquet import read_parquet
from ..sim.foundation.renamed import renamed_hint
from ..sim.foundation.wording import plain, with_unit
from ..sim.hardware import catalogue
from ..sim.site.params import SiteParams, ZoneParams
from ..sim.telemetry.columns import COLUMNS, STATUS
from ..sim.telemetry.stamps import utc_stamps
from . import soundness

MAX_BYTES: Final = 256 << 20
"""Largest file that is read. chosen: a day of 5-minute rows of 10,000 machines takes some 250 MB."""

FUTURE_TOLERANCE_S: Final = 60.0
"""Clocks may differ by this much. [s] chosen: little beside a control step."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that is not used.

    row: number as imports count: the line of a CSV, from 1 in files without lines. kind: the reason without this row's numbers, by which a
    report groups rows.
    """

    row: int
    machine_id: str
    column: str
    reason: str
    kind: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as advice.json has it."""
        return {"row": self.row, "machine_id": self.machine_id, "column": self.column, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Telemetry:
    """A file of telemetry: its table as it was read, every column in its type, and a hash of the file.

    first_row: number of its first row in messages. absent: columns that no machine reports. notes: what was modelled in their place.
    """

    frame: pd.DataFrame
    sha256: str
    first_row: int = 1
    absent: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def reported(self) -> pd.Timestamp | None:
        """Time at which the fleet last reported: the median over its machines, None if no row has a time."""
        newest = self.frame.groupby("machine_id")["time_utc"].max().dropna().sort_values()
        return None if newest.empty else newest.iloc[(len(newest) - 1) // 2]


def read(path: Path, timezone: str | None = None) -> Telemetry:
    """Read a CSV or Parquet file.

    Args:
        path: The file.
        timezone: Of stamps that state no offset, a name like America/Chicago; without it such stamps are refused.

    Raises:
        BadInputError: The file is missing, not readable, or lacks columns; names them.
    """
    content = read_file(path, MAX_BYTES)
    is_parquet = path.suffix in (".parquet", ".pq")
    try:
        frame = read_parquet(content) if is_parquet else _read_csv(content)
    except BadInputError as error:
        raise BadInputError(f"{path}{error}") from error
    except Exception as error:  # pandas and pyarrow raise many kinds
        raise BadInputError(f"{path}: not a readable CSV or Parquet table ({error})") from error
    try:
        return of_frame(frame, hashlib.sha256(content).hexdigest(), 1 if is_parquet else 2, timezone)
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from error


def of_frame(frame: pd.DataFrame, sha256: str = "", first_row: int = 1, timezone: str | None = None) -> Telemetry:
    """Return telemetry of a table as it was read; raises BadInputError that names columns that are missing."""
    table = typed(frame, timezone)
    optional = [name for name, column in COLUMNS.items() if not column.is_required]
    absent = tuple(name for name in optional if len(table) and _is_empty(table[name]).all())
    return Telemetry(table, sha256, first_row, absent)


def _is_empty(values: pd.Series) -> pd.Series:
    return values.isna() | (values.astype(str) == "")


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


def typed(frame: pd.DataFrame, timezone: str | None = None) -> pd.DataFrame:
    """Return a telemetry table with every column in its type; what is not readable is missing there.

    A negative hashrate, power, clock, speed or time is what firmware writes for none, and so is a chip at -1 °C.

    Raises:
        BadInputError: Columns that are required are missing, or stamps state no offset; names them.

    Examples:
        >>> row = dict.fromkeys(COLUMNS, "0") | {"time_utc": "2025-07-01T00:00Z", "power_w": "3050", "hot_temp_c": "?"}
        >>> frame = typed(pd.DataFrame([row]))
        >>> float(frame["power_w"][0]), bool(frame["hot_temp_c"].isna()[0])
        (3050.0, True)
    """
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise BadInputError(f"column {twice[0]!r} stands twice")
    missing = [name for name, column in COLUMNS.items() if column.is_required and name not in frame]
    hint = renamed_hint(map(str, frame), COLUMNS)
    if missing or hint:
        names = ", ".join(map(repr, missing))
        said = f"column {names} is missing" if len(missing) == 1 else f"columns {names} are missing"
        required = ", ".join(name for name, column in COLUMNS.items() if column.is_required)
        raise BadInputError(f"{said if missing else 'a column has an old name'}{hint}; telemetry needs {required}, and may have "
                            f"{', '.join(name for name in COLUMNS if not COLUMNS[name].is_required)}")  # fmt: skip
    result = pd.DataFrame(index=range(len(frame)))
    for name, column in COLUMNS.items():
        values = frame[name].reset_index(drop=True) if name in frame else pd.Series([None] * len(frame), dtype=object)
        if name == "time_utc":
            result[name] = utc_stamps(values, timezone)
        elif column.is_number:
            numbers = pd.to_numeric(values, errors="coerce").astype(np.float64)
            is_none = (numbers < 0.0) if column.low == 0.0 else (numbers == -1.0) & (name == "hot_temp_c")
            result[name] = numbers.mask(is_none)
        else:
            result[name] = values.astype(str).str.strip().map(plain).where(values.notna(), "")
    return result


def complete(given: Telemetry, site: SiteParams, outdoor_temp_c: float) -> Telemetry:
    """Return telemetry with what no machine reports put in from the model of the machine, and a note of it.

    Power is put in machine by machine, since some firmware reports none beside others that do.

    Args:
        given: What was read.
        site: The site that the policy was made for.
        outdoor_temp_c: Outdoor temperature, for an inlet that nobody measures. [°C]
    """
    frame = given.frame.copy()
    wanted = [name for name in COLUMNS if name in given.absent]
    if frame.empty:
        return given
    keys = {name: catalogue.key_of(name) for name in frame["model"].unique()}
    models = frame["model"].map({name: key and catalogue.machine(key).name for name, key in keys.items()})
    notes = []
    if "zone" in wanted:
        homes: dict[str, list[int]] = {}
        for number, zone in enumerate(site.zones):
            homes.setdefault(zone.machine.name, []).append(number)
        frame["zone"] = models.map({name: zones[0] for name, zones in homes.items() if len(zones) == 1}).astype(
            np.float64
        )
        notes.append("zone is not reported: machines are taken to stand in the one zone of their model")
        wanted.remove("zone")
    lacks_power = frame["power_w"].isna() & frame["hashrate_ths"].notna()
    for number, zone in enumerate(site.zones):
        rows = (frame["zone"] == number) & (models == zone.machine.name)
        if rows.any():
            frame.loc[rows] = soundness.modelled(frame[rows], zone, wanted, outdoor_temp_c)
            note = soundness.clock_note(frame[rows], zone)
            notes += [f"zone {number}: {note}"] if note else []
    for name in wanted:
        if name != "power_w":
            notes.append(f"{name} is not reported: {soundness.MODELLED[name]}")
    n = int((lacks_power & frame["power_w"].notna()).sum())
    if n:
        notes.append(f"{n} reading{' holds' if n == 1 else 's hold'} no power: {soundness.MODELLED['power_w']}")
    return replace(given, frame=frame, notes=tuple(notes))


def check(
    given: Telemetry, site: SiteParams, now: pd.Timestamp, max_age_s: float
) -> tuple[pd.DataFrame, list[Rejected]]:
    """Return the newest row of each machine where it is sound, and what was set aside.

    Args:
        given: What was read, completed.
        site: The site that the policy was made for.
        now: Time of the advice.
        max_age_s: Age above which a reading is stale. [s]

    Returns:
        Rows in the file's order with the columns of telemetry, and rejected rows in that order too.
    """
    frame = given.frame
    reasons: dict[int, tuple[str, str, str]] = {}

    def reject(bad: pd.Series, column: str, kind: str, reason: Any = None) -> None:
        for row in np.flatnonzero(bad.to_numpy(dtype=bool)):
            reasons.setdefault(int(row), (column, kind if reason is None else reason(int(row)), kind))

    # What a machine is comes first: of one that is not the site's, nothing else can be modelled or told.
    for place, rows in frame.groupby(["model", "zone"], dropna=False):
        model, zone = cast("tuple[str, float]", place)
        found = soundness.misplaced(model, zone, site) if model else None
        if found is not None:
            reasons |= dict.fromkeys(np.flatnonzero(frame.index.isin(rows.index)), found)
    for name, column in COLUMNS.items():
        values = frame[name]
        if column.is_number:
            reject(~np.isfinite(values), name, "missing or not a number")
            reject(
                (values < column.low) | (values > column.high),
                name,
                f"outside {column.low:g}…{with_unit(column.high, column.unit)}",
                lambda r, v=values, c=column, n=name: (
                    f"{with_unit(v[r], c.unit)} is not in {c.low:g}…{c.high:g}"
                    + soundness.unit_hint(n, v[r], frame["model"][r])
                ),
            )
        else:
            reject(_is_empty(values), name, "missing or not readable")
    age_s = (now - frame["time_utc"]).dt.total_seconds()
    ahead = age_s < -FUTURE_TOLERANCE_S
    reject(ahead, "time_utc", "in the future", lambda r: f"{-age_s[r]:.0f} s in the future of {now:%Y-%m-%dT%H:%M:%SZ}")
    reject(
        ~frame["status"].isin(list(STATUS)),
        "status",
        f"none of {', '.join(STATUS)}",
        lambda r: f"{frame['status'][r]!r} is none of {', '.join(STATUS)}",
    )
    # What a machine said last counts, sound or not: an older good reading does not stand for a newer bad one.
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
        twins,
        "machine_id",
        "a machine reported more than once for one time",
        lambda r: f"machine {frame['machine_id'][r]!r} is reported more than once for this time",
    )
    reject(
        is_last & (age_s > max_age_s),
        "time_utc",
        f"stale, {max_age_s:g} s at most",
        lambda r: f"stale: {age_s[r]:.0f} s old, {max_age_s:g} s at most",
    )
    still = soundness.standing_still(frame[~ahead & frame["time_utc"].notna()])
    for row, entry in enumerate(frame.to_dict("records")):
        if row not in reasons and is_last[row]:
            found = soundness.misfit(entry, site) or still.get(row)
            if found is not None:
                reasons[row] = found
    rejected = [
        Rejected(row + given.first_row, str(frame["machine_id"][row]), *reasons[row]) for row in sorted(reasons)
    ]
    return frame[is_last & ~frame.index.isin(list(reasons))], rejected


def without_site(given: Telemetry) -> tuple[list[str], list[Rejected]]:
    """Return notes and rows set aside of a table whose site is not known, as if each model stood in a zone of its own.

    Readings count as new, and no chip is held against an inlet that is not reported.
    """
    models = {key for name in given.frame["model"].unique() if (key := catalogue.key_of(name)) is not None}
    zones = []
    for key in sorted(models or {"s21"}):
        machine = catalogue.machine(key)
        plant = next(kind() for kind in PLANTS.values() if kind.cooling == machine.cooling)
        zones.append(ZoneParams(machine=machine, firmware=catalogue.firmware("fast_curtail"), plant=plant, n_units=1))
    homes = {key: float(number) for number, key in enumerate(sorted(models))}
    frame = given.frame.assign(
        zone=given.frame["model"].map(lambda name: homes.get(catalogue.key_of(name) or "", np.nan))
    )
    absent = tuple(name for name in given.absent if name != "zone")
    site = SiteParams(zones=tuple(zones))
    known = complete(replace(given, frame=frame, absent=absent), site, COLUMNS["inlet_temp_c"].low)
    names = {f"zone {number}": zone.machine.name for number, zone in enumerate(zones)}
    notes = [note.partition(":") for note in known.notes]
    rejected = check(known, site, given.reported or pd.Timestamp.now("UTC"), np.inf)[1]
    return [names.get(head, head) + sign + tail for head, sign, tail in notes], rejected
