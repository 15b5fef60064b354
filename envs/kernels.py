"""Compiled parts of the environments: action to set-point, step, costs, reward, observation, reset.

Everything here is in one file on purpose: numba's cache sees a change of this file, and the cache folder's name sees a
change of the simulator's.
"""

from typing import Final

import numpy as np

from ..sim import noise
from ..sim.constants import CONTROL_STEP_S, KWH_PER_MWH, SECONDS_PER_HOUR, usd_per_th
from ..sim.jit import kernel
from ..sim.site import step_one
from ..sim.state import ASLEEP, HASHING, STARTING, TRIPPED

DISCRETE: Final = 0.0
BOX: Final = 1.0

_W_STEP_PER_MWH: Final = CONTROL_STEP_S / SECONDS_PER_HOUR / KWH_PER_MWH / 1000.0
"""Energy of one watt over a control step. [MWh]"""

_POWER_NOISE: Final = 0.01
"""Standard deviation of measured power. assumed: a good meter; firmware estimates are worse (Foreman: 5-20 %)."""
_HASHRATE_NOISE: Final = 0.01
"""Standard deviation of measured hashrate over five minutes and a container. assumed."""
_TEMP_NOISE_K: Final = 0.5
"""Standard deviation of a chip sensor. assumed."""

ENV_PARAMS: Final = np.dtype(
    [
        (name, np.float64)
        for name in (
            "action_kind", "first_offset", "sleep_below", "wake_above", "min_dwell_s", "over_rule", "reward_per_usd",
            "chip_limit_c", "ramp_limit_pu", "episode_steps", "first_start", "last_start", "n_series",
            "known_price", "n_channels",
        )
    ]
)  # fmt: skip
"""Parameters of an environment batch.

first_offset: profile offset of discrete action 1; over_rule: 1 for the reward `profit_over_rule`; first_start and
last_start: range of episode starts; known_price: column of the known price; n_channels: channels copied into the
observation.
"""

PROFILE: Final = np.dtype([(name, np.float64) for name in ("freq_mhz", "meter_w", "paid_ths", "is_real")])
"""One profile of a zone at steady state: power at the meter of the whole zone, hashrate that is paid."""


@kernel
def myopic_profile(profiles: np.ndarray, price_usd_per_mwh: float, usd_per_terahash: float) -> int:
    """Return the profile that earns most in a step at a price, off excluded."""
    best, best_usd = 0, -np.inf
    for k in range(profiles.shape[0]):
        profile = profiles[k]
        if profile["is_real"] > 0.0:
            usd = (
                profile["paid_ths"] * CONTROL_STEP_S * usd_per_terahash
                - profile["meter_w"] * _W_STEP_PER_MWH * price_usd_per_mwh
            )
            if usd > best_usd:
                best, best_usd = k, usd
    return best


@kernel
def break_even_usd_per_mwh(profiles: np.ndarray, usd_per_terahash: float) -> float:
    """Return the highest price at which some profile of a zone earns something. [USD/MWh]"""
    best = 0.0
    for k in range(profiles.shape[0]):
        profile = profiles[k]
        if profile["is_real"] > 0.0:
            usd = profile["paid_ths"] * CONTROL_STEP_S * usd_per_terahash
            best = max(best, usd / (profile["meter_w"] * _W_STEP_PER_MWH))
    return best


@kernel
def count_profiles(profiles: np.ndarray) -> int:
    """Return the number of real profiles of a zone; rows beyond are padding."""
    count = 0
    for k in range(profiles.shape[0]):
        if profiles[k]["is_real"] > 0.0:
            count += 1
    return count


@kernel
def decode(action: float, zone: np.void, profiles: np.ndarray, myopic: int, env: np.void) -> float:
    """Return the frequency set-point [MHz] of an action on one zone, 0 for sleep.

    Discrete: 0 is off, k ≥ 1 is the myopic profile moved by first_offset + k - 1. Box: a sleep band with hysteresis
    and a shortest dwell; the rest of the range is the power target from the lowest to the highest profile, snapped to
    the nearest profile by power.
    """
    top = count_profiles(profiles) - 1
    if env["action_kind"] == DISCRETE:
        if action <= 0.0:
            return 0.0
        k = min(max(myopic + int(env["first_offset"] + action) - 1, 0), top)
        return profiles[k]["freq_mhz"]
    is_awake = zone["mode"] == HASHING or zone["mode"] == STARTING
    if zone["mode_s"] >= env["min_dwell_s"]:
        if action < env["sleep_below"]:
            is_awake = False
        elif action > env["wake_above"]:
            is_awake = True
    if not is_awake:
        return 0.0
    frac = min(max((action - env["sleep_below"]) / (1.0 - env["sleep_below"]), 0.0), 1.0)
    low_w, high_w = profiles[0]["meter_w"], profiles[top]["meter_w"]
    target_w = low_w + frac * (high_w - low_w)
    best, best_gap_w = 0, np.inf
    for k in range(top + 1):
        gap_w = abs(profiles[k]["meter_w"] - target_w)
        if gap_w < best_gap_w:
            best, best_gap_w = k, gap_w
    return profiles[best]["freq_mhz"]


