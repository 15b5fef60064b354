"""Measure the headroom of scenarios: `python -m tools.headroom [SCENARIO …]`; writes docs/headroom.json and docs/headroom.md.

Each scenario's rules are searched once and each policy is judged once; what is done lies in outputs/headroom and is taken up again, so that the
command may be stopped. `--page` writes the page from headroom.json alone.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.scenario import scenario as scenarios
from hashgym.evaluation.headroom import Arena, Judged, rows
from hashgym.evaluation.search import Found, rule_config
from hashgym.evaluation.tuning import tune
from hashgym.evaluation.years import drawn_years
from hashgym.sim.foundation.files import write_json, write_text

ROOT: Final = Path(__file__).resolve().parent.parent
DOCS: Final = ROOT / "docs"
STORE: Final = ROOT / "outputs" / "headroom"
SEED: Final = 11
"""Of searches, sensors and bootstrap. chosen."""

HEAD: Final = """# Headroom

How much there is to win on each scenario, for judging what is learned there. Written by `python -m tools.headroom` from
[headroom.json](headroom.json); do not edit. Dollars of net profit a day with bootstrap 95 % intervals (years, then episodes within each).

- **Rules** see what an operator sees. `operator` is the best of a recorded search over more than {candidates:,} settings of machines, plants and battery on the
  training months of four drawn histories; the others are what is sold or usual: always on, the best profile, break-even by each zone's
  efficiency, the myopic profile, Foreman's strike with two windows before shedding and four before coming back, tuned hysteresis, and for a battery static
  thresholds, a day-ahead schedule with an override by spikes, and rolling percentiles, each searched on its own.
- **`planner_day_ahead`** knows no more: a stochastic dynamic programme on the published curve and on how prices moved around it in the training
  months, solved anew as curves come out. Where nothing is published a day ahead, yesterday stands for the curve.
- **Foresight** sees true prices, sun and wind for so many hours. It plans in quarter-hours with five powers of battery and machines.
- **The bound** holds for every policy ([bound.md](bound.md)). The best that can be done lies between the best plan and the bound.

