"""The batched step: composes the physics over a range of sites and their zones, and puts a price on what they did."""

from typing import Final, NamedTuple

import numpy as np

from ..contract.channels import (
    CARBON,
    HEAT_PRICE,
    N_CHANNELS,
    OUTDOOR_TEMP_C,
    SUN_POWER_W,
    WET_BULB_TEMP_C,
    WIND_POWER_W,
)
from ..contract.reserve import settle_reserve
from ..contract.settlement import allowed_pu, settle_energy
from ..cooling.mixing import mix_exhaust
from ..cooling.plant import ZONE_SUMS, Weather
from ..energy.interconnect import balance, shed_machines
from ..foundation import threads
from ..foundation.constants import (
    GRAMS_PER_KG,
    JOULES_PER_KWH,
    KWH_PER_MWH,
    LITRES_PER_M3,
    N_SUB_STEPS,
    SUB_STEP_S,
)
from ..foundation.errors import BadInputError
from ..foundation.jit import kernel
from ..market.sale import sell
from .params import SiteParams
from .service import serve
from .state import SITE_FLOW, ZONE_FLOW, State
from .world import CALL_LEFT, FOULING, GRID_ON, ONLINE, POOL_FRAC, Events, Exogenous
from .zone import begin_step, end_step, sub_step

BLOCK_ZONES: Final = 16
"""Zones, about, that are stepped together. Measured: 8 to 64 are alike; more do not stay in a processor's first cache."""


_KWH_PER_W: Final = N_SUB_STEPS * SUB_STEP_S / JOULES_PER_KWH
"""Energy of a step at a watt, by definition. [kWh/W]"""


class SiteWorld(NamedTuple):
    """What kernels read of sites that share a world: arrays that no step writes."""

    values: np.ndarray  # (n_series, n_steps, N_CHANNELS + n_markets - 1)
    site_events: np.ndarray  # (n_series or 1, n_steps or 1, len(SITE_EVENTS))
    zone_events: np.ndarray  # (n_series or 1, n_steps or 1, n_zones, len(ZONE_EVENTS))
    links: np.ndarray  # (n_links,) of LINKS
    zones: np.ndarray  # (n_zones,) of ZONE_PARAMS
    site: np.ndarray  # (1,) of SITE_PARAMS
    switch_s: np.ndarray  # (n_markets,)

    @classmethod
    def of(cls, params: SiteParams, exogenous: Exogenous, events: Events) -> "SiteWorld":
        """Return the world of a site; raises BadInputError where series or events are of another one."""
        if events.zone.shape[2] != len(params.zones):
            raise BadInputError(f"events.zone has {events.zone.shape[2]} zones; the site has {len(params.zones)}")
        n_markets = exogenous.values.shape[2] - N_CHANNELS + 1
        if n_markets != len(params.markets):
            raise BadInputError(
                f"the exogenous series have hashprices of {n_markets} markets; the site has {len(params.markets)}"
            )
        return cls(
            exogenous.values,
            events.site,
            events.zone,
            params.link_record,
            params.zone_record,
            params.site_record,
            params.switch_s,
        )


class SiteBatch(NamedTuple):
    """What kernels change of a batch of sites: state, commands and flows."""

    zone: np.ndarray  # (n_sites, n_zones) of ZONE_STATE
    site: np.ndarray  # (n_sites,) of SITE_STATE
    setpoint_mhz: np.ndarray  # (n_sites, n_zones)
    zone_flow: np.ndarray  # (n_sites, n_zones) of ZONE_FLOW
    site_flow: np.ndarray  # (n_sites,) of SITE_FLOW
    sums: np.ndarray  # (n_sites, n_zones) of ZONE_SUMS


class Totals(NamedTuple):
    """Sums over the zones of a site in a step that are no flows of their own."""

    ageing_h: float
    service_h: float
    wear_usd: float
    units: float
    rated_w: float
    heat_kwh: float
    """Heat of zones that can sell it."""


