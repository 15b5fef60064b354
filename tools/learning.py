"""Train learners on scenarios, judge them beside the best rule on drawn years, and write docs/learning.json and its table.

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
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from hashgym.agents.operator_rules import RuleAlone
from hashgym.agents.policy import Policy
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.tables import COST_NAMES
from hashgym.envs.scenario import scenario as scenarios
from hashgym.evaluation.intervals import over_seeds
from hashgym.evaluation.paired import Trace, run
from hashgym.evaluation.years import EPISODES_A_YEAR, YEARS, drawn_years
from hashgym.experiments.settings import TrainSettings
from hashgym.experiments.train import train
from hashgym.sim.foundation.files import write_json, write_text

ROOT: Final = Path(__file__).resolve().parents[1]
DONE: Final = ROOT / "outputs" / "learning"
PAGE: Final = ROOT / "docs" / "learning.md"
ROWS: Final = ROOT / "docs" / "learning.json"
MARKS: Final = ("<!-- table -->", "<!-- end of table -->")

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
        **settings.content,
        "env": unusual(settings.content["env"], EnvConfig),
        "agent": unusual(settings.content["agent"], type(settings.agent)),
    }
    key = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]
    return DONE / f"{scenario}-{learner}-{seed}-{key}"


def unusual(values: Mapping[str, Any], cls: type) -> dict[str, Any]:
    """Return options without those that stand as their class has them."""
    usual = {entry.name: entry.default for entry in fields(cls)}
    empty: tuple[Any, ...] = ([], {})
    return {name: value for name, value in values.items() if value not in (usual.get(name), *empty)}


def made(scenario: str, learner: str, seed: int) -> dict[str, Any]:
    """Return what a run earned, from where it was kept or by making it."""
    settings = settings_of(scenario, learner, seed)
    folder = folder_of(scenario, learner, seed, settings)
    if (folder / "judged.json").is_file():
        found: dict[str, Any] = json.loads((folder / "judged.json").read_text(encoding="utf-8"))
        return found
    result = train(settings, folder, is_resumed=(folder / "config.json").is_file())
    config = drawn_years(replace(settings.env, split="test", reward="profit"), YEARS)
    rule, own = _traces(config, RuleAlone()), _traces(config, result.policy)
    judged = {"seconds": result.seconds, "weights_hash": result.weights_hash, "rule": rule, "policy": own}
    write_json(folder / "judged.json", judged)
    return judged


def _traces(config: Any, policy: Policy) -> dict[str, Any]:
    trace: Trace = run(policy, config, 0, most_a_year=EPISODES_A_YEAR)
    costs = trace.costs.mean(axis=0) / trace.n_steps
    return {
        "usd_per_day": trace.usd_per_day.tolist(),
        "years": trace.years.tolist(),
        "costs": dict(zip(COST_NAMES, costs.tolist(), strict=False)),
        "trips": float(trace.trips.sum()),
    }


def rows_of(scenario: str, learner: str, runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the figures of a learner on a scenario."""
    rule = np.array(runs[0]["rule"]["usd_per_day"])
    usd = np.array([one["policy"]["usd_per_day"] for one in runs])
    years = np.array(runs[0]["rule"]["years"])
    same = {"scenario": scenario, "env": "SiteOperation", "policy": learner, "seeds": len(runs)}
    base = float(rule.mean())
    hot = [one["policy"]["costs"]["chip_over_temp"] - one["rule"]["costs"]["chip_over_temp"] for one in runs]
    return [
        {**same, "metric": "net_profit_usd_per_day", **over_seeds(usd, years, 1.0), "rule_usd_per_day": round(base, 2)},
        {**same, "metric": "gain_over_best_rule_pct", **over_seeds(usd - rule, years, base / 100.0)},
        {**same, "metric": "chip_over_temp_beyond_rule", "iqm": float(np.mean(hot)), "lo": min(hot), "hi": max(hot)},
        {
            **same,
            "metric": "train_seconds",
            "iqm": float(np.mean([one["seconds"] for one in runs])),
            "lo": None,
            "hi": None,
        },
    ]


def table(rows: list[dict[str, Any]], headroom: list[dict[str, Any]]) -> str:
    """Return the rows as a table, the planner's gain beside each."""
    planner = {
        row["scenario"]: row.get("gain_over_best_rule_pct", {}).get("mean")
        for row in headroom
        if row["policy"] == "planner_day_ahead"
    }
    lines = [
        "| scenario | learner | runs | best rule, USD/d | learned, USD/d | over the best rule, % | planner, % | training, s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in (row for row in rows if row["metric"] == "gain_over_best_rule_pct"):
        like = {
            other["metric"]: other
            for other in rows
            if (other["scenario"], other["policy"]) == (row["scenario"], row["policy"])
        }
        profit = like["net_profit_usd_per_day"]
        attainable = planner.get(row["scenario"])
        lines.append(
            f"| {row['scenario']} | {row['policy']} | {row['seeds']} | {profit['rule_usd_per_day']:.1f} | "
            f"{profit['iqm']:.1f} ({profit['lo']:.1f} … {profit['hi']:.1f}) | **{row['iqm']:+.1f}** ({row['lo']:+.1f} … {row['hi']:+.1f}) | "
            f"{'–' if attainable is None else f'{attainable:+.1f}'} | {like['train_seconds']['iqm']:.0f} |"
        )
    return "\n".join(lines)


def write_page(rows: list[dict[str, Any]]) -> None:
    """Write the rows and put their table between the page's marks."""
    write_json(ROWS, rows)
    headroom = json.loads((ROOT / "docs" / "headroom.json").read_text(encoding="utf-8"))
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(MARKS[0])
    write_text(PAGE, f"{before}{MARKS[0]}\n\n{table(rows, headroom)}\n\n{MARKS[1]}{rest.split(MARKS[1])[1]}")


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
    rows = []
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
            if runs := done(scenario, learner):
                rows += rows_of(scenario, learner, runs)
    write_page(rows)


if __name__ == "__main__":
    main()
