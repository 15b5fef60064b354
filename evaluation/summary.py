"""What an evaluation says: rules, plan, bound and trained policies side by side, with intervals."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from ..agents.operator_rules import RuleAlone
from ..agents.planners.foresight import Foresight
from ..agents.policy import Policy
from ..agents.rules import PARAMETER_FREE, Hysteresis, Menu
from ..envs.batch.config import EnvConfig
from ..envs.batch.core import Batch
from ..envs.scenario.tuned import tuned_settings
from ..sim.series.exogenous import STEPS_PER_DAY
from .bound import upper_bound, why_not
from .intervals import interval
from .paired import Trace, Watcher, episodes, judged, run
from .tuning import Tuning, tune
from .years import EPISODES_A_YEAR, YEARS, drawn_years

FloatArray = npt.NDArray[np.float64]


def yardsticks(config: EnvConfig, tuning: Tuning) -> list[Policy]:
    """Return the rules, with tuned hysteresis and the operator's rule if one was searched, and for one zone the plan with six hours of foresight."""
    probe = Batch(judged(config))
    menu = Menu.of(probe.site)
    free = [rule(menu, tuning.peak_ratio) for rule in PARAMETER_FREE]
    policies: list[Policy] = [*free, Hysteresis(menu, **tuning.thresholds)]
    if config.rule is not None or tuned_settings(probe.scenario) is not None:
        policies.append(RuleAlone())
    if probe.n_zones == 1 and not probe.site.has_energy:  # it knows machines alone
        policies.append(Foresight(probe.site, probe.profiles[0], probe.exogenous, 6.0))
    return policies


def bound_trace(config: EnvConfig, most_a_year: int | None = None) -> FloatArray:
    """Return the upper bound on each episode's profit, (n_episodes,). [USD]"""
    config = judged(config)
    probe = Batch(config)
    series, starts = episodes(config, probe, most_a_year)
    usd = np.zeros(len(starts))
    for number in np.unique(series):
        own = np.flatnonzero(series == number)
        first, last = int(starts[own[0]]), int(starts[own[-1]]) + probe.episode_steps
        bound = upper_bound(probe.site, probe.exogenous, range(first, last), int(number))
        usd[own] = [bound.episode_usd(int(start) - first, probe.episode_steps) for start in starts[own]]
    return usd


YARDSTICKS: Final = ("mpc", "planner", "bound", "foresight")
"""How names begin that are neither rules nor learned."""


def summarize(
    traces: list[Trace], bound_usd: FloatArray | None, seed: int, learned: Collection[str] = ()
) -> dict[str, Any]:
    """Return the `policies` object of summary.json and evaluate's JSON, and the bound where there is one.

    Args:
        traces: What the policies did over the same episodes; always_on is among them.
        bound_usd: Upper bound on each episode's profit, (n_episodes,), or None. [USD]
        seed: Of the bootstrap.
        learned: Names of trained policies; what is neither learned nor of YARDSTICKS is a rule.
    """
    reference = next(trace for trace in traces if trace.name == "always_on")
    days = reference.n_steps / STEPS_PER_DAY

    def over_years(values: FloatArray, scale: float = 1.0) -> dict[str, float]:
        return interval(values, np.random.default_rng(seed), scale, reference.years)

    def gain(profit_usd: FloatArray, over: Trace = reference) -> dict[str, float | None]:
        """Return a gain in percent; of what earns nothing or loses there is no percentage."""
        percent_usd = float(over.profit_usd.mean()) / 100.0
        if percent_usd <= 0.0:
            return dict.fromkeys(("mean", "lo", "hi"))
        return {**over_years(profit_usd - over.profit_usd, percent_usd)}

    policies: dict[str, dict[str, Any]] = {}
    for trace in traces:
        policies[trace.name] = {
            "net_profit_usd_per_day": over_years(trace.usd_per_day),
            "usd_per_day_over_always_on": over_years(trace.usd_per_day - reference.usd_per_day),
            "gain_over_always_on_pct": gain(trace.profit_usd),
            "costs": {
                name: float(total)
                for name, total in zip(trace.cost_names, trace.costs.mean(axis=0) / trace.n_steps, strict=True)
            },
            "trips": float(trace.trips.sum()),
            "starts_per_week": float((trace.costs[:, trace.cost_names.index("starts")] / days).mean() * 7.0),
            "margin_pct": float(100.0 * trace.profit_usd.sum() / max(trace.revenue_usd.sum(), 1e-9)),
            "max_chip_temp_c": float(trace.max_chip_temp_c.max()),
            "profit_usd_per_mwh": float(1000.0 * trace.profit_usd.sum() / max(trace.energy_kwh.sum(), 1e-9)),
        }
    rules = [t for t in traces if t.name not in learned and not t.name.startswith(YARDSTICKS)]
    best = max(rules, key=lambda trace: float(trace.profit_usd.sum()))
    for trace in traces:
        if trace not in rules:
            policies[trace.name]["gain_over_best_rule_pct"] = gain(trace.profit_usd, best)
            over_usd = trace.usd_per_day - best.usd_per_day
            policies[trace.name]["usd_per_day_over_best_rule"] = over_years(over_usd)
    result: dict[str, Any] = {
        "policies": policies,
        "best_rule": best.name,
        "episodes": len(reference.profit_usd),
        "episode_days": days,
        "years": len(np.unique(reference.years)),
    }
    if bound_usd is not None:
        result["bound"] = {
            "net_profit_usd_per_day": over_years(bound_usd / days),
            "gain_over_always_on_pct": gain(bound_usd),
        }
        room_usd = float(np.mean(bound_usd - reference.profit_usd))
        for trace in traces if room_usd > 0.0 else ():
            above = trace.profit_usd - reference.profit_usd
            policies[trace.name]["score"] = over_years(above, room_usd)
    return result


def judge(
    config: EnvConfig,
    learned: Sequence[Policy],
    seed: int,
    tuning: Tuning | None = None,
    watchers: Mapping[str, Watcher] | None = None,
    *,
    years: int = YEARS,
    progress: bool = False,
) -> dict[str, Any]:
    """Run rules, plan, bound and trained policies over a split and return the summary.

    A synthetic scenario is judged on drawn years of the split, a history that was given on the one year or so that it is.

    Args:
        config: Environment options; the split is in them, the reward is not looked at.
        learned: Trained policies.
        seed: Seed of tuning, sensors and bootstrap.
        tuning: Thresholds of the hysteresis rule, if they are tuned already.
        watchers: Called after each step of the policy of that name.
        years: Drawn years of a synthetic scenario; 1 judges its own history.
        progress: Whether bars show how far it is.
    """
    tuning = tune(config, seed, progress=progress) if tuning is None else tuning
    own, config = config.load().scenario, drawn_years(config, years)
    most = EPISODES_A_YEAR if config.load().scenario.years > 1 else None
    watch, traces = watchers or {}, []
    for policy in tqdm([*yardsticks(config, tuning), *learned], "evaluating", unit="policy", disable=not progress):
        traces.append(run(policy, config, seed, watch.get(policy.name), most))
    has_bound = why_not(own.site) is None and not own.site.has_energy
    bound = bound_trace(config, most) if has_bound else None
    return {
        **summarize(traces, bound, seed, {policy.name for policy in learned}),
        "history": {"kind": own.history.kind, "hash": own.history.hash},
        "scenario": {"name": own.name, "hash": own.config_hash, "split": config.split},
        "hysteresis": tuning.thresholds,
    }