@kernel
def sum_zones(i: int, world: SiteWorld, batch: SiteBatch) -> Totals:
    """Sum the zones of site `i` into its flows, and return what is not one of them."""
    params, out = world.site[0], batch.site_flow[i]
    it_kwh, cooling_kwh, hash_th, water_l, starts, trips, hottest_c = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -273.15
    ageing_h, service_h, wear_usd, units, rated_w, heat_kwh = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for z in range(batch.zone.shape[1]):
        flow, zone = batch.zone_flow[i, z], world.zones[z]
        it_kwh += flow["it_energy_kwh"]
        cooling_kwh += flow["cooling_energy_kwh"]
        hash_th += flow["hash_th"]
        water_l += flow["water_l"]
        starts += flow["starts"]
        trips += flow["trips"]
        hottest_c = max(hottest_c, flow["max_chip_temp_c"])
        ageing_h += flow["ageing_h"]
        service_h += flow["service_h"]
        wear_usd += flow["starts"] * zone["start_wear_usd"]
        units += zone["n_units"]
        rated_w += zone["n_units"] * zone["rated_power_w"]
        if zone["delivers_heat"] > 0.0 and flow["return_temp_c"] >= params["heat_min_temp_c"]:
            heat_kwh += flow["heat_rejected_kwh"]
    out["it_energy_kwh"] = it_kwh
    out["cooling_energy_kwh"] = cooling_kwh
    out["hash_th"] = hash_th
    out["water_l"] = water_l
    out["starts"] = starts
    out["trips"] = trips
    out["max_chip_temp_c"] = hottest_c
    return Totals(ageing_h, service_h, wear_usd, units, rated_w, heat_kwh)


@kernel
def supply(i: int, load_kwh: float, world: SiteWorld, batch: SiteBatch) -> float:
    """Meet the load of site `i` from sun, wind, battery and grid; returns what the battery's use has aged it. [USD]"""
    state, out = batch.site[i], batch.site_flow[i]
    row = world.values[state["series"], state["step"]]
    sun_kwh, wind_kwh = row[SUN_POWER_W] * _KWH_PER_W, row[WIND_POWER_W] * _KWH_PER_W
    grid_on = site_event(GRID_ON, state["series"], state["step"], world)
    flows = balance(state, world.site[0], load_kwh, sun_kwh, wind_kwh, grid_on)
    out["energy_kwh"] = flows.net_kwh
    out["sun_kwh"] = flows.sun_kwh
    out["wind_kwh"] = flows.wind_kwh
    out["curtailed_kwh"] = flows.curtailed_kwh
    out["battery_drawn_kwh"] = flows.battery_kwh
    out["battery_lost_kwh"] = flows.lost_kwh
    out["interconnect_breach_kwh"] = flows.breach_kwh
    return flows.wear_usd


