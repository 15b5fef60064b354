"""Paired evaluation: every policy on the same episodes, weather, prices and seeds; differences get the intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..agents.planners.foresight import Foresight
from ..agents.policies import Policy, foresight_policy, menu_of, rule_policy
from ..agents.rules import OFF_RATIOS, ON_RATIOS, PARAMETER_FREE, PEAK_RATIOS, Hysteresis, Rule, Tuning, tune_hysteresis
from ..envs.batch import tables
from ..envs.batch.config import EnvConfig
from ..envs.batch.core import Batch
from ..envs.batch.seeding import draw_seeds
from ..sim.contract.channels import BEGINS_MONTH
from ..sim.series.exogenous import STEPS_PER_DAY, WARM_UP_STEPS
from .bound import upper_bound, why_not

FloatArray = npt.NDArray[np.float64]

BOOTSTRAP_SAMPLES: Final = 10_000
CONFIDENCE: Final = 0.95
"""Of the intervals of all summaries. chosen: the usual ones; the error of the ends by resampling is a hundredth of the width."""

TUNING_ROLE: Final = 1
EVALUATION_ROLE: Final = 2
"""Roles of the environments in SeedSequence([run seed, role]); training has 0."""


@dataclass(frozen=True)
class Trace:
    """What one policy did over the episodes: arrays of (n_episodes,), costs (n_episodes, n_costs) as sums."""

    name: str
    profit_usd: FloatArray
    revenue_usd: FloatArray
    energy_kwh: FloatArray
    starts: FloatArray
    trips: FloatArray
    max_chip_temp_c: FloatArray
    costs: FloatArray
    cost_names: tuple[str, ...]
    n_steps: int

    @property
    def usd_per_day(self) -> FloatArray:
        """Net profit a day of each episode, (n_episodes,). [USD/d]"""
        return self.profit_usd / (self.n_steps / STEPS_PER_DAY)


def judged(config: EnvConfig, action: str = "profile") -> EnvConfig:
    """Return the options under which a policy is judged: the scenario's own history and machines, whatever training drew.

    Rules and plans choose profiles: they play HashrateTuning on the same site, whatever environment a learner plays.
    """
    if action == "profile":
        config = replace(config, task="hashrate", coin_choice=False)
    return replace(config, action=action, randomize={})


def episode_starts(config: EnvConfig, batch: Batch) -> npt.NDArray[np.int64]:
    """Return the starts of whole episodes, one after the other, that fill a split, (n_episodes,).

    Where a contract charges the month's highest power they start with the month: one that began within it would start from
    a peak that nobody made.
    """
    first, last = batch.scenario.rows(config.split)
    first = max(first, WARM_UP_STEPS)
    if batch.site.contract.demand and batch.episode_steps <= 28 * STEPS_PER_DAY:
        clock = batch.exogenous.in_force("clock")[0, first : last - batch.episode_steps + 1]
        return first + np.flatnonzero(clock.astype(np.int64) & BEGINS_MONTH)
    return np.arange(first, min(last, batch.exogenous.n_steps - 1) - batch.episode_steps + 1, batch.episode_steps)


Watcher = Callable[[int, Batch], None]
"""Called after each step with its number and the batch."""


def run(policy: Policy, config: EnvConfig, seed: int, watch: Watcher | None = None) -> Trace:
    """Run a policy over all episodes of a split at once; its environment draws the sensors' noise from `seed`."""
    config = judged(config, policy.action)
    starts = episode_starts(config, Batch(config))
    batch = Batch(config, len(starts))
    batch.seed(draw_seeds(seed, EVALUATION_ROLE, len(starts)))
    batch.reset(starts=starts)
    sums = np.zeros((len(starts), len(tables.INFO_KEYS)))
    costs = np.zeros((len(starts), len(batch.cost_names)))
    hottest = np.full(len(starts), -np.inf)
    hot_column = tables.INFO_KEYS.index("max_chip_temp_c")
    for step in range(batch.episode_steps):
        batch.step(policy.act(batch))
        sums += batch.flow_table
        costs += batch.costs
        np.maximum(hottest, batch.flow_table[:, hot_column], out=hottest)
        if watch is not None:
            watch(step, batch)
    columns = {key: sums[:, k] for k, key in enumerate(tables.INFO_KEYS)}
    names = ("profit_usd", "revenue_usd", "energy_kwh", "starts", "trips")
    return Trace(
        policy.name,
        **{name: columns[name] for name in names},
        max_chip_temp_c=hottest,
        costs=costs,
        cost_names=batch.cost_names,
        n_steps=batch.episode_steps,
    )


