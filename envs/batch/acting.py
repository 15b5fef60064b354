"""From actions to commands, compiled: profiles, set-points of the plants, offers and markets."""

from typing import Final

import numpy as np

from ...sim.cooling.plants import LOOP
from ...sim.foundation.constants import CONTROL_STEP_S, STEP_MWH_PER_W, usd_per_th
from ...sim.foundation.jit import kernel
from ...sim.hardware.firmware import ASLEEP
from ...sim.site.step import HASHPRICE, change_market
from ...sim.site.world import SIM_CHANNELS

PRICE: Final = SIM_CHANNELS.index("energy_price_usd_per_mwh")

DISCRETE: Final = 0.0
BOX: Final = 1.0
PROFILE_INDEX: Final = 2.0
PLAN: Final = 3.0
"""Forms of the action on power: offsets from the myopic profile, a power target, a profile's number, none (the plan stands)."""

MOST_SHARE: Final = 0.5
"""A zone's part of the load moves by this share at most. chosen."""

PROFILE: Final = np.dtype([(name, np.float64) for name in ("freq_mhz", "meter_w", "paid_ths")])
"""One profile of a zone at steady state: power at the meter of the whole zone, hashrate that is paid."""

MENU: Final = np.dtype([("n_profiles", np.int64), ("best_ths_per_w", np.float64)])
"""A zone's menu: number of real profiles in its row of the padded table, and the most hashrate that a watt pays."""

RANGE: Final = np.dtype(
    [(name, np.float64) for name in ("fan_low_k", "fan_high_k", "plant_low_k", "plant_high_k", "pump_low_pu")]
)
"""What the commands of a zone's cooling can reach, from the site's own set-points: 0 of an action is where they stand."""


@kernel
def myopic_profile(
    z: int, profiles: np.ndarray, menus: np.ndarray, energy_price_usd_per_mwh: float, usd_per_terahash: float
) -> int:
    """Return the profile of zone `z` that earns most in a step at a price, off excluded."""
    watt_usd = energy_price_usd_per_mwh * STEP_MWH_PER_W
    terahash_usd = CONTROL_STEP_S * usd_per_terahash
    best, best_usd = 0, -np.inf
    for k in range(menus[z]["n_profiles"]):
        usd = profiles[z, k]["paid_ths"] * terahash_usd - profiles[z, k]["meter_w"] * watt_usd
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
        gap_w = abs(profiles[z, k]["meter_w"] - target_w)
        if gap_w < best_gap_w:
            best, best_gap_w = k, gap_w
    return profiles[z, best]["freq_mhz"]


@kernel
def decode(
    z: int, action: float, zone: np.void, profiles: np.ndarray, menus: np.ndarray, myopic: int, env: np.void
) -> float:
    """Return the frequency set-point [MHz] of an action on zone `z`, 0 for sleep.

    Under the discrete and the Box action a zone that has fallen asleep sleeps for at least min_sleep_s. Discrete: 0 is off, k ≥ 1 is the myopic profile moved by first_offset + k - 1. Profile: 0 is off, k ≥ 1 is profile
    k - 1. Box: a sleep band with hysteresis;
    the rest of the range is the power target from the lowest to the highest profile, snapped to
    the nearest profile by power.
    """
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
    low_w, high_w = profiles[z, 0]["meter_w"], profiles[z, top]["meter_w"]
    return nearest_mhz(z, profiles, menus, low_w + frac * (high_w - low_w))


@kernel
def between(action: float, low: float, high: float) -> float:
    """Return what an action in [-1, 1] commands: 0 is 0, -1 is low, 1 is high."""
    action = min(max(action, -1.0), 1.0)
    return action * high if action > 0.0 else -action * low


@kernel
def command_cooling(zone: np.void, plant_kind: float, reach: np.void, first: float, second: float) -> None:
    """Set the cooling commands of a zone: of machines' fans (or the pump) and of the plant."""
    if plant_kind == LOOP:
        zone["pump_shift_pu"] = between(first, reach["pump_low_pu"], 0.0)
    else:
        zone["fan_shift_k"] = between(first, reach["fan_low_k"], reach["fan_high_k"])
    zone["plant_shift_k"] = between(second, reach["plant_low_k"], reach["plant_high_k"])


