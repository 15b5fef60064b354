"""The batched kernel: composes the physics over a range of environments and their zones."""

from typing import Final

import numpy as np

from ..contract.settlement import book
from ..cooling.plants import LOOP
from ..foundation import threads
from ..foundation.constants import (
    GRAMS_PER_KG,
    JOULES_PER_KWH,
    KWH_PER_MWH,
    LITRES_PER_M3,
    N_SUB_STEPS,
    SUB_STEP_S,
    usd_per_th,
)
from ..foundation.errors import BadInputError
from ..foundation.jit import kernel
from .params import SiteParams
from .state import SITE_FLOW, ZONE_FLOW, State
from .world import N_CHANNELS, SIM_CHANNELS, SITE_EVENTS, Events, Exogenous
from .zone import begin_step, end_step, sub_step

BLOCK: Final = 16
"""Environments that are stepped together. Measured: 8 to 64 are alike."""

MOST_MIXED: Final = 0.9
"""Largest share of other zones' exhaust in a zone's supply. assumed: some outdoor air always comes in."""

GRID_ON: Final = SITE_EVENTS.index("grid_on")
POOL_FRAC: Final = SITE_EVENTS.index("pool_frac")
CALL_PU: Final = SITE_EVENTS.index("call_pu")

HASHPRICE: Final = SIM_CHANNELS.index("realised_hashprice_usd_per_ph_day")
CALL: Final = SIM_CHANNELS.index("call_pu")
CARBON: Final = SIM_CHANNELS.index("carbon_g_per_kwh")
HEAT: Final = SIM_CHANNELS.index("heat_usd_per_mwh")


@kernel
def mix(i: int, links: np.ndarray, zone_params: np.ndarray, zone_state: np.ndarray, zone_flow: np.ndarray) -> None:
    """Find what share of each zone's supply is other zones' exhaust, and how hot it is, from the last sub-step's flows.

    The exhaust is under way for a sub-step. A zone's supply takes at most MOST_MIXED of it.
    """
    for z in range(zone_flow.shape[1]):
        zone_flow[i, z]["mixed_frac"] = 0.0
        zone_flow[i, z]["mixed_temp_c"] = 0.0
    for k in range(links.shape[0]):
        z, y = links[k]["zone"], links[k]["source"]
        source, zone, flow = zone_state[i, y], zone_state[i, z], zone_flow[i, z]
        own = zone["exhaust_w_per_k"] * zone_params[z]["n_units"] * zone["online_frac"]
        if own > 0.0:
            arriving = links[k]["share"] * source["exhaust_w_per_k"] * zone_params[y]["n_units"] * source["online_frac"]
            flow["mixed_frac"] += arriving / own
            flow["mixed_temp_c"] += arriving / own * source["exhaust_temp_c"]
    for z in range(zone_flow.shape[1]):
        flow = zone_flow[i, z]
        if flow["mixed_frac"] > 0.0:
            flow["mixed_temp_c"] /= flow["mixed_frac"]
            flow["mixed_frac"] = min(flow["mixed_frac"], MOST_MIXED)


@kernel
def sell(hash_th: float, row: np.ndarray, pool_frac: float, place: np.void) -> float:
    """Return what a step's hashes earn at the market of the moment. [USD] No hash counts while machines change the market."""
    lost_s = min(place["switch_s"], N_SUB_STEPS * SUB_STEP_S)
    place["switch_s"] -= lost_s
    paid_th = hash_th * (1.0 - lost_s / (N_SUB_STEPS * SUB_STEP_S)) * pool_frac
    m = place["market"]
    return paid_th * usd_per_th(row[HASHPRICE] if m == 0 else row[N_CHANNELS + m - 1])


@kernel
def change_market(place: np.void, market: int, switch_s: np.ndarray) -> None:
    """Sell a site's hashes at a market from now on; where it is another one, the change takes its time."""
    if market != place["market"]:
        place["switch_s"] = switch_s[market]
        place["market"] = market


