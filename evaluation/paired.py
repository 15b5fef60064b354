"""Paired runs: every policy on the same episodes, weather, prices and seeds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from ..agents.policy import Policy
from ..envs.batch import tables
from ..envs.batch.config import EnvConfig
from ..envs.batch.core import Batch
from ..envs.batch.seeding import draw_seeds
from ..envs.batch.shielding import SHIELD
from ..envs.scenario.scenario import Scenario
from ..sim.contract.channels import BEGINS_MONTH
from ..sim.series.exogenous import STEPS_PER_DAY, WARM_UP_STEPS

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

EVALUATION_ROLE: Final = 2
"""Role of the environments in SeedSequence([run seed, role]); training has 0, tuning 1."""


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
    years: IntArray
    """Drawn year of each episode, (n_episodes,); all 0 where a history is judged."""
    flows: FloatArray
    """Sums of every flow of `info` over each episode, (n_episodes, n_flows), in the order of `tables.INFO_KEYS`."""
    shielded: FloatArray
    """What a shield changed in a step in the mean, (len(SHIELD),)."""

    def per_day(self, flow: str) -> float:
        """Return the mean of a flow over the episodes, per day, in its unit."""
        return float(self.flows[:, tables.INFO_KEYS.index(flow)].mean() / (self.n_steps / STEPS_PER_DAY))

    @property
    def usd_per_day(self) -> FloatArray:
        """Net profit a day of each episode, (n_episodes,). [USD/d]"""
        return self.profit_usd / (self.n_steps / STEPS_PER_DAY)


def judged(
    config: EnvConfig,
    action: str = "profile",
    task: str | None = None,
    mismatch: Mapping[str, Sequence[float]] | None = None,
) -> EnvConfig:
    """Return the options under which a policy is judged: the scenario's own history and machines, whatever training drew.

    Or machines that are otherwise by what `mismatch` says, as `EnvConfig.randomize` does.

    Rules and plans choose profiles: they play HashrateTuning on the same site, whatever environment a learner plays. What names a task of its
    own plays that, and sees everything. Of a scenario of drawn years all are there.
    """
    if action == "profile":
        config = replace(config, task="hashrate", coin_choice=False)
    elif task is not None and task != config.task:
        config = replace(config, task=task, coin_choice=False, observations=(), stack=1)
    years = config.scenario.years if isinstance(config.scenario, Scenario) else 1
    drawn: dict[str, int | Sequence[float]] = {"histories": years} if years > 1 else {}
    return replace(config, action=action, randomize={**drawn, **(mismatch or {})})


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


def episodes(config: EnvConfig, batch: Batch, most_a_year: int | None) -> tuple[IntArray, IntArray]:
    """Return series and start of every episode on which a split is judged, (n_episodes,) each.

    Args:
        config: Options of the environment.
        batch: A batch of them.
        most_a_year: Episodes of each series at most, evenly spread and moved on from one series to the next; None takes all.
    """
    starts, n_series = episode_starts(config, batch), len(batch.exogenous.values)
    kept = [starts] * n_series
    if most_a_year is not None and most_a_year < len(starts):
        gap = len(starts) / most_a_year
        at = [(np.arange(most_a_year) + k / n_series) * gap for k in range(n_series)]
        kept = [starts[places.astype(np.int64)] for places in at]
    return np.repeat(np.arange(n_series), [len(part) for part in kept]), np.concatenate(kept)


def spread(starts: npt.NDArray[np.int64], most: int | None) -> npt.NDArray[np.int64]:
    """Return so many starts at most, evenly spread over all; None is all."""
    if most is None or len(starts) <= most:
        return starts
    return starts[np.linspace(0, len(starts) - 1, most).round().astype(np.int64)]


def run(
    policy: Policy,
    config: EnvConfig,
    seed: int,
    watch: Watcher | None = None,
    most_a_year: int | None = None,
    mismatch: Mapping[str, Sequence[float]] | None = None,
) -> Trace:
    """Run a policy over the episodes of a split at once; its environment draws the sensors' noise from `seed`.

    Args:
        policy: The policy.
        config: Options of the environment.
        seed: Seed of the noise.
        watch: Called after each step.
        most_a_year: Episodes of each drawn year at most, evenly spread; None runs all.
        mismatch: By what machines and sensors are otherwise than the model says, as `EnvConfig.randomize` has it.
    """
    config = judged(config, policy.action, getattr(policy, "task", None), mismatch)
    series, starts = episodes(config, Batch(config), most_a_year)
    batch = Batch(config, len(starts))
    batch.seed(draw_seeds(seed, EVALUATION_ROLE, len(starts)))
    batch.reset(starts=starts, series=series)
    sums = np.zeros((len(starts), len(tables.INFO_KEYS)))
    costs = np.zeros((len(starts), len(batch.cost_names)))
    hottest, shielded = np.full(len(starts), -np.inf), np.zeros(len(SHIELD))
    hot_column = tables.INFO_KEYS.index("max_chip_temp_c")
    for step in range(batch.episode_steps):
        batch.step(policy.act(batch))
        sums += batch.flow_table
        costs += batch.costs
        shielded += batch.shielded.mean(axis=0)
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
        years=series,
        flows=sums,
        shielded=shielded / batch.episode_steps,
    )
