"""Compiled parts of the environments: step, costs, reward and reset. Action and observation are in `acting` and `observing`."""

from typing import Final

import numpy as np

from ...sim.contract.channels import OUTDOOR_TEMP_C
from ...sim.contract.reserve import N_HOURS
from ...sim.cooling import plants
from ...sim.foundation import noise
from ...sim.foundation.constants import CONTROL_STEP_S, KWH_PER_MWH, SECONDS_PER_HOUR
from ...sim.foundation.jit import kernel
from ...sim.site.step import block_size, step_block
from .acting import act, baseline_usd, offer
from .arrays import EnvBatch, EnvWorld
from .observing import observe, span
from .operating import operate
from .shielding import remember, shield
from .tables import COST_COLUMNS

LEAST_PEAK_PU: Final = 0.5
"""A month's peak before an episode that begins within it is drawn from this share of the site's full power to all of it. chosen."""


@kernel
def missed_load(i: int, world: EnvWorld, batch: EnvBatch) -> float:
    """Return the share of the plan's power that the chosen profiles of environment `i` do not add up to."""
    planned_w, wanted_w = 0.0, 0.0
    for z in range(world.profiles.shape[0]):
        planned_w += world.profiles[z, batch.myopic[i, z]]["meter_power_w"]
        for k in range(world.profiles.shape[1]):
            if world.profiles[z, k]["freq_mhz"] == batch.sim.setpoint_mhz[i, z]:
                wanted_w += world.profiles[z, k]["meter_power_w"]
    return max(0.0, 1.0 - wanted_w / planned_w) if planned_w > 0.0 else 0.0


@kernel
def count_costs(i: int, world: EnvWorld, batch: EnvBatch) -> None:
    """Fill the named costs of environment `i`'s step; what they count stands in `tables.COSTS`."""
    env, out, flow = world.env[0], batch.costs[i], batch.sim.site_flow[i]
    hot, ramp_pu, starts, out_of_range_k, apart_k = 0.0, 0.0, 0.0, 0.0, 0.0
    for z in range(batch.sim.zone.shape[1]):
        zone_flow, zone = batch.sim.zone_flow[i, z], world.sim.zones[z]
        if zone_flow["max_chip_temp_c"] > env["chip_limit_c"]:
            hot += 1.0
        ramp_pu += max(0.0, zone_flow["rise_pu"] - env["ramp_limit_pu"])
        starts += zone_flow["starts"] / zone["n_units"]
        if zone_flow["powered_sub_steps"] > 0.0:
            low_c = env["coolant_low_c"] if zone["is_liquid"] > 0.0 else env["inlet_low_c"]
            high_c = env["coolant_high_c"] if zone["is_liquid"] > 0.0 else env["inlet_high_c"]
            inlet_c = zone_flow["inlet_temp_c"]
            out_of_range_k += max(0.0, low_c - inlet_c) + max(0.0, inlet_c - high_c)
            if z > 0 and batch.sim.zone_flow[i, z - 1]["powered_sub_steps"] > 0.0:
                k = abs(zone_flow["max_chip_temp_c"] - batch.sim.zone_flow[i, z - 1]["max_chip_temp_c"])
                apart_k += max(0.0, k - env["gradient_limit_k"])
    steps_per_h = SECONDS_PER_HOUR / CONTROL_STEP_S
    power_w = flow["energy_kwh"] * steps_per_h * 1000.0
    out[COST_COLUMNS.chip_over_temp] = hot
    out[COST_COLUMNS.power_ramp] = ramp_pu
    out[COST_COLUMNS.starts] = starts
    out[COST_COLUMNS.site_cap] = max(0.0, power_w / world.sim.site[0]["site_cap_w"] - 1.0)
    out[COST_COLUMNS.curtailment_breach] = flow["call_excess_kwh"] * steps_per_h / env["rated_kw"]
    out[COST_COLUMNS.inlet_range] = out_of_range_k
    out[COST_COLUMNS.temp_gradient] = apart_k
    out[COST_COLUMNS.interconnect_breach] = (
        flow["interconnect_breach_kwh"] * steps_per_h * 1000.0 / world.sim.site[0]["import_limit_w"]
    )
    out[COST_COLUMNS.load_missed] = missed_load(i, world, batch) if world.env[0]["act_share"] >= 0 else 0.0


@kernel
def value_stored(i: int, world: EnvWorld, batch: EnvBatch) -> None:
    """Book what the battery of environment `i` holds more than at the begin of its episode, in the episode's last step.

    Without it a policy would sell what there is before the end, and be praised for it.
    """
    site, p, env = batch.sim.site[i], world.sim.site[0], world.env[0]
    if p["battery_power_w"] <= 0.0 or site["age"] != env["episode_steps"]:
        return
    price_usd_per_mwh = float(batch.obs[i, env["energy_price_mean_24h_usd_per_mwh"]])
    more_kwh = site["battery_kwh"] - p["battery_first_charge_pu"] * p["battery_energy_wh"] / 1000.0
    usd = more_kwh * p["battery_cell_efficiency"] * max(0.0, price_usd_per_mwh) / KWH_PER_MWH
    batch.sim.site_flow[i]["stored_usd"] = usd
    batch.sim.site_flow[i]["profit_usd"] += usd