@kernel
def settle(
    i: int, zone_flow: np.ndarray, zone_params: np.ndarray, s: np.void, row: np.ndarray, events: np.ndarray,
    place: np.void, out: np.void,
) -> None:  # fmt: skip
    """Sum the zones of site `i` and put a price on what it did in a control step."""
    it_kwh, cooling_kwh, hash_th, water_l, ageing_h, starts, trips, wear_usd = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    units, rated_w, hottest_c, heat_kwh = 0.0, 0.0, -273.15, 0.0
    for z in range(zone_flow.shape[1]):
        flow = zone_flow[i, z]
        it_kwh += flow["it_energy_kwh"]
        cooling_kwh += flow["cooling_energy_kwh"]
        hash_th += flow["hash_th"]
        water_l += flow["water_l"]
        ageing_h += flow["ageing_h"]
        starts += flow["starts"]
        trips += flow["trips"]
        wear_usd += flow["starts"] * zone_params[z]["start_wear_usd"]
        hottest_c = max(hottest_c, flow["max_chip_temp_c"])
        units += zone_params[z]["n_units"]
        rated_w += zone_params[z]["n_units"] * zone_params[z]["rated_power_w"]
        if zone_params[z]["plant_kind"] == LOOP and flow["supply_temp_c"] >= s["heat_min_temp_c"]:
            heat_kwh += flow["heat_rejected_kwh"]
    step_kwh_per_w = N_SUB_STEPS * SUB_STEP_S / JOULES_PER_KWH
    misc_kwh = s["misc_w_per_unit"] * units * step_kwh_per_w * events[GRID_ON]
    energy_kwh = (it_kwh + cooling_kwh + misc_kwh) * (1.0 + s["transformer_loss_frac"])
    bill = book(energy_kwh, row, s, rated_w * step_kwh_per_w, place)
    out["it_energy_kwh"] = it_kwh
    out["cooling_energy_kwh"] = cooling_kwh
    out["energy_kwh"] = energy_kwh
    out["hash_th"] = hash_th
    out["water_l"] = water_l
    out["starts"] = starts
    out["trips"] = trips
    out["max_chip_temp_c"] = hottest_c
    out["pue"] = energy_kwh / it_kwh if it_kwh > 0.0 else 0.0
    out["wue_l_per_kwh"] = water_l / it_kwh if it_kwh > 0.0 else 0.0
    out["call_excess_kwh"] = 0.0
    own_pu = row[CALL] + place["withheld_frac"] * s["committed_pu"] if row[CALL] < 1.0 else 1.0
    call_pu = min(events[CALL_PU], own_pu)
    if call_pu < 1.0:
        out["call_excess_kwh"] = max(0.0, energy_kwh - call_pu * rated_w * step_kwh_per_w)
    out["carbon_kg"] = energy_kwh * row[CARBON] / GRAMS_PER_KG
    out["revenue_usd"] = sell(hash_th, row, events[POOL_FRAC], place)
    out["energy_usd"] = bill[0] + bill[1] + bill[2] + bill[3] + bill[10]
    out["demand_usd"] = bill[4] + bill[5]
    out["coincident_usd"] = bill[6]
    out["programme_usd"] = -bill[7] - bill[8] - bill[9]
    out["heat_usd"] = heat_kwh * row[HEAT] / KWH_PER_MWH
    out["water_usd"] = water_l / LITRES_PER_M3 * s["water_usd_per_m3"]
    out["wear_usd"] = wear_usd + ageing_h * s["ageing_usd_per_h"]
    earned = out["revenue_usd"] + out["programme_usd"] + out["heat_usd"]
    out["profit_usd"] = (
        earned - out["energy_usd"] - out["demand_usd"] - out["coincident_usd"] - out["water_usd"] - out["wear_usd"]
    )


