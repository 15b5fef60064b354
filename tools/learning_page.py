"""What the runs of `tools.learning` came to: rows of docs/learning.json, and tables of docs/learning.md between its marks."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from hashgym.evaluation.intervals import over_seeds
from hashgym.sim.foundation.constants import JOULES_PER_KWH, KWH_PER_MWH
from hashgym.sim.foundation.files import write_json, write_text

DOCS: Final = Path(__file__).resolve().parents[1] / "docs"
FORECASTS: Final = "ppo_forecast_"
"""How learners are named that only differ in what forecast they see."""

Runs = Mapping[tuple[str, str], list[dict[str, Any]]]
"""What was kept of each run, by scenario and learner."""


def gain_pct(runs: list[dict[str, Any]], key: str = "usd_per_day") -> dict[str, float]:
    """Return what runs earn over the rule, in percent of its mean, with its interval over runs, years and episodes."""
    rule = np.array(runs[0]["rule"][key])
    usd = np.array([one["policy"][key] for one in runs])
    return over_seeds(usd - rule, np.array(runs[0]["rule"]["years"]), float(rule.mean()) / 100.0)


def rows_of(scenario: str, learner: str, runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the figures of a learner on a scenario: iqm over runs, lo and hi where there is an interval."""
    years, usd = np.array(runs[0]["rule"]["years"]), np.array([one["policy"]["usd_per_day"] for one in runs])
    same = {"scenario": scenario, "env": "SiteOperation", "policy": learner, "seeds": len(runs)}
    base = round(float(np.mean(runs[0]["rule"]["usd_per_day"])), 2)
    rows = [
        {**same, "metric": "net_profit_usd_per_day", **over_seeds(usd, years, 1.0), "rule_usd_per_day": base},
        {**same, "metric": "gain_over_best_rule_pct", **gain_pct(runs)},
        {**same, "metric": "train_seconds", "iqm": float(np.mean([one["seconds"] for one in runs]))},
    ]
    counted = [one for one in runs if "flows" in one["rule"]]  # runs of old were judged without
    for name, figure in FIGURES.items() if counted else ():
        own, rule = (float(np.mean([figure(one[who]) for one in counted])) for who in ("policy", "rule"))
        rows.append({**same, "metric": name, "iqm": own, "rule": rule})
    for kind in ("mismatch", "firmware"):
        rows += [
            {**same, "metric": "gain_over_best_rule_pct", kind: name, **gain_pct([judged])}
            for one in runs
            for name, judged in one.get(kind, {}).items()
        ]
    return rows


def _of_flow(name: str, per: str, scale: float) -> Callable[[Mapping[str, Any]], float]:
    return lambda judged: scale * judged["flows"][name] / max(judged["flows"][per], 1e-9)


FIGURES: Final[dict[str, Callable[[Mapping[str, Any]], float]]] = {
    "usd_per_mw_day": lambda judged: judged["flows"]["profit_usd"] / judged["rated_mw"],
    "usd_per_mwh_revenue": _of_flow("revenue_usd", "it_energy_kwh", KWH_PER_MWH),
    "j_per_th": _of_flow("it_energy_kwh", "hash_th", JOULES_PER_KWH),
    "pue": _of_flow("load_kwh", "it_energy_kwh", 1.0),
    "cooling_pct": _of_flow("cooling_energy_kwh", "it_energy_kwh", 100.0),
    "water_l_per_mwh": _of_flow("water_l", "it_energy_kwh", KWH_PER_MWH),
    "carbon_kg_per_day": lambda judged: judged["flows"]["carbon_kg"],
    "wear_usd_per_day": lambda judged: judged["flows"]["wear_usd"],
    "starts_per_week": lambda judged: 7.0 * judged["flows"]["starts"],
    "trips": lambda judged: judged["trips"],
    "chips_too_hot_pct": lambda judged: 100.0 * judged["costs"]["chip_over_temp"],
    "chips_too_hot_worst_pct": lambda judged: 100.0 * judged["worst"]["chip_over_temp"],
    "ramp_cost": lambda judged: judged["costs"]["power_ramp"],
}
"""Figures of a run beside its profit, by name. chips_too_hot: zone-steps with a chip above the threshold, in percent of steps; worst: of the worst
twentieth of the episodes."""


