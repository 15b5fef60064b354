"""Compiled parts of ChipTuning: settings, measurement, costs and reward of units on the bench, and their tables."""

from typing import Final, NamedTuple

import numpy as np

from ...sim.foundation import noise
from ...sim.foundation.constants import JOULES_PER_KWH, KWH_PER_MWH
from ...sim.foundation.jit import kernel
from ...sim.foundation.records import float_record
from ...sim.hardware import bench
from ...sim.hardware.bench import Steady
from ...sim.hardware.machine import rail_voltage_v
from ..batch import tables
from ..batch.actions import Acted

WINDOW_S: Final = 600.0
"""Time for which a setting is measured. [s] Source: VNish checks the hashrate five minutes after a start, then every 90 s; ten are steadier."""

ACTIONS: Final = (
    Acted("frequency", "rated", 0.8, 1.1, "frequency over that of the stock point"),
    Acted("voltage", "stock", 0.9, 1.05, "voltage over the stock curve's at that frequency"),
    Acted("power_limit", "rated", 0.7, 1.0, "power above which the firmware lowers the frequency"),
)
"""Source of the ranges: the project's brief."""

COSTS: Final = (
    tables.Cost("chip_over_temp", "1", 75.0, 0.0, "1 if the hottest chip is above the threshold [°C]"),
    tables.Cost("hashrate_low", "rated", 0.8, 0.0, "how far the hashrate lies below the threshold [of rated]"),
    tables.Cost("errors", "1", 0.02, 0.0, "share of failed work above the threshold"),
)
"""Source of the thresholds: the project's brief, limits of its search over settings (T ≤ 75 °C, hashrate ≥ 0.8, errors ≤ 0.02)."""

OBSERVATIONS: Final = (
    tables.Observed("frequency", "rated", 0.0, 1.2, "setting", "frequency that ran, over that of the stock point"),
    tables.Observed("voltage", "stock", 0.8, 1.2, "setting", "voltage over the stock curve's"),
    tables.Observed(
        "hashrate", "rated", 0.0, 1.5, "measured", "hashrate over the rated one, by the shares of the window"
    ),
    tables.Observed("power", "rated", 0.0, 2.0, "measured", "power over the rated one"),
    tables.Observed("hot_temp_c", "°C", 0.0, 150.0, "measured", "hottest chip"),
    tables.Observed("error_frac", "1", 0.0, 1.0, "measured", "share of failed work"),
    tables.Observed("fan_pu", "1", 0.0, 1.0, "measured", "speed of the fans"),
    tables.Observed("inlet_temp_c", "°C", -10.0, 60.0, "world", "inlet air"),
    tables.Observed("energy_price_usd_per_mwh", "USD/MWh", 0.0, 500.0, "world", "price of energy"),
    tables.Observed("hashprice_pu", "1", 0.0, 10.0, "world", "hashprice over the usual one"),
    tables.Observed("time_left", "1", 0.0, 1.0, "world", "share of the episode that is left"),
)
"""Ranges are chosen, wider than what settings and draws reach; what lies beyond is clipped."""


class ChipColumns(NamedTuple):
    """Columns of an observation."""

    frequency: int
    voltage: int
    hashrate: int
    power: int
    hot_temp_c: int
    error_frac: int
    fan_pu: int
    inlet_temp_c: int
    energy_price_usd_per_mwh: int
    hashprice_pu: int
    time_left: int


class ActionColumns(NamedTuple):
    """Columns of an action."""

    frequency: int
    voltage: int
    power_limit: int


class ChipCosts(NamedTuple):
    """Columns of the costs."""

    chip_over_temp: int
    hashrate_low: int
    errors: int


OBS: Final = ChipColumns(**{entry.name: k for k, entry in enumerate(OBSERVATIONS)})
ACT: Final = ActionColumns(**{entry.name: k for k, entry in enumerate(ACTIONS)})
COST: Final = ChipCosts(**{entry.name: k for k, entry in enumerate(COSTS)})
"""Where kernels read and write: a name that a table lacks, or that it has more, fails here."""

_SILICON, _LEAK, _INLET, _PRICE, _HASHPRICE = (np.uint64(32 + k) for k in range(5))
"""Streams of what an episode draws. By definition."""

INLET_C: Final = (10.0, 38.0)
PRICE_USD_PER_MWH: Final = (20.0, 90.0)
HASHPRICE_PU: Final = (0.7, 1.6)
"""Ranges of inlet air [°C], price of energy and hashprice over the usual one, from which an episode draws. chosen."""

LEAK_SPREAD_FRAC: Final = 0.2
"""Standard deviation, over units, of the leakage. assumed."""

LEAST_FREQ_PU: Final = 0.3
"""How far, of its setting, the firmware lowers the frequency for a power limit. assumed."""

