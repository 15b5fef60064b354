"""`hashgym demo`: make a history, train PPO, judge it on held-out months, export it, forecast, advise, write a report."""

import logging
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from hashgym.advisor import telemetry
from hashgym.advisor.advise import Advisor, moment
from hashgym.advisor.backtest import realised_usd, stock_states
from hashgym.advisor.bundle import Bundle
from hashgym.advisor.packing import require_exportable
from hashgym.advisor.records import AdviceReport
from hashgym.advisor.wording import as_text
from hashgym.agents.learning.training import tracked_run
from hashgym.envs.batch import acting
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.envs.scenario.scenario import Scenario
from hashgym.evaluation.paired import episodes, judged, run
from hashgym.evaluation.summary import judge, yardsticks
from hashgym.evaluation.tuning import tune
from hashgym.evaluation.years import EPISODES_A_YEAR, drawn_years
from hashgym.experiments import hydra_main, tracking
from hashgym.experiments.export import export, fitted
from hashgym.experiments.reports import advice_report, report
from hashgym.experiments.reports.table import over_rule, policy_table
from hashgym.experiments.sample import CHARGE_PU, HOW, sample_step, write_telemetry
from hashgym.experiments.settings import KEYS, TrainSettings, years_of
from hashgym.experiments.train import Result, train
from hashgym.sim.foundation.constants import CONTROL_STEP_S, SECONDS_PER_HOUR, usd_per_th
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.foundation.files import write_json, write_text
from hashgym.sim.foundation.wording import escaped
from hashgym.sim.history.history import STEP, History
from hashgym.sim.series.exogenous import best_forecast

log = logging.getLogger(__name__)


def main(args: list[str]) -> int:
    """Run the demo with Hydra overrides; returns the exit code."""
    return hydra_main.run("demo", _demo, args)


def _demo(config: dict[str, Any], run_dir: Path) -> None:
    """Run the whole job and leave report, summary, advice, telemetry, bundle, history and the trained policy."""
    began, out = time.perf_counter(), Path(config["out"])
    if config["resume"] is not None:
        raise BadInputError("the demo starts anew each time; resume a run with `hashgym train resume=…`")
    trained = TrainSettings.of({key: value for key, value in config.items() if key in KEYS})
    require_exportable(trained.env)
    scenario, seed = trained.env.load().scenario, trained.schedule.seed
    for left in ("report.html", "summary.json", "advice.json"):
        (out / left).unlink(missing_ok=True)
    if (run_dir / "config.json").exists():
        shutil.rmtree(run_dir)
    scenario.history.save(out / "history")
    log.info("history: %s, %s, hash %s", scenario.history.kind, scenario.name, scenario.history.hash)
    result = train(trained, run_dir)
    log.info("trained %d steps in %.0f s", trained.agent.total_steps, result.seconds)

    options, progress = replace(trained.env, split="test", reward="profit"), trained.schedule.progress
    tuning = result.tuning or tune(options, seed, progress=progress)
    log.info("judging rules, plan, bound and the policy on the held-out months")
    years = years_of(config)
    judged_on = drawn_years(options, years)
    names = [policy.name for policy in yardsticks(judged_on, tuning)] + [result.policy.name]
    watched = {name: _Watch() for name in names}
    summary = judge(options, [result.policy], seed, tuning, dict(watched), years=years, progress=progress)
    summary["weights_hash"] = result.weights_hash

    validation = replace(options, split="validation")
    best_rule = next(p for p in yardsticks(validation, tuning) if p.name == "hysteresis")
    rule_usd = float(run(best_rule, validation, seed).usd_per_day.mean())
    forecaster = fitted(scenario, config["forecast"], progress=progress)
    bundle = export(result.policy, trained, summary, forecaster, out / "bundle")
    if config["tracking"]["kind"] != "none":
        name = f"hashgym-{scenario.name}"
        tracking.register(config["tracking"], bundle, name, "candidate", tracked_run(run_dir))
    advice, section = _advise(bundle, scenario, seed, out)
    text = _report(trained, judged_on, summary, watched, result, rule_usd, section)
    summary["seconds"] = time.perf_counter() - began
    write_json(out / "advice.json", advice.as_dict())
    write_text(out / "report.html", text)
    write_json(out / "summary.json", summary)
    sys.stdout.write(f"\n{policy_table(summary)}\n\n{as_text(advice)}\n")
    for name in ("report.html", "summary.json", "advice.json", "telemetry.csv", "bundle"):
        sys.stdout.write(f"{out / name}\n")
    sys.stdout.write(f"{summary['seconds']:.0f} s\n")