@kernel
def share_load(
    i: int, action: np.ndarray, per_zone: int, column: int, profiles: np.ndarray, menus: np.ndarray, myopic: np.ndarray,
    setpoint_mhz: np.ndarray,
) -> None:  # fmt: skip
    """Spread the plan's load over the zones of environment `i` by their weights, each on the profile nearest to its part."""
    total_w, weighted_w = 0.0, 0.0
    for z in range(profiles.shape[0]):
        plan_w = profiles[z, myopic[i, z]]["meter_w"]
        total_w += plan_w
        weighted_w += plan_w * (1.0 + MOST_SHARE * min(max(action[i, z * per_zone + column], -1.0), 1.0))
    for z in range(profiles.shape[0]):
        weight = 1.0 + MOST_SHARE * min(max(action[i, z * per_zone + column], -1.0), 1.0)
        part_w = profiles[z, myopic[i, z]]["meter_w"] * weight * total_w / weighted_w
        setpoint_mhz[i, z] = nearest_mhz(z, profiles, menus, part_w)


@kernel
def act(
    i: int, action: np.ndarray, env: np.void, profiles: np.ndarray, menus: np.ndarray, reach: np.ndarray,
    switch_s: np.ndarray, zone_params: np.ndarray, zone_state: np.ndarray, place: np.void, myopic: np.ndarray,
    setpoint_mhz: np.ndarray,
) -> None:  # fmt: skip
    """Turn the action of environment `i` into commands: its columns are those of `actions.action_table`."""
    n_zones, per_zone = zone_state.shape[1], int(env["per_zone"])
    has_power = 0 if env["action_kind"] == PLAN else 1
    for z in range(n_zones):
        base = z * per_zone
        if has_power:
            setpoint_mhz[i, z] = decode(z, action[i, base], zone_state[i, z], profiles, menus, myopic[i, z], env)
        else:
            setpoint_mhz[i, z] = profiles[z, myopic[i, z]]["freq_mhz"]
        if env["has_cooling"] > 0.0:
            command_cooling(
                zone_state[i, z], zone_params[z]["plant_kind"], reach[z], action[i, base + has_power],
                action[i, base + has_power + 1],
            )  # fmt: skip
    if env["has_share"] > 0.0:
        share_load(i, action, per_zone, per_zone - 1, profiles, menus, myopic, setpoint_mhz)
    at = n_zones * per_zone + int(env["has_offer"])
    if env["market_kind"] > 0.0:
        n = switch_s.shape[0]
        wanted = action[i, at] if env["market_kind"] == 1.0 else np.floor((action[i, at] + 1.0) * 0.5 * n)
        change_market(place, int(min(max(wanted, 0.0), n - 1.0)), switch_s)


@kernel
def offer(i: int, n_zones: int, action: np.ndarray, env: np.void, place: np.void) -> None:
    """Take the offer of environment `i`'s action for the next local day: after the step, which may have begun a day."""
    if env["has_offer"] > 0.0:
        at = n_zones * int(env["per_zone"])
        place["next_withheld_frac"] = 0.5 - 0.5 * min(max(action[i, at], -1.0), 1.0)


@kernel
def baseline_usd(
    i: int, profiles: np.ndarray, myopic: np.ndarray, exogenous: np.ndarray, site_state: np.ndarray
) -> float:
    """Return what the myopic profiles of environment `i` would earn in this step at steady state. [USD]"""
    series, step = site_state[i]["series"], site_state[i]["step"]
    terahash_usd = CONTROL_STEP_S * usd_per_th(exogenous[series, step, HASHPRICE])
    watt_usd = STEP_MWH_PER_W * exogenous[series, step, PRICE]
    total = 0.0
    for z in range(profiles.shape[0]):
        profile = profiles[z, myopic[i, z]]
        total += profile["paid_ths"] * terahash_usd - profile["meter_w"] * watt_usd
    return total
