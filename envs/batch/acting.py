"""From actions to commands, compiled: profiles, set-points of the plants, offers and markets."""

from typing import Final

import numpy as np

from ...sim.contract.channels import CLOCK, ENERGY_PRICE, HOUR_TIMES, REALISED_HASHPRICE
from ...sim.contract.reserve import N_HOURS
from ...sim.cooling import plants
from ...sim.foundation.constants import CONTROL_STEP_S, STEP_MWH_PER_W, usd_per_th
from ...sim.foundation.jit import kernel
from ...sim.hardware.firmware import ASLEEP
from ...sim.market.sale import change_market
from .arrays import BOX, DISCRETE, MARKET_NUMBER, PLAN, PROFILE_INDEX, EnvBatch, EnvWorld

MOST_SHARE: Final = 0.5
"""A zone's part of the load moves by this share at most. chosen."""


SERVICE_ABOVE: Final = 0.5
"""Action above which a technician is called. chosen: far from 0, so that a learner's noise calls nobody."""

RESERVE_WITHHELD: Final = -0.9
MOST_FLOOR_USD: Final = 200.0
"""Action below which an hour's reserve is withheld, and the highest price that an offer may ask. [USD/MW-h] chosen: beyond the price of most
hours, squared so that small prices are told apart."""

IDLE_BELOW: Final = 0.05
"""Command of a battery below which it stands: its inverter would lose more than it moves. chosen."""


@kernel
def myopic_profile(
    z: int, profiles: np.ndarray, menus: np.ndarray, energy_price_usd_per_mwh: float, usd_per_terahash: float
) -> int:
    """Return the profile of zone `z` that earns most in a step at a price, off excluded."""
    watt_usd = energy_price_usd_per_mwh * STEP_MWH_PER_W
    terahash_usd = CONTROL_STEP_S * usd_per_terahash
    best, best_usd = 0, -np.inf
    for k in range(menus[z]["n_profiles"]):
        usd = profiles[z, k]["paid_hashrate_ths"] * terahash_usd - profiles[z, k]["meter_power_w"] * watt_usd
        if usd > best_usd:
            best, best_usd = k, usd
    return best


@kernel
def break_even_usd_per_mwh(menu: np.void, usd_per_terahash: float) -> float:
    """Return the highest price at which some profile of a zone earns something. [USD/MWh]"""
    return menu["best_ths_per_w"] * CONTROL_STEP_S * usd_per_terahash / STEP_MWH_PER_W


@kernel
def nearest_mhz(z: int, profiles: np.ndarray, menus: np.ndarray, target_w: float) -> float:
    """Return the frequency of the profile of zone `z` whose power is nearest to a target. [MHz]"""
    best, best_gap_w = 0, np.inf
    for k in range(menus[z]["n_profiles"]):
        gap_w = abs(profiles[z, k]["meter_power_w"] - target_w)
        if gap_w < best_gap_w:
            best, best_gap_w = k, gap_w
    return profiles[z, best]["freq_mhz"]


@kernel
def decode(z: int, action: float, zone: np.void, myopic: int, world: EnvWorld) -> float:
    """Return the frequency set-point [MHz] of an action on zone `z`, 0 for sleep.

    Under the discrete and the Box action a zone that has fallen asleep sleeps for at least min_sleep_s. Discrete: 0 is off, k ≥ 1 is
    the myopic profile moved by first_offset + k - 1. Profile: 0 is off, k ≥ 1 is profile k - 1. Box: a sleep band with
    hysteresis; the rest of the range is the power target from the lowest to the highest profile, snapped to the nearest
    profile by power.
    """
    profiles, menus, env = world.profiles, world.menus, world.env[0]
    top = menus[z]["n_profiles"] - 1
    kind, is_asleep = env["action_kind"], zone["mode"] == ASLEEP
    if kind != PROFILE_INDEX and is_asleep and zone["mode_s"] < env["min_sleep_s"]:
        return 0.0
    if kind != BOX:
        if action <= 0.0:
            return 0.0
        base = myopic + int(env["first_offset"]) if kind == DISCRETE else 0
        return profiles[z, min(max(base + int(action) - 1, 0), top)]["freq_mhz"]
    if action < env["sleep_below"] or (is_asleep and action <= env["wake_above"]):
        return 0.0
    frac = min(max((action - env["sleep_below"]) / (1.0 - env["sleep_below"]), 0.0), 1.0)
    low_w, high_w = profiles[z, 0]["meter_power_w"], profiles[z, top]["meter_power_w"]
    return nearest_mhz(z, profiles, menus, low_w + frac * (high_w - low_w))


@kernel
def load_weight(action: float) -> float:
    """Return the weight of a zone's part of the plan's load."""
    return 1.0 + MOST_SHARE * min(max(action, -1.0), 1.0)