@kernel
def settle_site(i: int, world: SiteWorld, batch: SiteBatch) -> None:
    """Sum the zones of site `i` and put a price on what it did in a control step."""
    state, params, out = batch.site[i], world.site[0], batch.site_flow[i]
    series, step = state["series"], state["step"]
    row = world.values[series, step]
    total = sum_zones(i, world, batch)
    grid_on = site_event(GRID_ON, series, step, world)
    it_kwh, misc_kwh = out["it_energy_kwh"], params["misc_w_per_unit"] * total.units * _KWH_PER_W * grid_on
    load_kwh = (it_kwh + out["cooling_energy_kwh"] + misc_kwh) * (1.0 + params["transformer_loss_frac"])
    out["energy_kwh"] = out["load_kwh"] = load_kwh
    wear_usd = total.wear_usd
    if params["has_energy"] > 0.0:
        wear_usd += supply(i, load_kwh, world, batch)
    energy_kwh, rated_kwh = out["energy_kwh"], total.rated_w * _KWH_PER_W
    bill = settle_energy(energy_kwh, row, params, rated_kwh, state)
    out["pue"] = load_kwh / it_kwh if it_kwh > 0.0 else 0.0
    out["wue_l_per_kwh"] = out["water_l"] / it_kwh if it_kwh > 0.0 else 0.0
    out["call_excess_kwh"] = 0.0
    left_pu = min(site_event(CALL_LEFT, series, step, world), allowed_pu(row, params, state))
    if left_pu < 1.0:
        out["call_excess_kwh"] = max(0.0, energy_kwh - left_pu * rated_kwh)
    out["carbon_kg"] = max(0.0, energy_kwh) * row[CARBON] / GRAMS_PER_KG
    out["revenue_usd"] = sell(out["hash_th"], row, site_event(POOL_FRAC, series, step, world), state)
    out["energy_usd"] = bill.energy_usd + bill.block_usd + bill.resale_usd + bill.fixed_usd + bill.carbon_usd
    out["energy_usd"] += bill.hours_use_usd + bill.export_usd
    out["demand_usd"] = bill.demand_usd + bill.window_demand_usd
    out["coincident_usd"] = bill.coincident_usd
    out["programme_usd"] = -bill.capacity_usd - bill.credit_usd - bill.breach_usd
    out["reserve_usd"] = 0.0
    if params["reserve_pu"] > 0.0:
        out["reserve_usd"] = settle_reserve(load_kwh, row, params, rated_kwh, state)
    out["stored_usd"] = 0.0
    out["heat_usd"] = total.heat_kwh * row[HEAT_PRICE] / KWH_PER_MWH
    out["water_usd"] = out["water_l"] / LITRES_PER_M3 * params["water_usd_per_m3"]
    out["wear_usd"] = wear_usd + total.ageing_h * params["ageing_usd_per_h"]
    earned = out["revenue_usd"] + out["programme_usd"] + out["reserve_usd"] + out["heat_usd"]
    out["service_usd"] = total.service_h * params["technician_usd_per_h"]
    spent = out["energy_usd"] + out["demand_usd"] + out["coincident_usd"] + out["water_usd"] + out["wear_usd"]
    out["profit_usd"] = earned - spent - out["service_usd"]


@kernel
def site_event(which: int, series: int, step: int, world: SiteWorld) -> float:
    """Return what befalls a site in a step; a series or a step beyond the last one has the last one's values."""
    events = world.site_events
    return events[min(series, events.shape[0] - 1), min(step, events.shape[1] - 1), which]


