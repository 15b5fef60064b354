"""What firmware answers, as rows of telemetry: each dialect a list of paths in miners.yaml."""

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import yaml

from ..sim.foundation.constants import CONTROL_STEP_S
from ..sim.foundation.errors import BadInputError
from ..sim.foundation.foreign import read_file
from ..sim.foundation.wording import plain
from ..sim.hardware import catalogue
from ..sim.hardware.ladder import ladder_of
from ..sim.telemetry.columns import COLUMNS
from ..sim.telemetry.reported import BOARD_BELOW_CHIP_K, MAX_RPM, N_BOARDS

MAX_BYTES: Final = 32 << 20
"""Largest reply that is read. chosen: pyasic's rows of some thousand machines."""

REPLIES: Final = (
    "summary", "stats", "devs", "devdetails", "power", "temps", "fans", "profiles", "version", "events", "pools", "config",
    "miner_stats", "miner_details", "miner_hw_hashboards", "cooling_state", "miner_errors",
)  # fmt: skip
"""Names of commands: files that differ in one at their ends hold the answers of one machine."""

STATES: Final = {
    "hashing": ("mining", "hashing", "running", "true", "auto-tuning", "normal"),
    "asleep": ("stopped", "sleep", "idle", "idling", "paused", "suspended", "false"),
    "starting": ("starting", "initializing", "booting", "restarting"),
    "tripped": ("failure", "overheat", "shutting-down", "shutdown"),
}
"""Words in which firmware tells its state."""

CLOCK_TOLERANCE: Final = 0.1
"""Share by which a firmware's and the catalogue's hashrate at a clock may differ. chosen: silicon and rounding make some 3 %."""
_COMMANDS: Final = (*REPLIES, "performance_tuner_state", "configuration_miner")
_MISSING: Final = ("", "redacted", "unknown", "n/a", "none", "null")
_CHOICES: Final[dict[str, Callable[[list[float]], float]]] = {
    "mean": lambda numbers: sum(numbers) / len(numbers),
    "max": max,
    "sum": sum,
}
_DAY_S: Final = 86400.0
_LEAST_PU: Final = 0.02
"""Share of the hashrate that it should make above which a machine hashes. chosen: a share or two after it stopped."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What one machine answered.

    name: of the file, or its place in it. dialect: title of the firmware's dialect, empty if none is known. values: quantity → value. paths: quantity →
    where it stood. notes: what is odd, each with its numbers.
    """

    name: str
    dialect: str
    values: dict[str, Any]
    paths: dict[str, str]
    notes: tuple[str, ...]

    @property
    def absent(self) -> tuple[str, ...]:
        """Columns of telemetry that the machine does not tell."""
        return tuple(name for name in COLUMNS if name not in self.values)

    @property
    def lacking(self) -> list[str]:
        """What is missing for a row of telemetry, empty if nothing is."""
        if not self.dialect:
            return ["firmware that is known"]
        hints = {"time_utc": " (--at gives it)", "model": " (--model gives it)"}
        return [name + hints.get(name, "") for name in self.absent if COLUMNS[name].is_required]

    def as_text(self) -> str:
        """Return what was understood, what not, and what is odd."""
        lines = [f"{plain(self.name)}: {self.dialect or 'no firmware that is known answers like this'}"]
        for name, value in self.values.items():
            shown = f"{value:.6g}" if isinstance(value, float) else plain(str(value))
            lines.append(f"  {name:14s} {shown:<28s} {self.paths.get(name, '')}")
        if self.dialect and self.absent:
            lines.append(f"  not told       {', '.join(self.absent)}")
        return "\n".join([*lines, *(f"  NOTE {note}" for note in self.notes)])