The *attainable gain* is that of the best policy without foresight over the best rule: what learning is scored by.
"""


def shipped() -> list[str]:
    """Return the scenarios with a history of their own."""
    return [name for name in scenarios.names() if "mappings" not in scenarios.resolved(scenarios.read(name))["history"]]


def measure(name: str, history: str | None = None) -> list[dict[str, Any]]:
    """Return the rows of a scenario; what was judged before is taken from the store."""
    config = EnvConfig(scenario=name, split="test", history=history)
    scenario = config.load().scenario
    folder = STORE / f"{name}-{scenario.config_hash}"
    folder.mkdir(parents=True, exist_ok=True)
    arena = _arena(config, folder)
    results: dict[str, Judged] = {}
    for policy in arena.policies():
        path = folder / f"{policy.name}.npz"
        if not path.exists():
            found = arena.judge(policy)
            np.savez(path, usd_per_day=found.usd_per_day, years=found.years)
        results[policy.name] = _read(path)
        sys.stdout.write(f"{name} {policy.name} {results[policy.name].usd_per_day.mean():.1f}\n")
        sys.stdout.flush()
    path = folder / "bound.npz"
    if not path.exists():
        bound = arena.bound()
        np.savez(path, usd_per_day=bound.usd_per_day, years=bound.years)
    results["bound"] = _read(path)
    return rows(name, results, SEED)


def _read(path: Path) -> Judged:
    with np.load(path, allow_pickle=False) as content:
        return Judged(content["usd_per_day"], content["years"])


def _arena(config: EnvConfig, folder: Path) -> Arena:
    """Return the arena of a scenario, its searches from the store where they are done."""
    path = folder / "rules.json"
    if not path.exists():
        arena = Arena.prepare(config, SEED)
        write_json(path, {name: found.as_dict() for name, found in arena.found.items()})
        return arena
    stored = json.loads(path.read_text(encoding="utf-8"))
    found = {
        name: Found(
            {k: float(v) for k, v in one["settings"].items()}, one["usd_per_day"], one["n_candidates"], one["rounds"]
        )
        for name, one in stored.items()
    }
    return Arena(config, drawn_years(rule_config(config), 20), tune(config, SEED), found, SEED)


def page(every: list[dict[str, Any]], searched: dict[str, dict[str, Any]]) -> str:
    """Return docs/headroom.md."""
    candidates = min((one["operator"]["n_candidates"] for one in searched.values()), default=0)
    lines = [HEAD.format(candidates=candidates // 100 * 100)]
    lines += [
        "| scenario | best rule | USD/d | planner | foresight 6 h | foresight 24 h | bound | attainable gain |",
        "|---|---|---|---|---|---|---|---|",
    ]
    names = list(dict.fromkeys(row["scenario"] for row in every))
    for name in names:
        own = {row["policy"]: row for row in every if row["scenario"] == name}
        best = next(row for row in own.values() if row["is_best_rule"])
        cells = [_gain(own.get(policy)) for policy in ("planner_day_ahead", "foresight_6h", "foresight_24h", "bound")]
        planner = own["planner_day_ahead"].get("gain_over_best_rule_pct")
        attainable = _gain(own["planner_day_ahead"]) if planner and planner["lo"] > 0.0 else "none shown"
        lines.append(
            f"| `{name}` | {best['policy']} | {best['usd_per_day']:,.0f} | {' | '.join(cells)} | {attainable} |"
        )
    lines.append("")
    missing = [f"`{name}`" for name in shipped() if name not in names]
    if missing:
        lines += [f"Not measured yet: {', '.join(missing)}.", ""]
    for name in names:
        lines += [f"## {name}", ""]
        own_rows = [row for row in every if row["scenario"] == name]
        lines.append(
            f"{own_rows[0]['years']} drawn years."
            if own_rows[0]["years"] > 1
            else "One history: its intervals are of its weeks alone."
        )
        lines += ["", "| policy | USD/d | over the best rule |", "|---|---|---|"]
        for row in sorted(own_rows, key=lambda row: row["usd_per_day"]):
            mark = " **(best rule)**" if row["is_best_rule"] else ""
            lines.append(
                f"| `{row['policy']}`{mark} | {row['usd_per_day']:,.1f} ({row['lo']:,.1f} … {row['hi']:,.1f}) | {_gain(row)} |"
            )
        if name in searched:
            settings = {k: v for k, v in searched[name]["operator"]["settings"].items()}
            told = ", ".join(
                f"{key} {value:g}" if isinstance(value, float | int) else f"{key} {value}"
                for key, value in settings.items()
            )
            lines += ["", f"Settings of `operator`: {told}.", ""]
    return "\n".join(lines) + "\n"


def _keep(name: str, config_hash: str, settings: dict[str, Any]) -> None:
    """Write the best rule's settings where commands find them."""
    path = ROOT / "envs" / "scenario" / "tuned_rules.yaml"
    head = path.read_text(encoding="utf-8").split("\n", 1)[0]
    content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    content[name] = {"config_hash": config_hash, "settings": settings}
    write_text(path, f"{head}\n{yaml.safe_dump(dict(sorted(content.items())), sort_keys=False)}")


def _gain(row: dict[str, Any] | None) -> str:
    gain = row.get("gain_over_best_rule_pct") if row else None
    return f"{gain['mean']:+.1f} % ({gain['lo']:+.1f} … {gain['hi']:+.1f})" if gain else ""


def main() -> int:
    """Measure the named scenarios, all that ship by default, and write JSON and page; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenarios", nargs="*", help="names; all that ship by default")
    parser.add_argument("--history", help="folder of a history, for a replay")
    parser.add_argument("--page", action="store_true", help="write the page from headroom.json alone")
    args = parser.parse_args()
    path = DOCS / "headroom.json"
    every = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    searched = {}
    rules_path = DOCS / "headroom_rules.json"
    if rules_path.exists():
        searched = json.loads(rules_path.read_text(encoding="utf-8"))
    for name in () if args.page else args.scenarios or shipped():
        found = measure(name, args.history)
        every = [row for row in every if row["scenario"] != name] + found
        scenario = EnvConfig(scenario=name, history=args.history).load().scenario
        searched[name] = json.loads(
            (STORE / f"{name}-{scenario.config_hash}" / "rules.json").read_text(encoding="utf-8")
        )
        write_json(path, every)
        write_json(rules_path, searched)
        _keep(name, scenario.config_hash, searched[name]["operator"]["settings"])
    write_text(DOCS / "headroom.md", page(every, searched))
    return 0


if __name__ == "__main__":
    sys.exit(main())
