"""What a manifest must hold before anything is decided by it: every key that is read, its type and its range."""

import json
import math
from collections.abc import Callable
from typing import Any, Final

from ..sim.foundation.errors import BundleError

SCHEMA_VERSION: Final = 1

Check = tuple[str, Callable[[Any], bool], str]


MOST_LETTERS: Final = 300
"""Most letters of a name. chosen: beyond what anybody reads."""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MOST_LETTERS and value.isprintable()


_TEXT: Final = "text that can be printed"
_NUMBER: Final = "a finite number"


def _is_rule(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_number(entry) or entry in ("inf", "-inf") for entry in value.values())


_TOP: Final[tuple[Check, ...]] = (
    ("model_sha256", _is_text, _TEXT),
    ("name", _is_text, _TEXT),
    ("site", _is_text, _TEXT),
    ("scenario", lambda v: isinstance(v, dict), "a dictionary"),
    ("history", lambda v: isinstance(v, dict) and _is_text(v.get("hash")), "a dictionary with 'hash'"),
    ("observations", lambda v: isinstance(v, list) and bool(v), "a list of observations"),
    ("actions", lambda v: isinstance(v, list) and bool(v), "a list of actions"),
)
_FORECASTS: Final = ("none", "persistence", "day_ahead", "day_ahead_curve")
_ACTIONS: Final = ("discrete", "box", "profile", "residual")
_ENV: Final[tuple[Check, ...]] = (
    ("id", _is_text, _TEXT),
    ("action", lambda v: v in _ACTIONS, "discrete, box, profile or residual"),
    ("forecast", lambda v: v in _FORECASTS, ", ".join(_FORECASTS)),
    ("step_s", lambda v: v == 300, "300"),
    ("episode_steps", lambda v: isinstance(v, int) and v >= 1, "a whole number above 0"),
)
_OBSERVATION: Final[tuple[Check, ...]] = (
    ("name", _is_text, _TEXT),
    ("unit", lambda v: isinstance(v, str), _TEXT),
    ("group", _is_text, _TEXT),
    *((name, _is_number, _NUMBER) for name in ("low", "high", "trained_low", "trained_high")),
)
_ENVELOPE: Final[tuple[Check, ...]] = (
    ("max_rise_pu_per_step", lambda v: _is_number(v) and 0.0 < v <= 1.0, "above 0 and at most 1"),
    ("site_cap_w", lambda v: v is None or (_is_number(v) and v > 0.0), "above 0 or null"),
    ("costs", lambda v: isinstance(v, dict), "a dictionary"),
)


def read(content: bytes, where: str) -> dict[str, Any]:
    """Return the manifest that some bytes hold.

    Args:
        content: The file's bytes.
        where: Its path, for messages.

    Raises:
        BundleError: It is not JSON, of another schema, or a key is missing or holds what it must not; names the key.
    """
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{where}: not a manifest ({error!r})") from error
    if not isinstance(manifest, dict):
        raise BundleError(f"{where}: not a manifest; it must be a dictionary")
    version = manifest.get("schema_version")
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise BundleError(f"{where}: schema version is {version!r}; this version of HashGym reads {SCHEMA_VERSION}")
    _require(manifest, _TOP, where, "")
    for key, checks in (("env", _ENV), ("envelope", _ENVELOPE)):
        _require(_part(manifest, key, where), checks, where, f"{key}.")
    for index, entry in enumerate(manifest["observations"]):
        _require(entry, _OBSERVATION, where, f"observations[{index}].")
    for index, entry in enumerate(manifest["actions"]):
        _require(entry, (("name", _is_text, _TEXT),), where, f"actions[{index}].")
    if manifest["env"]["action"] == "residual":
        _require(manifest["env"], (("rule", _is_rule, "settings of the operator's rule by name"),), where, "env.")
        _require(manifest, (("commands", lambda v: isinstance(v, list) and bool(v), "a list of commands"),), where, "")
        for index, entry in enumerate(manifest["commands"]):
            _require(entry, (("name", _is_text, _TEXT),), where, f"commands[{index}].")
    chip = _part(manifest["envelope"]["costs"], "chip_over_temp", where)
    _require(chip, (("threshold", _is_number, _NUMBER),), where, "envelope.costs.chip_over_temp.")
    return manifest


def _part(mapping: dict[str, Any], key: str, where: str) -> Any:
    if key not in mapping:
        raise BundleError(f"{where}: key {key!r} is missing")
    return mapping[key]


def _require(mapping: Any, checks: tuple[Check, ...], where: str, prefix: str) -> None:
    if not isinstance(mapping, dict):
        raise BundleError(f"{where}: {prefix.rstrip('.')!r} is {mapping!r}; it must be a dictionary")
    for key, is_right, allowed in checks:
        if key not in mapping:
            raise BundleError(f"{where}: key {prefix + key!r} is missing")
        if not is_right(mapping[key]):
            raise BundleError(f"{where}: {prefix + key!r} is {mapping[key]!r:.80}; it must be {allowed}")
