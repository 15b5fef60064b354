"""A scenario: site, tariff, history, splits and episode length, read from a YAML of conf/scenario."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import yaml

from ...sim.foundation import threads
from ...sim.foundation.checks import Problems, require_known
from ...sim.foundation.errors import BadInputError
from ...sim.foundation.yamls import read_yaml
from ...sim.history.history import History, month_range
from ...sim.series import exogenous
from ...sim.series.exogenous import STEPS_PER_DAY
from ...sim.series.price_features import with_seen
from ...sim.site.params import SiteParams
from ...sim.site.world import Events, Exogenous
from ...synthesis.generate import synthesize
from .befalling import DrawnEvents, read_events
from .published import price_quantiles
from .sites import check_keys, events_of, site_of

KEYS: Final = {
    "name": "name in results",
    "site": "machines, plants and what lies between them and the meter",
    "tariff": "what power costs",
    "history": "how the synthetic history is made; `history=FOLDER` on the command line replaces it",
    "splits": "name: [first day, day after the last], UTC; train, validation and test, without a day in common",
    "episode_days": "length of an episode, whole steps of 5 minutes [d]",
    "markets": "where hashes can be sold; without it, the machines' usual coin",
    "base": "a scenario that ships, which stands for the keys that are missing",
    "about": "what it is for; the hash does not see it",
    "difficulty": "share of the swings of prices and temperatures that is left, in (0, 1]; default 1",
    "events": "what befalls the site: none, drawn, a file, or how it is drawn, as {age_years: 4}; default none",
    "thresholds": "thresholds of named costs on this site, as {chip_over_temp: 78}",
}
"""Keys of a scenario's YAML and what they mean."""

OPTIONAL: Final = {"markets", "base", "about", "difficulty", "thresholds", "events"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Scenario:
    """Everything that fixes an environment's world. `config_hash` is carried by results.

    A scenario equals itself alone: to compare two by content compare `config_hash` and `history.hash`.
    """

    name: str
    site: SiteParams
    history: History
    splits: Mapping[str, tuple[str, str]]
    episode_steps: int
    config_hash: str
    recipe: Mapping[str, Any] | None = None
    """How the history was synthesised, None of one that was given."""
    difficulty: float = 1.0
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Thresholds of named costs that replace the table's on this site."""
    events: str | DrawnEvents = "none"
    """What befalls the site: none, drawn, a file, or how it is drawn."""
    years: int = 1
    """Histories of the recipe that it is judged on, with seeds that follow its own."""
    _exogenous: dict[tuple[str, int, tuple[bool, int] | None], Exogenous] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )
    _events: dict[tuple[DrawnEvents, int, int], Events] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def befalling(self, option: str | None, world: Exogenous) -> Events:
        """Return what befalls the site in each series of a world.

        Args:
            option: none, drawn, or the path of a file; None takes the scenario's own.
            world: The world, whose weather ages the machines.

        Raises:
            BadInputError: There is no such file, or it is of another site.
        """
        told: str | DrawnEvents = self.events if option is None else option
        if told == "none":
            return Events.none(len(self.site.zones))
        if isinstance(told, str) and told != "drawn":
            return read_events(Path(told), len(self.site.zones))
        how = (
            told
            if isinstance(told, DrawnEvents)
            else self.events
            if isinstance(self.events, DrawnEvents)
            else DrawnEvents()
        )
        key = (how, len(world.values), world.n_steps)
        if key not in self._events:
            seed = int(self.recipe["seed"]) if self.recipe else 0
            self._events[key] = how.draw(self.site, world, seed)
        return self._events[key]

    def __repr__(self) -> str:
        """Return name and hash; the whole site and its history would fill pages."""
        return f"Scenario({self.name!r}, config_hash={self.config_hash!r})"

    def rows(self, split: str) -> tuple[int, int]:
        """Return the history rows [first, last) of a split; raises BadInputError if there is none of that name."""
        if split not in self.splits:
            raise BadInputError(f"scenario {self.name!r} has no split {split!r}; there are {', '.join(self.splits)}")
        try:
            return month_range(self.history, *self.splits[split])
        except BadInputError as error:
            raise BadInputError(f"splits.{split}: {error}") from error

    def exogenous(self, forecast: str, n_histories: int = 1, seen: tuple[bool, int] | None = None) -> Exogenous:
        """Return the exogenous world of the whole history; built once, it is shared by all batches of the scenario.

        Args:
            forecast: As `exogenous.build` has it.
            n_histories: Series of the world: the history, and others of its recipe with the seeds that follow its own.
            seen: How the operator's rule looks at published prices, as `price_features.with_seen` has it; None leaves that out.

        Raises:
            BadInputError: The history was given, so that there is no recipe for others.
        """
        key = forecast, n_histories, seen
        if key not in self._exogenous:
            if seen is None:
                self._exogenous[key] = self._built(forecast, n_histories)
            else:
                curve = self.exogenous(exogenous.best_curve(self.history, self.site), n_histories)
                self._exogenous[key] = with_seen(self.exogenous(forecast, n_histories), curve, self.site, seen)
        return self._exogenous[key]

    def _built(self, forecast: str, n_histories: int) -> Exogenous:
        """Return the world of the history, and of further ones that are drawn."""
        if n_histories > 1 and self.recipe is None:
            raise BadInputError(
                f"scenario {self.name!r} has a history that was given; only synthetic ones can be drawn anew"
            )
        histories = [self.history]
        for k in range(1, n_histories):
            recipe: Mapping[str, Any] = self.recipe or {}
            other = synthesize_recipe({**recipe, "seed": int(recipe["seed"]) + k})
            histories.append(eased(other, self.difficulty))
        said: Iterable[exogenous.PriceQuantiles | None] = [None] * n_histories
        if forecast == exogenous.MODEL:
            with ThreadPoolExecutor(threads.default_threads()) as pool:
                said = list(pool.map(lambda history: price_quantiles(history, self.site.markets[0]), histories))
        built = [
            exogenous.build(history, self.site, forecast, quantiles=own)
            for history, own in zip(histories, said, strict=True)
        ]
        if n_histories == 1:
            return built[0]
        return Exogenous(
            np.concatenate([world.values for world in built]),
            np.concatenate([world.known for world in built]),
            built[0].channels,
        )


