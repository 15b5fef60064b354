"""Back-test of advice: give it on days that have passed and see what it was worth."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from tqdm import tqdm

from ..envs.batch.config import EnvConfig
from ..envs.batch.core import Batch
from ..envs.batch.operating import looks_at
from ..envs.scenario.published import published_series
from ..envs.scenario.scenario import Scenario
from ..evaluation.intervals import block_interval
from ..sim.history.history import STEP
from ..sim.series.exogenous import STEPS_PER_DAY, best_forecast
from ..sim.site.world import Exogenous
from ..sim.telemetry.columns import fleet_rows
from . import telemetry, whatif
from .advise import Advisor
from .kinds import of_site
from .records import INTERVAL, Abstention, Advice, Effect, Tried

SENSOR_SEED: Final = 7
"""Seed of the telemetry's spread and of the sensors in the runs that tell what came; advice draws from its own."""


CHARGE_PU: Final = 0.5
"""Charge of a battery at each moment of a back-test. chosen: nobody steers it, so that any is as good."""


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


def backtest(advisor: Advisor, scenario: Scenario, steps: range, *, progress: bool = False) -> dict[str, Any]:
    """Return how advice at some steps of a history turned out, for a site that runs its stock profile throughout; a battery stands at CHARGE_PU.

    Telemetry is what the simulated site reports at each step. What came is the simulator run along the history itself,
    for "keep" and for "change" from the true state: prices, weather and hashprice are uncertain in it, the machines are
    not.
    """
    history, published = scenario.history, published_series(scenario.history, scenario.site.markets[0])
    truth = scenario.exogenous(best_forecast(history, scenario.site))
    charge_pu = None if scenario.site.battery is None else CHARGE_PU
    cases: list[Case] = []
    silences: list[tuple[str, str]] = []
    for step, zones in tqdm(
        stock_states(scenario, truth, steps), desc="decisions", total=len(steps), disable=not progress
    ):
        now = history.start + STEP * step
        rows = fleet_rows(scenario.site, zones, now, SENSOR_SEED + step)
        report = advisor.advise(telemetry.of_frame(rows), history, now, "given", published, charge_pu)
        entries: list[Advice | Abstention] = [*report.advice, *report.abstentions]
        for entry in entries:
            if entry.tried is not None:
                came_usd = realised_usd(advisor, scenario, step, zones, entry.tried, charge_pu)
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
            for kind in of_site(scenario.site)
        },
        "cases": [{name: getattr(case, name) for name in Case.__slots__} for case in cases],
    }


def realised_usd(
    advisor: Advisor,
    scenario: Scenario,
    step: int,
    zones: np.ndarray,
    tried: Tried,
    charge_pu: float | None = None,
) -> float:
    """Return what a change earned more than "keep" along the history. [USD]"""
    span = slice(step, step + STEPS_PER_DAY)
    truth = scenario.exogenous(str(advisor.bundle.manifest["env"]["forecast"]), 1, looks_at(advisor.bundle.rule))
    world = Exogenous(truth.values[:, span].copy(), truth.known[:, span].copy(), truth.channels)
    manifest = advisor.bundle.manifest
    outcome = whatif.run(
        whatif.env_of(advisor.bundle, scenario),
        world,
        zones,
        tried.plans,
        manifest["envelope"]["max_rise_pu_per_step"],
        SENSOR_SEED,
        charge_pu,
    )
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
    """Return the mean over cases and its interval; whole weeks are drawn, since neighbouring days hang together."""
    weeks = (pd.to_datetime(days) - pd.Timestamp("1970-01-05")).days // 7
    return block_interval(values, weeks.to_numpy(np.int64), np.random.default_rng(0))


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
    "outside what the policy": "far outside what the policy was trained on",
}


def stock_states(scenario: Scenario, truth: Exogenous, steps: range) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the state of the zones at each step of a site that has run its stock profile for a day before the first."""
    batch = Batch(EnvConfig(scenario=scenario, action="profile", n_threads=1), 1, truth)
    saved = batch.save()
    saved["site"]["step"] = steps.start - STEPS_PER_DAY
    batch.restore(saved)
    top = batch.menus["n_profiles"][None, :]
    for step in range(steps.start - STEPS_PER_DAY, steps[-1] + 1):
        if step in steps:
            yield step, batch.state.zone[0].copy()
        batch.step(top)
