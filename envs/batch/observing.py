"""What is observed, compiled: known channels, the meter, offers and markets, and the sensors of each zone."""

from typing import Final

import numpy as np

from ...sim.contract.channels import STEP_H
from ...sim.contract.reserve import N_HOURS, awarded_kwh
from ...sim.energy.battery import capacity_kwh
from ...sim.foundation import noise
from ...sim.foundation.constants import SECONDS_PER_HOUR, usd_per_th
from ...sim.foundation.jit import kernel
from ...sim.hardware.firmware import ASLEEP, HASHING, STARTING, TRIPPED
from ...sim.site.step import site_event
from ...sim.site.world import POOL_FRAC
from .acting import break_even_usd_per_mwh, myopic_profile
from .arrays import EnvBatch, EnvWorld
from .operating import battery_prices
from .tables import ZONE_COLUMNS

_POWER_NOISE: Final = 0.01
"""Of measured power. assumed: a good meter; firmware estimates are worse (Foreman: 5-20 %)."""

_HASHRATE_NOISE: Final = 0.01
"""Of measured hashrate over five minutes and a container. assumed."""

_FULL_FANS: Final = 0.99
"""Speed of fans from which an alarm says that they are at their limit. chosen."""

_TEMP_NOISE_K: Final = 0.5
"""Of a chip sensor. assumed."""


@kernel
def span(low: float, high: float, key: np.uint64, stream: np.uint64) -> float:
    """Return an episode's draw from a range."""
    return low + (high - low) * noise.uniform(noise.combine(key, np.uint64(0)), stream)


@kernel
def observe_known(i: int, world: EnvWorld, batch: EnvBatch) -> None:
    """Write the known channels into the observation of environment `i`.

    A loop of its own, so that the processor fetches the rows of many environments at once.
    """
    series, step = batch.sim.site[i]["series"], batch.sim.site[i]["step"]
    for j in range(world.known.shape[2]):
        batch.obs[i, j] = world.known[series, step, j]


@kernel
def observe_battery(i: int, world: EnvWorld, batch: EnvBatch) -> None:
    """Write what environment `i` knows of its battery, and the rule's prices for it where an action moves them."""
    site, env, obs = batch.sim.site[i], world.env[0], batch.obs[i]
    p, flow = world.sim.site[0], batch.sim.site_flow[i]
    obs[env["battery_charge_pu"]] = site["battery_kwh"] / capacity_kwh(site, p)
    rated_kwh = p["battery_power_w"] / 1000.0 * STEP_H
    obs[env["battery_power_pu"]] = -flow["battery_drawn_kwh"] / rated_kwh if site["age"] > 0 else 0.0
    if env["rule_sell_price_usd_per_mwh"] >= 0:
        seen = obs[env["curve_now_usd_per_mwh"] :]
        sell, buy = battery_prices(float(obs[env["battery_charge_pu"]]), seen, world.rules[0])
        obs[env["rule_sell_price_usd_per_mwh"]], obs[env["rule_buy_price_usd_per_mwh"]] = sell, buy


@kernel
def observe_site(i: int, world: EnvWorld, batch: EnvBatch) -> None:
    """Write what environment `i` knows of its meter, its offers and its market, where they are observed."""
    site, env, obs = batch.sim.site[i], world.env[0], batch.obs[i]
    if env["interval_pu"] >= 0:
        obs[env["interval_pu"]] = site["interval_kwh"] / (env["rated_kw"] * env["interval_h"])
        obs[env["month_peak_pu"]] = max(site["peak_kw"], site["window_peak_kw"]) / env["rated_kw"]
    if env["offer"] >= 0:
        obs[env["offer"]] = 1.0 - site["withheld_frac"]
        obs[env["next_offer"]] = 1.0 - site["next_withheld_frac"]
    if env["battery_charge_pu"] >= 0:
        observe_battery(i, world, batch)
    if env["net_power_pu"] >= 0:
        net_kw = batch.sim.site_flow[i]["energy_kwh"] / STEP_H if site["age"] > 0 else 0.0
        obs[env["net_power_pu"]] = net_kw / min(env["rated_kw"], world.sim.site[0]["import_limit_w"] / 1000.0)
    if env["reserve_sold"] >= 0:
        row, offered = world.sim.values[site["series"], site["step"]], 0.0
        for hour in range(N_HOURS):
            offered += 1.0 if site["reserve_next"][hour] < np.inf else 0.0
        obs[env["reserve_sold"]] = 1.0 if awarded_kwh(row, world.sim.site[0], site, 1.0) > 0.0 else 0.0
        obs[env["reserve_next"]] = offered / N_HOURS
    if env["grid_on"] >= 0:
        obs[env["grid_on"]] = 1.0 - batch.sim.zone[i, 0]["is_dark"]
        obs[env["pool_frac"]] = site_event(POOL_FRAC, site["series"], max(site["step"] - 1, 0), world.sim)
    if env["at_market0"] >= 0:
        for m in range(world.sim.switch_s.shape[0]):
            obs[env["at_market0"] + m] = 1.0 if site["market"] == m else 0.0
        obs[env["switch_rest_s"]] = site["switch_s"]


