"""One zone over a sub-step and over a control step: machines, firmware and plant put together."""

import numpy as np

from ..cooling import plants
from ..cooling.plant import Boards, Weather
from ..foundation.constants import (
    JOULES_PER_KWH,
    N_SUB_STEPS,
    SECONDS_PER_HOUR,
    SUB_STEP_S,
    VOLUMETRIC_HEAT_J_PER_M3_K,
)
from ..foundation.jit import kernel
from ..hardware import firmware, machine, wear
from ..hardware.firmware import ASLEEP, TRIPPED


@kernel
def clear(sums: np.void) -> None:
    """Set a zone's sums to nothing done yet."""
    sums["it_energy_j"] = 0.0
    sums["cooling_energy_j"] = 0.0
    sums["hash_th"] = 0.0
    sums["water_l"] = 0.0
    sums["ageing_h"] = 0.0
    sums["starts"] = 0.0
    sums["trips"] = 0.0
    sums["rise_pu"] = 0.0
    sums["max_chip_temp_c"] = -273.15
    sums["chip_temp_sum_c"] = 0.0
    sums["freq_sum_mhz"] = 0.0
    sums["powered_sum"] = 0.0
    sums["heat_rejected_j"] = 0.0
    sums["stored_j"] = 0.0
    sums["received_j"] = 0.0
    sums["mixed_frac"] = 0.0
    sums["mixed_temp_c"] = 0.0
    sums["inlet_temp_sum_c"] = 0.0
    sums["supply_temp_sum_c"] = 0.0
    sums["return_temp_sum_c"] = 0.0
    sums["exhaust_temp_sum_c"] = 0.0
    sums["approach_sum_k"] = 0.0
    sums["air_sum_w_per_k"] = 0.0
    sums["fan_energy_j"] = 0.0
    sums["pump_energy_j"] = 0.0
    sums["chiller_heat_j"] = 0.0
    sums["chiller_energy_j"] = 0.0


@kernel
def begin_step(
    zone: np.void, p: np.void, setpoint_mhz: float, outdoor_temp_c: float, grid_on: float, sums: np.void
) -> None:
    """Begin a zone's control step: the set-point to the firmware, the pads to their thermostat.

    Without grid power the machines stand dark until it is back; then they start as from sleep.
    """
    clear(sums)
    zone["plant_share"] = 1.0 / max(zone["online_frac"], 1.0 / p["n_units"])
    zone["is_dark"] = 1.0 if grid_on <= 0.0 else 0.0
    if grid_on <= 0.0 and zone["mode"] == TRIPPED:
        firmware.enter(zone, ASLEEP, 0.0)
    swing_from_c = zone["sink_temp_c"]
    firmware.obey(zone, p, setpoint_mhz if grid_on > 0.0 else 0.0, sums)
    if sums["starts"] > 0.0:
        sums["ageing_h"] = wear.cycle_ageing_h(p["run_temp_c"] - swing_from_c)
    plants.begin_step(zone, p, outdoor_temp_c)


@kernel
def board_heat(zone: np.void, p: np.void, freq_mhz: float, powered: float) -> tuple[float, float]:
    """Return the heat of the boards [W] and its growth with chip temperature [W/K] over a sub-step."""
    if freq_mhz <= 0.0:
        return 0.0, 0.0
    rail_v = machine.rail_voltage_v(freq_mhz, p["ref_mhz"], p["ref_v"], p["slope_v_per_mhz"], p["floor_v"])
    switching_w = machine.switching_power_w(freq_mhz, rail_v, p["a_w_per_mhz_v2"], p["b_w_per_mhz"], p["base_w"])
    leak_w = machine.leakage_w(rail_v, zone["chip_temp_c"], p["leak_w_per_v2"], p["leak_ref_temp_c"], p["leak_per_k"])
    own = powered * (1.0 + zone["power_dev"])
    return own * (switching_w + leak_w), own * leak_w * p["leak_per_k"]