@kernel
def step(lo: int, hi: int, world: EnvWorld, batch: EnvBatch) -> None:
    """Step the environments of [lo, hi): action, simulator, costs, reward, truncation, observation."""
    env = world.env[0]
    size = block_size(batch.sim.zone.shape[1])
    for first in range(lo, hi, size):
        last = min(first + size, hi)
        for i in range(first, last):
            batch.reward[i] = 0.0
            if env["over_rule"] > 0.0:
                batch.reward[i] = -baseline_usd(i, world, batch)
            if batch.moves.shape[1] > 0:
                seen_at = max(env["curve_now_usd_per_mwh"], 0)
                operate(batch.obs[i], batch.obs[i, seen_at:], world.rules[0], batch.moves[i], world, batch.action[i])
            if env["shield"] > 0.0:
                remember(i, batch)
            act(i, world, batch)
            if env["shield"] > 0.0:
                shield(i, world, batch)
        step_block(first, last, world.sim, batch.sim)
        for i in range(first, last):
            site = batch.sim.site[i]
            count_costs(i, world, batch)
            offer(i, world, batch)
            value_stored(i, world, batch)
            batch.reward[i] = (batch.reward[i] + batch.sim.site_flow[i]["profit_usd"]) * env["reward_per_usd"]
            batch.truncated[i] = site["age"] >= env["episode_steps"]
            # A batch that is stepped on without a reset stays on the last row of its series.
            site["step"] = min(site["step"], world.sim.values.shape[1] - 1)
        observe(first, last, world, batch)


@kernel
def reset_one(i: int, start: int, series: int, world: EnvWorld, batch: EnvBatch) -> None:
    """Begin the next episode of environment `i`; a start or a series below 0 is drawn from the episode's key."""
    site, env = batch.sim.site[i], world.env[0]
    site["key"] = noise.episode_key(site["seed"], site["episode"])
    step_key = noise.combine(site["key"], np.uint64(0))
    series_draw = noise.uniform(step_key, noise.STREAM_SERIES)
    start_draw = noise.uniform(step_key, noise.STREAM_START)
    site["series"] = series if series >= 0 else int(series_draw * env["n_series"])
    first, last = env["first_start"], env["last_start"]
    site["step"] = start if start >= 0 else int(first + start_draw * (last - first + 1.0))
    site["age"] = 0
    site["interval_kwh"] = 0.0
    # A month that begins with the episode forgets it in the first step.
    drawn = LEAST_PEAK_PU + (1.0 - LEAST_PEAK_PU) * noise.uniform(step_key, noise.STREAM_PEAK)
    site["peak_kw"] = drawn * env["peak_kw"]
    site["window_peak_kw"] = site["peak_kw"]
    site["market"] = 0
    site["switch_s"] = 0.0
    site["battery_kwh"] = world.sim.site[0]["battery_first_charge_pu"] * world.sim.site[0]["battery_energy_wh"] / 1000.0
    site["battery_aged_frac"] = 0.0
    site["battery_command"] = 0.0
    site["curtailed_frac"] = 0.0
    site["reserve_base_kwh"] = 0.0
    site["reserve_call_s"] = 0.0
    site["reserve_rest_s"] = 0.0
    site["reserve_offered_kwh"] = 0.0
    site["reserve_shed_kwh"] = 0.0
    for hour in range(N_HOURS):
        site["reserve_floor"][hour] = np.inf
        site["reserve_next"][hour] = np.inf
    site["withheld_frac"] = 0.0
    site["next_withheld_frac"] = 0.0
    site["term_offered_kwh"] = 0.0
    site["term_available_kwh"] = 0.0
    site["call_offered_kwh"] = 0.0
    site["call_shed_kwh"] = 0.0
    site["month_kwh"] = 0.0
    site["use_kw"] = 0.0
    outdoor_temp_c = world.sim.values[site["series"], site["step"], OUTDOOR_TEMP_C]
    for z in range(batch.sim.zone.shape[1]):
        batch.sim.zone[i, z] = world.fresh[z]
        shift, key, zone = np.uint64(z * 16), site["key"], batch.sim.zone[i, z]
        zone["power_dev"] = span(env["power_dev_low"], env["power_dev_high"], key, noise.STREAM_POWER_DEV + shift)
        zone["hashrate_dev"] = span(
            env["hashrate_dev_low"], env["hashrate_dev_high"], key, noise.STREAM_HASHRATE_DEV + shift
        )
        zone["sink_dev"] = span(env["sink_dev_low"], env["sink_dev_high"], key, noise.STREAM_SINK_DEV + shift)
        plants.reset(zone, world.sim.zones[z], outdoor_temp_c)


@kernel
def reset(index: np.ndarray, starts: np.ndarray, series: np.ndarray, world: EnvWorld, batch: EnvBatch) -> None:
    """Reset the environments of `index` and write their first observations."""
    for j in range(index.shape[0]):
        i = index[j]
        reset_one(i, starts[j], series[j], world, batch)
        observe(i, i + 1, world, batch)
