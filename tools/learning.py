"""Train learners on scenarios, judge them beside the best rule on drawn years, and write docs/learning.json and its tables (`learning_page`).

    python -m tools.learning                       # all runs that are missing, one after the other; about an hour a core and scenario
    python -m tools.learning ercot_battery_old_fleet ppo
    python -m tools.learning --page                # only the page, from what is done

A run that is done is kept in outputs/learning and not made again while its configuration stays; one that was killed goes on from its last checkpoint.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from hashgym.agents.learning.training import load_policy
from hashgym.agents.operator_rules import RuleAlone
from hashgym.agents.policy import Policy
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.shielding import SHIELD
from hashgym.envs.batch.tables import COST_NAMES
from hashgym.envs.scenario import scenario as scenarios
from hashgym.evaluation.paired import Trace, run
from hashgym.evaluation.years import EPISODES_A_YEAR, YEARS, drawn_years
from hashgym.experiments.settings import TrainSettings
from hashgym.experiments.train import train
from hashgym.sim.foundation.files import write_json
from tools import learning_page

ROOT: Final = Path(__file__).resolve().parents[1]
DONE: Final = ROOT / "outputs" / "learning"

COMMON: Final = ("experiment=beyond_rule", "tracking=none", "progress=false")
LEARNERS: Final[dict[str, tuple[str, ...]]] = {
    "ppo": ("agent.total_steps=3000000",),
    "sac": ("agent=sac_residual",),
    "hindsight": ("agent=hindsight",),
    "evolution": ("agent=evolution", "warm_start.teacher=null"),
    "ppo_lagrangian": (
        "agent=ppo_lagrangian",
        "agent.total_steps=3000000",
        "agent.constraint.limits.chip_over_temp=0.002",
    ),
    "ppo_shielded": ("agent.total_steps=3000000", "env.shield=true"),
}
"""Overrides of each learner, beside COMMON."""

FORECASTS: Final = ("none", "persistence", "day_ahead", "model")
LEARNERS.update({f"ppo_forecast_{name}": ("agent.total_steps=3000000", f"env.forecast={name}") for name in FORECASTS})
OF_FORECASTS: Final = tuple(f"ppo_forecast_{name}" for name in FORECASTS)

SCENARIOS: Final[dict[str, tuple[str, ...]]] = {
    "ercot_battery_old_fleet": ("ppo", "sac", "hindsight", "ppo_lagrangian", "ppo_shielded", *OF_FORECASTS),
    "pv_battery_tight": ("ppo", "hindsight"),
    "georgia_room": ("evolution",),
    "west_texas_air": ("ppo", *OF_FORECASTS),
    "west_texas_ppa": ("ppo",),
    "reserve_desk": ("ppo",),
    "alberta_immersion": ("ppo",),
    "nordic_hydro": ("ppo",),
    "scrypt_shed": ("ppo",),
}
"""Learners that are run on each scenario."""

OWN: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("georgia_room", "evolution"): (
        "agent.total_steps=880000000",
        "agent.episodes=64",
        "env.randomize.histories=8",
        "env.observations=[hour_sin,hour_cos,outdoor_temp_c,wet_bulb_temp_c,interval_pu,month_peak_pu,price_ratio]",
    ),
}
"""Overrides of one learner on one scenario."""

SEEDS: Final = {"ppo": 5, "hindsight": 5, "sac": 3, "evolution": 1}
"""Runs of each learner; of others OTHER_SEEDS."""

OTHER_SEEDS: Final = 2


def seeds_of(learner: str) -> range:
    """Return the seeds of a learner's runs."""
    return range(SEEDS.get(learner, OTHER_SEEDS))


def overrides(scenario: str, learner: str, seed: int) -> list[str]:
    """Return what a run is composed of."""
    return [*COMMON, f"scenario={scenario}", *LEARNERS[learner], *OWN.get((scenario, learner), ()), f"seed={seed}"]


def settings_of(scenario: str, learner: str, seed: int) -> TrainSettings:
    """Return the settings of a run."""
    with initialize_config_module("hashgym.conf", version_base="1.3"):
        content: Any = OmegaConf.to_container(compose("train", overrides(scenario, learner, seed)), resolve=True)
    content["scenario"] = scenarios.resolved(content["scenario"])
    return TrainSettings.of(content)


def folder_of(scenario: str, learner: str, seed: int, settings: TrainSettings) -> Path:
    """Return the folder of a run of a configuration: of another one it is another; options that stand as usual do not count."""
    content = {
        **{name: value for name, value in settings.content.items() if value not in EMPTY},
        "env": unusual(settings.content["env"], EnvConfig),
        "agent": unusual(settings.content["agent"], type(settings.agent)),
    }
    key = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]
    return DONE / f"{scenario}-{learner}-{seed}-{key}"


def unusual(values: Mapping[str, Any], cls: type) -> dict[str, Any]:
    """Return options without those that stand as their class has them."""
    usual = {entry.name: entry.default for entry in fields(cls)}
    return {name: value for name, value in values.items() if value not in (usual.get(name), *EMPTY)}


EMPTY: Final[tuple[Any, ...]] = ([], {})


