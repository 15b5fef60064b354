"""The batch behind every form of an environment over a site: arrays, seeds, resets and the call of the kernel."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from gymnasium import spaces

from ...sim.contract.contract import RealTimeTariff
from ...sim.cooling.plant import ZONE_SUMS
from ...sim.foundation import threads
from ...sim.foundation.constants import CONTROL_STEP_S, usd_per_th
from ...sim.foundation.errors import BadInputError
from ...sim.foundation.renamed import renamed_hint
from ...sim.history.history import STEP
from ...sim.market.coins import REFERENCE_HASHPRICE
from ...sim.series import exogenous as exogenous_module
from ...sim.series.price_features import seen_of, with_seen
from ...sim.site.state import SITE_FLOW, ZONE_FLOW, State
from ...sim.site.step import SiteBatch, SiteWorld
from ...sim.site.world import Events, Exogenous
from . import kernels, rewards, tables
from .actions import (
    MARKET_KINDS,
    POWER_KINDS,
    RESIDUAL,
    action_space,
    action_table,
    commands_table,
    fill_action_columns,
)
from .arrays import COLUMNS, ENV_PARAMS, EnvBatch, EnvWorld
from .config import EnvConfig
from .observing import observe
from .operating import CAP_RESERVE, looks_at, rule_record
from .profiles import profile_table
from .seeding import check_saved, take
from .shielding import SHIELD

FloatArray = npt.NDArray[np.float64]


class Batch:
    """`n_envs` copies of an environment over one shared exogenous array.

    Attributes, all of them views that the next step overwrites: obs (n_envs, n_obs) float32, reward (n_envs,),
    truncated (n_envs,), costs (n_envs, n_costs) in the order of cost_names, site_flow (n_envs,), zone_flow (n_envs, n_zones), state.

    Examples:
        >>> batch = Batch(EnvConfig(episode_steps=288), n_envs=3)
        >>> batch.seed([1, 2, 3])
        >>> batch.reset()
        >>> batch.step(np.array([[3], [3], [0]]))  # the last one falls asleep
        >>> batch.obs.shape == (3, len(batch.table))
        True
        >>> bool(batch.flow("energy_kwh")[2] < batch.flow("energy_kwh")[0])
        True
    """

    info_keys = tables.INFO_KEYS

    def __init__(self, config: EnvConfig, n_envs: int = 1, exogenous: Exogenous | None = None) -> None:
        """Build the arrays; no episode has begun yet.

        Args:
            config: Options of the environment.
            n_envs: Number of copies.
            exogenous: Series that replace that of the scenario's history, for what-if runs: states are then put into it
                by `restore`, and no start is drawn.
        """
        self.config, self.setup, self.n_envs = config, config.load(), n_envs
        self.scenario = self.setup.scenario
        self.site = self.scenario.site
        self.n_zones = len(self.site.zones)
        self.n_threads = threads.default_threads() if config.n_threads is None else config.n_threads
        self.exogenous = self._world(exogenous)
        form, channels = self.setup.form, self.scenario.history.channels
        self.form = tables.Form.of(
            self.site,
            channels,
            self.setup.forecast,
            has_offer=form.offer,
            has_cooling=form.cooling,
            has_events=self.setup.has_events,
            seen=seen_of(self.site) if self.setup.rule is not None else (),
        )
        self.actions = action_table(form, self.site)
        now = tables.observation_table(self.form)
        self.n_now = len(now)
        self._seen = np.array(tables.places(now, config.observations), np.int64)
        self.table = tables.stacked(tuple(now[k] for k in self._seen), config.stack)
        self._check_known(now)
        self.low, self.high = tables.bounds(self.table)
        self.events = (
            self.scenario.befalling(config.events, self.exogenous) if exogenous is None else Events.none(self.n_zones)
        )
        self.profiles, self.menus = profile_table(self.site)
        typical = REFERENCE_HASHPRICE[self.form.algorithm]
        self.reward_scale_usd = self.site.rated_hashrate_ths * usd_per_th(typical) * CONTROL_STEP_S
        self._env = self._env_params(is_drawn=exogenous is None)
        self._reward = rewards.named(config.reward)
        self.cost_names = (*tables.COST_NAMES, *(cost.name for cost in config.costs))
        self.cost_limits = (*(cost.limit for cost in tables.COSTS), *(cost.limit for cost in config.costs))

        self.state = State.hashing(n_envs, self.site)
        self._now = np.zeros((n_envs, self.n_now), np.float32)
        self._is_whole = config.stack == 1 and len(self._seen) == self.n_now
        self.obs = self._now if self._is_whole else np.zeros((n_envs, len(self.table)), np.float32)
        self.reward = np.zeros(n_envs)
        self.truncated = np.zeros(n_envs, np.bool_)
        self._costs = np.zeros((n_envs, len(tables.COSTS)))
        self.costs = self._costs if not config.costs else np.zeros((n_envs, len(self.cost_names)))
        self.shielded = np.zeros((n_envs, len(SHIELD)))
        """What the shield changed in the last step, in the order of SHIELD; 0 without one."""
        self._scratch = np.zeros((n_envs, 3, self.n_zones + 1))
        self.zone_flow = np.zeros((n_envs, self.n_zones), ZONE_FLOW)
        self.flow_table = np.zeros((n_envs, len(tables.INFO_KEYS)))
        self.last_energy_kwh = np.zeros(n_envs)
        """Energy of the step before, for rewards that look at changes. [kWh]"""
        self.setpoint_mhz = np.zeros((n_envs, self.n_zones))
        self.myopic = np.zeros((n_envs, self.n_zones), np.int64)
        self._sums = np.zeros((n_envs, self.n_zones), ZONE_SUMS)
        self._action = np.zeros((n_envs, len(commands_table(form, self.site))))
        self._moves = np.zeros((n_envs, len(self.actions) if form.residual else 0))
        self.rule_alone = self._beside(exogenous) if config.reward == rewards.BEYOND_RULE else None
        self.world = self._kernel_world(now)

    def _world(self, given: Exogenous | None) -> Exogenous:
        """Return the exogenous world with what the operator's rule sees of it, where an action moves the rule."""
        rule, forecast = self.setup.rule, self.setup.forecast
        how = looks_at(rule)
        if given is None:
            return self.scenario.exogenous(forecast, self.config.n_histories, how)
        names = () if how is None else seen_of(self.site)
        return given if set(names) <= set(given.channels) else with_seen(given, given, self.site, how)

    def _beside(self, exogenous: Exogenous | None) -> "Batch":
        """Return a batch of the same environments in which the operator's rule plays alone."""
        config = replace(self.config, action=RESIDUAL, reward="profit", costs=(), observations=(), stack=1)
        return Batch(config, self.n_envs, exogenous)

    def _kernel_world(self, now: tuple[tables.Observed, ...]) -> EnvWorld:
        """Return what kernels read."""
        columns = tables.observation_columns(now, self.n_zones)
        fill_action_columns(columns, self.setup.form, self.site)
        for name in COLUMNS.names or ():
            self._env[name] = columns[name]
        return EnvWorld(
            SiteWorld.of(self.site, self.exogenous, self.events),
            self.exogenous.known,
            self._env,
            self.profiles,
            self.menus,
            State.hashing(1, self.site).zone[0].copy(),
            np.stack(tables.bounds(now)),
            rule_record(self.setup.rule or {}, int(self.setup.rule is not None)),
        )

    @cached_property
    def arrays(self) -> EnvBatch:
        """What kernels change, made anew for a copy of the batch."""
        site = SiteBatch(
            self.state.zone, self.state.site, self.setpoint_mhz, self.zone_flow, self.site_flow, self._sums
        )
        return EnvBatch(
            site,
            self._action,
            self._moves,
            self.myopic,
            self._now,
            self.reward,
            self._costs,
            self.shielded,
            self._scratch,
            self.truncated,
        )

    def _check_known(self, now: tuple[tables.Observed, ...]) -> None:
        known = tuple(entry.name for entry in now[: len(self.exogenous.channels)])
        if known != self.exogenous.channels:
            raise BadInputError(f"known channels are {self.exogenous.channels}; the observation table has {known}")

    def _env_params(self, *, is_drawn: bool) -> np.ndarray:
        config, env, form = self.config, np.zeros(1, ENV_PARAMS), self.setup.form
        first, last = self.scenario.rows(config.split) if is_drawn else (0, 0)
        steps = config.episode_steps or (self.scenario.episode_steps if is_drawn else self.exogenous.n_steps)
        first = max(first, exogenous_module.WARM_UP_STEPS)
        last_start = min(last - steps, self.exogenous.n_steps - steps - 1)
        if is_drawn and last_start < first:
            raise BadInputError(
                f"split {config.split!r} of {self.scenario.name!r} is shorter than {steps} steps and two days"
            )
        thresholds, site, tariff = self.setup.thresholds, self.site, self.site.contract.energy
        values = {
            "adder_usd_per_mwh": tariff.adder_usd_per_mwh if isinstance(tariff, RealTimeTariff) else 0.0,
            "markup_frac": tariff.markup_frac if isinstance(tariff, RealTimeTariff) else 0.0,
            "export_adder_usd_per_mwh": site.contract.export_adder_usd_per_mwh,
            "sun_w": 0.0 if site.sun is None else site.sun.power_w,
            "wind_w": 0.0 if site.wind is None else site.wind.power_w,
            "battery_w": 0.0 if site.battery is None else site.battery.power_w,
            "export_w": 0.0 if site.interconnect is None else site.interconnect.export_limit_w,
            "top_w": self.full_power_w,
            "rule_cap_w": site.site_cap_w * (1.0 - CAP_RESERVE),
            "action_kind": POWER_KINDS[form.power],
            "first_offset": tables.DISCRETE_OFFSETS[0],
            "sleep_below": tables.BOX_SLEEP_BELOW,
            "wake_above": tables.BOX_WAKE_ABOVE,
            "min_sleep_s": tables.MIN_SLEEP_S,
            "over_rule": float(config.reward == "profit_over_rule"),
            "shield": float(config.shield),
            "reward_per_usd": 1.0 / self.reward_scale_usd,
            "chip_limit_c": thresholds["chip_over_temp"],
            "ramp_limit_pu": thresholds["power_ramp"],
            "gradient_limit_k": thresholds["temp_gradient"],
            "episode_steps": steps,
            "first_start": first,
            "last_start": last_start,
            "n_series": self.exogenous.values.shape[0],
            "rated_kw": self.site.rated_power_w / 1000.0,
            "interval_h": self.site.contract.numbers["interval_h"],
            "peak_kw": self.full_power_w / 1000.0 if self.site.contract.demand else 0.0,
            "market_kind": MARKET_KINDS[form.market],
            **dict(zip(("inlet_low_c", "inlet_high_c"), tables.INLET_C, strict=True)),
            **dict(zip(("coolant_low_c", "coolant_high_c"), tables.COOLANT_C, strict=True)),
            **{f"{name}_low": pair[0] for name, pair in config.ranges.items()},
            **{f"{name}_high": pair[1] for name, pair in config.ranges.items()},
        }
        for name, value in values.items():
            env[name] = value
        return env

    @property
    def episode_steps(self) -> int:
        """Length of an episode in control steps."""
        return int(self._env["episode_steps"][0])

    def column(self, name: str) -> int:
        """Return the column of an observation; raises BadInputError if there is none of that name."""
        for column, entry in enumerate(self.table):
            if entry.name == name:
                return column
        names = [entry.name for entry in self.table]
        raise BadInputError(f"no observation {name!r}{renamed_hint([name], names)}; there are {', '.join(names)}")

    @cached_property
    def site_flow(self) -> np.ndarray:
        """Flows of the last step by name, (n_envs,) of SITE_FLOW: a view of flow_table, made anew for a copy of the batch."""
        return self.flow_table.view(SITE_FLOW)[:, 0]

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy is made of: without views, which would be arrays of their own."""
        return {name: value for name, value in self.__dict__.items() if name not in ("site_flow", "arrays")}

    def flow(self, name: str) -> FloatArray:
        """Return a flow of the last step by its name in `info`, (n_envs,)."""
        return np.asarray(self.site_flow[name])

    def shield_info(self) -> dict[str, FloatArray]:
        """Return what the shield changed in the last step as entries of `info`, (n_envs,) each; none without a shield."""
        if not self.config.shield:
            return {}
        return {f"shield_{name}": self.shielded[:, k].copy() for k, name in enumerate(SHIELD)}

    def reward_of_usd(self, usd: FloatArray) -> FloatArray:
        """Return dollars of a step on the scale of rewards, (n_envs,)."""
        return usd / self.reward_scale_usd

    @property
    def full_power_w(self) -> float:
        """Power at the meter with every zone at its top profile, at the reference temperature. [W]"""
        return float(self.profiles["meter_power_w"].max(axis=1).sum())

    @property
    def start_range(self) -> tuple[int, int]:
        """First and last step at which an episode may start."""
        return int(self._env["first_start"][0]), int(self._env["last_start"][0])

    def observation_space(self) -> Any:
        """Return the space of one observation."""
        return spaces.Box(self.low, self.high, dtype=np.float32)

    def action_space(self) -> Any:
        """Return the space of one action."""
        return action_space(self.setup.form, self.site)

    def seed(self, seeds: Sequence[int] | npt.NDArray[np.uint64]) -> None:
        """Give each environment its seed and begin to count its episodes anew."""
        self.state.site["seed"] = np.asarray(seeds, dtype=np.uint64)
        self.state.site["episode"] = 0
        if self.rule_alone is not None:
            self.rule_alone.seed(seeds)

    def start_step(self, start: Any) -> int:
        """Return the step of a start time; raises BadInputError if no episode can start there."""
        try:
            stamp = pd.Timestamp(start)
        except (TypeError, ValueError) as error:
            raise BadInputError(f"options['start'] is {start!r}; it must be a stamp like 2025-07-01T00:00") from error
        if pd.isna(stamp):
            raise BadInputError(f"options['start'] is {start!r}; it must be a stamp like 2025-07-01T00:00")
        stamp = stamp.tz_localize("UTC") if stamp.tz is None else stamp.tz_convert("UTC")
        offset = (stamp - self.scenario.history.start) / STEP
        low, high = exogenous_module.WARM_UP_STEPS, self.exogenous.n_steps - self.episode_steps - 1
        if offset != int(offset) or not low <= offset <= high:
            first, last = (self.scenario.history.start + STEP * k for k in (low, high))
            raise BadInputError(f"options['start'] is {start}; it must be a 5-minute stamp in {first}…{last}")
        return int(offset)

    def reset(
        self,
        index: npt.NDArray[np.int64] | None = None,
        starts: npt.NDArray[np.int64] | None = None,
        series: npt.NDArray[np.int64] | None = None,
    ) -> None:
        """Begin the next episode of the environments of `index` (default all), at given steps of given series or at drawn ones."""
        index = np.arange(self.n_envs) if index is None else index
        starts = np.full(len(index), -1, np.int64) if starts is None else starts
        last = self.exogenous.n_steps - self.episode_steps - 1
        if starts.shape != index.shape or starts.max(initial=-1) > last:
            raise BadInputError(f"starts must be one step for each environment, {last} at most; got {starts}")
        series = np.full(len(index), -1, np.int64) if series is None else series
        if series.shape != index.shape or series.max(initial=-1) >= len(self.exogenous.values):
            raise BadInputError(
                f"series must be one of {len(self.exogenous.values)} for each environment; got {series}"
            )
        kernels.reset(index, starts, series, self.world, self.arrays)
        self.state.site["episode"][index] += np.uint64(1)
        self.last_energy_kwh[index] = self.full_power_w / 1000.0 * rewards.STEP_H
        if not self._is_whole:
            self.obs[index] = np.tile(self._now[np.ix_(index, self._seen)], self.config.stack)
        if self.rule_alone is not None:
            self.rule_alone.reset(index, starts, series)

    def step(self, action: npt.NDArray[Any]) -> None:
        """Step every environment; results are in the attributes. Ended episodes are not reset here.

        Args:
            action: Actions, (n_envs, n_actions); (n_envs,) where an action is one number.
        """
        take(action, self._moves if self.setup.form.residual else self._action)
        if self._reward is not None:
            np.copyto(self.last_energy_kwh, self.site_flow["energy_kwh"], where=self.state.site["age"] > 0)
        n_zone_steps = self.n_envs * self.n_zones
        threads.split(kernels.step, self.n_envs, n_zone_steps, self.n_threads, self.world, self.arrays)
        if not self._is_whole:
            n = len(self._seen)
            self.obs[:, :-n] = self.obs[:, n:]
            self.obs[:, -n:] = self._now[:, self._seen]
        if self.config.costs:
            self.costs[:, : len(tables.COSTS)] = self._costs
            for column, cost in enumerate(self.config.costs, len(tables.COSTS)):
                self.costs[:, column] = self._counted(f"cost {cost.name!r}", cost.count)
        if self._reward is not None:
            self.reward[:] = self._counted("reward", self._reward)
        if self.rule_alone is not None:
            self.rule_alone.step(self.rule_alone._moves)  # which stay 0
            self.reward[:] = self.reward_of_usd(self.flow("profit_usd") - self.rule_alone.flow("profit_usd"))

    def _counted(self, name: str, count: Callable[[Any], FloatArray]) -> FloatArray:
        """Return what a function of the user's gives; raises BadInputError if it is not a number for each environment."""
        values = np.asarray(count(self))
        if values.shape != (self.n_envs,) or values.dtype.kind not in "fiub" or not np.isfinite(values).all():
            raise BadInputError(
                f"{name} is {values.dtype} of shape {values.shape}; it must be a finite number for each environment, ({self.n_envs},)"
            )
        return values

    def look(self) -> None:
        """Write the newest observations anew, from the state as it stands."""
        observe(0, self.n_envs, self.world, self.arrays)

    def save(self) -> dict[str, np.ndarray]:
        """Return a copy of everything that is needed to go on from here."""
        whole = {"zone": self.state.zone, "site": self.state.site}
        if self.config.stack > 1:
            whole["obs"] = self.obs
        if self._reward is not None:
            whole |= {"energy_kwh": self.site_flow["energy_kwh"], "last_energy_kwh": self.last_energy_kwh}
        if self.rule_alone is not None:
            whole |= {f"rule_{name}": array for name, array in self.rule_alone.save().items()}
        return {name: array.copy() for name, array in whole.items()}

    def enter_month(self, saved: dict[str, np.ndarray]) -> None:
        """Set a saved state's peaks of the month to the site's full power: what a meter that is not read has seen, as a rule."""
        if self.site.contract.demand:
            saved["site"]["peak_kw"] = saved["site"]["window_peak_kw"] = self.full_power_w / 1000.0

    def restore(self, saved: dict[str, np.ndarray]) -> None:
        """Go back to a saved state; raises BadInputError if it is of another shape."""
        check_saved(saved, self.state, self.exogenous, len(self.site.markets))
        for name, array in (("zone", self.state.zone), ("site", self.state.site)):
            array[...] = saved[name]
        self.look()
        if not self._is_whole:
            self.obs[...] = saved["obs"] if "obs" in saved else np.tile(self._now[:, self._seen], self.config.stack)
        if "last_energy_kwh" in saved:
            self.site_flow["energy_kwh"], self.last_energy_kwh[...] = saved["energy_kwh"], saved["last_energy_kwh"]
        if self.rule_alone is not None:
            own = {name.removeprefix("rule_"): array for name, array in saved.items() if name.startswith("rule_")}
            self.rule_alone.restore(own or saved)  # a state of no comparison: both go on from there