def read(paths: Sequence[Path], **given: Any) -> list[Reply]:
    """Return what machines answered, one entry a machine.

    Files whose names differ in the command's name alone (rig7_summary.json, rig7_stats.json) are of one machine; a file may
    hold the answers to several commands by their names, and a list holds a machine in each entry. Files that are named after commands alone
    (rig7/summary.json, rig7/stats.json) are of the machine that their folder names.

    Args:
        paths: The files.
        given: model, zone and time_utc of machines that do not tell theirs.

    Raises:
        BadInputError: A file is absent, no JSON, or larger than MAX_BYTES.
    """
    machines: dict[Path, list[Any]] = {}
    for path in paths:
        stem = re.sub(rf"[_.\-]?({'|'.join(sorted(REPLIES, key=len, reverse=True))})$", "", path.stem)
        machines.setdefault(path.with_name(stem) if stem else path.parent, []).append(_content(path))
    found = []
    for place, contents in machines.items():
        if len(contents) == 1 and isinstance(contents[0], list):
            found += [_reply(f"{place.name}[{k}]", [entry], given) for k, entry in enumerate(contents[0])]
        else:
            found.append(_reply(place.name, contents, given))
    return found


def table(replies: Sequence[Reply]) -> pd.DataFrame:
    """Return the telemetry of those that lack nothing for it."""
    return pd.DataFrame([reply.values for reply in replies if not reply.lacking], columns=list(COLUMNS))


def _content(path: Path) -> Any:
    try:
        return json.loads(read_file(path, MAX_BYTES))
    except (ValueError, RecursionError) as error:
        if isinstance(error, BadInputError):
            raise
        raise BadInputError(f"{path}: not a readable JSON ({plain(str(error))[:120]})") from error


@cache
def _dialects() -> list[dict[str, Any]]:
    text = resources.files("hashgym.sources").joinpath("miners.yaml").read_text(encoding="utf-8")
    content: list[dict[str, Any]] = yaml.safe_load(text)
    return content


def _reply(name: str, contents: Sequence[Any], given: dict[str, Any]) -> Reply:
    merged = _merged(contents)
    for dialect in _dialects():
        if all(_is_marked(merged, mark) for mark in dialect["marks"]):
            break
    else:
        return Reply(name, "", {}, {}, ())
    raw: dict[str, Any] = {}
    paths: dict[str, str] = {}
    for quantity, places in dialect["values"].items():
        for place in places:
            value = _value(merged, quantity, *place)
            if value is not None:
                raw[quantity], paths[quantity] = value, place[0]
                break
    if _time(raw.get("time_utc")) is None:
        raw.pop("time_utc", None)
    for quantity, value in given.items():
        if value is not None and quantity not in raw:
            raw[quantity], paths[quantity] = value, "given"
    return _judged(name, dialect, merged, raw, paths)


def _merged(contents: Sequence[Any]) -> dict[str, Any]:
    """Return the answers to several commands as one dictionary; those in one file may stand under the commands' names."""
    merged: dict[str, Any] = {}
    for content in contents:
        parts = [content]
        if isinstance(content, dict) and content and all(
            isinstance(part, dict) and key.removesuffix(".json").lower() in _COMMANDS
            for key, part in content.items()
        ):  # fmt: skip
            parts = list(content.values())
        for part in parts:
            for key, value in part.items() if isinstance(part, dict) else ():
                merged.setdefault(key, value)
    return merged


def _is_marked(content: dict[str, Any], mark: list[str]) -> bool:
    found = [value for _, value in _find(content, mark[0].split("/"))]
    return bool(found) and (len(mark) == 1 or any(mark[1] in str(value) for value in found))