@kernel
def sub_step(zone: np.void, p: np.void, weather: Weather, sums: np.void) -> None:
    """Advance one zone's mean machine by a sub-step and add up what it did."""
    idle = zone["mode"] == ASLEEP or zone["mode"] == TRIPPED
    freq_mhz, powered, hash_frac = firmware.run_clock(zone, p, SUB_STEP_S)
    heat_w, slope = board_heat(zone, p, freq_mhz, powered)
    sums["freq_sum_mhz"] += freq_mhz * powered
    sums["powered_sum"] += powered
    control_w = p["sleep_w"] * (1.0 - zone["is_dark"]) if idle else p["control_w"]
    plants.sub_step(zone, p, weather, Boards(heat_w, slope, control_w), sums)
    sums["hash_th"] += freq_mhz * p["ths_per_mhz"] * (1.0 + zone["hashrate_dev"]) * hash_frac * SUB_STEP_S
    firmware.trip_if_hot(zone, p, sums)


@kernel
def end_step(zone: np.void, p: np.void, sums: np.void, flow: np.void) -> None:
    """End a zone's control step: what is evaluated once a step, and from sums of one machine to flows of the zone."""
    span_s = N_SUB_STEPS * SUB_STEP_S
    per_sub_step = 1.0 / N_SUB_STEPS
    error = machine.error_frac(sums["max_chip_temp_c"], p["error_ref_frac"], p["error_ref_temp_c"], p["error_per_k"])
    hash_th = sums["hash_th"] * (1.0 - error)
    zone["power_w"] = sums["it_energy_j"] / span_s
    zone["hashrate_ths"] = hash_th / span_s
    ageing_h = sums["ageing_h"]
    if sums["powered_sum"] > 0.0:
        freq_mhz = sums["freq_sum_mhz"] / sums["powered_sum"]
        rail_v = machine.rail_voltage_v(freq_mhz, p["ref_mhz"], p["ref_v"], p["slope_v_per_mhz"], p["floor_v"])
        factor = wear.ageing_factor(sums["chip_temp_sum_c"] * per_sub_step, rail_v / p["ref_v"])
        ageing_h += factor * sums["powered_sum"] * SUB_STEP_S / SECONDS_PER_HOUR
    units = p["n_units"] * zone["online_frac"]
    to_kwh = units / JOULES_PER_KWH
    flow["it_energy_kwh"] = sums["it_energy_j"] * to_kwh
    flow["cooling_energy_kwh"] = sums["cooling_energy_j"] * to_kwh
    flow["hash_th"] = hash_th * units
    flow["water_l"] = sums["water_l"] * units
    flow["ageing_h"] = ageing_h * units
    flow["starts"] = sums["starts"]
    flow["trips"] = sums["trips"]
    flow["rise_pu"] = sums["rise_pu"]
    flow["inlet_temp_c"] = sums["inlet_temp_sum_c"] * per_sub_step
    flow["max_chip_temp_c"] = sums["max_chip_temp_c"]
    flow["powered_sub_steps"] = sums["powered_sum"]
    flow["heat_rejected_kwh"] = sums["heat_rejected_j"] * to_kwh
    flow["stored_kwh"] = sums["stored_j"] * to_kwh
    flow["received_kwh"] = sums["received_j"] * to_kwh
    flow["mixed_frac"] = sums["mixed_frac"]
    flow["mixed_temp_c"] = sums["mixed_temp_c"]
    flow["supply_temp_c"] = sums["supply_temp_sum_c"] * per_sub_step
    flow["return_temp_c"] = sums["return_temp_sum_c"] * per_sub_step
    flow["exhaust_temp_c"] = sums["exhaust_temp_sum_c"] * per_sub_step
    flow["approach_k"] = sums["approach_sum_k"] * per_sub_step
    flow["air_m3_per_s"] = sums["air_sum_w_per_k"] * (units * per_sub_step / VOLUMETRIC_HEAT_J_PER_M3_K)
    flow["fan_energy_kwh"] = sums["fan_energy_j"] * to_kwh
    flow["pump_energy_kwh"] = sums["pump_energy_j"] * to_kwh
    flow["chiller_heat_kwh"] = sums["chiller_heat_j"] * to_kwh
    flow["chiller_energy_kwh"] = sums["chiller_energy_j"] * to_kwh
