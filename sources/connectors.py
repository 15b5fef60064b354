"""Public services into a cache of CSV files, each with a mapping that `hashgym data import` takes.

A service is a YAML of sources/services: address, query, how the answer reads, its pace, a second source. A span is fetched in
chunks; a chunk that is whole is never asked for again, so a call that was cut off goes on where it stood.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any, Final

import pandas as pd

from ..sim.foundation.errors import BadInputError
from ..sim.foundation.foreign import read_file
from ..sim.foundation.yamls import MAX_BYTES, parse_yaml
from . import grid, keys
from .cache import Cache, Chunk, is_whole
from .web import SourceError, Web

ORIENTATIONS: Final = ("rows", "columns", "by_time")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A public service.

    url, params: address and query, in which {start_ms}, {end_ms}, {start_s}, {end_s}, {start_iso}, {end_iso}, {start_day}, {end_day}
    (the last day inside) and the names of `defaults` are filled in. chunk_h: span of one request. records: key of the
    answer's rows, with dots. orientation: rows (lists or dictionaries), columns (a list for each name) or by_time (a
    dictionary of values by stamp). time, time_unit (s, ms) or time_format: of the stamps. values: key in the answer of
    each column of the history. missing: what stands for no value. series: how the columns go into a history, beside
    time and files. key, header or query: name of a key and where it goes. fallback: second source. gridstatus: arguments of
    `grid.span`, in place of an address. market: time zone and publication of prices, for the mapping.
    """

    name: str
    title: str
    values: dict[str, Any]
    series: list[dict[str, Any]]
    url: str = ""
    params: dict[str, Any] | None = None
    defaults: dict[str, Any] | None = None
    chunk_h: int = 720
    records: str | None = None
    orientation: str = "rows"
    time: Any = "time"
    time_unit: str | None = None
    time_format: str | None = None
    missing: float | None = None
    requests_per_minute: float = 30.0  # chosen: modest; a service's file says what it allows
    key: str | None = None
    header: str | None = None
    query: str | None = None
    fallback: str | None = None
    gridstatus: dict[str, Any] | None = None
    market: dict[str, Any] | None = None


def names() -> tuple[str, ...]:
    """Return the services that ship."""
    folder = resources.files("hashgym.sources").joinpath("services")
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")))


def read_service(name: str) -> Service:
    """Return a service that ships, by name, or one from a file of the same form.

    Raises:
        BadInputError: Names the key that is unknown or missing.
    """
    if name in names():
        text = (
            resources.files("hashgym.sources").joinpath("services").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
        )
    elif name.endswith(".yaml") and Path(name).is_file():
        text = read_file(Path(name), MAX_BYTES).decode("utf-8", errors="replace")
    else:
        raise BadInputError(f"no service {name!r}; there are {', '.join(names())}, or a file like them")
    service = Service(name=Path(name).stem, **_content(name, text))
    if service.key is not None and name not in names() and service.key != service.name:
        raise BadInputError(
            f"service {name}: asks for the key {service.key!r}; a service of one's own has a key of its own name, {service.name!r}"
        )
    if service.orientation not in ORIENTATIONS:
        raise BadInputError(f"service {name}: orientation is {service.orientation!r}; use {', '.join(ORIENTATIONS)}")
    if not isinstance(service.chunk_h, int) or service.chunk_h < 1:
        raise BadInputError(
            f"service {name}: chunk_h is {service.chunk_h!r}; it must be a whole number of hours, 1 or more"
        )
    return service


def _content(name: str, text: str) -> dict[str, Any]:
    content = parse_yaml(text, f"service {name}: not a readable YAML")
    if not isinstance(content, dict):
        raise BadInputError(f"service {name}: a service is a YAML dictionary")
    allowed = {entry.name for entry in fields(Service)} - {"name"}
    for key in content:
        if key not in allowed:
            raise BadInputError(f"service {name}: unknown key {key!r}; there are {', '.join(sorted(allowed))}")
    for key in ("title", "values", "series"):
        if key not in content:
            raise BadInputError(f"service {name}: key {key!r} is missing")
    return content