def _find(node: Any, parts: list[str], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what a path leads to, with the path that was gone."""
    if not parts:
        yield path, node
        return
    entries: Any = ()
    if isinstance(node, dict):
        entries = ((key, value) for key, value in node.items() if fnmatchcase(str(key), parts[0]))
    elif isinstance(node, list):
        entries = ((k, value) for k, value in enumerate(node) if fnmatchcase(str(k), parts[0]))
    for key, value in entries:
        yield from _find(value, parts[1:], f"{path}/{key}")


def _value(content: dict[str, Any], quantity: str, path: str, factor: float = 1.0, which: str = "first") -> Any:
    """Return a quantity at a path, None if nothing is there; -1 and other negatives are what firmware writes for nothing."""
    found = [value for _, value in _find(content, path.split("/"))]
    if quantity in ("machine_id", "model", "state", "profile", "time_utc"):
        texts = [plain(str(value)).strip() for value in found if isinstance(value, str | int | float | bool)]
        return next((text for text in texts if text.lower() not in _MISSING), None)
    if quantity == "errors":
        texts = [plain(str(value)) for value in found if value not in (None, "", 0)]
        return texts or None
    numbers = [number for value in found for number in _numbers(value) if number >= 0.0]
    if which.endswith("_on"):
        is_switch = any(isinstance(value, bool) for value in found)
        on = [number for number in numbers if number > 0.0]
        if which == "count_on":
            return len(on) if numbers or is_switch else None
        numbers, which = on, "mean"
    if not numbers:
        return None
    chosen = numbers[0] if which == "first" else _CHOICES[which](numbers)
    return float(chosen) * float(factor)


def _numbers(value: Any) -> list[float]:
    """Return the numbers in a value: itself, or those of a text like "78-50-69-70"."""
    if isinstance(value, bool | int | float):
        return [number] if math.isfinite(number := _float(value)) else []
    if isinstance(value, str) and re.fullmatch(r"\s*\d+(\.\d+)?(-\d+(\.\d+)?)*\s*", value):
        return [float(part) for part in value.split("-")]
    return []


def _float(value: Any) -> float:
    """Return a number of JSON, whose integers know no bounds; infinite beyond those of floats."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _judged(
    name: str, dialect: dict[str, Any], content: dict[str, Any], raw: dict[str, Any], paths: dict[str, str]
) -> Reply:
    """Return a reply with its quantities as telemetry has them, and notes of what is odd."""
    notes: list[str] = []
    values: dict[str, Any] = {"machine_id": raw.get("machine_id", name)}
    time = _time(raw.get("time_utc"))
    if time is not None:
        values["time_utc"] = time
    values |= {
        key: raw[key]
        for key in ("model", "zone", "hashrate_ths", "power_w", "freq_mhz", "hot_temp_c", "inlet_temp_c", "status_s")
        if key in raw
    }
    if dialect["name"] == "pyasic":
        values |= {key: value for key, value in (("hashrate_ths", _rate(content, "hashrate")),) if value is not None}
    if "hot_temp_c" not in values and "board_temp_c" in raw:
        values["hot_temp_c"], paths["hot_temp_c"] = raw["board_temp_c"] + BOARD_BELOW_CHIP_K, paths["board_temp_c"]
        notes.append(
            f"no chip sensor: {raw['board_temp_c']:g} °C at the board and {BOARD_BELOW_CHIP_K:g} K above it are taken"
        )
    if values.get("hot_temp_c") == 0.0:
        del values["hot_temp_c"]
    if "fan_pu" in raw or "fan_rpm" in raw:
        values["fan_pu"] = min(1.0, raw.get("fan_pu", raw.get("fan_rpm", 0.0) / MAX_RPM))
        paths.setdefault("fan_pu", f"{paths.get('fan_rpm', '')} of {MAX_RPM:g} rpm")
    expected_ths = _rate(content, "expected_hashrate") if dialect["name"] == "pyasic" else raw.get("expected_ths")
    status = _status(raw.get("state"), values.get("hashrate_ths"), expected_ths)
    if status is not None:
        values["status"] = status
        paths.setdefault("status", paths.get("state", "from the hashrate"))
        if status in ("asleep", "tripped"):
            values["freq_mhz"] = 0.0
    notes += _machine_notes(values, raw, expected_ths)
    if values.get("status") == "hashing" and values.get("freq_mhz", raw.get("freq_mhz")) != raw.get("freq_mhz"):
        paths["freq_mhz"] += f" says {raw['freq_mhz']:g}"
    notes += _odd(values, raw, paths, expected_ths, content, dialect)
    ordered = {column: values[column] for column in COLUMNS if column in values}
    return Reply(name, str(dialect["title"]), ordered, paths, tuple(notes))


