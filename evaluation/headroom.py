"""How much there is to win on a scenario: the strongest rules of a search, planners, foresight and the bound, over the same drawn years."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..agents.operator_rules import OperatorRule
from ..agents.planners.site_planner import Chain, SitePlanner
from ..agents.policy import Policy
from ..agents.rules import PARAMETER_FREE, Hysteresis, Menu
from ..envs.batch.config import EnvConfig
from ..envs.batch.core import Batch
from ..envs.batch.operating import PERCENTILES, SCHEDULE
from ..sim.series.exogenous import STEPS_PER_DAY
from .bound import upper_bound, why_not
from .intervals import interval
from .paired import Trace, episodes, judged, run
from .search import ROUNDS, Found, Round, rule_config, search, training_config
from .site_bound import episode_bound_usd
from .tuning import Tuning, tune
from .years import EPISODES_A_YEAR, YEARS, drawn_years

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

IDLE: Final = {"family": SCHEDULE, "sell_hours": 0.0, "buy_hours": 0.0, "spike_usd": 1e9, "cheap_usd": -1e9}
"""Settings that leave the battery idle, by definition."""

FAMILIES: Final[dict[str, dict[str, float]]] = {
    "static_thresholds": {"family": SCHEDULE, "sell_hours": 0.0, "buy_hours": 0.0},
    "day_ahead_schedule": {"family": SCHEDULE},
    "rolling_percentiles": {"family": PERCENTILES},
}
"""Families of rules for a battery that are searched on their own; the search over all of them finds the opportunity cost's where it is best. By
definition."""

FAMILY_ROUNDS: Final = (Round(600, 8, 40), Round(300, 16, 20), Round(100, 48, 8), Round(8, 128, 1))
"""Rounds of the search within a family. chosen: a thousand candidates."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a policy earned a day in each episode, and the drawn year of each, (n_episodes,). [USD/d]"""

    usd_per_day: FloatArray
    years: IntArray


@dataclass(frozen=True, slots=True)
class Arena:
    """A scenario whose headroom is measured: options, episodes, tuned rules and what they were tuned to."""

    config: EnvConfig
    test: EnvConfig
    tuning: Tuning
    found: dict[str, Found]
    seed: int

    @classmethod
    def prepare(
        cls,
        config: EnvConfig,
        seed: int,
        years: int = YEARS,
        rounds: tuple[tuple[Round, ...], ...] = (ROUNDS, FAMILY_ROUNDS),
        *,
        progress: bool = False,
    ) -> "Arena":
        """Search the rules on the training months, and draw the years of the split on which all are judged.

        Args:
            config: Options of the environment; its split is what is judged.
            seed: Of searches, sensors and bootstrap.
            years: Drawn years.
            rounds: Of the search over all settings, and of that within each family.
            progress: Whether bars show how far it is.
        """
        site = config.load().scenario.site
        found = {"operator": search(config, seed, rounds[0], progress=progress)}
        families = {**FAMILIES, "battery_idle": IDLE} if site.battery is not None else {}
        for name, fixed in families.items():
            found[name] = search(config, seed, rounds[1], fixed=fixed, progress=progress)
        return cls(config, drawn_years(rule_config(config), years), tune(config, seed, progress=progress), found, seed)

    def policies(self) -> Iterator[Policy]:
        """Yield rules, planners and plans with foresight."""
        probe = Batch(judged(self.test, "setpoints"))
        menu = Menu.of(probe.site)
        yield from (rule(menu, self.tuning.peak_ratio) for rule in PARAMETER_FREE)
        yield Hysteresis(menu, **self.tuning.thresholds)
        rule = OperatorRule(probe.site, probe.exogenous, {})
        for name, found in self.found.items():
            yield rule.with_settings(found.settings, name)
        best = self.found["operator"].settings
        shared: dict[str, Any] = {
            "peak_ratio": best["peak_ratio"],
            "cap_pu": best["cap_pu"],
            "commands": (best["first_command"], best["second_command"]),
        }
        interval_s = probe.scenario.history.price_interval_s
        yield SitePlanner(probe.site, probe.exogenous, interval_s, self._chain(interval_s), **shared)
        for hours in (6.0, 24.0):
            yield SitePlanner(probe.site, probe.exogenous, interval_s, None, hours, **shared)

    def _chain(self, interval_s: int) -> Chain:
        """Return how prices move around the curve on the training months of several histories."""
        batch = Batch(training_config(self.config))
        return Chain.fit(batch.exogenous, batch.site, range(*batch.scenario.rows("train")), interval_s)

    @property
    def most_a_year(self) -> int | None:
        """Episodes of a drawn year; None judges all of a history that was given."""
        return EPISODES_A_YEAR if self.test.load().scenario.years > 1 else None

    def judge(self, policy: Policy) -> Judged:
        """Return what a policy earns over the episodes."""
        trace: Trace = run(policy, self.test, self.seed, most_a_year=self.most_a_year)
        return Judged(trace.usd_per_day, trace.years)

    def bound(self) -> Judged:
        """Return the upper bound of each episode: the lower one of those that hold for the site."""
        config = judged(self.test, "setpoints")
        batch = Batch(config)
        series, starts = episodes(config, batch, self.most_a_year)
        usd = np.zeros(len(starts))
        chains = why_not(batch.site) is None and not batch.site.has_energy and not batch.site.contract.demand
        for k, (number, start) in enumerate(zip(series.tolist(), starts.tolist(), strict=True)):
            usd[k] = episode_bound_usd(batch.site, batch.exogenous, number, start, batch.episode_steps)
            if chains:
                other = upper_bound(batch.site, batch.exogenous, range(start, start + batch.episode_steps), number)
                usd[k] = min(usd[k], other.episode_usd(0, batch.episode_steps))
        return Judged(usd / (batch.episode_steps / STEPS_PER_DAY), series)


def rows(scenario: str, results: dict[str, Judged], seed: int) -> list[dict[str, Any]]:
    """Return a row for each policy: mean net profit a day with its interval, and the gain over the best rule in percent.

    Years are drawn anew first, then episodes within each; rules are all but what begins with planner, foresight or bound.
    """
    rules = [name for name in results if not name.startswith(("planner", "foresight", "bound"))]
    best = max(rules, key=lambda name: float(results[name].usd_per_day.mean()))
    found = []
    for name, result in results.items():
        told = interval(result.usd_per_day, np.random.default_rng(seed), 1.0, result.years)
        row: dict[str, Any] = {
            "scenario": scenario,
            "policy": name,
            "usd_per_day": round(told["mean"], 2),
            "lo": round(told["lo"], 2),
            "hi": round(told["hi"], 2),
            "years": len(np.unique(result.years)),
            "is_best_rule": name == best,
        }
        base = float(results[best].usd_per_day.mean())
        if name not in rules and base > 0.0:
            over = result.usd_per_day - results[best].usd_per_day
            gain = interval(over, np.random.default_rng(seed), base / 100.0, result.years)
            row["gain_over_best_rule_pct"] = {key: round(value, 2) for key, value in gain.items()}
        found.append(row)
    return found
