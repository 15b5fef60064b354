"""From the keys of a scenario's YAML to site, contract and markets."""

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from ...sim.contract.contract import (
    Block,
    CoincidentPeakCharge,
    Contract,
    CurtailmentProgramme,
    DemandCharge,
    FlatTariff,
    HoursUseTariff,
    RealTimeTariff,
    ReserveProgramme,
    TimeOfUseTariff,
)
from ...sim.cooling.plants import PLANTS, PlantParams
from ...sim.energy.battery import BatteryParams
from ...sim.energy.interconnect import InterconnectParams
from ...sim.energy.renewables import SunParams, WindParams
from ...sim.foundation.checks import Problems, require_kinds, require_known
from ...sim.foundation.errors import BadInputError
from ...sim.hardware import catalogue
from ...sim.market.pools import Market, Pool
from ...sim.site.params import Link, SiteParams, ZoneParams
from .befalling import DrawnEvents, chosen

TARIFFS: Final = {
    "real_time": RealTimeTariff,
    "flat": FlatTariff,
    "time_of_use": TimeOfUseTariff,
    "hours_use": HoursUseTariff,
}
_PARTS: Final = {
    "block": Block,
    "coincident_peak": CoincidentPeakCharge,
    "curtailment": CurtailmentProgramme,
    "demand": DemandCharge,
    "reserve": ReserveProgramme,
}


_ENERGY: Final = {"battery": BatteryParams, "sun": SunParams, "wind": WindParams, "interconnect": InterconnectParams}


def check_keys(prefix: str, mapping: object, allowed: set[str]) -> None:
    """Refuse what is no dictionary, and keys that nothing reads; raises BadInputError."""
    if not isinstance(mapping, Mapping):
        raise BadInputError(f"scenario.{prefix or 'yaml'} is {mapping!r}; it must be a dictionary")
    require_known("scenario: unknown key", mapping, allowed, prefix)


def contract(mapping: Mapping[str, Any]) -> Contract:
    """Build a contract from a scenario's `tariff`: kind and keys of the energy tariff, and the parts beside it."""
    if not isinstance(mapping, Mapping):
        raise BadInputError(f"scenario.tariff is {mapping!r}; it must be a dictionary")
    kind = mapping.get("kind")
    if not isinstance(kind, str) or kind not in TARIFFS:
        raise BadInputError(f"scenario.tariff.kind is {kind!r}; it must be one of {', '.join(TARIFFS)}")
    energy, names = TARIFFS[kind], {entry.name for entry in dataclasses.fields(Contract)} - {"energy"}
    rest: dict[str, Any] = {name: value for name, value in mapping.items() if name in names}
    own = {name: value for name, value in mapping.items() if name != "kind" and name not in rest}
    problems = Problems()
    for name, cls in _PARTS.items():
        if name in rest:
            given = rest[name] if isinstance(rest[name], list) else [rest[name]]
            if len(given) != 1 and name != "demand":
                problems.lines.append(f"scenario.tariff.{name} has {len(given)} entries; there is one at most")
                continue
            with problems.noted():
                built = tuple(_built(cls, f"tariff.{name}.", entry) for entry in given)
                rest[name] = built if name == "demand" else built[0]
    allowed = names | {entry.name for entry in dataclasses.fields(energy)} | {"kind"}
    with problems.noted():
        require_known("scenario: unknown key", own, allowed, "tariff.")
    with problems.noted():
        tariff = _built(energy, "tariff.", own)
    problems.raise_all()
    return _made(Contract, "tariff.", {"energy": tariff, **rest})


def markets(entries: Sequence[Mapping[str, Any]]) -> tuple[Market, ...]:
    """Build markets from a scenario's `markets`: each with coins, pool and switch_s."""
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise BadInputError(f"scenario.markets is {entries!r}; it must be a list")
    built = []
    for entry in entries:
        check_keys("markets.", entry, {"coins", "pool", "switch_s"})
        pool = _built(Pool, "markets.pool.", entry.get("pool", {}))
        built.append(_built(Market, "markets.", {**entry, "pool": pool}, apart=("pool",)))
    return tuple(built)


def _built(cls: type[Any], prefix: str, mapping: Any, apart: Collection[str] = ()) -> Any:
    """Return an instance of a parameter class from a dictionary; whatever is wrong with its keys and values is named at once.

    Args:
        cls: The class.
        prefix: Where the dictionary stands in the scenario.
        mapping: The dictionary.
        apart: Fields that have readers of their own, and are made already.
    """
    names = [entry.name for entry in dataclasses.fields(cls)]
    problems = Problems()
    with problems.noted():
        check_keys(prefix, mapping, set(names))
    if isinstance(mapping, Mapping):
        with problems.noted():
            require_kinds(cls, f"scenario.{prefix}", mapping, apart)
    problems.raise_all()
    return _made(cls, prefix, mapping)


def _made(cls: type[Any], prefix: str, mapping: Mapping[str, Any]) -> Any:
    try:
        return cls(**_tuples(mapping))
    except BadInputError as error:
        raise BadInputError(f"scenario.{prefix.rstrip('.')}: {error}") from error
    except TypeError as error:
        raise BadInputError(f"scenario.{prefix.rstrip('.')}: a value is of the wrong kind ({error})") from error