@kernel
def observe_zone(
    z: int,
    zone: np.void,
    p: np.void,
    myopic_mhz: float,
    noises: tuple[float, float, float],
    online_at: int,
    obs: np.ndarray,
) -> None:
    """Write the sensors of a zone into its entries of an observation.

    Args:
        z: Number of the zone.
        zone: State.
        p: Parameters.
        myopic_mhz: Frequency of the profile that earns most at the known price. [MHz]
        noises: Standardised noise of the sensors of power, hashrate and chip temperature.
        online_at: Entry of the share of machines that work, -1 where there is none.
        obs: Entries of the zone.
    """
    power_bell, hashrate_bell, chip_bell = noises
    per_mhz = 1.0 / (p["max_mhz"] - p["min_mhz"])
    obs[ZONE_COLUMNS.asleep] = 1.0 if zone["mode"] == ASLEEP else 0.0
    obs[ZONE_COLUMNS.starting] = 1.0 if zone["mode"] == STARTING else 0.0
    obs[ZONE_COLUMNS.hashing] = 1.0 if zone["mode"] == HASHING else 0.0
    obs[ZONE_COLUMNS.tripped] = 1.0 if zone["mode"] == TRIPPED else 0.0
    obs[ZONE_COLUMNS.mode_h] = zone["mode_s"] / SECONDS_PER_HOUR
    obs[ZONE_COLUMNS.start_rest_s] = zone["timer_s"]
    obs[ZONE_COLUMNS.target_pu] = (zone["target_mhz"] - p["min_mhz"]) * per_mhz
    obs[ZONE_COLUMNS.cap_pu] = (zone["cap_mhz"] - p["min_mhz"]) * per_mhz
    obs[ZONE_COLUMNS.myopic_pu] = (myopic_mhz - p["min_mhz"]) * per_mhz
    obs[ZONE_COLUMNS.power_w] = zone["power_w"] * (1.0 + _POWER_NOISE * power_bell)
    obs[ZONE_COLUMNS.hashrate_ths] = zone["hashrate_ths"] * (1.0 + _HASHRATE_NOISE * hashrate_bell)
    obs[ZONE_COLUMNS.hot_temp_c] = zone["hot_temp_c"] + _TEMP_NOISE_K * chip_bell
    obs[ZONE_COLUMNS.inlet_temp_c] = zone["inlet_temp_c"]
    obs[ZONE_COLUMNS.fan_pu] = zone["fan_pu"]
    if obs.shape[0] > ZONE_COLUMNS.exhaust_temp_c and online_at != ZONE_COLUMNS.exhaust_temp_c:
        obs[ZONE_COLUMNS.exhaust_temp_c] = zone["exhaust_temp_c"]
        obs[ZONE_COLUMNS.pad_on] = zone["pad_on"]
    if online_at >= 0:
        obs[online_at] = zone["online_frac"]
        obs[online_at + 1] = 1.0 if zone["mode"] == TRIPPED or zone["fan_pu"] >= _FULL_FANS else 0.0


@kernel
def observe_rest(i: int, world: EnvWorld, batch: EnvBatch) -> None:
    """Write the rest of the observation of environment `i`, after its known channels, and clip it."""
    site, env, obs = batch.sim.site[i], world.env[0], batch.obs[i]
    known_usd = float(obs[env["known_energy_price_usd_per_mwh"]])
    terahash_usd = usd_per_th(float(obs[env["expected_hashprice_usd_per_ph_day"]]))
    step_key = noise.combine(site["key"], np.uint64(site["age"]))
    rough = env["noise_low"]
    if env["noise_high"] > rough:
        rough = span(rough, env["noise_high"], site["key"], noise.STREAM_ROUGHNESS)
    observe_site(i, world, batch)
    break_even, first = 0.0, env["zones"]
    for z in range(batch.sim.zone.shape[1]):
        break_even = max(break_even, break_even_usd_per_mwh(world.menus[z], terahash_usd))
        k = myopic_profile(z, world.profiles, world.menus, known_usd, terahash_usd)
        batch.myopic[i, z] = k
        shift = np.uint64(z * 16)
        noises = (
            rough * noise.bell(step_key, noise.STREAM_POWER_SENSOR + shift),
            rough * noise.bell(step_key, noise.STREAM_HASHRATE_SENSOR + shift),
            rough * noise.bell(step_key, noise.STREAM_CHIP_SENSOR + shift),
        )
        entries = obs[first : first + env["per_zone"]]
        freq_mhz, at = world.profiles[z, k]["freq_mhz"], env["zone_online"]
        observe_zone(z, batch.sim.zone[i, z], world.sim.zones[z], freq_mhz, noises, at, entries)
        first += env["per_zone"]
    obs[env["break_even_usd_per_mwh"]] = break_even
    obs[env["price_ratio"]] = known_usd / max(break_even, 1.0)
    for j in range(obs.shape[0]):
        obs[j] = min(max(obs[j], world.bounds[0, j]), world.bounds[1, j])


@kernel
def observe(lo: int, hi: int, world: EnvWorld, batch: EnvBatch) -> None:
    """Write the observations of the environments of [lo, hi)."""
    for i in range(lo, hi):
        observe_known(i, world, batch)
    for i in range(lo, hi):
        observe_rest(i, world, batch)
