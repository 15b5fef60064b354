"""Check composed configurations and read those of finished runs."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from hydra.utils import instantiate

from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.scenario import scenario as scenarios
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.foundation.renamed import renamed_hint

CONFIG_KEYS: Final = {
    "scenario", "env", "reward", "agent", "tracking", "seed", "history", "checkpoint_steps", "validations", "warm_start",
    "resume", "threads", "progress", "out",
}  # fmt: skip
"""Top-level keys of a training configuration."""


def check_keys(prefix: str, mapping: dict[str, Any], known: set[str]) -> None:
    """Refuse keys that nothing reads; raises BadInputError that lists what there is."""
    for key in mapping:
        if key not in known:
            hint = renamed_hint([key], known)
            raise BadInputError(f"unknown key '{prefix}{key}'{hint}; there are {', '.join(sorted(known))}")


def read_config(run_dir: Path) -> dict[str, Any]:
    """Return the configuration of a training run; raises BadInputError if there is none or it is not readable."""
    path = run_dir / "config.json"
    if not path.is_file():
        raise BadInputError(f"{run_dir} has no config.json; name the folder of a training run")
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadInputError(f"{path}: not readable ({error})") from error
    if not isinstance(config, dict) or not {"scenario", "env", "agent", "seed", "history"} <= set(config):
        raise BadInputError(f"{path}: not the configuration of a training run")
    return config


def env_config(config: dict[str, Any], split: str) -> EnvConfig:
    """Return the environment options of a composed configuration; raises BadInputError on unknown keys."""
    check_keys("env.", config["env"], {entry.name for entry in fields(EnvConfig)})
    scenario = scenarios.from_mapping(config["scenario"], config["history"])
    given = dict(config["env"])
    given["costs"] = tuple(_instance("env.costs", entry) for entry in given.get("costs") or ())
    return EnvConfig(
        **given, scenario=scenario, split=split, reward=_reward(config.get("reward")), n_threads=config.get("threads")
    )


def _reward(entry: dict[str, Any] | None) -> Any:
    """Return the reward of a configuration: a name, or what `_target_` makes."""
    if entry is None:
        return "profit"
    if "_target_" in entry:
        return _instance("reward", entry)
    check_keys("reward.", entry, {"name"})
    return entry["name"]


def _instance(where: str, entry: Any) -> Any:
    """Return what a `_target_` names; raises BadInputError that says which one could not be made."""
    try:
        made = instantiate(entry)
    except Exception as error:  # Hydra wraps whatever the target raises
        raise BadInputError(f"{where}: {entry.get('_target_')!r} could not be made ({error})") from error
    return made
