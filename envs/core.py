"""The batch behind every form of an environment: arrays, seeds, resets and the call of the kernel."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from gymnasium import spaces

from ..sim import exogenous as exogenous_module
from ..sim import threads
from ..sim.constants import CONTROL_STEP_S, usd_per_th
from ..sim.errors import BadInputError
from ..sim.history import STEP
from ..sim.market import REFERENCE_HASHPRICE
from ..sim.state import SITE_FLOW, ZONE_FLOW, State
from ..sim.world import N_CHANNELS, Events, Exogenous
from . import kernels, tables
from .profiles import profile_table
from .scenario import Scenario, load

ACTIONS: Final = {"discrete": kernels.DISCRETE, "box": kernels.BOX, "profile": kernels.PROFILE_INDEX}


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvConfig:
    """Options of `hashgym/HashrateTuning-v0`, as `gym.make` takes them."""

    scenario: str | Scenario = "west_texas_air"
    history: str | None = None
    split: str = "train"
    action: str = "discrete"
    reward: str = "profit"
    forecast: str | None = None
    """none, persistence or day_ahead; None takes day_ahead where the history publishes prices ahead, else persistence."""
    episode_steps: int | None = None
    n_threads: int | None = None
    limits: dict[str, float] = field(default_factory=dict)
    """Thresholds of named costs that replace the table's, for example {"chip_over_temp": 78.0}."""

    def __post_init__(self) -> None:
        """Check the options, load the scenario and settle the forecast; raises BadInputError."""
        if not isinstance(self.scenario, Scenario):
            object.__setattr__(self, "scenario", load(self.scenario, self.history))
        if self.forecast is None:
            object.__setattr__(self, "forecast", exogenous_module.best_forecast(self.world.history, self.world.site))
        for name, value, allowed in (
            ("action", self.action, tuple(ACTIONS)),
            ("reward", self.reward, tables.REWARDS),
            ("forecast", self.forecast, exogenous_module.FORECASTS),
        ):
            if value not in allowed:
                raise BadInputError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}")
        for name in self.limits:
            if name not in tables.ADJUSTABLE:
                raise BadInputError(f"limits: no threshold {name!r}; there are {', '.join(tables.ADJUSTABLE)}")

    @property
    def world(self) -> Scenario:
        """The scenario."""
        assert isinstance(self.scenario, Scenario)
        return self.scenario

    @property
    def known_ahead(self) -> str:
        """The forecast that is observed."""
        assert self.forecast is not None
        return self.forecast