def _time(stated: str | None) -> str | None:
    """Return a time as ISO 8601 in UTC: of seconds since 1970, or of a stamp that says its offset; None of one that says none."""
    if stated is None:
        return None
    try:
        if re.fullmatch(r"\d+(\.\d+)?", stated):
            stamp = pd.Timestamp(float(stated), unit="s", tz="UTC")
        else:
            stamp = pd.Timestamp(stated)
            if stamp.tz is None:
                return None
    except (ValueError, OverflowError):
        return None
    return str(stamp.tz_convert("UTC").strftime("%Y-%m-%dT%H:%M:%SZ")) if stamp.year >= 2009 else None


def _rate(content: dict[str, Any], key: str) -> float | None:
    """Return a hashrate of pyasic's, a number in TH/s or a rate with its unit. [TH/s]"""
    entry = content.get(key)
    if not isinstance(entry, dict):
        return _float(entry) if isinstance(entry, int | float) and 0 <= _float(entry) < math.inf else None
    unit = entry.get("unit")
    unit = str(unit.get("suffix", "TH/s") if isinstance(unit, dict) else unit or "TH/s").upper()
    per_ths = {"H": 1e12, "K": 1e9, "M": 1e6, "G": 1e3, "T": 1.0, "P": 1e-3, "E": 1e-6}.get(unit[:1], 1.0)
    rate = entry.get("rate")
    return _float(rate) / per_ths if isinstance(rate, int | float) and 0 <= _float(rate) < math.inf else None


def _status(state: str | None, hashrate_ths: float | None, expected_ths: float | None) -> str | None:
    if state is not None:
        for status, words in STATES.items():
            if state.lower() in words:
                return status
    if hashrate_ths is None:
        return None
    return "hashing" if hashrate_ths > _LEAST_PU * (expected_ths or 0.0) and hashrate_ths > 0.0 else "asleep"


def _machine_notes(values: dict[str, Any], raw: dict[str, Any], expected_ths: float | None) -> list[str]:
    """Return notes of the model and of a clock that is none of its profiles; one that is counted otherwise is put right in `values`."""
    if "model" not in values:
        return ["it does not name its model; `model` must be given"]
    key = catalogue.key_of(values["model"])
    if key is None:
        return [f"{values['model']!r} is not in the catalogue; {catalogue.nearest_names(values['model'])}"]
    params = catalogue.machine(key)
    ladder = ladder_of(params)
    clock = values.get("freq_mhz", 0.0)
    if not clock or values.get("status") != "hashing":
        return []
    called = f" (its profile is called {raw['profile']})" if "profile" in raw else ""
    notes = []
    made_ths = ladder.between(clock)[1] if ladder.has(clock) else 0.0
    if (
        expected_ths
        and ladder.has(expected_ths / params.ths_per_mhz)
        and abs(made_ths / expected_ths - 1.0) > CLOCK_TOLERANCE
    ):
        told, clock = clock, expected_ths / params.ths_per_mhz
        values["freq_mhz"] = clock
        by_catalogue = f"{made_ths:.1f} by the catalogue's" if made_ths else "beyond the catalogue's ladder"
        notes.append(
            f"{told:.1f} MHz make {expected_ths:.1f} TH/s by its own reckoning, {by_catalogue}, which counts clocks otherwise: "
            f"{clock:.1f} MHz are the catalogue's"
        )
    if not ladder.has(clock):
        notes.append(
            f"{clock:.1f} MHz{called} is no profile of {values['model']}, whose ladder goes from {ladder.min_mhz:g} to {ladder.max_mhz:g}"
        )
    elif not ladder.is_profile(clock):
        low = ladder.freq_mhz[ladder.freq_mhz <= clock]
        high = ladder.freq_mhz[ladder.freq_mhz >= clock]
        place = (
            f"between {low[-1]:g} and {high[0]:g} MHz: inter"
            if len(low) and len(high)
            else f"beyond {ladder.min_mhz:g}…{ladder.max_mhz:g} MHz: extra"
        )
        power_w, hashrate_ths = ladder.between(clock)
        notes.append(
            f"{clock:.1f} MHz{called} lies {place}polated on the ladder, {hashrate_ths:.1f} TH/s at {power_w:,.0f} W"
        )
    return notes


