"""The batched kernel: composes the physics over a range of environments and their zones."""

from typing import Final

import numpy as np

from . import cooling, firmware, machine, thermal, threads, wear
from .constants import (
    JOULES_PER_KWH,
    KWH_PER_MWH,
    LITRES_PER_M3,
    N_SUB_STEPS,
    SECONDS_PER_HOUR,
    SUB_STEP_S,
    usd_per_th,
)
from .errors import BadInputError
from .jit import kernel
from .params import SiteParams
from .state import ASLEEP, SITE_FLOW, TRIPPED, ZONE_FLOW, Exogenous, State

BLOCK: Final = 16
"""Environments that are stepped together. Measured: 8 to 64 are alike."""


@kernel
def board_heat(zone: np.void, p: np.void, freq_mhz: float, boot_frac: float) -> tuple[float, float]:
    """Return the heat of the boards [W] and its growth with chip temperature [W/K] over a sub-step."""
    if freq_mhz <= 0.0:
        return 0.0, 0.0
    rail_v = machine.rail_voltage_v(freq_mhz, p["ref_mhz"], p["ref_v"], p["slope_v_per_mhz"], p["floor_v"])
    switching_w = machine.switching_power_w(freq_mhz, rail_v, p["a_w_per_mhz_v2"], p["b_w_per_mhz"], p["base_w"])
    leak_w = machine.leakage_w(rail_v, zone["chip_temp_c"], p["leak_w_per_v2"], p["leak_ref_temp_c"], p["leak_per_k"])
    powered = 1.0 - boot_frac * (1.0 - p["boot_power_frac"])
    return powered * (switching_w + leak_w), powered * leak_w * p["leak_per_k"]


@kernel
def sub_step(zone: np.void, p: np.void, outdoor_temp_c: float, wet_bulb_temp_c: float, flow: np.void) -> None:
    """Advance one zone's mean machine by a sub-step and add what it did to the flows, per machine, in J, kg and TH."""
    idle = zone["mode"] == ASLEEP or zone["mode"] == TRIPPED
    freq_mhz, boot_frac, hash_frac = firmware.run_clock(zone, p, SUB_STEP_S)
    heat_w, slope = board_heat(zone, p, freq_mhz, boot_frac)

    sink_pu = firmware.sink_conductance_pu(zone, p, heat_w)
    flow_pu = thermal.flow_pu(sink_pu)
    fan_pu = 0.0 if zone["mode"] == ASLEEP else flow_pu
    supply_pu = min(1.0, fan_pu / p["supply_flow_frac"])
    fan_w = cooling.fan_power_w(fan_pu, p["fan_rated_w"])
    control_w = p["sleep_w"] if idle else p["control_w"]
    plant_w = cooling.fan_power_w(supply_pu, p["supply_fan_rated_w"]) + zone["pad_on"] * p["pad_pump_w_per_unit"]

    air_w_per_k = p["air_w_per_k"] * flow_pu
    per_air = 1.0 / air_w_per_k
    sink_w_per_k = sink_pu * p["sink_w_per_k"]
    sink_per_air = sink_w_per_k * per_air
    supply_c = cooling.supply_temp_c(outdoor_temp_c, wet_bulb_temp_c, zone["pad_on"] * p["pad_effectiveness"])
    direct_k = (heat_w * p["psu_loss_pu"] + control_w + fan_w) * per_air
    # Asleep, the draught through the stopped container needs no fan: its flow is not short of supply.
    fresh_flow = max(supply_pu * p["supply_flow_frac"], p["asleep_flow_frac"])
    ratio = cooling.recirculation_ratio(
        flow_pu, fresh_flow, p["leak_frac"], p["inlet_min_c"], supply_c, zone["sink_temp_c"], sink_per_air, direct_k
    )
    back = ratio * sink_per_air
    fresh_frac = 1.0 / (1.0 + back)
    fresh_w_per_k = sink_w_per_k * fresh_frac
    base_c = supply_c + ratio * direct_k

    slope = thermal.stable_slope_w_per_k(slope, p["chip_w_per_k"], fresh_w_per_k)
    before_chip_c, before_sink_c = zone["chip_temp_c"], zone["sink_temp_c"]
    chip_c, sink_c, mean_chip_c, mean_sink_c = thermal.advance(
        before_chip_c, before_sink_c, heat_w, slope, base_c, p["chip_w_per_k"], fresh_w_per_k,
        p["chip_j_per_k"], p["sink_j_per_k"], SUB_STEP_S,
    )  # fmt: skip
    zone["chip_temp_c"], zone["sink_temp_c"] = chip_c, sink_c
    zone["hot_temp_c"] = chip_c + p["hot_k_per_w"] * (heat_w + slope * (chip_c - before_chip_c))
    zone["inlet_temp_c"] = (base_c + back * mean_sink_c) * fresh_frac
    zone["fan_pu"] = fan_pu

    board_j = (heat_w + slope * (mean_chip_c - before_chip_c)) * SUB_STEP_S
    direct_j = board_j * p["psu_loss_pu"] + (control_w + fan_w) * SUB_STEP_S
    stored_j = p["chip_j_per_k"] * (chip_c - before_chip_c) + p["sink_j_per_k"] * (sink_c - before_sink_c)
    flow["it_energy_kwh"] += board_j + direct_j
    flow["cooling_energy_kwh"] += plant_w * SUB_STEP_S
    flow["heat_rejected_kwh"] += fresh_w_per_k * (mean_sink_c - base_c) * SUB_STEP_S + direct_j
    flow["stored_kwh"] += stored_j
    flow["hash_th"] += freq_mhz * p["ths_per_mhz"] * hash_frac * SUB_STEP_S
    flow["water_l"] += SUB_STEP_S * cooling.pad_water_kg_per_s(
        air_w_per_k / (1.0 + ratio), outdoor_temp_c, supply_c, p["bleed_frac"]
    )
    flow["chip_temp_sum_c"] += mean_chip_c
    flow["inlet_temp_c"] += zone["inlet_temp_c"]
    flow["max_chip_temp_c"] = max(flow["max_chip_temp_c"], zone["hot_temp_c"])
    firmware.trip_if_hot(zone, p, flow)


