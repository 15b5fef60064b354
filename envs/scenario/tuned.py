"""Settings of the operator's rule that a search found for scenarios that ship."""

from functools import lru_cache
from importlib import resources
from typing import Any

import yaml

from .scenario import Scenario


@lru_cache(maxsize=1)
def _read() -> dict[str, Any]:
    text = resources.files("hashgym.envs.scenario").joinpath("tuned_rules.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text) or {}
    return found


def tuned_settings(scenario: Scenario) -> dict[str, float] | None:
    """Return the settings that the search found for a scenario that ships, None for another one, or one that was changed."""
    entry = _read().get(scenario.name)
    if entry is None or entry["config_hash"] != scenario.config_hash:
        return None
    return {name: float(value) for name, value in entry["settings"].items()}