_BISECTIONS: Final = 20
"""Halvings of the range in which the firmware looks for a frequency. chosen: to a millionth."""

_POWER_NOISE: Final = 0.02
_HASH_NOISE: Final = 0.03
"""Noise of a reading over ten minutes. Source: firmware estimates of watts are 5-20 % off in the mean (Foreman), a fixed bias aside;
a machine of 100 TH/s sends some 1,000 shares in ten minutes at usual difficulty, which gives 3 %."""

_TEMP_NOISE_K: Final = 0.5
"""Of a chip sensor. assumed."""

STATE: Final = np.dtype(
    [("seed", np.uint64), ("episode", np.uint64), ("key", np.uint64), ("age", np.int64)]
    + [(name, np.float64) for name in ("silicon", "leak", "inlet_c", "price", "hashprice_pu", "freq_pu", "volt_pu")]
)
"""A unit: its seed and place in the episode, what the episode drew, and the setting that runs."""

FLOW: Final = float_record(
    "profit_usd",
    "revenue_usd",
    "energy_usd",
    "energy_kwh",
    "hash_th",
    "max_chip_temp_c",
    "error_frac",
    "freq_mhz",
    "rail_v",
)
"""What a unit did in a step, as `info` holds it. A bench has no cooling plant, so there is no PUE."""

ENV: Final = float_record("episode_steps", "rated_hashrate_ths", "usd_per_terahash")
"""Length of an episode, hashrate of the model at its rating, what a terahash earns at the usual hashprice."""


class ChipWorld(NamedTuple):
    """What kernels read: arrays that no step writes."""

    machine: np.ndarray  # (1,) of ZONE_PARAMS
    env: np.ndarray  # (1,) of ENV
    reach: np.ndarray  # (n_actions, 2): what the lowest and the highest value of an action set
    thresholds: np.ndarray  # (n_costs,)
    bounds: np.ndarray  # (2, n_observations) float32


class ChipArrays(NamedTuple):
    """What kernels change."""

    state: np.ndarray  # (n_envs,) of STATE
    action: np.ndarray  # (n_envs, n_actions)
    obs: np.ndarray  # (n_envs, n_observations) float32
    flow: np.ndarray  # (n_envs,) of FLOW
    costs: np.ndarray  # (n_envs, n_costs)
    reward: np.ndarray  # (n_envs,)
    truncated: np.ndarray  # (n_envs,) bool


@kernel
def within(action: float, reach: np.ndarray) -> float:
    """Return what an action in [-1, 1] sets between two ends."""
    return reach[0] + (reach[1] - reach[0]) * 0.5 * (min(max(action, -1.0), 1.0) + 1.0)


@kernel
def settings(p: np.void, freq_pu: float, volt_pu: float) -> tuple[float, float]:
    """Return frequency [MHz] and rail voltage [V] of a setting."""
    freq_mhz = freq_pu * p["max_mhz"]
    stock_v = rail_voltage_v(freq_mhz, p["ref_mhz"], p["ref_v"], p["slope_v_per_mhz"], p["floor_v"])
    return freq_mhz, volt_pu * stock_v


@kernel
def run_at(p: np.void, unit: np.void, freq_pu: float, volt_pu: float) -> Steady:
    """Return what a unit does at a setting, at steady state."""
    freq_mhz, rail_v = settings(p, freq_pu, volt_pu)
    return bench.steady_state(p, freq_mhz, rail_v, unit["inlet_c"], unit["silicon"], unit["leak"])


@kernel
def run_limited(p: np.void, unit: np.void, freq_pu: float, volt_pu: float, limit_w: float) -> tuple[Steady, float]:
    """Run a setting; the firmware lowers the frequency until the power limit holds. Returns what it does and the frequency."""
    low, high = LEAST_FREQ_PU * freq_pu, freq_pu
    steady = run_at(p, unit, freq_pu, volt_pu)
    if steady.power_w > limit_w:
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            steady = run_at(p, unit, middle, volt_pu)
            if steady.power_w > limit_w:
                high = middle
            else:
                low = middle
        freq_pu = low
    return steady, freq_pu


