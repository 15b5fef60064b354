"""Where the site stands at one moment: what is known, what is forecast, what the policy sees."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd

from ..envs.batch import tables
from ..envs.batch.acting import break_even_usd_per_mwh
from ..envs.batch.config import EnvConfig
from ..envs.batch.core import Batch
from ..envs.batch.operating import looks_at
from ..envs.scenario import scenario as scenarios
from ..envs.scenario import sites
from ..envs.scenario.scenario import Scenario
from ..forecast.model import Forecaster
from ..forecast.paths import Paths, joint_paths
from ..forecast.series import PublishedSeries
from ..sim.foundation.constants import usd_per_th
from ..sim.foundation.errors import BadInputError, BundleError
from ..sim.foundation.wording import with_unit
from ..sim.history.history import STEP, Channel, History
from ..sim.series import futures
from ..sim.series.exogenous import STEPS_PER_DAY, STEPS_PER_HOUR
from ..sim.series.price_features import seen_of
from ..sim.site.ladders import SiteLadders
from ..sim.site.params import SiteParams
from ..sim.site.world import Exogenous
from .bundle import Bundle
from .fleet import Fleet
from .whatif import enter, env_of

_PATHS = ("market_price_usd_per_mwh", "expected_hashprice_usd_per_ph_day", "outdoor_temp_c")


FAR: Final = 0.25
"""Share of the trained width outside which a temperature or the weather is too far for advice. chosen: a summer some kelvin hotter than any before
is near, another climate is far."""
LEAST_WIDTH: Final = 0.05
"""Least trained width, as a share of the larger end: what hardly moved in training has no scale of its own. chosen."""


@dataclass(frozen=True, slots=True)
class Excess:
    """An observation outside what the policy was trained on. share: how far, of the trained width."""

    text: str
    share: float
    is_market: bool


@dataclass(frozen=True)
class Situation:
    """A site at one step of a history: its zones, joint paths ahead and the world that what-if runs live in."""

    bundle: Bundle
    scenario: Scenario
    whole: SiteParams
    """The site with all its machines; the scenario's has those that were heard of."""
    zones: np.ndarray  # (n_zones,) of ZONE_STATE
    step: int
    now: pd.Timestamp
    notes: tuple[str, ...]
    published: PublishedSeries
    paths: Paths
    world: Exogenous
    charge_pu: float | None = None
    """Energy in the battery over what it holds, None where there is none."""

    @classmethod
    def at(
        cls,
        bundle: Bundle,
        history: History,
        published: PublishedSeries,
        forecaster: Forecaster,
        fleet: Fleet,
        step: int,
        n_paths: int,
        charge_pu: float | None = None,
    ) -> "Situation":
        """Look ahead from a step of a history.

        Raises:
            ValueError: There are too few past forecasts for paths.
        """
        scenario = scenario_of(bundle, history, fleet.site)
        paths = joint_paths(forecaster, published, step, n_paths)
        world = _ahead(bundle, scenario, step, dict(paths.values))
        now = history.start + STEP * step
        told = fleet.whole, fleet.zones, step, now, fleet.notes, published, paths, world, charge_pu
        return cls(bundle, scenario, *told)

    @property
    def config(self) -> EnvConfig:
        """Options of the environments in which changes are tried."""
        return env_of(self.bundle, self.scenario)

    @property
    def max_rise_pu(self) -> float:
        """Largest rise of a hashing machine's power set-point in a step, of rated power."""
        return float(self.bundle.manifest["envelope"]["max_rise_pu_per_step"])

    @property
    def hashprice_usd_per_ph_day(self) -> float:
        """Hashprice in force."""
        return float(self.world.in_force("realised_hashprice_usd_per_ph_day")[0, 0])

    @cached_property
    def ladders(self) -> SiteLadders:
        """Profiles of the zones, with the machines that were heard of."""
        return SiteLadders.of(self.scenario.site)

    @cached_property
    def whole_ladders(self) -> SiteLadders:
        """Profiles of the zones, with all machines."""
        return SiteLadders.of(self.whole)

    @cached_property
    def batch(self) -> Batch:
        """One environment in the present state, at the first step of the first path."""
        return present(self.config, self.world, self.zones, self.charge_pu)

    @cached_property
    def observation(self) -> np.ndarray:
        """What the policy sees now, (n_observations,): telemetry as it was reported, without simulated noise."""
        return observed(self.batch, self.zones, self.whole)

    @cached_property
    def excesses(self) -> tuple[Excess, ...]:
        """Observations of market, weather and temperatures outside what the policy was trained on."""
        found = []
        for entry, value in zip(self.bundle.observations, self.observation.tolist(), strict=True):
            low, high = entry["trained_low"], entry["trained_high"]
            margin = 1e-6 * max(abs(low), abs(high))
            is_market = entry["group"] in ("market", "forecast")
            is_checked = is_market or entry["group"] == "weather" or entry["name"].endswith("_temp_c")
            if is_checked and not low - margin <= value <= high + margin:
                width = max(high - low, LEAST_WIDTH * max(abs(low), abs(high)), 1e-9)
                share = max(low - value, value - high) / width
                text = f"{entry['name']} is {with_unit(float(f'{value:.4g}'), entry['unit'])}, trained on {low:.4g}…{high:.4g}"
                found.append(Excess(text, share, is_market))
        return tuple(found)

    @property
    def far_outside(self) -> list[str]:
        """Texts of what lies too far outside for advice: physical quantities only, since what-if runs price a market as it is."""
        return [excess.text for excess in self.excesses if not excess.is_market and excess.share > FAR]

    @property
    def widening(self) -> float:
        """How much wider intervals are drawn for what lies outside: 1 within the trained range, 2 at most."""
        return 1.0 + min(1.0, max((excess.share for excess in self.excesses), default=0.0))

    @property
    def seen(self) -> np.ndarray:
        """The observation as the policy is given it: what lies outside is taken at the end of the trained range."""
        low = np.array([entry["trained_low"] for entry in self.bundle.observations], np.float32)
        high = np.array([entry["trained_high"] for entry in self.bundle.observations], np.float32)
        outside = np.array([entry["group"] in ("market", "forecast", "weather") for entry in self.bundle.observations])
        outside &= low <= high
        return np.where(outside, np.clip(self.observation, low, np.maximum(low, high)), self.observation)

    def meter_w(self, setpoint_mhz: np.ndarray) -> float:
        """Return what the whole site draws at the meter at some set-points, (n_zones,), fans and losses included. [W]"""
        total = 0.0
        for z, zone in enumerate(self.whole.zones):
            if setpoint_mhz[z] > 0.0:
                total += float(self.whole_ladders.meter_power_w[z, zone.ladder.nearest(float(setpoint_mhz[z]))])
            else:
                total += float(self.whole_ladders.asleep_power_w[z])
        return total

    @property
    def next_price(self) -> pd.Timestamp:
        """Time at which the running settlement interval ends, and with it what is known."""
        history = self.scenario.history
        local = self.now.tz_convert(history.timezone).tz_localize(None)
        into_s = int(local.value // 10**9) % history.price_interval_s
        return self.now + pd.Timedelta(seconds=history.price_interval_s - into_s)

    @property
    def known_price_usd_per_mwh(self) -> float:
        """Last published price of energy, tariff included."""
        return float(self.observation[0])

    def break_even_usd_per_mwh(self, zone: int) -> float:
        """Return the price at which a zone's best profile earns nothing at the present hashprice."""
        return float(break_even_usd_per_mwh(self.batch.menus[zone], usd_per_th(self.hashprice_usd_per_ph_day)))

    def with_paths(self, name: str, values: np.ndarray) -> Exogenous:
        """Return the world with other paths of one series, (n_paths, n_steps)."""
        paths = {key: values if key == name else self.paths.values[key] for key in _PATHS}
        return _ahead(self.bundle, self.scenario, self.step, paths)

    def usual(self, name: str) -> float:
        """Return the mean of the last week of a series, as far as it is published."""
        series, week = self.published.series[name], np.array([self.step])
        return float(series.mean(week, week - 7 * STEPS_PER_DAY, week)[0])

    def hour_ahead_usd_per_mwh(self) -> tuple[float, float, float]:
        """Return 10 %, 50 % and 90 % quantile of the next hour's mean price of energy, tariff included."""
        hour = self.world.in_force("energy_price_usd_per_mwh")[:, :STEPS_PER_HOUR].mean(axis=1)
        low, middle, high = np.quantile(hour, [0.1, 0.5, 0.9])
        return float(low), float(middle), float(high)


def in_order_of(bundle: Bundle, history: History) -> History:
    """Return a history whose declared channels stand in the order in which the policy knows them; raises BadInputError if they are others."""
    declared = [entry["name"] for entry in bundle.observations if entry["group"] == "declared"]
    if set(declared) != set(history.channels):
        raise BadInputError(
            f"the policy knows the declared channels {sorted(declared)}; the history has {sorted(history.channels)}"
        )
    return replace(history, channels={name: history.channels[name] for name in declared})


def _ahead(bundle: Bundle, scenario: Scenario, step: int, paths: dict[str, np.ndarray]) -> Exogenous:
    """Return the world of paths from a step of a history on, with what the policy sees of it."""
    forecast = str(bundle.manifest["env"]["forecast"])
    return futures.build(scenario.history, step, scenario.site, forecast, paths, looks_at(bundle.rule))


def present(config: EnvConfig, world: Exogenous, zones: np.ndarray, charge_pu: float | None) -> Batch:
    """Return one environment at the first step of a world, its zones in a given state, (n_zones,) of ZONE_STATE."""
    batch = Batch(replace(config, n_threads=1), 1, world)
    enter(batch, batch.save(), zones, charge_pu)
    return batch


def observed(batch: Batch, zones: np.ndarray, whole: SiteParams) -> np.ndarray:
    """Return what a policy sees of a batch of one, (n_observations,): what zones report as it was reported, without simulated noise.

    The batch's site has the machines that were heard of, `whole` all: their ratio is the share that works, for a policy that sees it.
    """
    obs, names = batch.obs[0].copy(), [entry.name for entry in batch.table]
    for z, zone in enumerate(zones):
        for name in ("power_w", "hashrate_ths", "hot_temp_c"):
            column = names.index(f"zone{z}_{name}")
            obs[column] = np.clip(zone[name], batch.low[column], batch.high[column])
        if f"zone{z}_online_frac" in names:
            obs[names.index(f"zone{z}_online_frac")] = batch.site.zones[z].n_units / whole.zones[z].n_units
    return obs


def scenario_of(bundle: Bundle, history: History, site: SiteParams | None = None) -> Scenario:
    """Return the bundle's scenario on a history, with another site in it if one is given; it has no splits."""
    mapping: dict[str, Any] = {**bundle.manifest["scenario"], "splits": {}}
    try:
        scenario = scenarios.from_mapping(mapping, history)
    except (TypeError, KeyError, AttributeError, ValueError, OverflowError) as error:
        raise BundleError(f"{bundle.folder}: 'scenario' of the manifest is not one ({error})") from error
    if site is None:
        return scenario
    return replace(scenario, site=site)


def observation_names(bundle: Bundle) -> tuple[str, ...]:
    """Return the observations that this version would give the bundle's policy, on a history with the channels it needs."""
    try:
        site = sites.site_of(bundle.manifest["scenario"])
    except (TypeError, KeyError, AttributeError, ValueError, OverflowError) as error:
        raise BundleError(f"{bundle.folder}: 'scenario' of the manifest is not one ({error})") from error
    declared = {
        entry["name"]: Channel(unit=entry["unit"], low=entry["low"], high=entry["high"])
        for entry in bundle.observations
        if entry["group"] == "declared"
    }
    is_whole = bundle.task == "operation"
    form = tables.Form.of(
        site,
        declared,
        bundle.manifest["env"]["forecast"],
        has_offer=is_whole and site.contract.curtailment is not None,
        has_cooling=is_whole,
        has_events=bundle.has_events,
        seen=seen_of(site) if bundle.has_rule else (),
    )
    return tuple(entry.name for entry in tables.observation_table(form))