def fetch(
    name: str,
    start: str,
    end: str,
    folder: Path,
    settings: Sequence[str] = (),
    web: Web | None = None,
    now: pd.Timestamp | None = None,
) -> str:
    """Fetch a span of a service into a cache; returns what was done, in words.

    Args:
        name: Service.
        start: First day, ISO date, UTC.
        end: Day after the last, ISO date, UTC.
        folder: Folder of the cache; the service has one of its own in it.
        settings: NAME=VALUE for the service's defaults.
        web: Client, for tests.
        now: The present, for tests.

    Raises:
        BadInputError: Service, span or setting is none, or a key is missing.
        SourceError: Neither the service nor its second source gave a chunk; what came before is kept.
    """
    service = _with(read_service(name), settings)
    now = pd.Timestamp.now(tz="UTC") if now is None else now
    cache = Cache(folder / _label(service))
    clients = {} if web is None else {service.name: web, service.fallback or "": web}
    made = 0
    for chunk in _chunks(service, start, end, now):
        if cache.has(chunk):
            continue
        try:
            frame, origin = _from_either(service, chunk, clients)
        except SourceError as error:
            raise SourceError(
                f"{error}; {made} chunks fetched now are kept in {cache.folder}: run the same command again"
            ) from None
        cache.add(chunk, frame, origin, is_whole=is_whole(frame, chunk, now))
        made += 1
    cache.write_mapping(f"{service.title} ({cache.told()})", service.series, service.market)
    return f"{cache.folder / 'mapping.yaml'}: {made} chunks fetched, {cache.told()}"


def _label(service: Service) -> str:
    """Return the cache folder's name: the service, and a hash of settings that differ from place to place."""
    if not service.defaults:
        return service.name
    text = json.dumps(service.defaults, sort_keys=True, default=str)
    return f"{service.name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _with(service: Service, settings: Sequence[str]) -> Service:
    defaults = dict(service.defaults or {})
    for setting in settings:
        key, sign, value = setting.partition("=")
        if not sign or key not in defaults:
            raise BadInputError(
                f"--set {setting!r}: the service {service.name} has {', '.join(defaults) or 'no settings'}"
            )
        defaults[key] = parse_yaml(value, f"--set {setting!r}: not a value")
    return replace(service, defaults=defaults)


def _chunks(service: Service, start: str, end: str, now: pd.Timestamp) -> list[Chunk]:
    """Return the chunks that cover a span, on a grid of their own, so that other spans find them again."""
    try:
        first, last = (pd.Timestamp(text, tz="UTC") for text in (start, end))
    except (TypeError, ValueError) as error:
        raise BadInputError(f"span {start}…{end}: not dates like 2024-01-31 ({error})") from error
    if not first < last:
        raise BadInputError(f"span {start}…{end} is empty")
    size = pd.Timedelta(hours=service.chunk_h)
    at, found = first.floor(size), []
    while at < min(last, now):
        found.append(Chunk(at, at + size))
        at += size
    if not found:
        raise BadInputError(f"span {start}…{end} lies in the future")
    return found