@kernel
def clear(flow: np.void) -> None:
    """Set a zone's flows to nothing done yet."""
    flow["it_energy_kwh"] = 0.0
    flow["cooling_energy_kwh"] = 0.0
    flow["hash_th"] = 0.0
    flow["water_l"] = 0.0
    flow["ageing_h"] = 0.0
    flow["starts"] = 0.0
    flow["trips"] = 0.0
    flow["rise_pu"] = 0.0
    flow["inlet_temp_c"] = 0.0
    flow["max_chip_temp_c"] = -273.15
    flow["chip_temp_sum_c"] = 0.0
    flow["heat_rejected_kwh"] = 0.0
    flow["stored_kwh"] = 0.0


@kernel
def begin_step(zone: np.void, p: np.void, setpoint_mhz: float, outdoor_temp_c: float, flow: np.void) -> None:
    """Begin a zone's control step: the set-point goes to the firmware, the pads to their thermostat."""
    clear(flow)
    firmware.obey(zone, p, setpoint_mhz, flow)
    if outdoor_temp_c >= p["pad_on_temp_c"]:
        zone["pad_on"] = 1.0
    elif outdoor_temp_c <= p["pad_off_temp_c"]:
        zone["pad_on"] = 0.0
    if zone["mode"] == ASLEEP:
        zone["pad_on"] = 0.0


@kernel
def end_step(zone: np.void, p: np.void, flow: np.void) -> None:
    """End a zone's control step: what is evaluated once a step, and flows of one machine to flows of the zone."""
    span_s = N_SUB_STEPS * SUB_STEP_S
    flow["inlet_temp_c"] /= N_SUB_STEPS
    error = machine.error_frac(flow["max_chip_temp_c"], p["error_ref_frac"], p["error_ref_temp_c"], p["error_per_k"])
    flow["hash_th"] *= 1.0 - error
    zone["power_w"] = flow["it_energy_kwh"] / span_s
    zone["hashrate_ths"] = flow["hash_th"] / span_s
    if zone["mode"] != ASLEEP:
        flow["ageing_h"] = wear.ageing_factor(flow["chip_temp_sum_c"] / N_SUB_STEPS) * span_s / SECONDS_PER_HOUR
    units = p["n_units"]
    flow["it_energy_kwh"] *= units / JOULES_PER_KWH
    flow["cooling_energy_kwh"] *= units / JOULES_PER_KWH
    flow["heat_rejected_kwh"] *= units / JOULES_PER_KWH
    flow["stored_kwh"] *= units / JOULES_PER_KWH
    flow["hash_th"] *= units
    flow["water_l"] *= units
    flow["ageing_h"] *= units


@kernel
def settle(
    i: int, zone_flow: np.ndarray, zone_params: np.ndarray, s: np.void, price_usd_per_mwh: float, hashprice: float,
    out: np.void,
) -> None:  # fmt: skip
    """Sum the zones of site `i` and put a price on what it did in a control step."""
    it_kwh, cooling_kwh, hash_th, water_l, ageing_h, starts, trips, wear_usd = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    units, hottest_c = 0.0, -273.15
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
    misc_kwh = s["misc_w_per_unit"] * units * N_SUB_STEPS * SUB_STEP_S / JOULES_PER_KWH
    energy_kwh = (it_kwh + cooling_kwh + misc_kwh) * (1.0 + s["transformer_loss_frac"])
    paid_frac = (1.0 - s["pool_fee_frac"]) * (1.0 - s["reject_frac"])
    out["it_energy_kwh"] = it_kwh
    out["cooling_energy_kwh"] = cooling_kwh
    out["energy_kwh"] = energy_kwh
    out["hash_th"] = hash_th
    out["water_l"] = water_l
    out["starts"] = starts
    out["trips"] = trips
    out["max_chip_temp_c"] = hottest_c
    out["pue"] = energy_kwh / it_kwh
    out["revenue_usd"] = hash_th * usd_per_th(hashprice) * paid_frac
    out["energy_usd"] = energy_kwh * price_usd_per_mwh / KWH_PER_MWH
    out["water_usd"] = water_l / LITRES_PER_M3 * s["water_usd_per_m3"]
    out["wear_usd"] = wear_usd + ageing_h * s["ageing_usd_per_h"]
    out["profit_usd"] = out["revenue_usd"] - out["energy_usd"] - out["water_usd"] - out["wear_usd"]