@kernel
def baseline_usd(profiles: np.ndarray, env: np.void, now: np.ndarray) -> float:
    """Return what the myopic profiles would earn in a step at steady state, all zones, at the settlement price. [USD]"""
    total = 0.0
    terahash_usd = usd_per_th(now[3])
    for z in range(profiles.shape[0]):
        k = myopic_profile(profiles[z], now[int(env["known_price"])], terahash_usd)
        profile = profiles[z, k]
        total += profile["paid_ths"] * CONTROL_STEP_S * terahash_usd - profile["meter_w"] * _W_STEP_PER_MWH * now[2]
    return total


@kernel
def count_costs(zone_flow: np.ndarray, zone_params: np.ndarray, flow: np.void, s: np.void, env: np.void, out: np.ndarray) -> None:
    """Fill the named costs of one environment's step, in the order of `tables.COSTS`."""
    hot, ramp, starts = 0.0, 0.0, 0.0
    for z in range(zone_flow.shape[0]):
        if zone_flow[z]["max_chip_temp_c"] > env["chip_limit_c"]:
            hot += 1.0
        ramp += max(0.0, zone_flow[z]["rise_pu"] - env["ramp_limit_pu"])
        starts += zone_flow[z]["starts"] / zone_params[z]["n_units"]
    power_w = flow["energy_kwh"] * SECONDS_PER_HOUR / CONTROL_STEP_S * 1000.0
    out[0] = hot
    out[1] = ramp
    out[2] = starts
    out[3] = max(0.0, power_w / s["site_cap_w"] - 1.0)


@kernel
def observe_one(
    i: int, env: np.void, columns: np.ndarray, low: np.ndarray, high: np.ndarray, profiles: np.ndarray,
    exogenous: np.ndarray, zone_params: np.ndarray, zone_state: np.ndarray, site_state: np.ndarray, obs: np.ndarray,
) -> None:  # fmt: skip
    """Write the observation of environment `i`, in the order of `tables.observation_table`."""
    place = site_state[i]
    now = exogenous[place["series"], place["step"]]
    for j in range(columns.shape[0]):
        obs[i, j] = now[columns[j]]
    at = columns.shape[0]
    terahash_usd = usd_per_th(now[3])
    known_usd = now[int(env["known_price"])]
    break_even = 0.0
    for z in range(zone_state.shape[1]):
        break_even = max(break_even, break_even_usd_per_mwh(profiles[z], terahash_usd))
    obs[i, at] = break_even
    obs[i, at + 1] = known_usd / max(break_even, 1.0)
    at += 2
    key, age = place["key"], np.uint64(place["age"])
    for z in range(zone_state.shape[1]):
        zone = zone_state[i, z]
        p = zone_params[z]
        span_mhz = p["max_mhz"] - p["min_mhz"]
        shift = np.uint64(z * 16)
        obs[i, at] = 1.0 if zone["mode"] == ASLEEP else 0.0
        obs[i, at + 1] = 1.0 if zone["mode"] == STARTING else 0.0
        obs[i, at + 2] = 1.0 if zone["mode"] == HASHING else 0.0
        obs[i, at + 3] = 1.0 if zone["mode"] == TRIPPED else 0.0
        obs[i, at + 4] = zone["mode_s"] / SECONDS_PER_HOUR
        obs[i, at + 5] = zone["timer_s"]
        obs[i, at + 6] = (zone["target_mhz"] - p["min_mhz"]) / span_mhz
        obs[i, at + 7] = (zone["cap_mhz"] - p["min_mhz"]) / span_mhz
        k = myopic_profile(profiles[z], known_usd, terahash_usd)
        obs[i, at + 8] = (profiles[z, k]["freq_mhz"] - p["min_mhz"]) / span_mhz
        obs[i, at + 9] = zone["power_w"] * (1.0 + _POWER_NOISE * noise.bell(key, age, noise.STREAM_POWER_SENSOR + shift))
        obs[i, at + 10] = zone["hashrate_ths"] * (
            1.0 + _HASHRATE_NOISE * noise.bell(key, age, noise.STREAM_HASHRATE_SENSOR + shift)
        )
        obs[i, at + 11] = zone["hot_temp_c"] + _TEMP_NOISE_K * noise.bell(key, age, noise.STREAM_CHIP_SENSOR + shift)
        obs[i, at + 12] = zone["inlet_temp_c"]
        obs[i, at + 13] = zone["fan_pu"]
        at += 14
    for j in range(obs.shape[1]):
        obs[i, j] = min(max(obs[i, j], low[j]), high[j])


