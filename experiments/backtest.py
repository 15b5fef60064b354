"""`hashgym backtest`: give advice on days that have passed and see what it was worth."""

import argparse
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from tqdm import tqdm

from hashgym.advisor import telemetry, whatif
from hashgym.advisor.advise import Advisor
from hashgym.advisor.bundle import Bundle
from hashgym.advisor.kinds import KINDS
from hashgym.advisor.outlook import published_series
from hashgym.advisor.records import INTERVAL, Abstention, Advice, Effect, Tried
from hashgym.advisor.situation import scenario_of
from hashgym.advisor.telemetry import Telemetry
from hashgym.envs.scenario.scenario import Scenario
from hashgym.evaluation.paired import BOOTSTRAP_SAMPLES
from hashgym.experiments.advise import history_at, require_untrained, span_of
from hashgym.experiments.sample import stock_states
from hashgym.sim.foundation.constants import CONTROL_STEP_S
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.foundation.files import require_writable, write_json
from hashgym.sim.history.history import STEP
from hashgym.sim.series.exogenous import STEPS_PER_DAY
from hashgym.sim.site.world import Exogenous
from hashgym.sim.telemetry.columns import fleet_rows

SENSOR_SEED: Final = 7
"""Seed of the telemetry's spread and of the sensors in the runs that tell what came; advice draws from its own."""


@dataclass(frozen=True, slots=True)
class Case:
    """A change that was tried and what it would have been worth: "change" less "keep", predicted and on what came."""

    at_utc: str
    kind: str
    is_advised: bool
    predicted_usd: float
    lo_usd: float
    hi_usd: float
    confidence: float
    realised_usd: float

    @classmethod
    def of(cls, at_utc: str, entry: Advice | Abstention, realised_usd: float) -> "Case":
        """Take it from advice, or from an abstention that had tried a change."""
        if entry.tried is None:
            raise ValueError("nothing was tried")
        gains = entry.tried.gains_usd
        effect, wins = Effect.of(gains), float((gains > 0.0).mean())
        return cls(at_utc, entry.kind, isinstance(entry, Advice), effect.mean, effect.lo, effect.hi, wins, realised_usd)


def main(args: list[str]) -> int:
    """Run the back-test; returns the exit code."""
    parser = argparse.ArgumentParser(prog="hashgym backtest", description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True, help="policy bundle with a forecast")
    parser.add_argument("--history", type=Path, required=True, help="history folder")
    parser.add_argument("--start", required=True, help="first day, ISO date, UTC")
    parser.add_argument("--end", required=True, help="day after the last, ISO date, UTC")
    parser.add_argument("--every-h", type=float, default=4.0, help="hours between decisions (default: 4)")
    parser.add_argument("--json", type=Path, help="write summary and cases to a JSON file")
    options = parser.parse_args(args)
    if options.every_h * 3600.0 % CONTROL_STEP_S or options.every_h <= 0.0:
        raise BadInputError(f"--every-h is {options.every_h}; it must be a multiple of five minutes")
    require_writable(options.json, options.bundle, options.history)
    history = history_at(options.history)
    advisor = Advisor.of(Bundle(options.bundle))
    require_untrained(advisor, history, options.start)
    first, last = span_of(history, options.start, options.end, 2)
    spacing = round(options.every_h * 3600.0 / CONTROL_STEP_S)
    result = backtest(advisor, scenario_of(advisor.bundle, history), range(first, last - STEPS_PER_DAY, spacing))
    sys.stdout.write(text(result) + "\n")
    if options.json is not None:
        write_json(options.json, result)
    return 0


def backtest(advisor: Advisor, scenario: Scenario, steps: range) -> dict[str, Any]:
    """Return how advice at some steps of a history turned out, for a site that runs its stock profile throughout.

    Telemetry is what the simulated site reports at each step. What came is the simulator run along the history itself,
    for "keep" and for "change" from the true state: prices, weather and hashprice are uncertain in it, the machines are
    not.
    """
    history, published = scenario.history, published_series(scenario.history, scenario.site.markets[0])
    truth = scenario.exogenous(advisor.bundle.manifest["env"]["forecast"])
    cases: list[Case] = []
    silences: list[tuple[str, str]] = []
    for step, zones in tqdm(stock_states(scenario, truth, steps), desc="decisions"):
        now = history.start + STEP * step
        rows = fleet_rows(scenario.site, zones, now, SENSOR_SEED + step)
        report = advisor.advise(Telemetry(telemetry.typed(rows), ""), history, now, "given", published)
        entries: list[Advice | Abstention] = [*report.advice, *report.abstentions]
        for entry in entries:
            if entry.tried is not None:
                came_usd = realised_usd(advisor, scenario, truth, step, zones, entry.tried)
                cases.append(Case.of(report.at_utc, entry, came_usd))
        silences += [(entry.kind, _short(entry.reason)) for entry in report.abstentions]
    return {
        "start_utc": str(history.start + STEP * steps.start),
        "end_utc": str(history.start + STEP * steps.stop),
        "days": (steps.stop - steps.start) / STEPS_PER_DAY + 1.0,
        "decisions": len(steps),
        "history": {"kind": history.kind, "hash": history.hash},
        "bundle": advisor.bundle.manifest["model_sha256"][:16],
        "kinds": {
            kind: _summary([c for c in cases if c.kind == kind], [r for k, r in silences if k == kind])
            for kind in KINDS
        },
        "cases": [{name: getattr(case, name) for name in Case.__slots__} for case in cases],
    }


