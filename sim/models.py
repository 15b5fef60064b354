"""The catalogue of machines and firmware as parameters: `machine("s19j_pro")`, `firmware("slow_tuner")`."""

from functools import cache
from importlib import resources
from typing import Any

import yaml

from .errors import BadInputError
from .unit import FirmwareParams, MachineParams

_NOT_PARAMETERS = ("chips", "source", "points", "leak_share")


@cache
def published() -> dict[str, Any]:
    """Return the published figures of every machine, as machines.yaml has them."""
    return _read("machines.yaml")


@cache
def _read(name: str) -> dict[str, Any]:
    text = resources.files("hashgym.sim").joinpath("catalogue").joinpath(name).read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    return content


def machine_names() -> tuple[str, ...]:
    """Return the keys of the machines in the catalogue."""
    return tuple(published()["machines"])


def firmware_names() -> tuple[str, ...]:
    """Return the keys of the firmware in the catalogue."""
    return tuple(_read("firmware.yaml")["firmware"])


def machine(key: str) -> MachineParams:
    """Return a machine's parameters; raises BadInputError that lists the catalogue if there is none of that key."""
    if key not in machine_names():
        raise BadInputError(f"no machine {key!r} in the catalogue; there are {', '.join(machine_names())}")
    values = {**published()["common"], **published()["machines"][key], **_read("fitted.yaml")[key]["coefficients"]}
    values = {name: value for name, value in values.items() if name not in _NOT_PARAMETERS}
    values["profiles_mhz"] = tuple(float(f) for f in values["profiles_mhz"])
    return MachineParams(**values)


def firmware(key: str) -> FirmwareParams:
    """Return a firmware's parameters; raises BadInputError that lists the catalogue if there is none of that key."""
    if key not in firmware_names():
        raise BadInputError(f"no firmware {key!r} in the catalogue; there are {', '.join(firmware_names())}")
    entry = _read("firmware.yaml")
    return FirmwareParams(**{**entry["common"], **entry["firmware"][key]})


@cache
def _keys_by_name() -> dict[str, str]:
    return {name.casefold(): key for key in machine_names() for name in (key, machine(key).name)}


def key_of(name: str) -> str | None:
    """Return the catalogue's key of a machine given by its key or name, whatever the case; None if there is none."""
    return _keys_by_name().get(name.casefold())
