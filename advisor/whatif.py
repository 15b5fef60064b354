"""What-if: run the simulator from the present state along joint paths, once for "keep" and once for each change."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..envs.batch import tables
from ..envs.batch.config import EnvConfig
from ..envs.batch.core import Batch
from ..envs.scenario.scenario import Scenario
from ..sim.foundation import noise
from ..sim.site.ladders import SiteLadders
from ..sim.site.world import Exogenous
from .bundle import Bundle
from .execution import limit_rise

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is held: a set-point of each zone for some steps, (n_zones,) [MHz]; then the policy, or nothing if None."""

    setpoint_mhz: FloatArray
    hold_steps: int
    policy: Bundle | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What plans did along the paths.

    totals: sums over the horizon by name of flow, (n_plans, n_paths). hottest_c: hottest chip, (n_plans, n_paths).
    profit_usd: of each step, (n_plans, n_paths, n_steps).
    """

    totals: dict[str, FloatArray]
    hottest_c: FloatArray
    profit_usd: FloatArray

    def gain(self, name: str, plan: int, keep: int = 0) -> FloatArray:
        """Return what a plan has more than "keep" of a flow, path by path, (n_paths,)."""
        return np.asarray(self.totals[name][plan] - self.totals[name][keep])

    def part(self, plans: npt.NDArray[np.int64], paths: npt.NDArray[np.int64]) -> "Outcome":
        """Return the outcome of some plans along some of the paths."""
        pick = np.ix_(plans, paths)
        totals = {key: values[pick] for key, values in self.totals.items()}
        return Outcome(totals, self.hottest_c[pick], self.profit_usd[pick])


def run(
    scenario: Scenario,
    forecast: str,
    world: Exogenous,
    zones: np.ndarray,
    plans: Sequence[Plan],
    max_rise_pu: float,
    seed: int,
) -> Outcome:
    """Run every plan along every path of a world, from the same state and with the same noise of sensors on a path.

    Set-points go through the rate limit that execution has: see `execution.limit_rise`.

    Args:
        scenario: Site and tariff.
        forecast: Forecast channels of the policy's observation.
        world: One series for each path, as long as the horizon.
        zones: State of the zones now, (n_zones,) of ZONE_STATE.
        plans: What is tried; the first one is "keep".
        max_rise_pu: Largest rise of a hashing machine's power set-point in a step, of rated power.
        seed: Seed of the sensors' noise.
    """
    n_plans, n_paths, n_steps = len(plans), world.values.shape[0], world.n_steps
    batch = Batch(EnvConfig(scenario=scenario, action="profile", forecast=forecast), n_plans * n_paths, world)
    _enter(batch, zones, n_plans, n_paths, seed)
    ladders = SiteLadders.of(scenario.site)
    held = np.repeat(np.stack([plan.setpoint_mhz for plan in plans]), n_paths, axis=0)
    sums, profit = np.zeros_like(batch.flow_table), np.zeros((n_plans * n_paths, n_steps))
    hottest_c = np.full(n_plans * n_paths, -np.inf)
    column = tables.INFO_KEYS.index("max_chip_temp_c")
    for step in range(n_steps):
        wanted = held.copy()
        for number, plan in enumerate(plans):
            if plan.policy is not None and step >= plan.hold_steps:
                rows = slice(number * n_paths, (number + 1) * n_paths)
                wanted[rows] = plan.policy.decide(batch.obs[rows]).setpoint_mhz
        batch.step(ladders.actions(limit_rise(ladders, wanted, batch.state.zone, max_rise_pu)))
        sums += batch.flow_table
        profit[:, step] = batch.flow("profit_usd")
        np.maximum(hottest_c, batch.flow_table[:, column], out=hottest_c)
    shape = (n_plans, n_paths)
    totals = {key: sums[:, k].reshape(shape) for k, key in enumerate(tables.INFO_KEYS)}
    return Outcome(totals, hottest_c.reshape(shape), profit.reshape(*shape, n_steps))


def _enter(batch: Batch, zones: np.ndarray, n_plans: int, n_paths: int, seed: int) -> None:
    """Put the present state into every row; the rows of a path share its series and its noise."""
    saved = batch.save()
    saved["zone"][:] = zones[None, :]
    path = np.tile(np.arange(n_paths), n_plans)
    saved["site"]["series"], saved["site"]["step"] = path, 0
    keys = np.array([noise.episode_key(np.uint64(seed), np.uint64(j)) for j in range(n_paths)], dtype=np.uint64)
    saved["site"]["key"] = keys[path]
    batch.enter_month(saved)
    batch.restore(saved)