def realised_usd(
    advisor: Advisor, scenario: Scenario, truth: Exogenous, step: int, zones: np.ndarray, tried: Tried
) -> float:
    """Return what a change earned more than "keep" along the history. [USD]"""
    span = slice(step, step + STEPS_PER_DAY)
    world = Exogenous(truth.values[:, span].copy(), truth.known[:, span].copy(), truth.channels)
    manifest = advisor.bundle.manifest
    outcome = whatif.run(
        scenario, manifest["env"]["forecast"], world, zones, tried.plans, manifest["envelope"]["max_rise_pu_per_step"],
        SENSOR_SEED,
    )  # fmt: skip
    return float(outcome.gain("profit_usd", 1)[0])


def _summary(cases: list[Case], silences: list[str]) -> dict[str, Any]:
    """Return what changes of one kind were worth, with 95 % intervals over weeks."""
    advised = [case for case in cases if case.is_advised]
    n = len(advised) + len(silences)
    return {
        "advised": len(advised),
        "abstention_rate": len(silences) / n if n else None,
        "abstained_because": dict(Counter(silences).most_common()),
        "interval": INTERVAL,
        "when_advised": _figures(advised),
        "whenever_tried": _figures(cases),
    }


def _figures(cases: list[Case]) -> dict[str, Any]:
    if not cases:
        return {"cases": 0}
    days = np.array([case.at_utc[:10] for case in cases])
    realised = np.array([case.realised_usd for case in cases])
    columns = {
        "predicted_usd": np.array([case.predicted_usd for case in cases]),
        "realised_usd": realised,
        "paid": (realised > 0.0).astype(float),
        "confidence": np.array([case.confidence for case in cases]),
        "covered": np.array([float(case.lo_usd <= case.realised_usd <= case.hi_usd) for case in cases]),
    }
    figures = {name: _by_week(values, days) for name, values in columns.items()}
    return {"cases": len(cases), "days": len(set(days.tolist())), **figures}


def _by_week(values: np.ndarray, days: np.ndarray) -> dict[str, float | None]:
    """Return the mean over cases and its bootstrap 95 % interval; whole weeks are drawn, since neighbouring days hang together."""
    weeks = (pd.to_datetime(days) - pd.Timestamp("1970-01-05")).days // 7
    _, index = np.unique(weeks, return_inverse=True)
    sums, counts = np.bincount(index, values), np.bincount(index)
    picks = np.random.default_rng(0).integers(0, len(counts), (BOOTSTRAP_SAMPLES, len(counts)))
    means = sums[picks].sum(axis=1) / counts[picks].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    is_one = len(counts) == 1  # of one week nothing can be said
    return {"mean": float(values.mean()), "lo": None if is_one else float(low), "hi": None if is_one else float(high)}


def _short(reason: str) -> str:
    """Return the kind of an abstention's reason, without its numbers."""
    for words, meaning in _REASONS.items():
        if words in reason:
            return meaning
    return reason


_REASONS: Final = {
    "the policy keeps": "the policy keeps the present profile",
    "not clear of the switching cost": "the gain is not clear of the switching cost",
    "wins on": "the change wins on too few paths",
    "outside what the policy": "outside what the policy was trained on",
}


def text(result: dict[str, Any]) -> str:
    """Return a back-test as text."""
    lines = [
        f"{result['decisions']} decisions over {result['days']:.0f} days, {result['history']['kind']} history {result['history']['hash']}"
    ]
    for kind, entry in result["kinds"].items():
        if entry["abstention_rate"] is None:
            continue
        lines += ["", f"{kind}: advised {entry['advised']} times, abstained {entry['abstention_rate']:.0%}"]
        lines += [f"  {count:5d} × {reason}" for reason, count in entry["abstained_because"].items()]
        for when in ("when_advised", "whenever_tried"):
            if entry[when]["cases"]:
                lines.append(f"  {when.replace('_', ' ')}: {entry[when]['cases']} cases on {entry[when]['days']} days")
                lines += [_figure_text(name, entry[when][name]) for name in _FIGURES]
    return "\n".join(lines)


_FIGURES: Final = {"predicted_usd": 1.0, "realised_usd": 1.0, "paid": 100.0, "confidence": 100.0, "covered": 100.0}


def _figure_text(name: str, value: dict[str, float | None]) -> str:
    scale, unit = _FIGURES[name], "USD" if name.endswith("_usd") else "%"
    mean, low, high = (None if value[key] is None else scale * float(value[key] or 0.0) for key in ("mean", "lo", "hi"))
    span = "one week only" if low is None else f"{low:.2f} … {high:.2f}"
    return f"    {name:14s} {mean:8.2f} {unit} ({span})"