@kernel
def transition_range(
    lo: int, hi: int, action: np.ndarray, env_params: np.ndarray, columns: np.ndarray, low: np.ndarray,
    high: np.ndarray, profiles: np.ndarray, exogenous: np.ndarray, zone_params: np.ndarray, site_params: np.ndarray,
    zone_state: np.ndarray, site_state: np.ndarray, zone_flow: np.ndarray, site_flow: np.ndarray,
    setpoint_mhz: np.ndarray, costs: np.ndarray, reward: np.ndarray, truncated: np.ndarray, obs: np.ndarray,
) -> None:  # fmt: skip
    """Step the environments of [lo, hi): action, simulator, costs, reward, truncation, observation."""
    env = env_params[0]
    for i in range(lo, hi):
        place = site_state[i]
        now = exogenous[place["series"], place["step"]]
        terahash_usd = usd_per_th(now[3])
        known_usd = now[int(env["known_price"])]
        for z in range(zone_state.shape[1]):
            myopic = 0
            if env["action_kind"] == DISCRETE:
                myopic = myopic_profile(profiles[z], known_usd, terahash_usd)
            setpoint_mhz[i, z] = decode(action[i, z], zone_state[i, z], profiles[z], myopic, env)
        step_one(i, setpoint_mhz, exogenous, zone_params, site_params, zone_state, site_state, zone_flow, site_flow)
        count_costs(zone_flow[i], zone_params, site_flow[i], site_params[0], env, costs[i])
        usd = site_flow[i]["profit_usd"]
        if env["over_rule"] > 0.0:
            usd -= baseline_usd(profiles, env, now)
        reward[i] = usd * env["reward_per_usd"]
        truncated[i] = place["age"] >= env["episode_steps"]
        observe_one(
            i, env, columns, low, high, profiles, exogenous, zone_params, zone_state, site_state, obs
        )


@kernel
def reset_one(
    i: int, start: int, env: np.void, fresh: np.ndarray, exogenous: np.ndarray, zone_state: np.ndarray, site_state: np.ndarray
) -> None:
    """Begin the next episode of environment `i`; a start below 0 is drawn from the episode's key."""
    place = site_state[i]
    place["key"] = noise.episode_key(place["seed"], place["episode"])
    series_draw = noise.uniform(place["key"], np.uint64(0), noise.STREAM_SERIES)
    start_draw = noise.uniform(place["key"], np.uint64(0), noise.STREAM_START)
    place["series"] = int(series_draw * env["n_series"])
    first, last = env["first_start"], env["last_start"]
    place["step"] = start if start >= 0 else int(first + start_draw * (last - first + 1.0))
    place["age"] = 0
    inlet_c = exogenous[place["series"], place["step"], 0]
    for z in range(zone_state.shape[1]):
        zone_state[i, z] = fresh[z]
        zone_state[i, z]["inlet_temp_c"] = max(5.0, inlet_c)


@kernel
def reset_many(
    index: np.ndarray, start: np.ndarray, env_params: np.ndarray, columns: np.ndarray, low: np.ndarray,
    high: np.ndarray, profiles: np.ndarray, fresh: np.ndarray, exogenous: np.ndarray, zone_params: np.ndarray,
    zone_state: np.ndarray, site_state: np.ndarray, obs: np.ndarray,
) -> None:  # fmt: skip
    """Reset the environments of `index` and write their first observations."""
    env = env_params[0]
    for j in range(index.shape[0]):
        i = index[j]
        reset_one(i, start[j], env, fresh, exogenous, zone_state, site_state)
        observe_one(
            i, env, columns, low, high, profiles, exogenous, zone_params, zone_state, site_state, obs
        )


@kernel
def observe_range(
    lo: int, hi: int, env_params: np.ndarray, columns: np.ndarray, low: np.ndarray, high: np.ndarray,
    profiles: np.ndarray, exogenous: np.ndarray, zone_params: np.ndarray, zone_state: np.ndarray,
    site_state: np.ndarray, obs: np.ndarray,
) -> None:  # fmt: skip
    """Write the observations of the environments of [lo, hi)."""
    for i in range(lo, hi):
        observe_one(
            i, env_params[0], columns, low, high, profiles, exogenous, zone_params, zone_state, site_state, obs
        )