def made(scenario: str, learner: str, seed: int) -> dict[str, Any]:
    """Return what a run earned, from where it was kept or by making it."""
    settings = settings_of(scenario, learner, seed)
    folder = folder_of(scenario, learner, seed, settings)
    found = _kept(folder)
    if found is not None:
        return found
    if not (folder / "result.json").is_file():
        train(settings, folder, is_resumed=(folder / "config.json").is_file())
    policy = load_policy(folder, settings.agent, settings.env)
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    judged = {name: result[name] for name in ("seconds", "weights_hash")} | beside_rule(policy, settings.env)
    if seed == 0 and (scenario, learner) in ALSO_ELSEWHERE:
        judged["mismatch"] = {name: beside_rule(policy, settings.env, how) for name, how in MISMATCH.items()}
        judged["firmware"] = {name: beside_rule(policy, with_firmware(settings, name)) for name in FIRMWARE}
    write_json(folder / "judged.json", judged)
    return judged


ALSO_ELSEWHERE: Final = (("ercot_battery_old_fleet", "ppo"), ("west_texas_air", "ppo"))
"""Learners whose first run is also judged on machines that are otherwise, and with other firmware, without learning anew."""

MISMATCH: Final[dict[str, dict[str, tuple[float, float]]]] = {
    "cooling 10 % worse": {"sink_dev": (-0.1, -0.1)},
    "machines spread by 5 %": {"power_dev": (-0.05, 0.05), "hashrate_dev": (-0.05, 0.05), "sink_dev": (-0.1, 0.1)},
    "sensors five times as noisy": {"noise": (5.0, 5.0)},
}
"""By what machines are otherwise than the model says."""

FIRMWARE: Final = ("slow_tuner", "fast_curtail")


def with_firmware(settings: TrainSettings, name: str) -> EnvConfig:
    """Return a run's environment on machines with another firmware, its rule as it stands."""
    scenario: Any = deepcopy(settings.content["scenario"])
    for zone in scenario["site"]["zones"]:
        zone["firmware"] = name
    return replace(settings.env, scenario=scenario, rule=settings.env.load().rule)


def beside_rule(policy: Policy, env: EnvConfig, mismatch: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what rule and policy do over the drawn years of the test months."""
    config = drawn_years(replace(env, split="test", reward="profit"), YEARS)
    rated_mw = env.load().scenario.site.rated_power_w / 1e6
    return {name: _traces(config, own, rated_mw, mismatch) for name, own in (("rule", RuleAlone()), ("policy", policy))}


def _kept(folder: Path) -> dict[str, Any] | None:
    """Return what a run was found to do, None where it was not judged yet, or of old without its flows."""
    if not (folder / "judged.json").is_file():
        return None
    found: dict[str, Any] = json.loads((folder / "judged.json").read_text(encoding="utf-8"))
    return found if "flows" in found["rule"] else None


FLOWS: Final = (
    "energy_kwh", "it_energy_kwh", "cooling_energy_kwh", "load_kwh", "hash_th", "water_l", "carbon_kg", "wear_usd", "starts", "trips",
    "revenue_usd", "profit_usd",
)  # fmt: skip
WORST: Final = 0.05
"""Flows that are kept, per day, and the share of episodes that is the tail of a cost."""


def _traces(config: EnvConfig, policy: Policy, rated_mw: float, mismatch: Mapping[str, Any] | None) -> dict[str, Any]:
    trace: Trace = run(policy, config, 0, most_a_year=EPISODES_A_YEAR, mismatch=mismatch)
    costs = trace.costs / trace.n_steps
    worst = np.sort(costs, axis=0)[-max(1, round(WORST * len(costs))) :].mean(axis=0)
    return {
        "usd_per_day": trace.usd_per_day.tolist(),
        "years": trace.years.tolist(),
        "costs": dict(zip(COST_NAMES, costs.mean(axis=0).tolist(), strict=False)),
        "worst": dict(zip(COST_NAMES, worst.tolist(), strict=False)),
        "trips": float(trace.trips.sum()),
        "max_chip_temp_c": float(trace.max_chip_temp_c.max()),
        "flows": {name: trace.per_day(name) for name in FLOWS},
        "shield": dict(zip(SHIELD, trace.shielded.tolist(), strict=True)),
        "rated_mw": rated_mw,
    }


def done(scenario: str, learner: str) -> list[dict[str, Any]]:
    """Return the runs that are made already, of the configuration as it stands."""
    seeds = seeds_of(learner)
    paths = [folder_of(scenario, learner, k, settings_of(scenario, learner, k)) / "judged.json" for k in seeds]
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.is_file()]


def main() -> None:
    """Make what is missing and write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.learning", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("scenario", nargs="?", choices=list(SCENARIOS))
    parser.add_argument("learner", nargs="?", choices=list(LEARNERS))
    parser.add_argument("--page", action="store_true", help="write the page from what is done")
    options = parser.parse_args()
    for scenario, learners in SCENARIOS.items():
        for learner in learners:
            is_asked = options.scenario in (None, scenario) and options.learner in (None, learner)
            if is_asked and not options.page:
                for seed in seeds_of(learner):
                    judged = made(scenario, learner, seed)
                    gain = np.mean(judged["policy"]["usd_per_day"]) / np.mean(judged["rule"]["usd_per_day"]) - 1.0
                    sys.stdout.write(
                        f"{scenario} {learner} {seed}: {100.0 * gain:+.2f} % in {judged['seconds']:.0f} s\n"
                    )
                    sys.stdout.flush()
    learning_page.write(
        {(scenario, learner): done(scenario, learner) for scenario in SCENARIOS for learner in SCENARIOS[scenario]}
    )


if __name__ == "__main__":
    main()