def _advise(bundle: Bundle, scenario: Scenario, seed: int, out: Path) -> tuple[AdviceReport, str]:
    """Advise on a sample moment from files, as `hashgym advise` does; returns the report and its section as HTML."""
    advisor = Advisor.of(bundle)
    truth = scenario.exogenous(best_forecast(scenario.history, scenario.site))
    step = sample_step(scenario, truth)
    ((_, zones),) = stock_states(scenario, truth, range(step, step + 1))
    write_telemetry(scenario, zones, step, seed, out / "telemetry.csv")
    given, history = telemetry.read(out / "telemetry.csv"), History.load(out / "history")
    now, clock = moment(given, history, None)
    charge_pu = None if scenario.site.battery is None else CHARGE_PU
    advice = advisor.advise(given, history, now, clock, charge_pu=charge_pu)
    came = {entry.kind: realised_usd(advisor, scenario, step, zones, entry.tried, charge_pu) for entry in advice.advice}
    return advice, advice_report.section(advice, came, HOW)


@dataclass
class _Watch:
    """Keeps what the report draws: each step's hottest chip, profit, energy and price of every episode."""

    hot_c: list[np.ndarray] = field(default_factory=list)
    profit_usd: list[np.ndarray] = field(default_factory=list)
    energy_kwh: list[np.ndarray] = field(default_factory=list)

    def __call__(self, _: int, batch: Batch) -> None:
        flows = batch.site_flow
        self.hot_c.append(flows["max_chip_temp_c"].copy())
        self.profit_usd.append(flows["profit_usd"].copy())
        self.energy_kwh.append(flows["energy_kwh"].copy())


def _week(options: EnvConfig, watched: dict[str, _Watch], name: str) -> tuple[pd.DataFrame, int]:
    """Return the held-out episode in which the policy gains most over always-on, step by step, and its number."""
    gain = np.sum(watched[name].profit_usd, axis=0) - np.sum(watched["always_on"].profit_usd, axis=0)
    episode = int(np.argmax(gain))
    config = judged(options)
    probe = Batch(config)
    of_series, starts = episodes(config, probe, EPISODES_A_YEAR if probe.scenario.years > 1 else None)
    series, start = int(of_series[episode]), int(starts[episode])
    steps = slice(start, start + probe.episode_steps)
    history = probe.scenario.history
    times = (history.start + STEP * start) + STEP * np.arange(probe.episode_steps)
    usd_per_hashprice = acting.break_even_usd_per_mwh(probe.menus[0], 1.0) * usd_per_th(1.0)
    hours_per_step = CONTROL_STEP_S / SECONDS_PER_HOUR

    def column(values: Sequence[np.ndarray]) -> np.ndarray:
        return np.array([value[episode] for value in values])

    frame = pd.DataFrame(
        {
            "energy_price_usd_per_mwh": probe.exogenous.in_force("energy_price_usd_per_mwh")[series, steps],
            "break_even_usd_per_mwh": usd_per_hashprice
            * probe.exogenous.in_force("realised_hashprice_usd_per_ph_day")[series, steps],
            "outdoor_temp_c": probe.exogenous.in_force("outdoor_temp_c")[series, steps],
            "power_kw": column(watched[name].energy_kwh) / hours_per_step,
            "max_chip_temp_c": column(watched[name].hot_c),
            "profit_usd": column(watched[name].profit_usd),
            "always_on_usd": column(watched["always_on"].profit_usd),
        },
        index=pd.DatetimeIndex(times).tz_convert(history.timezone).tz_localize(None),
    )
    return frame, episode


