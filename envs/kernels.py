"""Compiled parts of the environments: action to set-point, step, costs, reward, observation, reset.

Everything here is in one file on purpose: numba's cache sees a change of this file, and the cache folder's name sees a
change of the simulator's.
"""

from typing import Final

import numpy as np

from ..sim import noise
from ..sim.constants import CONTROL_STEP_S, SECONDS_PER_HOUR, STEP_MWH_PER_W, usd_per_th
from ..sim.jit import kernel
from ..sim.plants import CONTAINER
from ..sim.site import BLOCK, HASHPRICE, step_range
from ..sim.state import ASLEEP, HASHING, STARTING, TRIPPED
from ..sim.world import SIM_CHANNELS

LEAST_PEAK_PU: Final = 0.5
"""A month's peak before an episode that begins within it is drawn from this share of the site's full power to all of it. chosen."""

PRICE: Final = SIM_CHANNELS.index("price_usd_per_mwh")
KNOWN_HASHPRICE: Final = 3
"""Place of the hashprice among the known channels, by the order of `tables.SITE_CHANNELS`; a test holds it."""

DISCRETE: Final = 0.0
BOX: Final = 1.0
PROFILE_INDEX: Final = 2.0

_POWER_NOISE: Final = 0.01  # of measured power; assumed: a good meter, firmware estimates are worse (Foreman: 5-20 %)
_HASHRATE_NOISE: Final = 0.01  # of measured hashrate over five minutes and a container; assumed
_TEMP_NOISE_K: Final = 0.5  # of a chip sensor; assumed

ENV_PARAMS: Final = np.dtype(
    [
        (name, np.float64)
        for name in (
            "action_kind", "first_offset", "sleep_below", "wake_above", "min_sleep_s", "over_rule", "reward_per_usd",
            "chip_limit_c", "ramp_limit_pu", "episode_steps", "first_start", "last_start", "n_series", "rated_kw", "interval_h",
            "has_demand", "peak_kw",
        )
    ]
)  # fmt: skip
"""Parameters of an environment batch.

first_offset: profile offset of discrete action 1; over_rule: 1 for `profit_over_rule`; first_start, last_start: range of
episode starts; has_demand: 1 where the meter's state is observed; peak_kw: largest drawn peak of the month before.
"""

PROFILE: Final = np.dtype([(name, np.float64) for name in ("freq_mhz", "meter_w", "paid_ths")])
"""One profile of a zone at steady state: power at the meter of the whole zone, hashrate that is paid."""

MENU: Final = np.dtype([("n_profiles", np.int64), ("best_ths_per_w", np.float64)])
"""A zone's menu: number of real profiles in its row of the padded table, and the most hashrate that a watt pays."""


@kernel
def myopic_profile(
    z: int, profiles: np.ndarray, menus: np.ndarray, price_usd_per_mwh: float, usd_per_terahash: float
) -> int:
    """Return the profile of zone `z` that earns most in a step at a price, off excluded."""
    watt_usd = price_usd_per_mwh * STEP_MWH_PER_W
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
    target_w = low_w + frac * (high_w - low_w)
    best, best_gap_w = 0, np.inf
    for k in range(top + 1):
        gap_w = abs(profiles[z, k]["meter_w"] - target_w)
        if gap_w < best_gap_w:
            best, best_gap_w = k, gap_w
    return profiles[z, best]["freq_mhz"]


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


@kernel
def count_costs(
    i: int,
    zone_flow: np.ndarray,
    zone_params: np.ndarray,
    site_flow: np.void,
    s: np.void,
    env: np.void,
    out: np.ndarray,
) -> None:
    """Fill the named costs of environment `i`'s step, in the order of `tables.COSTS`."""
    hot, ramp, starts = 0.0, 0.0, 0.0
    for z in range(zone_flow.shape[1]):
        if zone_flow[i, z]["max_chip_temp_c"] > env["chip_limit_c"]:
            hot += 1.0
        ramp += max(0.0, zone_flow[i, z]["rise_pu"] - env["ramp_limit_pu"])
        starts += zone_flow[i, z]["starts"] / zone_params[z]["n_units"]
    steps_per_h = SECONDS_PER_HOUR / CONTROL_STEP_S
    power_w = site_flow["energy_kwh"] * steps_per_h * 1000.0
    out[i, 0] = hot
    out[i, 1] = ramp
    out[i, 2] = starts
    out[i, 3] = max(0.0, power_w / s["site_cap_w"] - 1.0)
    out[i, 4] = site_flow["call_excess_kwh"] * steps_per_h / env["rated_kw"]


