"""A scenario: site, tariff, history, splits and episode length, read from a YAML of conf/scenario."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import yaml

from ..sim import exogenous, models
from ..sim.constants import CONTROL_STEP_S, SECONDS_PER_DAY
from ..sim.errors import BadInputError
from ..sim.history import History, month_range
from ..sim.params import Link, SiteParams, ZoneParams
from ..sim.plants import PLANTS, PlantParams
from ..sim.pools import Market, Pool
from ..sim.power import (
    Block,
    CoincidentPeakCharge,
    Contract,
    CurtailmentProgramme,
    DemandCharge,
    FlatTariff,
    RealTimeTariff,
    TimeOfUseTariff,
)
from ..sim.world import Exogenous
from ..synthesis.generate import synthesize

_TARIFFS: Final = {"real_time": RealTimeTariff, "flat": FlatTariff, "time_of_use": TimeOfUseTariff}
_PARTS: Final = {
    "block": Block, "coincident_peak": CoincidentPeakCharge, "curtailment": CurtailmentProgramme, "demand": DemandCharge,
}  # fmt: skip
_KEYS: Final = {"name", "site", "tariff", "history", "splits", "episode_days"}
_OPTIONAL: Final = {"markets", "base", "about"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything that fixes an environment's world. `config_hash` is carried by results."""

    name: str
    site: SiteParams
    history: History
    splits: Mapping[str, tuple[str, str]]
    episode_steps: int
    config_hash: str
    _exogenous: dict[str, Exogenous] = field(init=False, repr=False, compare=False, default_factory=dict)

    def rows(self, split: str) -> tuple[int, int]:
        """Return the history rows [first, last) of a split; raises BadInputError if there is none of that name."""
        if split not in self.splits:
            raise BadInputError(f"scenario {self.name!r} has no split {split!r}; there are {', '.join(self.splits)}")
        return month_range(self.history, *self.splits[split])

    def exogenous(self, forecast: str) -> Exogenous:
        """Return the exogenous world of the whole history; built once, it is shared by all batches of the scenario."""
        if forecast not in self._exogenous:
            self._exogenous[forecast] = exogenous.build(self.history, self.site, forecast)
        return self._exogenous[forecast]


def names() -> tuple[str, ...]:
    """Return the names of the scenarios that ship; those that end in `_replay` need an imported history."""
    folder = resources.files("hashgym.conf").joinpath("scenario")
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")))


