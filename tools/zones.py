"""Compare forms of a policy on a yard of containers at equal budgets, and run what was trained on four of them on sixteen; writes docs/zones.json.

python -m tools.zones            # what is missing, then the rows; some half an hour
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from hashgym.agents.learning.training import load_policy
from hashgym.agents.learning.zones import FORMS, LINKS, PLAIN, ZONES
from hashgym.agents.policy import Policy
from hashgym.agents.rules import Hysteresis, Menu
from hashgym.envs.batch.config import EnvConfig
from hashgym.evaluation.intervals import over_seeds
from hashgym.evaluation.paired import run
from hashgym.evaluation.tuning import tune
from hashgym.evaluation.years import EPISODES_A_YEAR, drawn_years
from hashgym.experiments.settings import TrainSettings
from hashgym.experiments.train import train
from hashgym.sim.foundation.files import write_json

ROOT: Final = Path(__file__).resolve().parents[1]
DONE: Final = ROOT / "outputs" / "zones"
ROWS: Final = ROOT / "docs" / "zones.json"

SEEDS: Final = 2
YEARS: Final = 8
STEPS: Final = 2_000_000
SIXTEEN: Final = 16
FOUR: Final = 4
"""Runs of each form, drawn years of judgement, steps of a run, containers. chosen: half an hour on two cores in all."""


def yard(n: int) -> dict[str, Any]:
    """Return a scenario of containers in a row, each of which breathes a share of its neighbour's exhaust; every other one has older machines."""
    kinds = ({"machine": "s19j_pro", "firmware": "fast_curtail"}, {"machine": "s21", "firmware": "fast_curtail"})
    zones = [{**kinds[z % 2], "n_units": 100} for z in range(n)]
    links = [{"zone": z, "source": z - 1, "share": 0.15} for z in range(1, n)]
    site = {"altitude_m": 800.0, "zones": zones, "links": links}
    return {"name": f"yard_{n}", "base": "west_texas_air", "site": site}


def settings_of(form: str, n: int, seed: int) -> TrainSettings:
    """Return the settings of a run."""
    overrides = [
        "env=hashrate",
        "agent=ppo_zones",
        f"agent.total_steps={STEPS}",
        f"agent.form={form}",
        f"seed={seed}",
        "warm_start.teacher=null",
    ]
    with initialize_config_module("hashgym.conf", version_base="1.3"):
        config = compose("train", [*overrides, "tracking=none", "progress=false", "judged_episodes=24"])
    content: Any = OmegaConf.to_container(config, resolve=True)
    return TrainSettings.of({**content, "scenario": yard(n)})


def trained(form: str, n: int, seed: int) -> tuple[TrainSettings, Path, float]:
    """Return a run's settings, folder and seconds; it is made where it is missing."""
    settings, folder = settings_of(form, n, seed), DONE / f"{form}-{n}-{seed}"
    if not (folder / "result.json").is_file():
        train(settings, folder, is_resumed=(folder / "config.json").is_file())
    return settings, folder, float(json.loads((folder / "result.json").read_text(encoding="utf-8"))["seconds"])


def usd_per_day(policy: Policy, config: EnvConfig) -> np.ndarray:
    """Return what a policy earns in each judged episode."""
    held = drawn_years(replace(config, split="test", reward="profit"), YEARS)
    return run(policy, held, 0, most_a_year=EPISODES_A_YEAR).usd_per_day


def rule(config: EnvConfig) -> Policy:
    """Return the rule with tuned thresholds."""
    return Hysteresis(Menu.of(config.load().scenario.site), **tune(config, 0, most_episodes=24).thresholds)


def row(
    form: str, trained_on: int, played_on: int, usd: np.ndarray, base: np.ndarray, seconds: float
) -> dict[str, Any]:
    """Return the figures of a form: its gain over the tuned rule, in percent."""
    years = np.repeat(np.arange(YEARS), usd.shape[1] // YEARS)
    gain = over_seeds(usd - base, years, float(base.mean()) / 100.0)
    return {
        "form": form,
        "trained_on": trained_on,
        "played_on": played_on,
        "runs": len(usd),
        "metric": "gain_over_tuned_rule_pct",
        **gain,
        "seconds": round(seconds),
    }


def main() -> None:
    """Make what is missing and write the rows."""
    rows = []
    base = {n: usd_per_day(rule(settings_of(PLAIN, n, 0).env), settings_of(PLAIN, n, 0).env) for n in (FOUR, SIXTEEN)}
    wide = settings_of(PLAIN, SIXTEEN, 0).env
    for form in FORMS:
        runs = [trained(form, FOUR, seed) for seed in range(SEEDS)]
        seconds = float(np.mean([seconds for *_, seconds in runs]))
        usd = np.array([usd_per_day(load_policy(folder, how.agent, how.env), how.env) for how, folder, _ in runs])
        rows.append(row(form, FOUR, FOUR, usd, base[FOUR], seconds))
        if form in (ZONES, LINKS):
            usd = np.array(
                [usd_per_day(load_policy(folder, how.agent, how.env, wide), wide) for how, folder, _ in runs]
            )
            rows.append(row(form, FOUR, SIXTEEN, usd, base[SIXTEEN], 0.0))
        sys.stdout.write(f"{rows[-1]}\n")
        sys.stdout.flush()
        write_json(ROWS, rows)


if __name__ == "__main__":
    main()
