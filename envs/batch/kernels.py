"""Compiled parts of the environments: step, costs, reward and reset. Action and observation are in `acting` and `observing`."""

from typing import Final

import numpy as np

from ...sim.cooling.plants import CONTAINER, LOOP
from ...sim.foundation import noise
from ...sim.foundation.constants import CONTROL_STEP_S, SECONDS_PER_HOUR
from ...sim.foundation.jit import kernel
from ...sim.site.step import BLOCK, step_range
from .acting import act, baseline_usd, offer
from .observing import observe_range, span

LEAST_PEAK_PU: Final = 0.5
"""A month's peak before an episode that begins within it is drawn from this share of the site's full power to all of it. chosen."""

ENV_PARAMS: Final = np.dtype(
    [
        (name, np.float64)
        for name in (
            "action_kind", "first_offset", "sleep_below", "wake_above", "min_sleep_s", "over_rule", "reward_per_usd",
            "chip_limit_c", "ramp_limit_pu", "episode_steps", "first_start", "last_start", "n_series", "rated_kw", "interval_h",
            "has_demand", "peak_kw", "per_zone", "has_cooling", "has_share", "has_offer", "market_kind", "n_markets", "gradient_limit_k",
            "inlet_low_c", "inlet_high_c", "loop_low_c", "loop_high_c", "power_dev_low", "power_dev_high", "hashrate_dev_low",
            "hashrate_dev_high", "sink_dev_low", "sink_dev_high", "noise_low", "noise_high",
        )
    ]
)  # fmt: skip
"""Parameters of an environment batch.

first_offset: profile offset of discrete action 1; over_rule: 1 for `profit_over_rule`; first_start, last_start: range of
episode starts; has_demand: 1 where the meter's state is observed; peak_kw: largest drawn peak of the month before; per_zone: columns of the action that a zone has; has_cooling, has_share, has_offer:
1 where the action has them; market_kind: 0 none, 1 a number, 2 a bin of [-1, 1]; …_low, …_high: ranges from which an episode draws.
"""


@kernel
def count_costs(
    i: int,
    zone_flow: np.ndarray,
    zone_params: np.ndarray,
    site_flow: np.void,
    s: np.void,
    env: np.void,
    profiles: np.ndarray,
    myopic: np.ndarray,
    setpoint_mhz: np.ndarray,
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
    out[i, 5], out[i, 6], out[i, 7] = 0.0, 0.0, 0.0
    planned_w, wanted_w = 0.0, 0.0
    for z in range(zone_flow.shape[1]):
        inlet_c, is_on = zone_flow[i, z]["inlet_temp_c"], zone_flow[i, z]["powered_sum"] > 0.0
        loop = zone_params[z]["plant_kind"] == LOOP
        low_c, high_c = (env["loop_low_c"], env["loop_high_c"]) if loop else (env["inlet_low_c"], env["inlet_high_c"])
        if is_on:
            out[i, 5] += max(0.0, low_c - inlet_c) + max(0.0, inlet_c - high_c)
        if z > 0 and is_on and zone_flow[i, z - 1]["powered_sum"] > 0.0:
            apart_k = abs(zone_flow[i, z]["max_chip_temp_c"] - zone_flow[i, z - 1]["max_chip_temp_c"])
            out[i, 6] += max(0.0, apart_k - env["gradient_limit_k"])
        if env["has_share"] > 0.0:
            planned_w += profiles[z, myopic[i, z]]["meter_w"]
            for k in range(profiles.shape[1]):
                if profiles[z, k]["freq_mhz"] == setpoint_mhz[i, z]:
                    wanted_w += profiles[z, k]["meter_w"]
    if planned_w > 0.0:
        out[i, 7] = max(0.0, 1.0 - wanted_w / planned_w)


@kernel
def transition_range(
    lo: int, hi: int, action: np.ndarray, env_params: np.ndarray, low: np.ndarray, high: np.ndarray,
    profiles: np.ndarray, menus: np.ndarray, reach: np.ndarray, switch_s: np.ndarray, exogenous: np.ndarray, known: np.ndarray, site_events: np.ndarray,
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
            act(
                i, action, env, profiles, menus, reach, switch_s, zone_params, zone_state, site_state[i], myopic,
                setpoint_mhz,
            )  # fmt: skip
        step_range(
            first, last, setpoint_mhz, exogenous, site_events, zone_events, links, zone_params, site_params, zone_state,
            site_state, zone_flow, site_flow,
        )  # fmt: skip
        for i in range(first, last):
            count_costs(
                i, zone_flow, zone_params, site_flow[i], site_params[0], env, profiles, myopic, setpoint_mhz, costs
            )
            offer(i, zone_state.shape[1], action, env, site_state[i])
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
    place["withheld_frac"] = 0.0
    place["next_withheld_frac"] = 0.0
    inlet_c = exogenous[place["series"], place["step"], 0]
    for z in range(zone_state.shape[1]):
        zone_state[i, z] = fresh[z]
        shift = np.uint64(z * 16)
        key, state = place["key"], zone_state[i, z]
        state["power_dev"] = span(env["power_dev_low"], env["power_dev_high"], key, noise.STREAM_POWER_DEV + shift)
        state["hashrate_dev"] = span(
            env["hashrate_dev_low"], env["hashrate_dev_high"], key, noise.STREAM_HASHRATE_DEV + shift
        )
        state["sink_dev"] = span(env["sink_dev_low"], env["sink_dev_high"], key, noise.STREAM_SINK_DEV + shift)
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