def _tuples(mapping: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in mapping.items()}


def events_of(given: Any) -> str | DrawnEvents:
    """Return a scenario's `events`: none, drawn, a file, or how they are drawn; raises BadInputError for anything else."""
    if isinstance(given, Mapping):
        made: DrawnEvents = _built(DrawnEvents, "events.", given)
        return made
    return chosen(given)


def site_of(scenario: Mapping[str, Any]) -> SiteParams:
    """Build the site of a scenario, its contract and markets included, without its history.

    Raises:
        BadInputError: Says everything that is wrong, a line each.
    """
    problems = Problems()
    mapping, power, sold = scenario["site"], Contract(), tuple[Market, ...]()
    with problems.noted():
        power = contract(scenario["tariff"])
    with problems.noted():
        sold = markets(scenario.get("markets", ()))
    names = {entry.name for entry in dataclasses.fields(SiteParams)} - {"contract", "markets"}
    with problems.noted():
        check_keys("site.", mapping, names)
    if not isinstance(mapping, Mapping):
        problems.raise_all()
    zones = _each(mapping.get("zones"), "site.zones", _zone, problems)
    links = _each(mapping.get("links", []), "site.links", lambda prefix, entry: _built(Link, prefix, entry), problems)
    for number, zone in enumerate(zones):
        for market in sold:
            if market.algorithms != {zone.machine.algorithm}:
                problems.lines.append(
                    f"scenario.site.zones[{number}].machine mines {zone.machine.algorithm}; the market {market.name} does not"
                )
    if len({zone.machine.algorithm for zone in zones}) > 1:
        problems.lines.append(
            "scenario.site.zones: machines mine several algorithms; a site's hashes are sold at one market"
        )
    energy = dict[str, Any]()
    for name, cls in _ENERGY.items():
        if mapping.get(name) is not None:
            with problems.noted():
                energy[name] = _built(cls, f"site.{name}.", mapping[name])
    apart = {**dict.fromkeys(_ENERGY), **energy, "zones": zones, "links": links, "contract": power, "markets": sold}
    with problems.noted():
        own = {name: value for name, value in mapping.items() if name in names and name not in apart}
        require_kinds(SiteParams, "scenario.site.", own, tuple(apart))
    problems.raise_all()
    site: SiteParams = _made(SiteParams, "site.", {**own, **apart})
    return site


def _each(entries: Any, prefix: str, make: Callable[[str, Any], Any], problems: Problems) -> tuple[Any, ...]:
    """Return what the entries of a list make; what is wrong with them is noted."""
    if not isinstance(entries, list | tuple):
        problems.lines.append(f"scenario.{prefix} is {entries!r:.80}; it must be a list")
        return ()
    built = []
    for number, entry in enumerate(entries):
        with problems.noted():
            built.append(make(f"{prefix}[{number}].", entry))
    return tuple(built)


def _zone(prefix: str, mapping: Any) -> ZoneParams:
    check_keys(prefix, mapping, {"machine", "firmware", "plant", "n_units", "n_slots"})
    problems, made = Problems(), dict[str, Any]()
    for name, make in (("machine", catalogue.machine), ("firmware", catalogue.firmware)):
        with problems.noted():
            if not isinstance(mapping.get(name), str):
                said = f"is {mapping[name]!r:.80}" if name in mapping else "is missing"
                raise BadInputError(f"scenario.{prefix}{name} {said}; it must be a name of the catalogue")
            with _at(f"scenario.{prefix}{name}"):
                made[name] = make(mapping[name])
    with problems.noted():
        made["plant"] = _plant(f"{prefix}plant.", mapping.get("plant", {}))
    numbers = {name: mapping[name] for name in ("n_units", "n_slots") if name in mapping}
    with problems.noted():
        if "n_units" not in numbers:
            raise BadInputError(f"scenario.{prefix}n_units is missing; it must be a whole number")
        require_kinds(ZoneParams, f"scenario.{prefix}", numbers, ("machine", "firmware", "plant"))
    problems.raise_all()
    zone: ZoneParams = _made(ZoneParams, prefix, {**made, **numbers})
    return zone


@contextmanager
def _at(place: str) -> Iterator[None]:
    """Put the place before the message of a BadInputError."""
    try:
        yield
    except BadInputError as error:
        raise BadInputError(f"{place}: {error}") from error


def _plant(prefix: str, mapping: Any) -> PlantParams:
    if not isinstance(mapping, Mapping):
        raise BadInputError(
            f"scenario.{prefix.rstrip('.')} is {mapping!r:.80}; it must be a dictionary, as {{kind: container}}"
        )
    kind = mapping.get("kind", "container")
    if kind not in PLANTS:
        raise BadInputError(f"scenario.{prefix}kind is {kind!r}; it must be one of {', '.join(PLANTS)}")
    plant: PlantParams = _built(
        PLANTS[kind], prefix, {name: value for name, value in mapping.items() if name != "kind"}
    )
    return plant
