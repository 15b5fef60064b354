"""A scenario: site, tariff, history, splits and episode length, read from a YAML of conf/scenario."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
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
from ..sim.power import RealTimeTariff, Tariff, TimeOfUseTariff
from ..sim.state import Exogenous
from ..sim.synthesis import synthesize

_TARIFFS: Final = {"real_time": RealTimeTariff, "time_of_use": TimeOfUseTariff}
_KEYS: Final = {"name", "site", "tariff", "history", "splits", "episode_days"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything that fixes an environment's world. `config_hash` is carried by results."""

    name: str
    site: SiteParams
    tariff: Tariff
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
            self._exogenous[forecast] = exogenous.build(
                self.history, self.tariff, forecast, altitude_m=self.site.altitude_m
            )
        return self._exogenous[forecast]


def names() -> tuple[str, ...]:
    """Return the names of the scenarios that ship."""
    folder = resources.files("hashgym.conf").joinpath("scenario")
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")))


@lru_cache(maxsize=8)
def load(name: str, history: str | None = None) -> Scenario:
    """Return a scenario that ships, on its own synthetic history or on a history folder.

    Raises:
        BadInputError: There is no scenario of that name, or the history is not readable.
    """
    if name not in names():
        raise BadInputError(f"no scenario {name!r}; there are {', '.join(names())}")
    path = resources.files("hashgym.conf").joinpath("scenario").joinpath(f"{name}.yaml")
    return from_mapping(yaml.safe_load(path.read_text(encoding="utf-8")), history)


def from_mapping(mapping: Mapping[str, Any], history: str | History | None = None) -> Scenario:
    """Build a scenario from the content of its YAML.

    Args:
        mapping: name, site, tariff, history, splits, episode_days.
        history: A history, or its folder, that replaces the synthetic one; splits are taken from the mapping as well.

    Raises:
        BadInputError: Names the key that is unknown, missing or out of range.
    """
    _check("", mapping, _KEYS)
    missing = _KEYS - set(mapping)
    if missing:
        raise BadInputError(f"scenario: key {sorted(missing)[0]!r} is missing")
    source = history.hash if isinstance(history, History) else history or mapping["history"]
    canonical = json.dumps({**mapping, "history": source}, sort_keys=True, default=str)
    steps = float(mapping["episode_days"]) * SECONDS_PER_DAY / CONTROL_STEP_S
    if not (steps >= 1.0 and steps == int(steps)):
        raise BadInputError(
            f"scenario.episode_days is {mapping['episode_days']!r}; it must be whole steps of 5 minutes"
        )
    splits = {str(key): (str(span[0]), str(span[1])) for key, span in mapping["splits"].items()}
    scenario = Scenario(
        name=str(mapping["name"]),
        site=_site(mapping["site"]),
        tariff=_tariff(mapping["tariff"]),
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
    _check("history.", mapping, {"region", "start", "end", "seed"})
    return synthesize(str(mapping["region"]), str(mapping["start"]), str(mapping["end"]), int(mapping["seed"]))


def _tariff(mapping: Mapping[str, Any]) -> Tariff:
    kind = mapping.get("kind")
    if kind not in _TARIFFS:
        raise BadInputError(f"scenario.tariff.kind is {kind!r}; it must be one of {', '.join(_TARIFFS)}")
    cls = _TARIFFS[kind]
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in mapping.items() if k != "kind"}
    _check("tariff.", values, {entry.name for entry in dataclasses.fields(cls)})
    return cls(**values)


def _site(mapping: Mapping[str, Any]) -> SiteParams:
    _check("site.", mapping, {entry.name for entry in dataclasses.fields(SiteParams)})
    zones = tuple(_zone(entry) for entry in mapping.get("zones", ()))
    for entry in mapping.get("links", ()):
        _check("site.links.", entry, {"zone", "source", "share"})
    for number, zone in enumerate(zones):
        if zone.machine.algorithm != "sha256":
            raise BadInputError(
                f"scenario.site.zones[{number}].machine mines {zone.machine.algorithm}; the market is Bitcoin's, sha256"
            )
    links = tuple(Link(**entry) for entry in mapping.get("links", ()))
    return SiteParams(**{**mapping, "zones": zones, "links": links})


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
    cls = PLANTS[kind]
    values = {name: value for name, value in mapping.items() if name != "kind"}
    _check("site.zones.plant.", values, {entry.name for entry in dataclasses.fields(cls)})
    return cls(**values)