@kernel
def step_range(
    lo: int, hi: int, setpoint_mhz: np.ndarray, exogenous: np.ndarray, zone_params: np.ndarray,
    site_params: np.ndarray, zone_state: np.ndarray, site_state: np.ndarray, zone_flow: np.ndarray,
    site_flow: np.ndarray,
) -> None:  # fmt: skip
    """Advance the environments of [lo, hi) by one control step.

    The sub-steps of neighbouring environments follow each other, not those of one environment: they do not wait for
    each other's results, which lets the processor overlap them. Callers cut the range into blocks that stay in its
    cache.
    """
    n_zones = zone_state.shape[1]
    for i in range(lo, hi):
        outdoor_temp_c = exogenous[site_state[i]["series"], site_state[i]["step"], 0]
        for z in range(n_zones):
            begin_step(zone_state[i, z], zone_params[z], setpoint_mhz[i, z], outdoor_temp_c, zone_flow[i, z])
    for _ in range(N_SUB_STEPS):
        for i in range(lo, hi):
            series, step = site_state[i]["series"], site_state[i]["step"]
            outdoor_temp_c, wet_bulb_temp_c = exogenous[series, step, 0], exogenous[series, step, 1]
            for z in range(n_zones):
                sub_step(zone_state[i, z], zone_params[z], outdoor_temp_c, wet_bulb_temp_c, zone_flow[i, z])
    for i in range(lo, hi):
        place = site_state[i]
        for z in range(n_zones):
            end_step(zone_state[i, z], zone_params[z], zone_flow[i, z])
        price_usd_per_mwh = exogenous[place["series"], place["step"], 2]
        hashprice = exogenous[place["series"], place["step"], 3]
        settle(i, zone_flow, zone_params, site_params[0], price_usd_per_mwh, hashprice, site_flow[i])
        place["step"] += 1
        place["age"] += 1


@kernel
def step_blocks(
    lo: int, hi: int, setpoint_mhz: np.ndarray, exogenous: np.ndarray, zone_params: np.ndarray,
    site_params: np.ndarray, zone_state: np.ndarray, site_state: np.ndarray, zone_flow: np.ndarray,
    site_flow: np.ndarray,
) -> None:  # fmt: skip
    """Advance the environments of [lo, hi) by one control step, block by block."""
    for first in range(lo, hi, BLOCK):
        step_range(
            first, min(first + BLOCK, hi), setpoint_mhz, exogenous, zone_params, site_params, zone_state, site_state,
            zone_flow, site_flow,
        )  # fmt: skip


class Site:
    """A batch of sites that can be stepped with plain set-points: the simulator without an environment around it."""

    def __init__(self, params: SiteParams, exogenous: Exogenous, n_envs: int = 1, n_threads: int = 1) -> None:
        """Start `n_envs` sites that hash at their top profile at the start of series 0."""
        self.params = params
        self.exogenous = exogenous
        self.n_threads = n_threads
        self.state = State.hashing(n_envs, params)
        self.zone_flow = np.zeros(self.state.zone.shape, ZONE_FLOW)
        self.site_flow = np.zeros(n_envs, SITE_FLOW)

    def step(self, setpoint_mhz: np.ndarray) -> np.ndarray:
        """Advance by a control step.

        Args:
            setpoint_mhz: Frequency set-point of each zone, 0 to sleep, (n_envs, n_zones). [MHz]

        Returns:
            The site flows, (n_envs,) of SITE_FLOW; the same array at every call.
        """
        if np.shape(setpoint_mhz) != self.state.zone.shape:
            raise BadInputError(f"setpoint_mhz has shape {np.shape(setpoint_mhz)}; it must be {self.state.zone.shape}")
        if (self.state.site["step"] >= self.exogenous.n_steps).any():
            raise BadInputError(
                f"the exogenous series ends after {self.exogenous.n_steps} steps; reset the state first"
            )
        threads.split(
            step_blocks, self.state.zone.shape[0], self.state.zone.size, self.n_threads, np.ascontiguousarray(setpoint_mhz, dtype=np.float64),
            self.exogenous.values, self.params.zone_record, self.params.site_record, self.state.zone, self.state.site,
            self.zone_flow, self.site_flow,
        )  # fmt: skip
        return self.site_flow
