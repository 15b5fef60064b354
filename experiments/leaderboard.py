"""A leaderboard that others can enter: a row is what a bundle did when it was run here, with the hashes of all that it came from."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from hashgym.advisor.bundle import MODEL, Bundle
from hashgym.advisor.whatif import env_of
from hashgym.agents.operator_rules import RuleAlone
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.envs.batch.like import ActionArray
from hashgym.envs.scenario import scenario as scenarios
from hashgym.envs.scenario.scenario import Scenario
from hashgym.envs.scenario.tuned import tuned_settings
from hashgym.evaluation.intervals import interval
from hashgym.evaluation.paired import run
from hashgym.evaluation.years import EPISODES_A_YEAR, YEARS, drawn_years
from hashgym.experiments.tracking import provenance
from hashgym.sim.foundation import jit
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.foundation.files import write_json
from hashgym.sim.foundation.foreign import read_file
from hashgym.sim.site.ladders import SiteLadders

MAX_BYTES: Final = 4 << 20
"""Largest board that is read. chosen: some thousand rows."""

SAME: Final = ("net_profit_usd_per_day", "gain_over_best_rule_pct", "chip_over_temp", "trips")
"""Figures that must come again when a row is made anew of the same bundle, scenario and code."""


@dataclass(slots=True)
class BundlePolicy:
    """A bundle that plays in the environments of its scenario."""

    name: str
    bundle: Bundle
    action: str
    task: str
    ladders: SiteLadders

    def act(self, batch: Batch) -> ActionArray:
        """Return the actions, (n_envs, n_actions): commands of a site, or a profile for each zone."""
        decision = self.bundle.decide(batch.obs)
        if decision.commands is not None:
            return decision.commands.astype(np.float64)
        return self.ladders.actions(decision.setpoint_mhz)


def judged(bundle: Bundle, scenario: str, name: str, years: int = YEARS) -> dict[str, Any]:
    """Return the row of a bundle on a scenario that ships: it and the best rule on the same drawn years of the test months.

    Raises:
        BadInputError: The bundle is of another site, has seen the test months, or no rule was searched for the scenario.
        BundleError: It was made for another observation table.
    """
    world = scenarios.load(scenario)
    rule = tuned_settings(world)
    if rule is None:
        raise BadInputError(f"scenario {scenario!r} has no best rule to compare with; boards are of scenarios with one")
    _require_fair(bundle, world)
    env = env_of(bundle, world)
    bundle.require_observations([entry.name for entry in Batch(env).table])
    held = drawn_years(EnvConfig.of(env, split="test"), years)
    policy = BundlePolicy(name, bundle, str(env.action), env.task, SiteLadders.of(world.site))
    beside = drawn_years(
        EnvConfig(scenario=world, task="operation", action=RuleAlone.action, rule=rule, split="test"), years
    )
    own, best = (
        run(one, config, 0, most_a_year=EPISODES_A_YEAR) for one, config in ((policy, held), (RuleAlone(), beside))
    )
    rng = np.random.default_rng(0)
    gain = interval(own.usd_per_day - best.usd_per_day, rng, float(best.usd_per_day.mean()) / 100.0, own.years)
    return {
        "name": name,
        "scenario": scenario,
        "net_profit_usd_per_day": interval(own.usd_per_day, rng, 1.0, own.years),
        "rule_usd_per_day": float(best.usd_per_day.mean()),
        "gain_over_best_rule_pct": gain,
        "chip_over_temp": float(own.costs[:, own.cost_names.index("chip_over_temp")].mean() / own.n_steps),
        "trips": float(own.trips.sum()),
        "years": years,
        "episodes": len(own.usd_per_day),
        "scenario_hash": world.config_hash,
        "history_hash": world.history.hash,
        "code_hash": jit.source_hash(),
        "bundle_sha256": hashlib.sha256(bundle.content[MODEL]).hexdigest(),
        "trained": bundle.manifest["source"],
        "judged_by": provenance(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def _require_fair(bundle: Bundle, world: Scenario) -> None:
    """Refuse a bundle of another site, or one whose training months reach into the test months; raises BadInputError."""
    scenario, (test_from, test_to) = world.name, world.splits["test"]
    told: Mapping[str, Any] = bundle.manifest["scenario"]
    if told.get("name") != scenario:
        raise BadInputError(
            f"{bundle.folder}: the bundle is of scenario {told.get('name')!r}, the board's is {scenario!r}"
        )
    first, last = told["splits"]["train"]
    if pd.Timestamp(first) < pd.Timestamp(test_to) and pd.Timestamp(last) > pd.Timestamp(test_from):
        raise BadInputError(
            f"{bundle.folder}: trained on {first}…{last}, which reaches into the test months {test_from}…{test_to}"
        )


def read(board: Path) -> list[dict[str, Any]]:
    """Return the rows of a board, none where there is no file; raises BadInputError if it is no board."""
    if not board.exists():
        return []
    try:
        rows = json.loads(read_file(board, MAX_BYTES))
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{board}: not readable ({error})") from error
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and {"name", "scenario", "bundle_sha256"} <= set(row) for row in rows
    ):
        raise BadInputError(f"{board}: not a leaderboard; it must be a list of rows as --submit writes them")
    return rows


def submit(bundle: Bundle, scenario: str, name: str, board: Path, years: int = YEARS) -> tuple[dict[str, Any], bool]:
    """Run a bundle and write its row; one that is there already is verified instead.

    Returns:
        The row, and whether it was there before and came out the same.

    Raises:
        BadInputError: The name is taken by another bundle, or a row does not come out as it stands.
    """
    rows = read(board)
    made = judged(bundle, scenario, name, years)
    key = ("name", "scenario")
    before = next((row for row in rows if all(row[entry] == made[entry] for entry in key)), None)
    if before is None:
        ranked = sorted([*rows, made], key=lambda row: (row["scenario"], -row["net_profit_usd_per_day"]["mean"]))
        write_json(board, ranked)
        return made, False
    if before["bundle_sha256"] != made["bundle_sha256"]:
        raise BadInputError(f"{board}: {name!r} is the name of another bundle on {scenario}; choose another")
    if before["code_hash"] == made["code_hash"]:
        other = [entry for entry in SAME if before[entry] != made[entry]]
        if other:
            raise BadInputError(
                f"{board}: {', '.join(other)} of {name!r} on {scenario} came out otherwise: {made[other[0]]}, there stands {before[other[0]]}"
            )
    return before, before["code_hash"] == made["code_hash"]


def table(rows: list[dict[str, Any]]) -> str:
    """Return a board as a Markdown table."""
    lines = [
        "| scenario | name | net profit, USD/d | over the best rule, % | chips too hot, % of steps | trips | bundle | code | date |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        profit, gain = row["net_profit_usd_per_day"], row["gain_over_best_rule_pct"]
        lines.append(
            f"| {row['scenario']} | {row['name']} | {profit['mean']:.1f} ({profit['lo']:.1f} … {profit['hi']:.1f}) | "
            f"**{gain['mean']:+.1f}** ({gain['lo']:+.1f} … {gain['hi']:+.1f}) | {100.0 * row['chip_over_temp']:.2f} | {row['trips']:.0f} | "
            f"`{row['bundle_sha256'][:12]}` | `{row['code_hash'][:8]}` | {row['date']} |"
        )
    return "\n".join(lines)