def names() -> tuple[str, ...]:
    """Return the names of the scenarios that ship; those that end in `_replay` need an imported history.

    Examples:
        >>> "nordic_hydro" in names()
        True
    """
    folder = resources.files("hashgym.conf").joinpath("scenario")
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")))


def is_file(name: str) -> bool:
    """Tell whether a scenario is named by its file: a name that ships has neither folder nor ending."""
    return name.endswith((".yaml", ".yml")) or "/" in name or "\\" in name


def read(name: str | Path) -> dict[str, Any]:
    """Return the content of a scenario that ships, or of a file; folders in a file are relative to it."""
    if is_file(str(name)):
        return _of_file(Path(name))
    if name not in names():
        require_known("no scenario", [name], names())
    path = resources.files("hashgym.conf").joinpath("scenario").joinpath(f"{name}.yaml")
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def _of_file(path: Path) -> dict[str, Any]:
    content: Any = read_yaml(path, "scenario")
    check_keys("", content, set(KEYS))
    history = content.get("history")
    if isinstance(history, str):
        content["history"] = str((path.parent / history).resolve())
    return dict(content)


def resolved(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return a scenario's content with what its `base`, a scenario that ships, says where it says nothing itself."""
    if not isinstance(mapping, Mapping) or mapping.get("base") is None:
        return dict(mapping) if isinstance(mapping, Mapping) else mapping
    own = {key: value for key, value in mapping.items() if key != "base"}
    require_known("scenario.base: no scenario that ships", [mapping["base"]], names())
    return {**resolved(read(str(mapping["base"]))), **own}


def load(scenario: str | Path | Mapping[str, Any], history: str | None = None) -> Scenario:
    """Return a scenario on its own synthetic history or on a history folder; the last ones that were loaded are kept.

    Args:
        scenario: Name of one that ships, file of a scenario's YAML, or its content.
        history: Folder of a history that replaces its own.

    Raises:
        BadInputError: There is no scenario of that name, its content is wrong, or the history is not readable.
    """
    content = read(scenario) if isinstance(scenario, str | Path) else scenario
    return _loaded(json.dumps(content, default=str), history)


@lru_cache(maxsize=8)
def _loaded(content: str, history: str | None) -> Scenario:
    return from_mapping(json.loads(content), history)


def from_mapping(mapping: Mapping[str, Any], history: str | History | None = None) -> Scenario:
    """Build a scenario from the content of its YAML.

    Args:
        mapping: name, site, tariff, history, splits, episode_days and, optionally, markets, about: what it is for; difficulty:
            as `eased` has it, for a curriculum; thresholds: thresholds of costs
            on this site; base: a
            scenario that ships, which stands for the keys that are missing.
        history: A history, or its folder, that replaces the synthetic one; splits are taken from the mapping as well.

    Raises:
        BadInputError: Says everything that is unknown, missing or out of range, a line each.
    """
    check_keys("", mapping, set(KEYS))
    mapping = resolved(mapping)
    problems = Problems()
    for key in sorted(set(KEYS) - OPTIONAL - set(mapping)):
        problems.lines.append(f"scenario: key {key!r} is missing; it is {KEYS[key]}")
    site, splits = None, dict[str, tuple[str, str]]()
    with problems.noted():
        site = site_of({"tariff": {"kind": "real_time"}, "site": {}, **mapping})
    with problems.noted():
        splits = _splits(mapping.get("splits", {}))
    _check_values(mapping, problems)
    if history is None and isinstance(mapping.get("history"), Mapping):
        with problems.noted():
            _check_recipe(mapping["history"])
    told: str | DrawnEvents = "none"
    with problems.noted():
        told = events_of(mapping.get("events", "none"))
    problems.raise_all()
    assert site is not None
    if history is None and isinstance(mapping["history"], str):
        history = mapping["history"]
    if isinstance(history, str):
        history = History.load(Path(history))
    source = history.hash if history is not None else mapping["history"]
    fixed = {key: value for key, value in mapping.items() if key != "about"}
    canonical = json.dumps({**fixed, "history": source}, sort_keys=True, default=str)
    scenario = Scenario(
        name=str(mapping["name"]),
        site=site,
        history=eased(_history(mapping["history"], history), mapping.get("difficulty", 1.0)),
        splits=splits,
        episode_steps=round(mapping["episode_days"] * STEPS_PER_DAY),
        recipe=None if history else mapping["history"],
        thresholds=dict(mapping.get("thresholds") or {}),
        events=told,
        difficulty=float(mapping.get("difficulty", 1.0)),
        config_hash=hashlib.sha256(canonical.encode()).hexdigest()[:16],
    )
    _check_splits(scenario)
    return scenario


def _check_values(mapping: Mapping[str, Any], problems: Problems) -> None:
    """Note what is wrong with the plain values of a scenario."""

    def check(ok: bool, key: str, allowed: str) -> None:
        if not ok:
            problems.lines.append(f"scenario.{key} is {mapping[key]!r:.80}; it must be {allowed}")

    name = mapping.get("name", "x")
    check(
        isinstance(name, str) and 0 < len(name) <= 100 and name.isprintable(), "name", "a name of 100 letters at most"
    )
    days = mapping.get("episode_days", 1)
    steps = days * STEPS_PER_DAY if isinstance(days, int | float) and not isinstance(days, bool) else 0.0
    is_whole = steps >= 1.0 and abs(steps - round(steps)) < 1e-9
    check(is_whole, "episode_days", "whole steps of 5 minutes, in days")
    thresholds = mapping.get("thresholds") or {}
    check(isinstance(thresholds, Mapping), "thresholds", "a dictionary of costs, as {chip_over_temp: 78}")
    recipe = mapping.get("history", {})
    check(isinstance(recipe, Mapping | str), "history", "a dictionary of how it is made, or the folder of a history")


SPLITS: Final = ("train", "validation", "test")
"""Splits that learning and judging ask for; a scenario may have others beside."""


def _splits(splits: Any) -> dict[str, tuple[str, str]]:
    """Return the spans of splits; raises BadInputError that says which ones are none."""
    if not isinstance(splits, Mapping):
        raise BadInputError(
            f"scenario.splits is {splits!r:.80}; it must be a dictionary, as {{train: [2024-01-01, 2024-06-01]}}"
        )
    problems, found = Problems(), {}
    for name, span in splits.items():
        if near := {*get_close_matches(str(name), SPLITS, 1)} - {str(name)}:
            problems.lines.append(f"scenario.splits has {name!r}; did you mean {near.pop()!r}?")
            continue
        days = [str(day) for day in span] if isinstance(span, list | tuple) else []
        try:
            is_iso = all(re.match(r"\d{4}-\d{2}-\d{2}", day) for day in days)  # others are read with the month first
            ordered = len(days) == 2 and is_iso and pd.Timestamp(days[0]) < pd.Timestamp(days[1])
        except (ValueError, TypeError):
            ordered = False
        if ordered:
            found[str(name)] = (days[0], days[1])
        else:
            problems.lines.append(
                f"scenario.splits.{name} is {span!r:.80}; it must be two days, the first and the one after the last, as "
                "['2024-01-01', '2024-06-01']"
            )
    problems.raise_all()
    return found


def _check_splits(scenario: Scenario) -> None:
    """Refuse splits that are not inside the history or share a day; raises BadInputError."""
    spans = sorted((scenario.rows(split), split) for split in scenario.splits)
    for ((_, end), one), ((begin, _), other) in pairwise(spans):
        if begin < end:
            raise BadInputError(f"scenario.splits: {one!r} and {other!r} overlap; each day belongs to one split")


def eased(history: History, difficulty: float) -> History:
    """Return a history whose prices of energy swing less around their median of the month, and temperatures around theirs.

    Args:
        history: The history.
        difficulty: Share of the swings that is left, above 0; 1 leaves the history as it is.

    Raises:
        BadInputError: The difficulty is not in (0, 1].
    """
    if isinstance(difficulty, bool) or not isinstance(difficulty, int | float) or not 0.0 < difficulty <= 1.0:
        raise BadInputError(f"scenario.difficulty is {difficulty!r}; it must be above 0 and 1 at most")
    if difficulty == 1.0:
        return history
    frame = history.frame.copy()
    month = frame.index.strftime("%Y-%m")  # type: ignore[attr-defined]
    for name in ("market_price_usd_per_mwh", "day_ahead_price_usd_per_mwh", "outdoor_temp_c"):
        if name in frame:
            middle = frame[name].groupby(month).transform("median")
            frame[name] = middle + difficulty * (frame[name] - middle)
    return dataclasses.replace(history, frame=frame, provenance=[*history.provenance, {"difficulty": difficulty}])


def _history(mapping: Mapping[str, Any], other: str | History | None) -> History:
    if isinstance(other, History):
        return other
    return History.load(Path(other)) if other else synthesize_recipe(mapping)


def _check_recipe(recipe: Mapping[str, Any]) -> None:
    """Refuse a recipe of a history that is none; raises BadInputError that says what is wrong with it."""
    if "mappings" in recipe:
        check_keys("history.", recipe, {"mappings", "start", "end"})
        raise BadInputError(
            "this scenario replays real files, which do not ship: make its history by `hashgym data import "
            f"{' '.join(map(str, recipe['mappings']))} --start {recipe.get('start')} --end {recipe.get('end')} --root DATA "
            "--out FOLDER` and name it, history=FOLDER; docs/scenarios.md says which files"
        )
    problems = Problems()
    with problems.noted():
        check_keys(
            "history.",
            recipe,
            {"region", "start", "end", "seed", "coins", "kind", "weather", "hashprice_usd_per_ph_day", "reserve"},
        )
    problems.lines += [
        f"scenario: key 'history.{key}' is missing" for key in ("region", "start", "end", "seed") if key not in recipe
    ]
    seed = recipe.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        problems.lines.append(f"scenario.history.seed is {seed!r:.80}; it must be a whole number, 0 or more")
    level = recipe.get("hashprice_usd_per_ph_day", 1.0)
    if isinstance(level, bool) or not isinstance(level, int | float):
        problems.lines.append(f"scenario.history.hashprice_usd_per_ph_day is {level!r:.80}; it must be a number")
    for key in ("coins", "weather"):
        if not isinstance(recipe.get(key, ()), list | tuple):
            problems.lines.append(f"scenario.history.{key} is {recipe[key]!r:.80}; it must be a list of {key}")
    problems.raise_all()


def synthesize_recipe(recipe: Mapping[str, Any]) -> History:
    """Return the history that a recipe makes, a scenario's `history`."""
    return synthesize(
        str(recipe["region"]),
        str(recipe["start"]),
        str(recipe["end"]),
        int(recipe["seed"]),
        tuple(recipe.get("coins", ())),
        recipe.get("kind", "replay"),
        tuple(recipe.get("weather", ())),
        recipe.get("hashprice_usd_per_ph_day"),
        recipe.get("reserve"),
    )
