"""The catalogue of machines and firmware as parameters: `machine("s19j_pro")`, `firmware("slow_tuner")`."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib import resources
from typing import Any, Final

import numpy as np
import yaml

from ..foundation.errors import BadInputError
from .params import FirmwareParams, MachineParams

LADDER_PU: Final = tuple(float(step) for step in np.round(np.arange(0.55, 1.001, 0.05), 2))
"""Profiles of a machine whose firmware's ladder is not known, over its frequency at rated power. assumed: steps of 25 MHz
in 500, from where the published lists are most efficient."""

_TEXTS = ("name", "algorithm", "cooling")
_NOT_PARAMETERS = ("cores", "leak_share", "rated_rail_v", "scaled_from", "least_j_per_th")


@cache
def read(name: str) -> dict[str, Any]:
    """Return a file of the catalogue as it is; in machines.yaml every quantity is a pair of value and source."""
    text = resources.files("hashgym.sim.hardware").joinpath(name).read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    return content


def quantities(key: str) -> dict[str, tuple[Any, str]]:
    """Return every quantity of a machine with its source: the common ones, its chassis' and its own."""
    content = read("machines.yaml")
    entry = content["machines"][key]
    return {
        name: (pair[0], str(pair[1]))
        for part in (content["common"], content["chassis"][entry["chassis"]], entry)
        for name, pair in part.items()
        if isinstance(pair, list) and name != "profiles_mhz"
    }


def given(key: str) -> dict[str, Any]:
    """Return the values of a machine that are not fitted, by name."""
    content = read("machines.yaml")
    entry = content["machines"][key]
    chassis = content["chassis"][entry["chassis"]]
    texts = {name: part[name] for part in (chassis, entry) for name in _TEXTS if name in part}
    return {**texts, **{name: value for name, (value, _) in quantities(key).items()}}


def machine_names() -> tuple[str, ...]:
    """Return the keys of the machines in the catalogue.

    Examples:
        >>> "s19j_pro" in machine_names()
        True
    """
    return tuple(read("machines.yaml")["machines"])


def curve_names(key: str) -> tuple[str, ...]:
    """Return the names of a machine's fitted curves, one a firmware; the first one is its default."""
    return tuple(read("fitted.yaml")[key])


def firmware_names() -> tuple[str, ...]:
    """Return the keys of the firmware in the catalogue."""
    return tuple(read("firmware.yaml")["firmware"])


def machine(key: str) -> MachineParams:
    """Return a machine's parameters.

    Args:
        key: A machine of the catalogue by key or name, alone or with one of its curves: "s19j_pro", "S19j Pro", "s19j_pro/vnish".

    Raises:
        BadInputError: There is none of that key; the message lists what there is.

    Examples:
        >>> s21 = machine("s21")
        >>> s21.name, s21.rated_hashrate_ths, round(s21.rated_power_w)
        ('Antminer S21', 200, 3500)
    """
    given_name, _, curve = key.partition("/")
    name = key_of(given_name)
    if name is None:
        raise BadInputError(f"no machine {given_name!r} in the catalogue; {nearest_names(given_name)}")
    if curve and curve not in curve_names(name):
        raise BadInputError(f"no curve {curve!r} of machine {name!r}; there are {', '.join(curve_names(name))}")
    coefficients = read("fitted.yaml")[name][curve or curve_names(name)[0]]["coefficients"]
    values = {**given(name), **coefficients}
    values["profiles_mhz"] = profiles_mhz(name, coefficients["ref_mhz"])
    return MachineParams(**{name: value for name, value in values.items() if name not in _NOT_PARAMETERS})


def profiles_mhz(key: str, ref_mhz: float) -> tuple[float, ...]:
    """Return the ladder of a machine of the catalogue, ascending: its own, or steps of its frequency at rated power. [MHz]"""
    listed = read("machines.yaml")["machines"][key].get("profiles_mhz")
    if listed is None:
        return tuple(round(step * ref_mhz, 1) for step in LADDER_PU)
    return tuple(float(f) for f in listed)


def firmware(key: str) -> FirmwareParams:
    """Return a firmware's parameters; raises BadInputError that lists the catalogue if there is none of that key.

    Examples:
        >>> firmware("fast_curtail").ramp_s < firmware("slow_tuner").ramp_s
        True
    """
    if key not in firmware_names():
        raise BadInputError(f"no firmware {key!r} in the catalogue; there are {', '.join(firmware_names())}")
    content = read("firmware.yaml")
    return FirmwareParams(**values_of({**content["common"], **content["firmware"][key]}))


def values_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry of the catalogue without its sources."""
    return {name: pair[0] if isinstance(pair, list) else pair for name, pair in entry.items()}


_BRANDS: Final = ("antminer", "whatsminer", "avalonminer", "avalon", "bitmain", "microbt", "canaan")
_BESIDE_THE_MODEL: Final = re.compile(
    r"\(.*?\)|\b\d+(\.\d+)?\s*(th/s|ths|th|t|gh/s|gh|mh/s|mh|g|m)\b|\bno pic\b|\bv[a-z]?\d{1,2}[a-z]?\b"
)
"""What stands beside a model in a miner's name: remarks in brackets, its hashrate, the board's kind, the maker's bin (VK10, VH60)."""


def _plain(name: str) -> str:
    """Return a machine's name without its maker and its bin, in lower-case letters, digits and plus signs."""
    text = _BESIDE_THE_MODEL.sub(" ", name.casefold().replace("_", " "))
    text = text.replace("hydro", "hyd").replace("plus", "+")
    words = [word for word in re.findall(r"[a-z0-9+]+", text) if word not in _BRANDS]
    return "".join(words)


@cache
def _keys_by_name() -> dict[str, str]:
    machines = read("machines.yaml")["machines"]
    names = {
        _plain(name): key for key in machine_names() for name in (str(machines[key]["name"]), key.replace("_pp", "++"))
    }
    return names | {key.casefold(): key for key in machine_names()}


def key_of(name: str) -> str | None:
    """Return the catalogue's key of a machine given by its key or name, bare or as dealers write it; None if there is none.

    Examples:
        >>> key_of("S19K Pro"), key_of("Antminer S19j Pro (104T)"), key_of("M30S++ VH60"), key_of("M61 VK10")
        ('s19k_pro', 's19j_pro', 'm30s_pp', None)
    """
    return _keys_by_name().get(name.casefold()) or _keys_by_name().get(_plain(name))


def nearest_names(name: str) -> str:
    """Return what an error says of a machine that is not in the catalogue: the names nearest to it, else all keys."""
    known = {_plain(str(read("machines.yaml")["machines"][key]["name"])): key for key in machine_names()}
    near = [known[found] for found in get_close_matches(_plain(name), known, 3, 0.6)]
    if near:
        texts = [f"{read('machines.yaml')['machines'][key]['name']} ({key})" for key in near]
        return f"the nearest are {', '.join(texts)}"
    return f"there are {', '.join(machine_names())}"