def read(name: str) -> dict[str, Any]:
    """Return the content of a scenario that ships; raises BadInputError if there is none of that name."""
    if name not in names():
        raise BadInputError(f"no scenario {name!r}; there are {', '.join(names())}")
    path = resources.files("hashgym.conf").joinpath("scenario").joinpath(f"{name}.yaml")
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def resolved(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return a scenario's content with what its `base`, a scenario that ships, says where it says nothing itself."""
    if not isinstance(mapping, Mapping) or mapping.get("base") is None:
        return dict(mapping) if isinstance(mapping, Mapping) else mapping
    own = {key: value for key, value in mapping.items() if key != "base"}
    return {**resolved(read(str(mapping["base"]))), **own}


@lru_cache(maxsize=8)
def load(name: str, history: str | None = None) -> Scenario:
    """Return a scenario that ships, on its own synthetic history or on a history folder.

    Raises:
        BadInputError: There is no scenario of that name, or the history is not readable.
    """
    return from_mapping(read(name), history)


def from_mapping(mapping: Mapping[str, Any], history: str | History | None = None) -> Scenario:
    """Build a scenario from the content of its YAML.

    Args:
        mapping: name, site, tariff, history, splits, episode_days and, optionally, markets, about: what it is for; base: a
            scenario that ships, which stands for the keys that are missing.
        history: A history, or its folder, that replaces the synthetic one; splits are taken from the mapping as well.

    Raises:
        BadInputError: Names the key that is unknown, missing or out of range.
    """
    _check("", mapping, _KEYS | _OPTIONAL)
    mapping = resolved(mapping)
    missing = _KEYS - set(mapping)
    if missing:
        raise BadInputError(f"scenario: key {sorted(missing)[0]!r} is missing")
    source = history.hash if isinstance(history, History) else history or mapping["history"]
    fixed = {key: value for key, value in mapping.items() if key != "about"}
    canonical = json.dumps({**fixed, "history": source}, sort_keys=True, default=str)
    steps = float(mapping["episode_days"]) * SECONDS_PER_DAY / CONTROL_STEP_S
    if not (steps >= 1.0 and steps == int(steps)):
        raise BadInputError(
            f"scenario.episode_days is {mapping['episode_days']!r}; it must be whole steps of 5 minutes"
        )
    splits = {str(key): (str(span[0]), str(span[1])) for key, span in mapping["splits"].items()}
    scenario = Scenario(
        name=str(mapping["name"]),
        site=site_of(mapping),
        history=_history(mapping["history"], history),
        splits=splits,
        episode_steps=int(steps),
        config_hash=hashlib.sha256(canonical.encode()).hexdigest()[:16],
    )
    _check_splits(scenario)
    return scenario


def _check_splits(scenario: Scenario) -> None:
    """Refuse splits that are not inside the history or share a day; raises BadInputError."""
    spans = sorted((scenario.rows(split), split) for split in scenario.splits)
    for ((_, end), one), ((begin, _), other) in pairwise(spans):
        if begin < end:
            raise BadInputError(f"scenario.splits: {one!r} and {other!r} overlap; each day belongs to one split")


def _check(prefix: str, mapping: Any, allowed: set[str]) -> None:
    if not isinstance(mapping, Mapping):
        raise BadInputError(f"scenario.{prefix or 'yaml'} is {mapping!r}; it must be a dictionary")
    for key in mapping:
        if key not in allowed:
            raise BadInputError(f"scenario: unknown key '{prefix}{key}'; there are {', '.join(sorted(allowed))}")


def _history(mapping: Mapping[str, Any], other: str | History | None) -> History:
    if isinstance(other, History):
        return other
    return History.load(Path(other)) if other else _synthesize(mapping)


def _synthesize(mapping: Mapping[str, Any]) -> History:
    if isinstance(mapping, Mapping) and "mappings" in mapping:
        _check("history.", mapping, {"mappings", "start", "end"})
        raise BadInputError(
            "this scenario replays real files, which do not ship: make its history by `hashgym data import "
            f"{' '.join(map(str, mapping['mappings']))} --start {mapping.get('start')} --end {mapping.get('end')} --root DATA "
            "--out FOLDER` and name it, history=FOLDER; docs/scenarios.md says which files"
        )
    _check("history.", mapping, {"region", "start", "end", "seed", "coins", "kind"})
    for key in ("region", "start", "end", "seed"):
        if key not in mapping:
            raise BadInputError(f"scenario: key 'history.{key}' is missing")
    return synthesize(
        str(mapping["region"]), str(mapping["start"]), str(mapping["end"]), int(mapping["seed"]),
        tuple(mapping.get("coins", ())), mapping.get("kind", "replay"),
    )  # fmt: skip


def contract(mapping: Mapping[str, Any]) -> Contract:
    """Build a contract from a scenario's `tariff`: kind and keys of the energy tariff, and the parts beside it."""
    if not isinstance(mapping, Mapping):
        raise BadInputError(f"scenario.tariff is {mapping!r}; it must be a dictionary")
    kind = mapping.get("kind")
    if not isinstance(kind, str) or kind not in _TARIFFS:
        raise BadInputError(f"scenario.tariff.kind is {kind!r}; it must be one of {', '.join(_TARIFFS)}")
    energy, names = _TARIFFS[kind], {entry.name for entry in dataclasses.fields(Contract)} - {"energy"}
    rest = {name: value for name, value in mapping.items() if name in names}
    own = {name: value for name, value in mapping.items() if name != "kind" and name not in rest}
    for name, cls in _PARTS.items():
        if name in rest:
            given = rest[name] if isinstance(rest[name], list) else [rest[name]]
            if len(given) != 1 and name != "demand":
                raise BadInputError(f"scenario.tariff.{name} has {len(given)} entries; there is one at most")
            built = tuple(_built(cls, f"tariff.{name}.", entry) for entry in given)
            rest[name] = built if name == "demand" else built[0]
    unknown = set(own) - {entry.name for entry in dataclasses.fields(energy)}
    if unknown:
        allowed = sorted(names | {entry.name for entry in dataclasses.fields(energy)} | {"kind"})
        raise BadInputError(f"scenario: unknown key 'tariff.{sorted(unknown)[0]}'; there are {', '.join(allowed)}")
    return _made(Contract, "tariff.", {"energy": _built(energy, "tariff.", own), **rest})


def markets(entries: Sequence[Mapping[str, Any]]) -> tuple[Market, ...]:
    """Build markets from a scenario's `markets`: each with coins, pool and switch_s."""
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise BadInputError(f"scenario.markets is {entries!r}; it must be a list")
    built = []
    for entry in entries:
        _check("markets.", entry, {"coins", "pool", "switch_s"})
        pool = _built(Pool, "markets.pool.", entry.get("pool", {}))
        built.append(_made(Market, "markets.", {**entry, "pool": pool}))
    return tuple(built)


def _built(cls: type[Any], prefix: str, mapping: Any) -> Any:
    """Return an instance of a parameter class from a dictionary; unknown keys are named."""
    _check(prefix, mapping, {entry.name for entry in dataclasses.fields(cls)})
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
    _check("site.", mapping, {entry.name for entry in dataclasses.fields(SiteParams)} - {"contract", "markets"})
    zones = tuple(_zone(entry) for entry in mapping.get("zones", ()))
    for entry in mapping.get("links", ()):
        _check("site.links.", entry, {"zone", "source", "share"})
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
    _check("site.zones.", mapping, {"machine", "firmware", "plant", "n_units", "n_places"})
    places = mapping.get("n_places")
    return ZoneParams(
        machine=models.machine(str(mapping.get("machine"))),
        firmware=models.firmware(str(mapping.get("firmware"))),
        plant=_plant(mapping.get("plant", {})),
        n_units=int(mapping.get("n_units", 280)),
        n_places=None if places is None else int(places),
    )


def _plant(mapping: Mapping[str, Any]) -> PlantParams:
    kind = mapping.get("kind", "container")
    if kind not in PLANTS:
        raise BadInputError(f"scenario.site.zones.plant.kind is {kind!r}; it must be one of {', '.join(PLANTS)}")
    plant: PlantParams = _built(
        PLANTS[kind], "site.zones.plant.", {name: value for name, value in mapping.items() if name != "kind"}
    )
    return plant