@kernel
def observe_site(i: int, known: np.ndarray, site_state: np.ndarray, obs: np.ndarray) -> None:
    """Write the known channels into the observation of environment `i`: a loop of its own, so that the processor
    fetches the rows of many environments at once.
    """  # noqa: D205
    series, step = site_state[i]["series"], site_state[i]["step"]
    for j in range(known.shape[2]):
        obs[i, j] = known[series, step, j]


@kernel
def observe_zones(
    i: int, n_known: int, env: np.void, low: np.ndarray, high: np.ndarray, profiles: np.ndarray, menus: np.ndarray,
    zone_params: np.ndarray, zone_state: np.ndarray, site_state: np.ndarray, myopic: np.ndarray, obs: np.ndarray,
) -> None:  # fmt: skip
    """Write the rest of the observation of environment `i`, in the order of `tables.observation_table`, and clip it."""
    place = site_state[i]
    known_usd, terahash_usd = float(obs[i, 0]), usd_per_th(float(obs[i, KNOWN_HASHPRICE]))
    step_key = noise.combine(place["key"], np.uint64(place["age"]))
    break_even, at = 0.0, n_known + 2
    if env["has_demand"] > 0.0:
        obs[i, at] = place["interval_kwh"] / (env["rated_kw"] * env["interval_h"])
        obs[i, at + 1] = max(place["peak_kw"], place["window_peak_kw"]) / env["rated_kw"]
        at += 2
    for z in range(zone_state.shape[1]):
        zone, p = zone_state[i, z], zone_params[z]
        break_even = max(break_even, break_even_usd_per_mwh(menus[z], terahash_usd))
        k = myopic_profile(z, profiles, menus, known_usd, terahash_usd)
        myopic[i, z] = k
        per_mhz = 1.0 / (p["max_mhz"] - p["min_mhz"])
        shift = np.uint64(z * 16)
        power_bell = noise.bell(step_key, noise.STREAM_POWER_SENSOR + shift)
        hashrate_bell = noise.bell(step_key, noise.STREAM_HASHRATE_SENSOR + shift)
        chip_bell = noise.bell(step_key, noise.STREAM_CHIP_SENSOR + shift)
        obs[i, at] = 1.0 if zone["mode"] == ASLEEP else 0.0
        obs[i, at + 1] = 1.0 if zone["mode"] == STARTING else 0.0
        obs[i, at + 2] = 1.0 if zone["mode"] == HASHING else 0.0
        obs[i, at + 3] = 1.0 if zone["mode"] == TRIPPED else 0.0
        obs[i, at + 4] = zone["mode_s"] / SECONDS_PER_HOUR
        obs[i, at + 5] = zone["timer_s"]
        obs[i, at + 6] = (zone["target_mhz"] - p["min_mhz"]) * per_mhz
        obs[i, at + 7] = (zone["cap_mhz"] - p["min_mhz"]) * per_mhz
        obs[i, at + 8] = (profiles[z, k]["freq_mhz"] - p["min_mhz"]) * per_mhz
        obs[i, at + 9] = zone["power_w"] * (1.0 + _POWER_NOISE * power_bell)
        obs[i, at + 10] = zone["hashrate_ths"] * (1.0 + _HASHRATE_NOISE * hashrate_bell)
        obs[i, at + 11] = zone["hot_temp_c"] + _TEMP_NOISE_K * chip_bell
        obs[i, at + 12] = zone["inlet_temp_c"]
        obs[i, at + 13] = zone["fan_pu"]
        at += 14
    obs[i, n_known] = break_even
    obs[i, n_known + 1] = known_usd / max(break_even, 1.0)
    for j in range(obs.shape[1]):
        obs[i, j] = min(max(obs[i, j], low[j]), high[j])


@kernel
def observe_range(
    lo: int, hi: int, env: np.void, low: np.ndarray, high: np.ndarray, profiles: np.ndarray, menus: np.ndarray,
    known: np.ndarray, zone_params: np.ndarray, zone_state: np.ndarray, site_state: np.ndarray, myopic: np.ndarray,
    obs: np.ndarray,
) -> None:  # fmt: skip
    """Write the observations of the environments of [lo, hi)."""
    for i in range(lo, hi):
        observe_site(i, known, site_state, obs)
    for i in range(lo, hi):
        observe_zones(
            i, known.shape[2], env, low, high, profiles, menus, zone_params, zone_state, site_state, myopic, obs
        )


