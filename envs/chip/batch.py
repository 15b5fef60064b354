"""The batch behind ChipTuning: units with silicon of their own, measured with noise."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from ...sim.foundation import noise
from ...sim.foundation.checks import require_known
from ...sim.foundation.constants import usd_per_th
from ...sim.foundation.errors import BadInputError
from ...sim.foundation.jit import kernel
from ...sim.hardware import bench, catalogue
from ...sim.hardware.machine import rail_voltage_v
from ...sim.market.coins import REFERENCE_HASHPRICE
from ...sim.site.params import SiteParams, ZoneParams
from ..batch import tables
from ..batch.actions import Acted
from ..batch.like import ActionArray
from ..batch.seeding import take

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

_STREAMS: Final = tuple(np.uint64(32 + k) for k in range(8))
_RANGES: Final = np.array([[10.0, 38.0], [20.0, 90.0], [0.7, 1.6]])
"""Ranges of inlet air [°C], price [USD/MWh] and hashprice over the usual one, from which an episode draws. chosen."""
_POWER_NOISE: Final = 0.02
_HASH_NOISE: Final = 0.03
"""Noise of a reading over ten minutes. Source: firmware estimates of watts are 5-20 % off in the mean (Foreman), a fixed bias aside;
a machine of 100 TH/s sends some 1,000 shares in ten minutes at usual difficulty, which gives 3 %."""
_TEMP_NOISE_K: Final = 0.5  # of a chip sensor; assumed

STATE: Final = np.dtype(
    [("seed", np.uint64), ("episode", np.uint64), ("key", np.uint64), ("age", np.int64)]
    + [(name, np.float64) for name in ("silicon", "leak", "inlet_c", "price", "hashprice_pu", "freq_pu", "volt_pu")]
)

FLOW_KEYS: Final = (
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
"""What `info` holds. A bench has no cooling plant, so there is no PUE."""

_PROFIT, _REVENUE, _ENERGY_USD, _ENERGY_KWH, _HASH, _CHIP_TEMP, _ERROR, _FREQ, _RAIL = range(len(FLOW_KEYS))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipConfig:
    """Options of `hashgym/ChipTuning-v0`. machine: an air-cooled model of the catalogue; firmware: what it runs."""

    machine: str = "s19j_pro"
    firmware: str = "slow_tuner"
    episode_steps: int = 24

    @classmethod
    def of(cls, **options: object) -> Self:
        """Return options by name; raises BadInputError for a name that there is not."""
        require_known("unknown option", options, (entry.name for entry in fields(cls)))
        return cls(**options)  # type: ignore[arg-type]

    def __post_init__(self) -> None:
        """Check the options; raises BadInputError."""
        if catalogue.machine(self.machine).cooling != "air":
            raise BadInputError(f"machine is {self.machine!r}, which liquid cools; the bench has air")
        if not isinstance(self.episode_steps, int) or self.episode_steps < 1:
            raise BadInputError(f"episode_steps is {self.episode_steps!r}; it must be a whole number, 1 or more")


@kernel
def _within(action: float, low: float, high: float) -> float:
    """Return what an action in [-1, 1] sets between two ends."""
    return low + (high - low) * 0.5 * (min(max(action, -1.0), 1.0) + 1.0)


@kernel
def _settings(p: np.void, freq_pu: float, volt_pu: float) -> tuple[float, float]:
    freq_mhz = freq_pu * p["max_mhz"]
    stock_v = rail_voltage_v(freq_mhz, p["ref_mhz"], p["ref_v"], p["slope_v_per_mhz"], p["floor_v"])
    return freq_mhz, volt_pu * stock_v


@kernel
def _run(
    p: np.void, place: np.void, freq_pu: float, volt_pu: float, limit_w: float
) -> tuple[float, float, float, float, float, float]:
    """Run a setting to its steady state; the firmware lowers the frequency until the power limit holds."""
    low, high = 0.3 * freq_pu, freq_pu
    freq_mhz, rail_v = _settings(p, freq_pu, volt_pu)
    power_w, ths, hot_c, error, fan_pu = bench.settle(
        p, freq_mhz, rail_v, place["inlet_c"], place["silicon"], place["leak"]
    )
    if power_w > limit_w:
        for _ in range(20):
            middle = 0.5 * (low + high)
            freq_mhz, rail_v = _settings(p, middle, volt_pu)
            power_w, ths, hot_c, error, fan_pu = bench.settle(
                p, freq_mhz, rail_v, place["inlet_c"], place["silicon"], place["leak"]
            )
            if power_w > limit_w:
                high = middle
            else:
                low = middle
        freq_pu = low
    return power_w, ths, hot_c, error, fan_pu, freq_pu


@kernel
def _observe(
    i: int,
    place: np.void,
    p: np.void,
    steps: int,
    power_w: float,
    ths: float,
    hot_c: float,
    error: float,
    fan_pu: float,
    rated_ths: float,
    obs: np.ndarray,
) -> None:
    key = noise.combine(place["key"], np.uint64(place["age"]))
    obs[i, 0] = place["freq_pu"]
    obs[i, 1] = place["volt_pu"]
    obs[i, 2] = ths / rated_ths * (1.0 + _HASH_NOISE * noise.bell(key, noise.STREAM_HASHRATE_SENSOR))
    obs[i, 3] = power_w / p["rated_power_w"] * (1.0 + _POWER_NOISE * noise.bell(key, noise.STREAM_POWER_SENSOR))
    obs[i, 4] = hot_c + _TEMP_NOISE_K * noise.bell(key, noise.STREAM_CHIP_SENSOR)
    obs[i, 5] = error
    obs[i, 6] = fan_pu
    obs[i, 7] = place["inlet_c"]
    obs[i, 8] = place["price"]
    obs[i, 9] = place["hashprice_pu"]
    obs[i, 10] = 1.0 - place["age"] / steps


@kernel
def _begin(
    index: np.ndarray, p: np.void, ranges: np.ndarray, steps: int, rated_ths: float, state: np.ndarray, obs: np.ndarray
) -> None:
    for j in range(index.shape[0]):
        i = index[j]
        place = state[i]
        place["key"] = noise.episode_key(place["seed"], place["episode"])
        first = noise.combine(place["key"], np.uint64(0))
        place["age"] = 0
        place["silicon"] = bench.UNIT_SPREAD_FRAC * noise.bell(first, _STREAMS[0])
        place["leak"] = 0.2 * noise.bell(first, _STREAMS[1])
        place["inlet_c"] = ranges[0, 0] + (ranges[0, 1] - ranges[0, 0]) * noise.uniform(first, _STREAMS[2])
        place["price"] = ranges[1, 0] + (ranges[1, 1] - ranges[1, 0]) * noise.uniform(first, _STREAMS[3])
        place["hashprice_pu"] = ranges[2, 0] + (ranges[2, 1] - ranges[2, 0]) * noise.uniform(first, _STREAMS[4])
        place["freq_pu"], place["volt_pu"] = 1.0, 1.0
        power_w, ths, hot_c, error, fan_pu, _ = _run(p, place, 1.0, 1.0, np.inf)
        _observe(i, place, p, steps, power_w, ths, hot_c, error, fan_pu, rated_ths, obs)


@kernel
def _advance(
    action: np.ndarray,
    p: np.void,
    low: np.ndarray,
    high: np.ndarray,
    steps: int,
    rated_ths: float,
    usd_per_terahash: float,
    thresholds: np.ndarray,
    state: np.ndarray,
    flow: np.ndarray,
    costs: np.ndarray,
    reward: np.ndarray,
    truncated: np.ndarray,
    obs: np.ndarray,
) -> None:
    for i in range(state.shape[0]):
        place = state[i]
        wanted_pu, volt_pu, limit_pu = (
            _within(action[i, 0], low[0], high[0]),
            _within(action[i, 1], low[1], high[1]),
            _within(action[i, 2], low[2], high[2]),
        )
        power_w, ths, hot_c, error, fan_pu, freq_pu = _run(p, place, wanted_pu, volt_pu, limit_pu * p["rated_power_w"])
        changed = freq_pu != place["freq_pu"] or volt_pu != place["volt_pu"]
        place["freq_pu"], place["volt_pu"] = freq_pu, volt_pu
        place["age"] += 1
        hashing_s = WINDOW_S - (p["restart_s"] if changed else 0.0)
        energy_kwh = power_w * WINDOW_S / 3.6e6
        flow[i, _ENERGY_KWH] = energy_kwh
        flow[i, _HASH] = ths * hashing_s
        flow[i, _REVENUE] = flow[i, _HASH] * usd_per_terahash * place["hashprice_pu"]
        flow[i, _ENERGY_USD] = energy_kwh * place["price"] / 1000.0
        flow[i, _PROFIT] = flow[i, _REVENUE] - flow[i, _ENERGY_USD]
        flow[i, _CHIP_TEMP], flow[i, _ERROR] = hot_c, error
        flow[i, _FREQ], flow[i, _RAIL] = _settings(p, freq_pu, volt_pu)
        reward[i] = flow[i, _PROFIT] / (rated_ths * WINDOW_S * usd_per_terahash)
        costs[i, 0] = 1.0 if hot_c > thresholds[0] else 0.0
        costs[i, 1] = max(0.0, thresholds[1] - ths / rated_ths)
        costs[i, 2] = max(0.0, error - thresholds[2])
        truncated[i] = place["age"] >= steps
        _observe(i, place, p, steps, power_w, ths, hot_c, error, fan_pu, rated_ths, obs)


class ChipBatch:
    """`n_envs` units on the bench; attributes as those of `core.Batch`."""

    info_keys: ClassVar[tuple[str, ...]] = FLOW_KEYS
    cost_names: ClassVar[tuple[str, ...]] = tuple(cost.name for cost in COSTS)

    def __init__(self, config: ChipConfig, n_envs: int = 1) -> None:
        """Build the arrays; no episode has begun yet."""
        self.config, self.n_envs, self.episode_steps = config, n_envs, config.episode_steps
        self.machine = catalogue.machine(config.machine)
        zone = ZoneParams(machine=self.machine, firmware=catalogue.firmware(config.firmware), n_units=1)
        self._params = SiteParams(zones=(zone,)).zone_record[0]
        self._usd_per_th = usd_per_th(REFERENCE_HASHPRICE[self.machine.algorithm])
        self.table, self.actions = OBSERVATIONS, ACTIONS
        self.low, self.high = tables.bounds(self.table)
        self._range = tuple(np.array([getattr(entry, name) for entry in ACTIONS]) for name in ("low", "high"))
        self._thresholds = np.array([cost.threshold for cost in COSTS])
        self.state = np.zeros(n_envs, STATE)
        self.obs = np.zeros((n_envs, len(self.table)), np.float32)
        self.reward, self.truncated = np.zeros(n_envs), np.zeros(n_envs, np.bool_)
        self.costs = np.zeros((n_envs, len(COSTS)))
        self.flow_table = np.zeros((n_envs, len(FLOW_KEYS)))
        self._action = np.zeros((n_envs, len(ACTIONS)))

    def observation_space(self) -> spaces.Space[Any]:
        """Return the space of one observation."""
        return spaces.Box(self.low, self.high, dtype=np.float32)

    def action_space(self) -> spaces.Space[Any]:
        """Return the space of one action."""
        return spaces.Box(-1.0, 1.0, (len(ACTIONS),), np.float32)

    def seed(self, seeds: Sequence[int] | npt.NDArray[np.uint64]) -> None:
        """Give each unit its seed and begin to count its episodes anew."""
        self.state["seed"] = np.asarray(seeds, dtype=np.uint64)
        self.state["episode"] = 0

    def start_step(self, start: object) -> int:
        """Refuse: a unit on the bench has no time."""
        raise BadInputError(f"options['start'] is {start!r}; a unit on the bench has no time to start at")

    def reset(self, index: npt.NDArray[np.int64] | None = None, starts: npt.NDArray[np.int64] | None = None) -> None:
        """Put other units on the bench, at the places of `index` (default all)."""
        if starts is not None:
            self.start_step(starts)
        index = np.arange(self.n_envs) if index is None else index
        _begin(index, self._params, _RANGES, self.episode_steps, self.machine.rated_hashrate_ths, self.state, self.obs)
        self.state["episode"][index] += np.uint64(1)
        np.clip(self.obs, self.low, self.high, out=self.obs)

    def step(self, action: ActionArray) -> None:
        """Set and measure every unit; results are in the attributes."""
        take(action, self._action)
        low, high = self._range
        _advance(
            self._action,
            self._params,
            low,
            high,
            self.episode_steps,
            self.machine.rated_hashrate_ths,
            self._usd_per_th,
            self._thresholds,
            self.state,
            self.flow_table,
            self.costs,
            self.reward,
            self.truncated,
            self.obs,
        )
        np.clip(self.obs, self.low, self.high, out=self.obs)

    def save(self) -> dict[str, np.ndarray]:
        """Return a copy of everything that is needed to go on from here."""
        return {"state": self.state.copy(), "obs": self.obs.copy()}

    def restore(self, saved: dict[str, np.ndarray]) -> None:
        """Go back to a saved state; raises BadInputError if it is of another shape."""
        if saved["state"].shape != self.state.shape or saved["state"].dtype != self.state.dtype:
            raise BadInputError(f"saved state has shape {saved['state'].shape}; this batch has {self.state.shape}")
        self.state[...], self.obs[...] = saved["state"], saved["obs"]
