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
    """What is held: a set-point of each zone for some steps, (n_zones,) [MHz]; then the policy, or nothing if None.

    battery: command of the battery that is held as long; None leaves it to the policy, which has plants, battery and offers from the begin; without
    a policy plants stay as the rule has them and the battery stands.
    """

    setpoint_mhz: FloatArray
    hold_steps: int
    policy: Bundle | None = None
    battery: float | None = None


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


def env_of(bundle: Bundle, scenario: Scenario) -> EnvConfig:
    """Return the options of the environments in which a bundle's policy is tried: it sees what it is used to, and everything can be commanded."""
    action = "setpoints" if bundle.task == "operation" else "profile"
    forecast = str(bundle.manifest["env"]["forecast"])
    return EnvConfig(scenario=scenario, task=bundle.task, action=action, forecast=forecast, rule=bundle.rule)


def enter(batch: Batch, saved: dict[str, np.ndarray], zones: np.ndarray, charge_pu: float | None) -> None:
    """Put a present state of zones, (n_zones,) of ZONE_STATE, and battery into every row of what is restored, and restore it."""
    saved["zone"][:] = zones[None, :]
    if batch.site.battery is not None and charge_pu is not None:
        saved["site"]["battery_kwh"] = charge_pu * batch.site.battery.energy_wh / 1000.0
    batch.enter_month(saved)
    batch.restore(saved)


def run(
    config: EnvConfig,
    world: Exogenous,
    zones: np.ndarray,
    plans: Sequence[Plan],
    max_rise_pu: float,
    seed: int,
    charge_pu: float | None = None,
) -> Outcome:
    """Run every plan along every path of a world, from the same state and with the same noise of sensors on a path.

    Set-points go through the rate limit that execution has: see `execution.limit_rise`.

    Args:
        config: Options of the environments, as `env_of` has them.
        world: One series for each path, as long as the horizon.
        zones: State of the zones now, (n_zones,) of ZONE_STATE.
        plans: What is tried; the first one is "keep".
        max_rise_pu: Largest rise of a hashing machine's power set-point in a step, of rated power.
        seed: Seed of the sensors' noise.
        charge_pu: Energy in the battery now, over what it holds.
    """
    n_plans, n_paths, n_steps = len(plans), world.values.shape[0], world.n_steps
    batch = Batch(config, n_plans * n_paths, world)
    _enter(batch, zones, (n_plans, n_paths), seed, charge_pu)
    ladders, usual = SiteLadders.of(batch.site), _usual(batch)
    power, battery = _columns(batch)
    held = np.repeat(np.stack([plan.setpoint_mhz for plan in plans]), n_paths, axis=0)
    sums, profit = np.zeros_like(batch.flow_table), np.zeros((n_plans * n_paths, n_steps))
    hottest_c = np.full(n_plans * n_paths, -np.inf)
    column = tables.INFO_KEYS.index("max_chip_temp_c")
    for step in range(n_steps):
        wanted, rest = held.copy(), np.tile(usual, (n_plans * n_paths, 1))
        for number, plan in enumerate(plans):
            rows, is_held = slice(number * n_paths, (number + 1) * n_paths), step < plan.hold_steps
            if plan.policy is not None and not (is_held and plan.policy.task == "hashrate"):
                decision = plan.policy.decide(batch.obs[rows])
                if not is_held:
                    wanted[rows] = decision.setpoint_mhz
                if decision.commands is not None and decision.commands.shape[1] == rest.shape[1]:
                    rest[rows] = decision.commands
            if plan.battery is not None and is_held and battery is not None:
                rest[rows, battery] = plan.battery
        rest[:, power] = ladders.actions(limit_rise(ladders, wanted, batch.state.zone, max_rise_pu))
        batch.step(rest)
        sums += batch.flow_table
        profit[:, step] = batch.flow("profit_usd")
        np.maximum(hottest_c, batch.flow_table[:, column], out=hottest_c)
    shape = (n_plans, n_paths)
    totals = {key: sums[:, k].reshape(shape) for k, key in enumerate(tables.INFO_KEYS)}
    return Outcome(totals, hottest_c.reshape(shape), profit.reshape(*shape, n_steps))


def _usual(batch: Batch) -> FloatArray:
    """Return what is commanded where nobody decides, (n_actions,): plants as the rule has them, all that can be offered, a battery that stands."""
    rule, usual = batch.setup.rule or {}, np.zeros(len(batch.actions))
    for column, entry in enumerate(batch.actions):
        if entry.name == "offer":
            usual[column] = 1.0
        elif entry.name.startswith("reserve_"):
            usual[column] = -1.0
    first = int(batch.world.env[0]["act_cooling"])
    for z in range(batch.n_zones if first >= 0 else 0):
        at = z * int(batch.world.env[0]["act_per_zone"]) + first
        usual[at : at + 2] = rule.get("first_command", 0.0), rule.get("second_command", 0.0)
    return usual


def _columns(batch: Batch) -> tuple[list[int], int | None]:
    """Return the columns of the zones' power in an action, and that of the battery, None if there is none."""
    env = batch.world.env[0]
    battery = int(env["act_battery"])
    return [z * int(env["act_per_zone"]) for z in range(batch.n_zones)], battery if battery >= 0 else None


def _enter(batch: Batch, zones: np.ndarray, shape: tuple[int, int], seed: int, charge_pu: float | None) -> None:
    """Put the present state into every row; the rows of a path share its series and its noise."""
    (n_plans, n_paths), saved = shape, batch.save()
    path = np.tile(np.arange(n_paths), n_plans)
    saved["site"]["series"], saved["site"]["step"] = path, 0
    keys = np.array([noise.episode_key(np.uint64(seed), np.uint64(j)) for j in range(n_paths)], dtype=np.uint64)
    saved["site"]["key"] = keys[path]
    enter(batch, saved, zones, charge_pu)
