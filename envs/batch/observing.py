"""What is observed, compiled: known channels, the meter, offers and markets, and the sensors of each zone."""

from typing import Final

import numpy as np

from ...sim.foundation import noise
from ...sim.foundation.constants import SECONDS_PER_HOUR, usd_per_th
from ...sim.foundation.jit import kernel
from ...sim.hardware.firmware import ASLEEP, HASHING, STARTING, TRIPPED
from .acting import break_even_usd_per_mwh, myopic_profile

KNOWN_HASHPRICE: Final = 3
"""Place of the hashprice among the known channels, by the order of `tables.SITE_CHANNELS`; a test holds it."""

_POWER_NOISE: Final = 0.01  # of measured power; assumed: a good meter, firmware estimates are worse (Foreman: 5-20 %)
_HASHRATE_NOISE: Final = 0.01  # of measured hashrate over five minutes and a container; assumed
_TEMP_NOISE_K: Final = 0.5  # of a chip sensor; assumed


@kernel
def span(low: float, high: float, key: np.uint64, stream: np.uint64) -> float:
    """Return an episode's draw from a range."""
    return low + (high - low) * noise.uniform(noise.combine(key, np.uint64(0)), stream)


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
    rough = env["noise_low"]
    if env["noise_high"] > rough:
        rough = span(rough, env["noise_high"], place["key"], noise.STREAM_ROUGHNESS)
    break_even, at = 0.0, n_known + 2
    if env["has_demand"] > 0.0:
        obs[i, at] = place["interval_kwh"] / (env["rated_kw"] * env["interval_h"])
        obs[i, at + 1] = max(place["peak_kw"], place["window_peak_kw"]) / env["rated_kw"]
        at += 2
    if env["has_offer"] > 0.0:
        obs[i, at] = 1.0 - place["withheld_frac"]
        obs[i, at + 1] = 1.0 - place["next_withheld_frac"]
        at += 2
    if env["n_markets"] > 1.0:
        for m in range(int(env["n_markets"])):
            obs[i, at + m] = 1.0 if place["market"] == m else 0.0
        obs[i, at + int(env["n_markets"])] = place["switch_s"]
        at += int(env["n_markets"]) + 1
    for z in range(zone_state.shape[1]):
        zone, p = zone_state[i, z], zone_params[z]
        break_even = max(break_even, break_even_usd_per_mwh(menus[z], terahash_usd))
        k = myopic_profile(z, profiles, menus, known_usd, terahash_usd)
        myopic[i, z] = k
        per_mhz = 1.0 / (p["max_mhz"] - p["min_mhz"])
        shift = np.uint64(z * 16)
        power_bell = rough * noise.bell(step_key, noise.STREAM_POWER_SENSOR + shift)
        hashrate_bell = rough * noise.bell(step_key, noise.STREAM_HASHRATE_SENSOR + shift)
        chip_bell = rough * noise.bell(step_key, noise.STREAM_CHIP_SENSOR + shift)
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
        if env["has_cooling"] > 0.0:
            obs[i, at] = zone["exhaust_temp_c"]
            obs[i, at + 1] = zone["pad_on"]
            at += 2
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
