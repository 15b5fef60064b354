"""From the keys of a scenario's YAML to site, contract and markets."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ...sim.contract.contract import (
    Block,
    CoincidentPeakCharge,
    Contract,
    CurtailmentProgramme,
    DemandCharge,
    FlatTariff,
    RealTimeTariff,
    TimeOfUseTariff,
)
from ...sim.cooling.plants import PLANTS, PlantParams
from ...sim.foundation.checks import require_known
from ...sim.foundation.errors import BadInputError
from ...sim.hardware import catalogue
from ...sim.market.pools import Market, Pool
from ...sim.site.params import Link, SiteParams, ZoneParams

TARIFFS: Final = {"real_time": RealTimeTariff, "flat": FlatTariff, "time_of_use": TimeOfUseTariff}
_PARTS: Final = {
    "block": Block,
    "coincident_peak": CoincidentPeakCharge,
    "curtailment": CurtailmentProgramme,
    "demand": DemandCharge,
}


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
    rest = {name: value for name, value in mapping.items() if name in names}
    own = {name: value for name, value in mapping.items() if name != "kind" and name not in rest}
    for name, cls in _PARTS.items():
        if name in rest:
            given = rest[name] if isinstance(rest[name], list) else [rest[name]]
            if len(given) != 1 and name != "demand":
                raise BadInputError(f"scenario.tariff.{name} has {len(given)} entries; there is one at most")
            built = tuple(_built(cls, f"tariff.{name}.", entry) for entry in given)
            rest[name] = built if name == "demand" else built[0]
    allowed = names | {entry.name for entry in dataclasses.fields(energy)} | {"kind"}
    require_known("scenario: unknown key", own, allowed, "tariff.")
    return _made(Contract, "tariff.", {"energy": _built(energy, "tariff.", own), **rest})


def markets(entries: Sequence[Mapping[str, Any]]) -> tuple[Market, ...]:
    """Build markets from a scenario's `markets`: each with coins, pool and switch_s."""
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise BadInputError(f"scenario.markets is {entries!r}; it must be a list")
    built = []
    for entry in entries:
        check_keys("markets.", entry, {"coins", "pool", "switch_s"})
        pool = _built(Pool, "markets.pool.", entry.get("pool", {}))
        built.append(_made(Market, "markets.", {**entry, "pool": pool}))
    return tuple(built)


def _built(cls: type[Any], prefix: str, mapping: Any) -> Any:
    """Return an instance of a parameter class from a dictionary; unknown keys are named."""
    check_keys(prefix, mapping, {entry.name for entry in dataclasses.fields(cls)})
    return _made(cls, prefix, mapping)


def _made(cls: type[Any], prefix: str, mapping: Mapping[str, Any]) -> Any:
    try:
        return cls(**_tuples(mapping))
    except TypeError as error:
        raise BadInputError(f"scenario.{prefix.rstrip('.')}: a value is of the wrong kind ({error})") from error


def _tuples(mapping: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in mapping.items()}


def site_of(scenario: Mapping[str, Any]) -> SiteParams:
    """Build the site of a scenario, its contract and markets included, without its history."""
    mapping = scenario["site"]
    power, sold = contract(scenario["tariff"]), markets(scenario.get("markets", ()))
    check_keys("site.", mapping, {entry.name for entry in dataclasses.fields(SiteParams)} - {"contract", "markets"})
    zones = tuple(_zone(entry) for entry in mapping.get("zones", ()))
    for entry in mapping.get("links", ()):
        check_keys("site.links.", entry, {"zone", "source", "share"})
    for number, zone in enumerate(zones):
        for market in sold:
            if market.algorithms != {zone.machine.algorithm}:
                raise BadInputError(
                    f"scenario.site.zones[{number}].machine mines {zone.machine.algorithm}; the market {market.name} does not"
                )
    if len({zone.machine.algorithm for zone in zones}) > 1:
        raise BadInputError(
            "scenario.site.zones: machines mine several algorithms; a site's hashes are sold at one market"
        )
    links = tuple(Link(**entry) for entry in mapping.get("links", ()))
    return SiteParams(**{**mapping, "zones": zones, "links": links, "contract": power, "markets": sold})


def _zone(mapping: Mapping[str, Any]) -> ZoneParams:
    check_keys("site.zones.", mapping, {"machine", "firmware", "plant", "n_units", "n_slots"})
    slots = mapping.get("n_slots")
    return ZoneParams(
        machine=catalogue.machine(str(mapping.get("machine"))),
        firmware=catalogue.firmware(str(mapping.get("firmware"))),
        plant=_plant(mapping.get("plant", {})),
        n_units=int(mapping.get("n_units", 280)),
        n_slots=None if slots is None else int(slots),
    )


def _plant(mapping: Mapping[str, Any]) -> PlantParams:
    kind = mapping.get("kind", "container")
    if kind not in PLANTS:
        raise BadInputError(f"scenario.site.zones.plant.kind is {kind!r}; it must be one of {', '.join(PLANTS)}")
    plant: PlantParams = _built(
        PLANTS[kind], "site.zones.plant.", {name: value for name, value in mapping.items() if name != "kind"}
    )
    return plant