def _from_either(service: Service, chunk: Chunk, clients: dict[str, Web]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Ask a service, and its second source if it gives nothing; the second's values are moved to the first's publication."""
    try:
        return _from(service, chunk, clients)
    except SourceError as error:
        if service.fallback is None:
            raise
        second = read_service(service.fallback)
        second = replace(second, defaults={**(second.defaults or {}), **(service.defaults or {})})
        later = pd.Timedelta(seconds=_delay_s(second) - _delay_s(service))
        size, parts, at = pd.Timedelta(hours=second.chunk_h), [], chunk.start - later
        origin: dict[str, Any] = {}
        try:
            while at < chunk.end - later:
                frame, origin = _from(second, Chunk(at, min(at + size, chunk.end - later)), clients)
                parts.append(frame)
                at += size
        except SourceError as other:
            raise SourceError(f"{error}; the second source {second.name}: {other}") from None
        joined = pd.concat(parts, ignore_index=True)
        joined["time"] += later
        return joined, {**origin, "switched_from": service.name, "because": str(error)}


def _delay_s(service: Service) -> float:
    """Return the time after its stamp from which a service's value is known. [s]"""
    return max(float(entry.get("delay_s", 0.0)) for entry in service.series)


def _from(service: Service, chunk: Chunk, clients: dict[str, Web]) -> tuple[pd.DataFrame, dict[str, Any]]:
    if service.gridstatus is not None:
        zone = str((service.market or {}).get("timezone", "UTC"))
        frame = grid.span(service.gridstatus, chunk, service.defaults or {}, zone)
        return _checked(service, frame, chunk), {"service": service.name, "library": "gridstatus"}
    client = clients.setdefault(service.name, Web(per_minute=service.requests_per_minute))
    filled = {**(service.defaults or {}), **chunk.names()}
    try:
        address = service.url.format(**filled)
        params = {k: v.format(**filled) if isinstance(v, str) else v for k, v in (service.params or {}).items()}
    except KeyError as error:
        raise BadInputError(
            f"service {service.name}: nothing fills {{{error.args[0]}}}; there are {', '.join(filled)}"
        ) from None
    headers = {"Accept": "application/json", "User-Agent": "hashgym"}
    secrets: tuple[str, ...] = ()
    shown = dict(params)
    if service.key is not None:
        secret = keys.find(service.key)
        secrets = (secret,)
        if service.header is not None:
            headers[service.header] = secret
        else:
            params[service.query or "api_key"] = secret
    content, body = client.document(address, params, headers, secrets)
    frame = _table(service, content)
    origin = {
        "service": service.name,
        "url": address,
        "params": shown,
        "sha256": hashlib.sha256(body).hexdigest(),
        "bytes": len(body),
    }
    return _checked(service, frame, chunk), origin


def _table(service: Service, content: Any) -> pd.DataFrame:
    """Return the answer as a frame with UTC stamps `time` and the service's columns; raises SourceError if it reads otherwise."""
    try:
        for key in service.records.split(".") if service.records else ():
            content = content[key]
        if service.orientation == "by_time":
            rows = pd.DataFrame({column: pd.Series(content[key]) for column, key in service.values.items()})
            raw, columns = (
                pd.Series(rows.index, dtype=str),
                {column: rows[column].to_numpy() for column in service.values},
            )
        else:
            table = _rows(content)
            raw = table[service.time]
            columns = {column: table[key].to_numpy() for column, key in service.values.items()}
        if service.time_unit is not None:
            unit: Any = service.time_unit
            stamps = pd.to_datetime(pd.to_numeric(raw), unit=unit, utc=True)
        else:
            stamps = pd.to_datetime(raw.astype(str), format=service.time_format or "ISO8601", utc=True)
        numbers = {column: pd.to_numeric(pd.Series(values)).to_numpy(float) for column, values in columns.items()}
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise SourceError(
            f"{service.name}: the answer reads otherwise than expected ({type(error).__name__}: {error})"
        ) from None
    return pd.DataFrame({"time": pd.DatetimeIndex(stamps), **numbers})


def _rows(content: Any) -> pd.DataFrame:
    """Return rows as a frame; what lies deeper in a row has a name with dots."""
    if isinstance(content, list) and content and isinstance(content[0], dict):
        return pd.json_normalize(content)
    return pd.DataFrame(content)


def _checked(service: Service, frame: pd.DataFrame, chunk: Chunk) -> pd.DataFrame:
    """Return the rows of a chunk in order of time, without those that have no value."""
    if service.missing is not None:
        frame = frame.mask(frame == service.missing)
    frame = frame.dropna().sort_values("time").drop_duplicates("time")
    frame = frame[(frame["time"] >= chunk.start) & (frame["time"] < chunk.end)].reset_index(drop=True)
    if frame.empty:
        raise SourceError(f"{service.name} has no value in {chunk.start:%Y-%m-%d %H:%M}…{chunk.end:%Y-%m-%d %H:%M}")
    return frame