@kernel
def step_range(
    lo: int, hi: int, setpoint_mhz: np.ndarray, exogenous: np.ndarray, site_events: np.ndarray,
    zone_events: np.ndarray, links: np.ndarray, zone_params: np.ndarray, site_params: np.ndarray,
    zone_state: np.ndarray, site_state: np.ndarray, zone_flow: np.ndarray, site_flow: np.ndarray,
) -> None:  # fmt: skip
    """Advance the environments of [lo, hi) by one control step.

    The sub-steps of neighbouring environments follow each other, not those of one environment: they do not wait for
    each other's results, which lets the processor overlap them. Callers cut the range into blocks that stay in its
    cache.
    """
    n_zones = zone_state.shape[1]
    last_series, last_step = site_events.shape[0] - 1, site_events.shape[1] - 1
    last_zone_series, last_zone_step = zone_events.shape[0] - 1, zone_events.shape[1] - 1
    for i in range(lo, hi):
        series, step = site_state[i]["series"], site_state[i]["step"]
        outdoor_temp_c = exogenous[series, step, 0]
        grid_on = site_events[min(series, last_series), min(step, last_step), GRID_ON]
        for z in range(n_zones):
            online_frac = zone_events[min(series, last_zone_series), min(step, last_zone_step), z, 0]
            fouling_frac = zone_events[min(series, last_zone_series), min(step, last_zone_step), z, 1]
            begin_step(
                zone_state[i, z], zone_params[z], setpoint_mhz[i, z], outdoor_temp_c, grid_on, online_frac,
                fouling_frac, zone_flow[i, z],
            )  # fmt: skip
    for _ in range(N_SUB_STEPS):
        for i in range(lo, hi):
            series, step = site_state[i]["series"], site_state[i]["step"]
            outdoor_temp_c, wet_bulb_temp_c = exogenous[series, step, 0], exogenous[series, step, 1]
            if links.shape[0] > 0:
                mix(i, links, zone_params, zone_state, zone_flow)
            for z in range(n_zones):
                sub_step(zone_state[i, z], zone_params[z], outdoor_temp_c, wet_bulb_temp_c, zone_flow[i, z])
    for i in range(lo, hi):
        place = site_state[i]
        series, step = place["series"], place["step"]
        for z in range(n_zones):
            end_step(zone_state[i, z], zone_params[z], zone_flow[i, z])
        settle(
            i, zone_flow, zone_params, site_params[0], exogenous[series, step],
            site_events[min(series, last_series), min(step, last_step)], place, site_flow[i],
        )  # fmt: skip
        place["step"] += 1
        place["age"] += 1


@kernel
def step_blocks(
    lo: int, hi: int, setpoint_mhz: np.ndarray, exogenous: np.ndarray, site_events: np.ndarray,
    zone_events: np.ndarray, links: np.ndarray, zone_params: np.ndarray, site_params: np.ndarray,
    zone_state: np.ndarray, site_state: np.ndarray, zone_flow: np.ndarray, site_flow: np.ndarray,
) -> None:  # fmt: skip
    """Advance the environments of [lo, hi) by one control step, block by block."""
    for first in range(lo, hi, BLOCK):
        step_range(
            first, min(first + BLOCK, hi), setpoint_mhz, exogenous, site_events, zone_events, links, zone_params,
            site_params, zone_state, site_state, zone_flow, site_flow,
        )  # fmt: skip


class Site:
    """A batch of sites that can be stepped with plain set-points: the simulator without an environment around it."""

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
        if self.events.zone.shape[2] != len(params.zones):
            raise BadInputError(f"events.zone has {self.events.zone.shape[2]} zones; the site has {len(params.zones)}")
        further = exogenous.values.shape[2] - N_CHANNELS
        if further != len(params.markets) - 1:
            raise BadInputError(
                f"the world has hashprices of {further + 1} markets; the site has {len(params.markets)}"
            )
        self.params = params
        self.exogenous = exogenous
        self.n_threads = n_threads
        self.state = State.hashing(n_envs, params)
        self.zone_flow = np.zeros(self.state.zone.shape, ZONE_FLOW)
        self.site_flow = np.zeros(n_envs, SITE_FLOW)

    def switch(self, market: np.ndarray) -> None:
        """Sell the hashes at another market from now on; where it is another one, the change takes its time.

        Args:
            market: Number of the market of each site, (n_envs,).
        """
        market = np.broadcast_to(np.asarray(market, dtype=np.int64), self.state.site.shape)
        if ((market < 0) | (market >= len(self.params.markets))).any():
            raise BadInputError(f"market is {market.tolist()}; there are {len(self.params.markets)}, from 0")
        for i, number in enumerate(market):
            change_market(self.state.site[i], number, self.params.switch_s)

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
        threads.split(
            step_blocks, self.state.zone.shape[0], self.state.zone.size, self.n_threads, np.ascontiguousarray(setpoint_mhz, dtype=np.float64),
            self.exogenous.values, self.events.site, self.events.zone, self.params.link_record, self.params.zone_record,
            self.params.site_record, self.state.zone, self.state.site, self.zone_flow, self.site_flow,
        )  # fmt: skip
        return self.site_flow