@kernel
def share_load(i: int, world: EnvWorld, batch: EnvBatch) -> None:
    """Spread the plan's load over the zones of environment `i` by their weights, each on the profile nearest to its part."""
    profiles, env = world.profiles, world.env[0]
    total_w, weighted_w = 0.0, 0.0
    for z in range(profiles.shape[0]):
        plan_w = profiles[z, batch.myopic[i, z]]["meter_power_w"]
        total_w += plan_w
        weighted_w += plan_w * load_weight(batch.action[i, z * env["act_per_zone"] + env["act_share"]])
    for z in range(profiles.shape[0]):
        weight = load_weight(batch.action[i, z * env["act_per_zone"] + env["act_share"]])
        part_w = profiles[z, batch.myopic[i, z]]["meter_power_w"] * weight * total_w / weighted_w
        batch.sim.setpoint_mhz[i, z] = nearest_mhz(z, profiles, world.menus, part_w)


@kernel
def reserve_floor_usd(action: float) -> float:
    """Return the price from which an hour's reserve is sold: not at all below RESERVE_WITHHELD, from there as a square up to the most. [USD/MW-h]

    Examples:
        >>> reserve_floor_usd(-1.0), reserve_floor_usd(-0.9), reserve_floor_usd(1.0)
        (inf, 0.0, 200.0)
    """
    if action < RESERVE_WITHHELD:
        return np.inf
    share = (min(action, 1.0) - RESERVE_WITHHELD) / (1.0 - RESERVE_WITHHELD)
    return MOST_FLOOR_USD * share * share


@kernel
def offer_reserve(i: int, world: EnvWorld, batch: EnvBatch) -> None:
    """Take the offers of environment `i` for the hours of the next day when they are due; under five-minute awards, that of this hour now."""
    site, p, first = batch.sim.site[i], world.sim.site[0], world.env[0]["act_reserve"]
    clock = int(world.sim.values[site["series"], site["step"], CLOCK])
    hour = clock // HOUR_TIMES
    if p["reserve_is_five_minute"] > 0.0:
        site["reserve_floor"][hour] = reserve_floor_usd(batch.action[i, first + hour])
        site["reserve_next"][hour] = site["reserve_floor"][hour]
        return
    before = int(world.sim.values[site["series"], max(site["step"] - 1, 0), CLOCK]) // HOUR_TIMES
    if hour == int(p["reserve_due_h"]) and before != hour:
        for k in range(N_HOURS):
            site["reserve_next"][k] = reserve_floor_usd(batch.action[i, first + k])


@kernel
def act(i: int, world: EnvWorld, batch: EnvBatch) -> None:
    """Turn the action of environment `i` into commands: its columns are those of `actions.action_table`."""
    env, action = world.env[0], batch.action[i]
    for z in range(batch.sim.zone.shape[1]):
        zone, myopic, base = batch.sim.zone[i, z], batch.myopic[i, z], z * env["act_per_zone"]
        if env["action_kind"] == PLAN:
            batch.sim.setpoint_mhz[i, z] = world.profiles[z, myopic]["freq_mhz"]
        else:
            batch.sim.setpoint_mhz[i, z] = decode(z, action[base + env["act_power"]], zone, myopic, world)
        if env["act_service"] >= 0:
            zone["service"] = 1.0 if action[base + env["act_service"]] > SERVICE_ABOVE else 0.0
        if env["act_cooling"] >= 0:
            at = base + env["act_cooling"]
            plants.command(zone, world.sim.zones[z], action[at], action[at + 1])
    if env["act_share"] >= 0:
        share_load(i, world, batch)
    site = batch.sim.site[i]
    if env["act_battery"] >= 0:
        wanted = min(max(action[env["act_battery"]], -1.0), 1.0)
        site["battery_command"] = wanted if abs(wanted) >= IDLE_BELOW else 0.0
    if env["act_curtail"] >= 0:
        site["curtailed_frac"] = min(max(action[env["act_curtail"]], 0.0), 1.0)
    if env["act_reserve"] >= 0:
        offer_reserve(i, world, batch)
    if env["act_market"] >= 0:
        wish, n = action[env["act_market"]], world.sim.switch_s.shape[0]
        wanted = wish if env["market_kind"] == MARKET_NUMBER else np.floor((wish + 1.0) * 0.5 * n)
        change_market(batch.sim.site[i], int(min(max(wanted, 0.0), n - 1.0)), world.sim.switch_s)


@kernel
def offer(i: int, world: EnvWorld, batch: EnvBatch) -> None:
    """Take the offer of environment `i`'s action for the next local day: after the step, which may have begun a day."""
    column = world.env[0]["act_offer"]
    if column >= 0:
        batch.sim.site[i]["next_withheld_frac"] = 0.5 - 0.5 * min(max(batch.action[i, column], -1.0), 1.0)


@kernel
def baseline_usd(i: int, world: EnvWorld, batch: EnvBatch) -> float:
    """Return what the myopic profiles of environment `i` would earn in this step at steady state. [USD]"""
    row = world.sim.values[batch.sim.site[i]["series"], batch.sim.site[i]["step"]]
    terahash_usd = CONTROL_STEP_S * usd_per_th(row[REALISED_HASHPRICE])
    watt_usd = STEP_MWH_PER_W * row[ENERGY_PRICE]
    total = 0.0
    for z in range(world.profiles.shape[0]):
        profile = world.profiles[z, batch.myopic[i, z]]
        total += profile["paid_hashrate_ths"] * terahash_usd - profile["meter_power_w"] * watt_usd
    return total