class Batch:
    """`n_envs` copies of an environment over one shared exogenous array.

    Attributes, all of them views that the next step overwrites: obs (n_envs, n_obs) float32, reward (n_envs,),
    truncated (n_envs,), costs (n_envs, n_costs), site_flow (n_envs,), zone_flow (n_envs, n_zones), state.
    """

    def __init__(self, config: EnvConfig, n_envs: int = 1, world: Exogenous | None = None) -> None:
        """Build the arrays; no episode has begun yet.

        Args:
            config: Options of the environment.
            n_envs: Number of copies.
            world: A world that replaces that of the scenario's history, for what-if runs: states are then put into it
                by `restore`, and no start is drawn.
        """
        self.config = config
        self.scenario = config.world
        self.site = self.scenario.site
        self.n_envs = n_envs
        self.n_zones = len(self.site.zones)
        self.n_threads = threads.default_threads() if config.n_threads is None else config.n_threads
        self.exogenous = self.scenario.exogenous(config.known_ahead) if world is None else world
        self.form = tables.Form.of(self.site, self.scenario.history.channels, config.known_ahead)
        self.table = tables.observation_table(self.form)
        further = self.exogenous.values.shape[2] - N_CHANNELS
        if further != len(self.site.markets) - 1:
            raise BadInputError(f"the world has {further + 1} markets; the site has {len(self.site.markets)}")
        self.low, self.high = tables.bounds(self.table)
        known = tuple(entry.name for entry in self.table[: len(self.exogenous.channels)])
        if known != self.exogenous.channels:
            raise BadInputError(f"known channels are {self.exogenous.channels}; the observation table has {known}")
        self.events = Events.none(self.n_zones)
        self.profiles, self.menus = profile_table(self.site)
        typical = REFERENCE_HASHPRICE[self.form.algorithm]
        self.reward_scale_usd = self.site.rated_hashrate_ths * usd_per_th(typical) * CONTROL_STEP_S
        self._env = self._env_params(is_drawn=world is None)
        self._fresh = State.hashing(1, self.site).zone[0].copy()

        self.state = State.hashing(n_envs, self.site)
        self.obs = np.zeros((n_envs, len(self.table)), np.float32)
        self.reward = np.zeros(n_envs)
        self.truncated = np.zeros(n_envs, np.bool_)
        self.costs = np.zeros((n_envs, len(tables.COSTS)))
        self.zone_flow = np.zeros((n_envs, self.n_zones), ZONE_FLOW)
        self.site_flow = np.zeros(n_envs, SITE_FLOW)
        self.flow_table = self.site_flow.view(np.float64).reshape(n_envs, len(tables.INFO_KEYS))
        self.setpoint_mhz = np.zeros((n_envs, self.n_zones))
        self.myopic = np.zeros((n_envs, self.n_zones), np.int64)
        self._action = np.zeros((n_envs, self.n_zones))

    def _env_params(self, *, is_drawn: bool) -> np.ndarray:
        config, env = self.config, np.zeros(1, kernels.ENV_PARAMS)
        first, last = self.scenario.rows(config.split) if is_drawn else (0, 0)
        steps = config.episode_steps or (self.scenario.episode_steps if is_drawn else self.exogenous.n_steps)
        first = max(first, exogenous_module.WARM_UP_STEPS)
        last_start = min(last - steps, self.exogenous.n_steps - steps - 1)
        if is_drawn and last_start < first:
            raise BadInputError(
                f"split {config.split!r} of {self.scenario.name!r} is shorter than {steps} steps and two days"
            )
        thresholds = {cost.name: config.limits.get(cost.name, cost.threshold) for cost in tables.COSTS}
        values = {
            "action_kind": ACTIONS[config.action],
            "first_offset": tables.DISCRETE_OFFSETS[0],
            "sleep_below": tables.BOX_SLEEP_BELOW,
            "wake_above": tables.BOX_WAKE_ABOVE,
            "min_sleep_s": tables.MIN_SLEEP_S,
            "over_rule": float(config.reward == "profit_over_rule"),
            "reward_per_usd": 1.0 / self.reward_scale_usd,
            "chip_limit_c": thresholds["chip_over_temp"],
            "ramp_limit_pu": thresholds["power_ramp"],
            "episode_steps": steps,
            "first_start": first,
            "last_start": last_start,
            "n_series": self.exogenous.values.shape[0],
            "rated_kw": self.site.rated_power_w / 1000.0,
            "interval_h": self.site.contract.numbers["interval_h"],
            "has_demand": float(bool(self.site.contract.demand)),
            "peak_kw": self.full_power_w / 1000.0 if self.site.contract.demand else 0.0,
        }
        for name, value in values.items():
            env[name] = value
        return env

    @property
    def episode_steps(self) -> int:
        """Length of an episode in control steps."""
        return int(self._env["episode_steps"][0])

    def column(self, name: str) -> int:
        """Return the place of an observation; raises BadInputError if there is none of that name."""
        for place, entry in enumerate(self.table):
            if entry.name == name:
                return place
        raise BadInputError(f"no observation {name!r}; there are {', '.join(entry.name for entry in self.table)}")

    @property
    def full_power_w(self) -> float:
        """Power at the meter with every zone at its top profile, at the reference temperature. [W]"""
        return float(self.profiles["meter_w"].max(axis=1).sum())

    @property
    def start_range(self) -> tuple[int, int]:
        """First and last step at which an episode may start."""
        return int(self._env["first_start"][0]), int(self._env["last_start"][0])

    def observation_space(self) -> Any:
        """Return the space of one observation."""
        return spaces.Box(self.low, self.high, dtype=np.float32)

    def action_space(self) -> spaces.MultiDiscrete | spaces.Box:
        """Return the space of one action, one entry a zone."""
        if self.config.action == "box":
            return spaces.Box(-1.0, 1.0, (self.n_zones,), np.float32)
        if self.config.action == "profile":
            return spaces.MultiDiscrete([int(n) + 1 for n in self.menus["n_profiles"]])
        return spaces.MultiDiscrete([len(tables.DISCRETE_OFFSETS) + 1] * self.n_zones)

    def seed(self, seeds: Sequence[int] | npt.NDArray[np.uint64]) -> None:
        """Give each environment its seed and begin to count its episodes anew."""
        self.state.site["seed"] = np.asarray(seeds, dtype=np.uint64)
        self.state.site["episode"] = 0

    def start_step(self, start: Any) -> int:
        """Return the step of a start time; raises BadInputError if no episode can start there."""
        stamp = pd.Timestamp(start)
        stamp = stamp.tz_localize("UTC") if stamp.tz is None else stamp.tz_convert("UTC")
        offset = (stamp - self.scenario.history.start) / STEP
        low, high = exogenous_module.WARM_UP_STEPS, self.exogenous.n_steps - self.episode_steps - 1
        if offset != int(offset) or not low <= offset <= high:
            first, last = (self.scenario.history.start + STEP * k for k in (low, high))
            raise BadInputError(f"options['start'] is {start}; it must be a 5-minute stamp in {first}…{last}")
        return int(offset)

    def reset(self, index: npt.NDArray[np.int64] | None = None, starts: npt.NDArray[np.int64] | None = None) -> None:
        """Begin the next episode of the environments of `index` (default all), at given steps or at drawn ones."""
        index = np.arange(self.n_envs) if index is None else index
        starts = np.full(len(index), -1, np.int64) if starts is None else starts
        last = self.exogenous.n_steps - self.episode_steps - 1
        if starts.shape != index.shape or starts.max(initial=-1) > last:
            raise BadInputError(f"starts must be one step for each environment, {last} at most; got {starts}")
        kernels.reset_many(
            index, starts, self._env, self.low, self.high, self.profiles, self.menus, self._fresh,
            self.exogenous.values, self.exogenous.known, self.site.zone_record, self.state.zone, self.state.site,
            self.myopic, self.obs,
        )  # fmt: skip
        self.state.site["episode"][index] += np.uint64(1)

    def step(self, action: npt.NDArray[Any]) -> None:
        """Step every environment; results are in the attributes. Ended episodes are not reset here.

        Args:
            action: Actions of shape (n_envs, n_zones).
        """
        np.copyto(self._action, action, casting="unsafe")
        threads.split(
            kernels.transition_range, self.n_envs, self.n_envs * self.n_zones, self.n_threads, self._action, self._env,
            self.low, self.high, self.profiles, self.menus, self.exogenous.values, self.exogenous.known,
            self.events.site, self.events.zone, self.site.link_record, self.site.zone_record, self.site.site_record,
            self.state.zone, self.state.site, self.zone_flow, self.site_flow, self.setpoint_mhz, self.costs, self.reward,
            self.truncated, self.myopic, self.obs,
        )  # fmt: skip

    def observe(self) -> None:
        """Write the observations of the present state anew, as after `restore`."""
        kernels.observe_range(
            0, self.n_envs, self._env[0], self.low, self.high, self.profiles, self.menus, self.exogenous.known,
            self.site.zone_record, self.state.zone, self.state.site, self.myopic, self.obs,
        )  # fmt: skip

    def save(self) -> dict[str, np.ndarray]:
        """Return a copy of everything that is needed to go on from here."""
        return {"zone": self.state.zone.copy(), "site": self.state.site.copy()}

    def enter_month(self, saved: dict[str, np.ndarray]) -> None:
        """Set a saved state's peaks of the month to the site's full power: what a meter that is not read has seen, as a rule."""
        if self.site.contract.demand:
            saved["site"]["peak_kw"] = saved["site"]["window_peak_kw"] = self.full_power_w / 1000.0

    def restore(self, saved: dict[str, np.ndarray]) -> None:
        """Go back to a saved state; raises BadInputError if it is of another shape."""
        for name, array in (("zone", self.state.zone), ("site", self.state.site)):
            if saved[name].shape != array.shape or saved[name].dtype != array.dtype:
                raise BadInputError(f"saved state {name!r} has shape {saved[name].shape}; this batch has {array.shape}")
        places = saved["site"]
        if places["step"].max() >= self.exogenous.n_steps or places["series"].max() >= self.exogenous.values.shape[0]:
            raise BadInputError(
                f"saved state is at step {places['step'].max()}; this history ends at {self.exogenous.n_steps}"
            )
        markets = places["market"]
        if markets.min() < 0 or markets.max() >= len(self.site.markets):
            raise BadInputError(f"saved state sells at market {markets.max()}; there are {len(self.site.markets)}")
        for name, array in (("zone", self.state.zone), ("site", self.state.site)):
            array[...] = saved[name]
        self.observe()


def draw_seeds(run_seed: int, role: int, n_envs: int) -> npt.NDArray[np.uint64]:
    """Return the seeds of a run's environments, (n_envs,): unrelated between runs and between roles in a run."""
    return np.random.SeedSequence([run_seed, role]).generate_state(n_envs, np.uint64).astype(np.uint64)


def fresh_seed() -> int:
    """Return a seed from the operating system, for a reset without one."""
    return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
