"""Names that quantities, options and modules had before 0.1 was released: what meets an old one takes or says the new one."""

from collections.abc import Iterable, Mapping
from typing import Final

RENAMED: Final[dict[str, str]] = {
    "price_usd_per_mwh": "market_price_usd_per_mwh",
    "price_known_usd_per_mwh": "known_energy_price_usd_per_mwh",
    "price_mean_1h_usd_per_mwh": "energy_price_mean_1h_usd_per_mwh",
    "price_mean_24h_usd_per_mwh": "energy_price_mean_24h_usd_per_mwh",
    "price_forecast_0_1h_usd_per_mwh": "energy_price_forecast_0_1h_usd_per_mwh",
    "price_forecast_1_3h_usd_per_mwh": "energy_price_forecast_1_3h_usd_per_mwh",
    "price_forecast_3_6h_usd_per_mwh": "energy_price_forecast_3_6h_usd_per_mwh",
    "price_forecast_6_12h_usd_per_mwh": "energy_price_forecast_6_12h_usd_per_mwh",
    "price_forecast_12_24h_usd_per_mwh": "energy_price_forecast_12_24h_usd_per_mwh",
    "hashprice_usd_per_ph_day": "expected_hashprice_usd_per_ph_day",
    "limits": "thresholds",
    "n_places": "n_slots",
    "chip_temp_c": "hot_temp_c",
}
"""New name of each old one. `price_usd_per_mwh` was the market's price in a history; a flat tariff's, and the price in force that the
simulator reads, are `energy_price_usd_per_mwh` now. `chip_temp_c` was the hottest chip in telemetry; in the state of a zone it is the mean one."""

OPTIONS: Final[dict[str, str]] = {
    "limits": "thresholds",
    "n_places": "n_slots",
    "price_usd_per_mwh": "energy_price_usd_per_mwh",
}
"""New name of each key that configurations of finished runs may hold; the price is a flat tariff's."""

MOVED: Final[dict[str, str]] = {
    "hashgym.envs.config": "hashgym.envs.batch.config",
    "hashgym.envs.rewards": "hashgym.envs.batch.rewards",
    "hashgym.experiments.evaluation": "hashgym.evaluation.paired",
    "hashgym.experiments.training": "hashgym.agents.learning.training",
    "hashgym.agents.learners": "hashgym.agents.learning.learners",
    "hashgym.agents.training": "hashgym.agents.learning.training",
    "hashgym.agents.foresight": "hashgym.agents.planners.foresight",
    "hashgym.agents.planning": "hashgym.agents.planners.dynamic",
    "hashgym.agents.policies": "hashgym.agents.policy",
    "hashgym.agents.bound": "hashgym.evaluation.bound",
}
"""Where modules are now that a `_target_` of a finished run may name."""


def new_target(target: str) -> str:
    """Return a dotted name, as `_target_` has it, with the module that has moved under its new name."""
    module, _, name = target.rpartition(".")
    return f"{MOVED.get(module, module)}.{name}" if module else target


def renewed(config: object) -> object:
    """Return a configuration of a finished run with the new names of its keys and of the modules that `_target_`s name."""
    if isinstance(config, Mapping):
        return {
            OPTIONS.get(str(key), str(key)): new_target(str(value)) if key == "_target_" else renewed(value)
            for key, value in config.items()
        }
    return [renewed(entry) for entry in config] if isinstance(config, list) else config


def renamed_hint(names: Iterable[str], allowed: Iterable[str]) -> str:
    """Return what an error says where names are old ones of allowed names: "; 'limits' is now 'thresholds'", else nothing."""
    known = set(allowed)
    pairs = [(name, _new_name(name, known)) for name in names]
    return "".join(f"; {name!r} is now {new!r}" for name, new in pairs if new is not None)


def _new_name(name: str, known: set[str]) -> str | None:
    if name == "price_usd_per_mwh" and "energy_price_usd_per_mwh" in known:
        return "energy_price_usd_per_mwh"
    new = RENAMED.get(name)
    return new if new in known else None