@kernel
def block_size(n_zones: int) -> int:
    """Return how many sites are stepped together: at least one."""
    return max(1, BLOCK_ZONES // n_zones)


@kernel
def step_block(first: int, last: int, world: SiteWorld, batch: SiteBatch) -> None:
    """Advance the sites of [first, last), a block, by a control step.

    The sub-steps of neighbouring sites follow each other, not those of one site: they do not wait for each other's
    results, which lets the processor overlap them, and a block stays in its cache.

    Args:
        first: First site.
        last: The one after the last.
        world: What is read.
        batch: What is changed.
    """
    n_zones = batch.zone.shape[1]
    last_series, last_step = world.zone_events.shape[0] - 1, world.zone_events.shape[1] - 1
    for i in range(first, last):
        series, step = batch.site[i]["series"], batch.site[i]["step"]
        outdoor_temp_c = world.values[series, step, OUTDOOR_TEMP_C]
        grid_on = site_event(GRID_ON, series, step, world)
        befalls = world.zone_events[min(series, last_series), min(step, last_step)]
        if world.site[0]["import_limit_w"] < np.inf:
            row = world.values[series, step]
            supply_kwh = (row[SUN_POWER_W] + row[WIND_POWER_W]) * _KWH_PER_W
            shed_machines(batch.site[i], world.site[0], batch.zone[i], world.zones, supply_kwh, batch.setpoint_mhz[i])
        for z in range(n_zones):
            zone = batch.zone[i, z]
            batch.zone_flow[i, z]["service_h"] = serve(
                zone, world.zones[z]["n_units"], befalls[z, ONLINE], befalls[z, FOULING], grid_on
            )
            begin_step(zone, world.zones[z], batch.setpoint_mhz[i, z], outdoor_temp_c, grid_on, batch.sums[i, z])
    for _ in range(N_SUB_STEPS):
        for i in range(first, last):
            row = world.values[batch.site[i]["series"], batch.site[i]["step"]]
            weather = Weather(row[OUTDOOR_TEMP_C], row[WET_BULB_TEMP_C])
            if world.links.shape[0] > 0:
                mix_exhaust(world.links, world.zones, batch.zone[i], batch.sums[i])
            for z in range(n_zones):
                sub_step(batch.zone[i, z], world.zones[z], weather, batch.sums[i, z])
    for i in range(first, last):
        for z in range(n_zones):
            end_step(batch.zone[i, z], world.zones[z], batch.sums[i, z], batch.zone_flow[i, z])
        settle_site(i, world, batch)
        batch.site[i]["step"] += 1
        batch.site[i]["age"] += 1


@kernel
def step(lo: int, hi: int, world: SiteWorld, batch: SiteBatch) -> None:
    """Advance the sites of [lo, hi) by a control step."""
    size = block_size(batch.zone.shape[1])
    for first in range(lo, hi, size):
        step_block(first, min(first + size, hi), world, batch)


class Site:
    """A batch of sites that can be stepped with plain set-points: the simulator without an environment around it.

    Examples:
        >>> from hashgym.sim import firmware, machine, ZoneParams
        >>> from hashgym.sim.series import exogenous
        >>> from hashgym.synthesis.generate import synthesize
        >>> zone = ZoneParams(machine=machine("s21"), firmware=firmware("fast_curtail"), n_units=280)
        >>> params = SiteParams(zones=(zone,))
        >>> world = exogenous.build(synthesize("ercot", "2025-01-01", "2025-01-03", seed=1), params)
        >>> site = Site(params, world, n_envs=2)
        >>> flow = site.step(np.array([[zone.max_mhz], [0.0]]))  # one runs, one falls asleep
        >>> bool(flow["energy_kwh"][0] > 10.0 * flow["energy_kwh"][1])
        True
    """

    def __init__(
        self,
        params: SiteParams,
        exogenous: Exogenous,
        n_envs: int = 1,
        n_threads: int = 1,
        events: Events | None = None,
    ) -> None:
        """Start `n_envs` sites that hash at their top profile at the start of series 0; by default nothing befalls them."""
        self.events = Events.none(len(params.zones)) if events is None else events
        self.world = SiteWorld.of(params, exogenous, self.events)
        self.params = params
        self.exogenous = exogenous
        self.n_threads = n_threads
        self.state = State.hashing(n_envs, params)
        self.zone_flow = np.zeros(self.state.zone.shape, ZONE_FLOW)
        self.site_flow = np.zeros(n_envs, SITE_FLOW)
        setpoint_mhz, sums = np.zeros(self.state.zone.shape), np.zeros(self.state.zone.shape, ZONE_SUMS)
        self.arrays = SiteBatch(self.state.zone, self.state.site, setpoint_mhz, self.zone_flow, self.site_flow, sums)

    def step(self, setpoint_mhz: np.ndarray) -> np.ndarray:
        """Advance by a control step.

        Args:
            setpoint_mhz: Frequency set-point of each zone, 0 to sleep, (n_envs, n_zones). [MHz]

        Returns:
            The site flows, (n_envs,) of SITE_FLOW; the same array at every call.
        """
        if np.shape(setpoint_mhz) != self.state.zone.shape:
            raise BadInputError(f"setpoint_mhz has shape {np.shape(setpoint_mhz)}; it must be {self.state.zone.shape}")
        if np.isnan(setpoint_mhz).any():
            raise BadInputError("setpoint_mhz holds what is not a number; 0 is sleep")
        if (self.state.site["step"] >= self.exogenous.n_steps).any():
            raise BadInputError(
                f"the exogenous series ends after {self.exogenous.n_steps} steps; reset the state first"
            )
        self.arrays.setpoint_mhz[...] = setpoint_mhz
        threads.split(step, self.state.zone.shape[0], self.state.zone.size, self.n_threads, self.world, self.arrays)
        return self.site_flow