def _odd(
    values: dict[str, Any],
    raw: dict[str, Any],
    paths: dict[str, str],
    expected_ths: float | None,
    content: dict[str, Any],
    dialect: dict[str, Any],
) -> list[str]:
    """Return notes of boards, means and sensors."""
    notes = []
    boards, all_boards = raw.get("boards"), int(raw.get("all_boards") or N_BOARDS)
    if boards is not None and values.get("status") == "hashing" and boards < all_boards:
        notes.append(f"{boards} of {all_boards} boards are on")
    clocks = dialect["values"].get("freq_mhz", [[""]])[0]
    each = (
        [n * float(clocks[1]) for _, v in _find(content, clocks[0].split("/")) for n in _numbers(v) if n > 0.0]
        if len(clocks) > 1
        else []
    )
    if len(each) > 1 and max(each) - min(each) > 0.5:
        notes.append(f"tuned board by board: {', '.join(f'{mhz:.1f}' for mhz in each)} MHz, their mean is taken")
    if "day_ths" in raw and raw.get("status_s", _DAY_S) < _DAY_S and "hashrate_ths" in values:
        hours = raw["status_s"] / 3600.0
        notes.append(
            f"runs for {hours:.1f} h, so that its mean of 24 h, {raw['day_ths']:.1f} TH/s, is not its hashrate; that of minutes is, "
            f"{values['hashrate_ths']:.1f}"
        )
    if values.get("status") == "hashing":
        notes += _of_minutes(values, paths, dialect) + _fans(values, raw, content, dialect)
    if "power_w" not in values and "hashrate_ths" in values:
        notes.append("it tells no power; the advisor takes the catalogue's at its clock")
    if values.get("status") == "hashing" and values.get("hot_temp_c", np.inf) < values.get("inlet_temp_c", -np.inf):
        notes.append(
            f"chips of {values['hot_temp_c']:g} °C are below the inlet of {values['inlet_temp_c']:g}: one sensor is wrong"
        )
    if expected_ths and values.get("status") == "hashing" and "hashrate_ths" in values:
        share = values["hashrate_ths"] / expected_ths
        if share < 0.9 and values.get("status_s", _DAY_S) > 600.0:
            notes.append(f"{values['hashrate_ths']:.1f} TH/s of {expected_ths:.1f} that its clock should make")
    errors = raw.get("errors", ())
    if errors:
        some = "; ".join(text[:80] for text in errors[:3]) + (" …" if len(errors) > 3 else "")
        notes.append(f"{len(errors)} error{'s' * (len(errors) > 1)} told: {some}")
    return notes


def _of_minutes(values: dict[str, Any], paths: dict[str, str], dialect: dict[str, Any]) -> list[str]:
    """Return notes of a hashrate that is no mean of five minutes."""
    notes = []
    places = dialect["values"].get("hashrate_ths", [])
    if places and paths.get("hashrate_ths", places[0][0]) != places[0][0]:
        key, wanted = (path.split("/")[-1] for path in (paths["hashrate_ths"], places[0][0]))
        notes.append(f"its {key!r} stands for the mean of minutes, {wanted!r}, that it does not tell")
    if values.get("status_s", np.inf) < CONTROL_STEP_S:
        notes.append(f"up for {values['status_s']:.0f} s: its hashrate is of less than five minutes")
    return notes


def _fans(values: dict[str, Any], raw: dict[str, Any], content: dict[str, Any], dialect: dict[str, Any]) -> list[str]:
    """Return notes of fans that stand still or turn faster than any that is known. Of more than half, the places are empty."""
    notes = []
    for place in dialect["values"].get("fan_rpm", []):
        speeds = [rpm for _, value in _find(content, place[0].split("/")) for rpm in _numbers(value)]
        still = speeds.count(0.0)
        if 0 < 2 * still <= len(speeds):
            notes.append(f"{still} of {len(speeds)} fans stand still")
        if speeds:
            break
    if raw.get("fan_rpm", 0.0) > MAX_RPM and "fan_pu" not in raw:
        notes.append(f"fans at {raw['fan_rpm']:.0f} rpm, above {MAX_RPM:g}: full speed is taken")
    return notes