@kernel
def observe(i: int, steady: Steady, world: ChipWorld, arrays: ChipArrays) -> None:
    """Write the observation of unit `i`, with the noise of its sensors, clipped to the table's ranges."""
    unit, obs, p, env = arrays.state[i], arrays.obs[i], world.machine[0], world.env[0]
    key = noise.combine(unit["key"], np.uint64(unit["age"]))
    hash_noise = _HASH_NOISE * noise.bell(key, noise.STREAM_HASHRATE_SENSOR)
    power_noise = _POWER_NOISE * noise.bell(key, noise.STREAM_POWER_SENSOR)
    obs[OBS.frequency] = unit["freq_pu"]
    obs[OBS.voltage] = unit["volt_pu"]
    obs[OBS.hashrate] = steady.hashrate_ths / env["rated_hashrate_ths"] * (1.0 + hash_noise)
    obs[OBS.power] = steady.power_w / p["rated_power_w"] * (1.0 + power_noise)
    obs[OBS.hot_temp_c] = steady.hot_temp_c + _TEMP_NOISE_K * noise.bell(key, noise.STREAM_CHIP_SENSOR)
    obs[OBS.error_frac] = steady.error_frac
    obs[OBS.fan_pu] = steady.fan_pu
    obs[OBS.inlet_temp_c] = unit["inlet_c"]
    obs[OBS.energy_price_usd_per_mwh] = unit["price"]
    obs[OBS.hashprice_pu] = unit["hashprice_pu"]
    obs[OBS.time_left] = 1.0 - unit["age"] / env["episode_steps"]
    for j in range(obs.shape[0]):
        obs[j] = min(max(obs[j], world.bounds[0, j]), world.bounds[1, j])


@kernel
def draw(key: np.uint64, stream: np.uint64, ends: tuple[float, float]) -> float:
    """Return an episode's draw from a range."""
    return ends[0] + (ends[1] - ends[0]) * noise.uniform(key, stream)


@kernel
def reset(index: np.ndarray, world: ChipWorld, arrays: ChipArrays) -> None:
    """Put other units on the bench in the slots of `index`, and measure them at their stock point."""
    for j in range(index.shape[0]):
        i = index[j]
        unit = arrays.state[i]
        unit["key"] = noise.episode_key(unit["seed"], unit["episode"])
        first = noise.combine(unit["key"], np.uint64(0))
        unit["age"] = 0
        unit["silicon"] = bench.UNIT_SPREAD_FRAC * noise.bell(first, _SILICON)
        unit["leak"] = LEAK_SPREAD_FRAC * noise.bell(first, _LEAK)
        unit["inlet_c"] = draw(first, _INLET, INLET_C)
        unit["price"] = draw(first, _PRICE, PRICE_USD_PER_MWH)
        unit["hashprice_pu"] = draw(first, _HASHPRICE, HASHPRICE_PU)
        unit["freq_pu"], unit["volt_pu"] = 1.0, 1.0
        observe(i, run_at(world.machine[0], unit, 1.0, 1.0), world, arrays)


@kernel
def step(lo: int, hi: int, world: ChipWorld, arrays: ChipArrays) -> None:
    """Set and measure the units of [lo, hi)."""
    p, env, thresholds = world.machine[0], world.env[0], world.thresholds
    for i in range(lo, hi):
        unit, flow, action, costs = arrays.state[i], arrays.flow[i], arrays.action[i], arrays.costs[i]
        wanted_pu = within(action[ACT.frequency], world.reach[ACT.frequency])
        volt_pu = within(action[ACT.voltage], world.reach[ACT.voltage])
        limit_w = within(action[ACT.power_limit], world.reach[ACT.power_limit]) * p["rated_power_w"]
        steady, freq_pu = run_limited(p, unit, wanted_pu, volt_pu, limit_w)
        changed = freq_pu != unit["freq_pu"] or volt_pu != unit["volt_pu"]
        unit["freq_pu"], unit["volt_pu"] = freq_pu, volt_pu
        unit["age"] += 1
        hashing_s = WINDOW_S - (p["restart_s"] if changed else 0.0)
        energy_kwh = steady.power_w * WINDOW_S / JOULES_PER_KWH
        flow["energy_kwh"] = energy_kwh
        flow["hash_th"] = steady.hashrate_ths * hashing_s
        flow["revenue_usd"] = flow["hash_th"] * env["usd_per_terahash"] * unit["hashprice_pu"]
        flow["energy_usd"] = energy_kwh * unit["price"] / KWH_PER_MWH
        flow["profit_usd"] = flow["revenue_usd"] - flow["energy_usd"]
        flow["max_chip_temp_c"], flow["error_frac"] = steady.hot_temp_c, steady.error_frac
        flow["freq_mhz"], flow["rail_v"] = settings(p, freq_pu, volt_pu)
        arrays.reward[i] = flow["profit_usd"] / (env["rated_hashrate_ths"] * WINDOW_S * env["usd_per_terahash"])
        costs[COST.chip_over_temp] = 1.0 if steady.hot_temp_c > thresholds[COST.chip_over_temp] else 0.0
        costs[COST.hashrate_low] = max(
            0.0, thresholds[COST.hashrate_low] - steady.hashrate_ths / env["rated_hashrate_ths"]
        )
        costs[COST.errors] = max(0.0, steady.error_frac - thresholds[COST.errors])
        arrays.truncated[i] = unit["age"] >= env["episode_steps"]
        observe(i, steady, world, arrays)