def tune(config: EnvConfig, seed: int) -> Tuning:
    """Tune the hysteresis rule on the training months: first when it sheds before peaks of the grid, then its prices."""
    train = replace(judged(config), split="train")
    probe = Batch(train)
    starts, menu = episode_starts(train, probe), menu_of(probe)

    def mean_usd(points: Sequence[tuple[float, float, float]]) -> FloatArray:
        off, on, peak = (np.repeat(np.array(values), len(starts)) for values in zip(*points, strict=True))
        batch = Batch(train, len(off))
        batch.seed(np.tile(draw_seeds(seed, TUNING_ROLE, len(starts)), len(points)))
        batch.reset(starts=np.tile(starts, len(points)))
        policy, profit = rule_policy(Hysteresis(menu, off, on, peak)), np.zeros(len(off))
        for _ in range(batch.episode_steps):
            batch.step(policy.act(batch))
            profit += batch.flow("profit_usd")
        return profit.reshape(len(points), len(starts)).mean(axis=1)

    peak = np.inf
    if probe.site.contract.coincident_peak is not None:
        middle = OFF_RATIOS[len(OFF_RATIOS) // 2], ON_RATIOS[len(ON_RATIOS) // 2]
        peak = PEAK_RATIOS[int(np.argmax(mean_usd([(*middle, ratio) for ratio in PEAK_RATIOS])))]
    tuned = tune_hysteresis(lambda points: mean_usd([(off, on, peak) for off, on in points]))
    return replace(tuned, peak_ratio=peak)


def yardsticks(config: EnvConfig, tuning: Tuning) -> list[Policy]:
    """Return the rules, with tuned hysteresis, and for one zone the plan with six hours of foresight."""
    probe = Batch(judged(config))
    menu = menu_of(probe)
    rules: list[Rule] = [cls(menu) for cls in PARAMETER_FREE] + [Hysteresis(menu, **tuning.thresholds)]
    policies: list[Policy] = [rule_policy(rule) for rule in rules]
    if probe.n_zones == 1:
        policies.append(foresight_policy(Foresight(probe.site, probe.profiles[0], probe.exogenous, 6.0)))
    return policies


def bound_trace(config: EnvConfig) -> FloatArray:
    """Return the upper bound on each episode's profit, (n_episodes,). [USD]"""
    probe = Batch(judged(config))
    starts = episode_starts(config, probe)
    first = int(starts[0])
    bound = upper_bound(probe.site, probe.exogenous, range(first, int(starts[-1]) + probe.episode_steps))
    return np.array([bound.episode_usd(int(start) - first, probe.episode_steps) for start in starts])


def is_rule(name: str) -> bool:
    """Tell whether a policy is a rule: every name that is not a learner's, a planner's or the bound's."""
    return not name.startswith(("ppo", "sac", "mpc", "bound", "foresight"))


def interval(values: FloatArray, rng: np.random.Generator, scale: float = 1.0) -> dict[str, float]:
    """Return mean and bootstrap 95 % interval over episodes.

    Args:
        values: One value for each episode; for a comparison, the paired differences.
        rng: Draws the resamples; the same generator state gives paired resamples.
        scale: What the results are divided by. It is not resampled: a reference near 0 would make the ratio meaningless.

    Source:
        B. Efron, R. Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13 (percentile interval).
    """
    picks = rng.integers(0, len(values), (BOOTSTRAP_SAMPLES, len(values)))
    low, high = np.quantile(values[picks].mean(axis=1), [(1.0 - CONFIDENCE) / 2.0, (1.0 + CONFIDENCE) / 2.0])
    return {"mean": float(values.mean()) / scale, "lo": float(low) / scale, "hi": float(high) / scale}


def summarize(traces: list[Trace], bound_usd: FloatArray | None, seed: int) -> dict[str, Any]:
    """Return the `policies` object of summary.json and evaluate's JSON, and the bound where there is one."""
    reference = next(trace for trace in traces if trace.name == "always_on")
    days = reference.n_steps / STEPS_PER_DAY

    def gain(profit_usd: FloatArray, over: Trace = reference) -> dict[str, float]:
        percent_usd = abs(float(over.profit_usd.mean())) / 100.0
        return interval(profit_usd - over.profit_usd, np.random.default_rng(seed), percent_usd)

    policies = {}
    for trace in traces:
        policies[trace.name] = {
            "net_profit_usd_per_day": interval(trace.usd_per_day, np.random.default_rng(seed)),
            "usd_per_day_over_always_on": interval(
                trace.usd_per_day - reference.usd_per_day, np.random.default_rng(seed)
            ),
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
    best = max((trace for trace in traces if is_rule(trace.name)), key=lambda trace: float(trace.profit_usd.sum()))
    for trace in traces:
        if not is_rule(trace.name):
            policies[trace.name]["gain_over_best_rule_pct"] = gain(trace.profit_usd, best)
    result: dict[str, Any] = {
        "policies": policies,
        "best_rule": best.name,
        "episodes": len(reference.profit_usd),
        "episode_days": days,
    }
    if bound_usd is not None:
        result["bound"] = {
            "net_profit_usd_per_day": interval(bound_usd / days, np.random.default_rng(seed)),
            "gain_over_always_on_pct": gain(bound_usd),
        }
        room_usd = float(np.mean(bound_usd - reference.profit_usd))
        for trace in traces:
            above = trace.profit_usd - reference.profit_usd
            policies[trace.name]["score"] = interval(above, np.random.default_rng(seed), room_usd)
    return result


def judge(
    config: EnvConfig,
    learned: Sequence[Policy],
    seed: int,
    tuning: Tuning | None = None,
    watchers: dict[str, Watcher] | None = None,
) -> dict[str, Any]:
    """Run rules, plan, bound and trained policies over a split and return the summary.

    Args:
        config: Environment options; the split is in them, the reward is not looked at.
        learned: Trained policies.
        seed: Seed of tuning, sensors and bootstrap.
        tuning: Thresholds of the hysteresis rule, if they are tuned already.
        watchers: Called after each step of the policy of that name.
    """
    tuning = tune(config, seed) if tuning is None else tuning
    watch = watchers or {}
    traces = [run(policy, config, seed, watch.get(policy.name)) for policy in [*yardsticks(config, tuning), *learned]]
    scenario = Batch(config).scenario
    bound = bound_trace(config) if why_not(scenario.site) is None else None
    return {
        **summarize(traces, bound, seed),
        "history": {"kind": scenario.history.kind, "hash": scenario.history.hash},
        "scenario": {"name": scenario.name, "hash": scenario.config_hash, "split": config.split},
        "hysteresis": tuning.thresholds,
    }