@kernel
def transition_range(
    lo: int, hi: int, action: np.ndarray, env_params: np.ndarray, low: np.ndarray, high: np.ndarray,
    profiles: np.ndarray, menus: np.ndarray, exogenous: np.ndarray, known: np.ndarray, site_events: np.ndarray,
    zone_events: np.ndarray, links: np.ndarray, zone_params: np.ndarray, site_params: np.ndarray, zone_state: np.ndarray, site_state: np.ndarray, zone_flow: np.ndarray,
    site_flow: np.ndarray, setpoint_mhz: np.ndarray, costs: np.ndarray, reward: np.ndarray, truncated: np.ndarray,
    myopic: np.ndarray, obs: np.ndarray,
) -> None:  # fmt: skip
    """Step the environments of [lo, hi): action, simulator, costs, reward, truncation, observation."""
    env = env_params[0]
    for first in range(lo, hi, BLOCK):
        last = min(first + BLOCK, hi)
        for i in range(first, last):
            reward[i] = 0.0
            if env["over_rule"] > 0.0:
                reward[i] = -baseline_usd(i, profiles, myopic, exogenous, site_state)
            for z in range(zone_state.shape[1]):
                setpoint_mhz[i, z] = decode(z, action[i, z], zone_state[i, z], profiles, menus, myopic[i, z], env)
        step_range(
            first, last, setpoint_mhz, exogenous, site_events, zone_events, links, zone_params, site_params, zone_state,
            site_state, zone_flow, site_flow,
        )  # fmt: skip
        for i in range(first, last):
            count_costs(i, zone_flow, zone_params, site_flow[i], site_params[0], env, costs)
            reward[i] = (reward[i] + site_flow[i]["profit_usd"]) * env["reward_per_usd"]
            truncated[i] = site_state[i]["age"] >= env["episode_steps"]
            # A batch that is stepped on without a reset stays on the last row of its series.
            site_state[i]["step"] = min(site_state[i]["step"], exogenous.shape[1] - 1)
        observe_range(
            first, last, env, low, high, profiles, menus, known, zone_params, zone_state, site_state, myopic, obs
        )


@kernel
def reset_one(
    i: int, start: int, env: np.void, fresh: np.ndarray, exogenous: np.ndarray,
    zone_params: np.ndarray, zone_state: np.ndarray, site_state: np.ndarray,
) -> None:  # fmt: skip
    """Begin the next episode of environment `i`; a start below 0 is drawn from the episode's key."""
    place = site_state[i]
    place["key"] = noise.episode_key(place["seed"], place["episode"])
    step_key = noise.combine(place["key"], np.uint64(0))
    series_draw = noise.uniform(step_key, noise.STREAM_SERIES)
    start_draw = noise.uniform(step_key, noise.STREAM_START)
    place["series"] = int(series_draw * env["n_series"])
    first, last = env["first_start"], env["last_start"]
    place["step"] = start if start >= 0 else int(first + start_draw * (last - first + 1.0))
    place["age"] = 0
    place["interval_kwh"] = 0.0
    # A month that begins with the episode forgets it in the first step.
    drawn = LEAST_PEAK_PU + (1.0 - LEAST_PEAK_PU) * noise.uniform(step_key, noise.STREAM_PEAK)
    place["peak_kw"] = drawn * env["peak_kw"]
    place["window_peak_kw"] = place["peak_kw"]
    place["market"] = 0
    place["switch_s"] = 0.0
    inlet_c = exogenous[place["series"], place["step"], 0]
    for z in range(zone_state.shape[1]):
        zone_state[i, z] = fresh[z]
        if zone_params[z]["plant_kind"] == CONTAINER:
            zone_state[i, z]["inlet_temp_c"] = max(zone_params[z]["inlet_min_c"], inlet_c)


@kernel
def reset_many(
    index: np.ndarray, start: np.ndarray, env_params: np.ndarray, low: np.ndarray, high: np.ndarray,
    profiles: np.ndarray, menus: np.ndarray, fresh: np.ndarray, exogenous: np.ndarray,
    known: np.ndarray, zone_params: np.ndarray, zone_state: np.ndarray, site_state: np.ndarray, myopic: np.ndarray, obs: np.ndarray,
) -> None:  # fmt: skip
    """Reset the environments of `index` and write their first observations."""
    for j in range(index.shape[0]):
        i = index[j]
        reset_one(i, start[j], env_params[0], fresh, exogenous, zone_params, zone_state, site_state)
        observe_range(
            i, i + 1, env_params[0], low, high, profiles, menus, known, zone_params, zone_state, site_state, myopic, obs
        )