def _report(
    settings: TrainSettings,
    options: EnvConfig,
    summary: dict[str, Any],
    watched: dict[str, _Watch],
    result: Result,
    rule_usd: float,
    advice: str,
) -> str:
    name, setup = result.policy.name, options.load()
    scenario = setup.scenario
    week, episode = _week(options, watched, name)
    first, last = scenario.splits["test"]
    lead = (
        f"Scenario {scenario.name} on {scenario.history.kind} history {summary['history']['hash']}; "
        f"{summary['episodes']} held-out episodes of {summary['episode_days']:g} days from {_when(summary, first, last)}. "
        f"{name} over the best rule, {summary['best_rule']}: {over_rule(summary['policies'][name])}."
    )
    hot = {key: np.concatenate(watched[key].hot_c) for key in (name, "hysteresis", "always_on")}
    rule = summary["hysteresis"]
    notes = (
        f"<p>Every policy ran the same episodes with the same weather, prices and sensor noise; intervals are bootstrap 95&nbsp;% over "
        f"years and the episodes within each, and gains are paired. The price of a 15-minute interval is known after it. <code>hysteresis</code> sleeps above "
        f"{rule['off_ratio']:.3g} and wakes below {rule['on_ratio']:.3g} times the break-even price{_shedding(rule)}, tuned on the training months; "
        f"<code>{escaped(name)}</code> {_BEGAN[settings.teacher]}. {_yardsticks(summary)}</p>"
    )
    sections = [
        ("Net profit on held-out months", summary_table_and_plot(summary) + notes),
        (
            "Learning",
            report.figure_block(
                lambda: report.draw_learning(result.curve, rule_usd),
                f"{settings.agent.total_steps:,} environment steps in {result.seconds:.0f} s, tuning of the rule and cloning included.",
            ),
        ),
        (
            "A week of decisions",
            report.figure_block(
                lambda: report.draw_week(week, setup.thresholds["chip_over_temp"]),
                f"Held-out episode {episode + 1}, the one in which {name} gains most over always-on. Local time.",
            ),
        ),
        (
            "Chip temperatures",
            report.figure_block(
                lambda: report.draw_temperatures(hot, setup.thresholds["chip_over_temp"]),
                "The firmware's fans hold the hottest chip at their target; hotter steps are those in which they could not.",
            ),
        ),
        ("Advice", advice),
    ]
    return report.page("HashGym demo", lead, sections)


_BEGAN: Final = {
    None: "began as the operator's rule",
    "hysteresis": "began as a clone of it",
    "planner": "was fitted to a planner on the day-ahead curve, and went on by what it earned beyond the operator's rule",
}
"""How a policy began, by its teacher."""


def _yardsticks(summary: dict[str, Any]) -> str:
    """Say what the figures beside rules are, of those that are there."""
    parts = []
    if "operator" in summary["policies"]:
        parts.append(
            "<code>operator</code> is the best rule of a search over thousands of settings on the training months."
        )
    if "foresight_6h" in summary["policies"]:
        parts.append("<code>foresight_6h</code> sees true prices six hours ahead and leaves a battery alone.")
    if "bound" in summary:
        parts.append("The bound holds for any policy with perfect foresight.")
    return " ".join(parts)


def _when(summary: dict[str, Any], first: str, last: str) -> str:
    """Say which years are judged: drawn ones, or the one that a history is."""
    if summary["years"] > 1:
        return f"{summary['years']} drawn years {first}…{last}"
    return f"one history, {first} to {last}: its intervals say nothing of other years"


def _shedding(rule: dict[str, float]) -> str:
    """Say when the tuned rule sheds before peaks of the grid, if it does."""
    return (
        f", and while the grid's load is {rule['peak_ratio']:.3g} of the month's highest or more"
        if "peak_ratio" in rule
        else ""
    )


def summary_table_and_plot(summary: dict[str, Any]) -> str:
    """Return the policies as a table and a plot, as HTML."""
    plot = report.figure_block(lambda: report.draw_profit(summary), "Mean net profit a day with 95 % interval.")
    return report.summary_table(summary) + plot