def gains_table(rows: Iterable[Mapping[str, Any]], headroom: Iterable[Mapping[str, Any]]) -> str:
    """Return what learners earn, the planner's gain beside each."""
    planner = {
        row["scenario"]: row.get("gain_over_best_rule_pct", {}).get("mean")
        for row in headroom
        if row["policy"] == "planner_day_ahead"
    }
    lines = [
        "| scenario | learner | runs | best rule, USD/d | learned, USD/d | over the best rule, % | planner, % | training, s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for key, like in _by_run(rows).items():
        scenario, learner = key
        if learner.startswith(FORECASTS):
            continue
        profit, gain, attainable = (
            like["net_profit_usd_per_day"],
            like["gain_over_best_rule_pct"],
            planner.get(scenario),
        )
        lines.append(
            f"| {scenario} | {learner} | {gain['seeds']} | {profit['rule_usd_per_day']:.1f} | "
            f"{profit['iqm']:.1f} ({profit['lo']:.1f} … {profit['hi']:.1f}) | **{gain['iqm']:+.1f}** ({gain['lo']:+.1f} … {gain['hi']:+.1f}) | "
            f"{'–' if attainable is None else f'{attainable:+.1f}'} | {like['train_seconds']['iqm']:.0f} |"
        )
    return "\n".join(lines)


OPERATION: Final = {
    "usd_per_mw_day": ("USD/MW-d", ".0f"),
    "j_per_th": ("J/TH", ".2f"),
    "pue": ("PUE", ".3f"),
    "water_l_per_mwh": ("water, L/MWh", ".0f"),
    "carbon_kg_per_day": ("CO₂, kg/d", ".0f"),
    "wear_usd_per_day": ("wear, USD/d", ".0f"),
    "starts_per_week": ("starts/week", ".0f"),
    "chips_too_hot_pct": ("too hot, %", ".2f"),
    "chips_too_hot_worst_pct": ("worst 5 %", ".1f"),
}
"""Columns of the table of operation: heading and form."""


def operation_table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return how sites are run: the rule's figure, then the learned policy's."""
    lines = [
        f"| scenario | learner | {' | '.join(head for head, _ in OPERATION.values())} |",
        f"|---|---|{'---|' * len(OPERATION)}",
    ]
    for (scenario, learner), like in _by_run(rows).items():
        if learner.startswith(FORECASTS) or "pue" not in like:
            continue
        cells = [
            _both(f"{like[name]['rule']:{form}}", f"{like[name]['iqm']:{form}}")
            for name, (_, form) in OPERATION.items()
        ]
        if not any("→" in cell for cell in cells):
            continue  # the run returned the rule
        lines.append(f"| {scenario} | {learner} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _both(rule: str, own: str) -> str:
    """Return two figures in a cell, one where they are the same."""
    return own if own == rule else f"{rule} → {own}"


def elsewhere_table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return what the first runs earn over the rule on machines and firmware that are otherwise, without learning anew."""
    told = [row for row in rows if "mismatch" in row or "firmware" in row]
    names = list(dict.fromkeys(_elsewhere(row) for row in told))
    found = {(row["scenario"], row["policy"]): dict[str, str]() for row in told}
    for row in told:
        cell = f"{row['iqm']:+.1f} ({row['lo']:+.1f} … {row['hi']:+.1f})"
        found[row["scenario"], row["policy"]][_elsewhere(row)] = cell
    lines = [f"| scenario | learner | {' | '.join(names)} |", f"|---|---|{'---|' * len(names)}"]
    lines += [
        f"| {scenario} | {learner} | {' | '.join(cells.get(name, '–') for name in names)} |"
        for (scenario, learner), cells in found.items()
    ]
    return "\n".join(lines)


def _elsewhere(row: Mapping[str, Any]) -> str:
    return str(row.get("mismatch", f"firmware {row.get('firmware')}"))


def forecasts_table(rows: Iterable[Mapping[str, Any]], runs: Runs) -> str:
    """Return what forecasts are worth to PPO: gains over the rule, and what the models' quantiles bring over each, run by run on the same episodes."""
    lines = ["| scenario | forecast | runs | over the best rule, % | model over this one, % |", "|---|---|---|---|---|"]
    for (scenario, learner), like in _by_run(rows).items():
        if not learner.startswith(FORECASTS):
            continue
        gain, own, model = (
            like["gain_over_best_rule_pct"],
            runs[scenario, learner],
            runs.get((scenario, f"{FORECASTS}model")),
        )
        cell = "–"
        if model and not learner.endswith("model"):
            n = min(len(own), len(model))
            usd = np.array(
                [np.array(model[k]["policy"]["usd_per_day"]) - own[k]["policy"]["usd_per_day"] for k in range(n)]
            )
            base = float(np.mean(own[0]["rule"]["usd_per_day"])) / 100.0
            more = over_seeds(usd, np.array(own[0]["rule"]["years"]), base)
            cell = f"{more['iqm']:+.2f} ({more['lo']:+.2f} … {more['hi']:+.2f})"
        name = learner.removeprefix(FORECASTS)
        lines.append(
            f"| {scenario} | {name} | {gain['seeds']} | {gain['iqm']:+.1f} ({gain['lo']:+.1f} … {gain['hi']:+.1f}) | {cell} |"
        )
    return "\n".join(lines)


def zones_table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return how forms of a policy compare on a yard of containers."""
    lines = [
        "| form | trained on | plays on | runs | over the tuned rule, % | training, s |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        seconds = "–" if row["trained_on"] != row["played_on"] else f"{row['seconds']}"
        lines.append(
            f"| {row['form']} | {row['trained_on']} | {row['played_on']} | {row['runs']} | "
            f"{row['iqm']:+.1f} ({row['lo']:+.1f} … {row['hi']:+.1f}) | {seconds} |"
        )
    return "\n".join(lines)


def _by_run(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], dict[str, Mapping[str, Any]]]:
    """Return the rows of machines as the model has them, by scenario, learner and metric."""
    found: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        if "mismatch" not in row and "firmware" not in row:
            found.setdefault((row["scenario"], row["policy"]), {})[row["metric"]] = row
    return found


def put(text: str, mark: str, content: str) -> str:
    """Return a page whose part between `<!-- mark -->` and `<!-- end of mark -->` is replaced."""
    head, rest = text.split(f"<!-- {mark} -->")
    _, tail = rest.split(f"<!-- end of {mark} -->")
    return f"{head}<!-- {mark} -->\n\n{content}\n\n<!-- end of {mark} -->{tail}"


def write(runs: Runs) -> None:
    """Write the rows and put their tables between the page's marks."""
    rows = [row for (scenario, learner), found in runs.items() if found for row in rows_of(scenario, learner, found)]
    write_json(DOCS / "learning.json", rows)
    headroom = json.loads((DOCS / "headroom.json").read_text(encoding="utf-8"))
    zones = json.loads((DOCS / "zones.json").read_text(encoding="utf-8"))
    tables = {
        "table": gains_table(rows, headroom),
        "operation": operation_table(rows),
        "elsewhere": elsewhere_table(rows),
        "forecasts": forecasts_table(rows, runs),
        "zones": zones_table(zones),
    }
    text = (DOCS / "learning.md").read_text(encoding="utf-8")
    for mark, content in tables.items():
        text = put(text, mark, content)
    write_text(DOCS / "learning.md", text)
