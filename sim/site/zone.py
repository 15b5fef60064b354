"""One zone over a sub-step and over a control step: machines, firmware and plant put together."""

import numpy as np

from ..cooling import air, chiller, liquid
from ..cooling.plants import CONTAINER, LOOP
from ..foundation.constants import JOULES_PER_KWH, N_SUB_STEPS, SECONDS_PER_HOUR, SUB_STEP_S, VOLUMETRIC_HEAT_J_PER_M3_K
from ..foundation.jit import kernel
from ..hardware import fans, firmware, machine, thermal, wear
from ..hardware.firmware import ASLEEP, TRIPPED


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
def advance(
    zone: np.void, p: np.void, heat_w: float, slope: float, direct_w: float, received_w: float, base_c: float,
    chip_w_per_k: float, out_w_per_k: float, flow: np.void,
) -> float:  # fmt: skip
    """Advance chips and heatsinks (or coolant), book energy and heat, and return the mean sink temperature. [°C]

    Args:
        zone: State.
        p: Parameters.
        heat_w: Heat of the boards. [W]
        slope: Its growth with chip temperature. [W/K]
        direct_w: Heat of machines that does not pass the chips. [W]
        received_w: Heat from elsewhere. [W]
        base_c: Temperature that the sinks would have without heat from the boards. [°C]
        chip_w_per_k: Conductance from chips to sinks. [W/K]
        out_w_per_k: Conductance from sinks to what cools them. [W/K]
        flow: Flows of the zone, in J here.
    """
    slope = thermal.stable_slope_w_per_k(slope, chip_w_per_k, out_w_per_k)
    before_chip_c, before_sink_c = zone["chip_temp_c"], zone["sink_temp_c"]
    chip_c, sink_c, mean_chip_c, mean_sink_c = thermal.advance(
        before_chip_c, before_sink_c, heat_w, slope, base_c, chip_w_per_k, out_w_per_k,
        p["chip_j_per_k"], p["sink_j_per_k"], SUB_STEP_S,
    )  # fmt: skip
    zone["chip_temp_c"], zone["sink_temp_c"] = chip_c, sink_c
    zone["hot_temp_c"] = chip_c + p["hot_k_per_w"] * (heat_w + slope * (chip_c - before_chip_c))
    board_j = (heat_w + slope * (mean_chip_c - before_chip_c)) * SUB_STEP_S
    received_j = received_w * SUB_STEP_S
    out_j = out_w_per_k * (mean_sink_c - base_c) * SUB_STEP_S
    flow["it_energy_kwh"] += board_j + direct_w * SUB_STEP_S
    flow["heat_rejected_kwh"] += out_j + direct_w * SUB_STEP_S + received_j
    flow["stored_kwh"] += p["chip_j_per_k"] * (chip_c - before_chip_c) + p["sink_j_per_k"] * (sink_c - before_sink_c)
    flow["received_kwh"] += received_j
    flow["chip_temp_sum_c"] += mean_chip_c
    flow["max_chip_temp_c"] = max(flow["max_chip_temp_c"], zone["hot_temp_c"])
    return mean_sink_c


@kernel
def air_sub_step(
    zone: np.void, p: np.void, outdoor_temp_c: float, wet_bulb_temp_c: float, heat_w: float, slope: float,
    control_w: float, flow: np.void,
) -> None:  # fmt: skip
    """Advance a zone in a container or a room by a sub-step."""
    asleep = zone["mode"] == ASLEEP
    fouled_w_per_k = p["sink_w_per_k"] * (1.0 - zone["fouling_frac"]) * (1.0 + zone["sink_dev"])
    sink_pu = firmware.sink_conductance_pu(zone, p, heat_w, fouled_w_per_k)
    flow_pu = thermal.flow_pu(sink_pu, p["sink_per_air"])
    fan_pu = 0.0 if asleep else min(1.0, flow_pu)
    # The plant is made for all machines: those that work share that of those that do not.
    share = zone["plant_share"]
    intake_frac, exhaust_frac = p["intake_flow_frac"] * share, p["exhaust_flow_frac"] * share
    intake_pu = min(1.0, fan_pu / intake_frac)
    exhaust_pu = min(1.0, fan_pu / exhaust_frac)
    fan_w = fans.fan_power_w(fan_pu, p["fan_rated_w"])
    intake_w = fans.fan_power_w(intake_pu, p["intake_fan_rated_w"] * share)
    plant_w = intake_w + fans.fan_power_w(exhaust_pu, p["exhaust_fan_rated_w"] * share)

    # Asleep, the draught through the stopped machines needs no fan: its flow is not short of supply.
    fresh_flow = flow_pu if asleep else min(intake_pu * intake_frac, exhaust_pu * exhaust_frac)
    air_w_per_k = p["air_w_per_k"] * flow_pu
    per_air = 1.0 / air_w_per_k
    sink_w_per_k = sink_pu * fouled_w_per_k
    sink_per_air = sink_w_per_k * per_air
    fresh_share = 1.0 - flow["mixed_frac"]
    supply_c = outdoor_temp_c
    if p["plant_kind"] == CONTAINER:
        supply_c = air.supply_temp_c(outdoor_temp_c, wet_bulb_temp_c, zone["pad_on"] * p["pad_effectiveness"])
        pad_w = zone["pad_on"] * p["pad_pump_w_per_unit"] * share
        flow["pump_energy_kwh"] += pad_w * SUB_STEP_S
        plant_w += pad_w
    elif not asleep:
        coil_w_per_k = air_w_per_k * fresh_share * min(1.0 - p["leak_frac"], fresh_flow / flow_pu)
        supply_c, taken_w, chiller_w = chiller.room_supply(
            p, coil_w_per_k, share, intake_w, outdoor_temp_c, wet_bulb_temp_c, zone["exhaust_temp_c"],
            zone["plant_shift_k"],
        )  # fmt: skip
        flow["chiller_heat_kwh"] += taken_w * SUB_STEP_S
        flow["chiller_energy_kwh"] += chiller_w * SUB_STEP_S
        plant_w += chiller_w
        if p["condenser_is_wet"] > 0.0:
            flow["water_l"] += SUB_STEP_S * air.evaporated_kg_per_s(taken_w + chiller_w, p["bleed_frac"])
    mixed_c = supply_c + flow["mixed_frac"] * (flow["mixed_temp_c"] - supply_c)
    direct_w = heat_w * p["psu_loss_pu"] + control_w + fan_w
    direct_k = direct_w * per_air
    ratio = air.recirculation_ratio(
        flow_pu, fresh_flow, p["leak_frac"], p["inlet_min_c"], mixed_c, zone["sink_temp_c"], sink_per_air, direct_k
    )
    back = ratio * sink_per_air
    fresh_frac = 1.0 / (1.0 + back)
    out_w_per_k = sink_w_per_k * fresh_frac
    base_c = mixed_c + ratio * direct_k
    leaving_w_per_k = air_w_per_k / (1.0 + ratio)
    received_w = leaving_w_per_k * (mixed_c - supply_c)

    mean_sink_c = advance(zone, p, heat_w, slope, direct_w, received_w, base_c, p["chip_w_per_k"], out_w_per_k, flow)
    inlet_c = (base_c + back * mean_sink_c) * fresh_frac
    exhaust_c = mixed_c + (out_w_per_k * (mean_sink_c - base_c) + direct_w) / leaving_w_per_k
    zone["inlet_temp_c"], zone["fan_pu"] = inlet_c, fan_pu
    zone["exhaust_temp_c"], zone["exhaust_w_per_k"] = exhaust_c, leaving_w_per_k
    if zone["pad_on"] > 0.0:
        flow["water_l"] += SUB_STEP_S * air.pad_water_kg_per_s(
            leaving_w_per_k * fresh_share, outdoor_temp_c, supply_c, p["bleed_frac"]
        )
        flow["approach_k"] += supply_c - wet_bulb_temp_c
    else:
        flow["approach_k"] += supply_c - outdoor_temp_c
    flow["cooling_energy_kwh"] += plant_w * SUB_STEP_S
    flow["fan_energy_kwh"] += fan_w * SUB_STEP_S
    flow["inlet_temp_c"] += inlet_c
    flow["supply_temp_c"] += mixed_c
    flow["exhaust_temp_c"] += exhaust_c
    flow["air_m3_per_s"] += leaving_w_per_k


@kernel
def loop_sub_step(
    zone: np.void, p: np.void, outdoor_temp_c: float, wet_bulb_temp_c: float, heat_w: float, slope: float,
    control_w: float, flow: np.void,
) -> None:  # fmt: skip
    """Advance a zone on a liquid loop by a sub-step: its sinks are the coolant, which flows as fast as its pump turns."""
    asleep = zone["mode"] == ASLEEP
    lit = 1.0 - zone["is_dark"]
    pump_pu = lit * (p["pump_idle_pu"] if asleep else 1.0 + zone["pump_shift_pu"])
    share = zone["plant_share"]
    pump_w = fans.fan_power_w(pump_pu, p["pump_w_per_unit"] * share)
    direct_w = heat_w * p["psu_loss_pu"] + control_w
    air_c = air.supply_temp_c(outdoor_temp_c, wet_bulb_temp_c, zone["pad_on"] * p["pad_effectiveness"])
    cooler_pu = p["cooler_still_frac"]
    cooler_w_per_k = p["cooler_w_per_k"] * share * (1.0 - zone["fouling_frac"]) * (1.0 + zone["sink_dev"])
    if lit > 0.0:
        excess_c = zone["sink_temp_c"] - zone["plant_shift_k"]
        cooler_pu = liquid.cooler_pu(
            p, heat_w + direct_w + pump_w, zone["sink_temp_c"], excess_c, air_c, cooler_w_per_k
        )
    still = cooler_pu <= p["cooler_still_frac"]
    fan_pu = 0.0 if still else min(1.0, thermal.flow_pu(cooler_pu, p["sink_per_air"]))
    out_w_per_k = cooler_pu * cooler_w_per_k
    chip_w_per_k = p["idle_chip_w_per_k"] if asleep else p["chip_w_per_k"]
    if not asleep and zone["pump_shift_pu"] != 0.0:
        chip_w_per_k = liquid.pumped_w_per_k(p, 1.0 + zone["pump_shift_pu"])

    base_c = air_c + (direct_w + pump_w) / out_w_per_k
    mean_sink_c = advance(zone, p, heat_w, slope, direct_w, pump_w, base_c, chip_w_per_k, out_w_per_k, flow)
    half_rise_k = 0.5 * (heat_w + direct_w) / (p["coolant_w_per_k"] * share * (1.0 + zone["pump_shift_pu"]))
    zone["inlet_temp_c"], zone["fan_pu"] = mean_sink_c - half_rise_k, fan_pu
    cooler_air_w_per_k = p["cooler_air_w_per_k"] * share * fan_pu
    # Standing fans move too little air to tell its temperature: the coolant's is an upper limit.
    rejected_w = out_w_per_k * (mean_sink_c - base_c) + direct_w + pump_w
    exhaust_c = mean_sink_c if still else air_c + rejected_w / cooler_air_w_per_k
    zone["exhaust_temp_c"], zone["exhaust_w_per_k"] = exhaust_c, cooler_air_w_per_k
    if zone["pad_on"] > 0.0:
        flow["water_l"] += SUB_STEP_S * air.pad_water_kg_per_s(
            cooler_air_w_per_k, outdoor_temp_c, air_c, p["bleed_frac"]
        )
    pumps_w = pump_w + zone["pad_on"] * p["pad_pump_w_per_unit"] * share
    flow["pump_energy_kwh"] += pumps_w * SUB_STEP_S
    flow["cooling_energy_kwh"] += (pumps_w + fans.fan_power_w(fan_pu, p["cooler_fan_w_per_unit"] * share)) * SUB_STEP_S
    flow["approach_k"] += mean_sink_c - air_c
    flow["inlet_temp_c"] += mean_sink_c - half_rise_k
    flow["supply_temp_c"] += mean_sink_c - half_rise_k
    flow["exhaust_temp_c"] += exhaust_c
    flow["air_m3_per_s"] += cooler_air_w_per_k


@kernel
def sub_step(zone: np.void, p: np.void, outdoor_temp_c: float, wet_bulb_temp_c: float, flow: np.void) -> None:
    """Advance one zone's mean machine by a sub-step and add what it did to the flows, per machine, in J, kg and TH."""
    idle = zone["mode"] == ASLEEP or zone["mode"] == TRIPPED
    freq_mhz, powered, hash_frac = firmware.run_clock(zone, p, SUB_STEP_S)
    heat_w, slope = board_heat(zone, p, freq_mhz, powered)
    flow["freq_sum_mhz"] += freq_mhz * powered
    flow["powered_sum"] += powered
    control_w = p["sleep_w"] * (1.0 - zone["is_dark"]) if idle else p["control_w"]
    if p["plant_kind"] == LOOP:
        loop_sub_step(zone, p, outdoor_temp_c, wet_bulb_temp_c, heat_w, slope, control_w, flow)
    else:
        air_sub_step(zone, p, outdoor_temp_c, wet_bulb_temp_c, heat_w, slope, control_w, flow)
    flow["hash_th"] += freq_mhz * p["ths_per_mhz"] * (1.0 + zone["hashrate_dev"]) * hash_frac * SUB_STEP_S
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
    flow["freq_sum_mhz"] = 0.0
    flow["powered_sum"] = 0.0
    flow["heat_rejected_kwh"] = 0.0
    flow["stored_kwh"] = 0.0
    flow["received_kwh"] = 0.0
    flow["mixed_frac"] = 0.0
    flow["mixed_temp_c"] = 0.0
    flow["supply_temp_c"] = 0.0
    flow["exhaust_temp_c"] = 0.0
    flow["approach_k"] = 0.0
    flow["air_m3_per_s"] = 0.0
    flow["fan_energy_kwh"] = 0.0
    flow["pump_energy_kwh"] = 0.0
    flow["chiller_heat_kwh"] = 0.0
    flow["chiller_energy_kwh"] = 0.0


@kernel
def begin_step(
    zone: np.void, p: np.void, setpoint_mhz: float, outdoor_temp_c: float, grid_on: float, online_frac: float,
    fouling_frac: float, flow: np.void,
) -> None:  # fmt: skip
    """Begin a zone's control step: events, the set-point to the firmware, the pads to their thermostat.

    Without grid power the machines stand dark until it is back; then they start as from sleep.
    """
    clear(flow)
    zone["online_frac"], zone["fouling_frac"] = online_frac, fouling_frac
    zone["plant_share"] = 1.0 / max(online_frac, 1.0 / p["n_units"])
    zone["is_dark"] = 1.0 if grid_on <= 0.0 else 0.0
    if grid_on <= 0.0 and zone["mode"] == TRIPPED:
        firmware.enter(zone, ASLEEP, 0.0)
    swing_from_c = zone["sink_temp_c"]
    firmware.obey(zone, p, setpoint_mhz if grid_on > 0.0 else 0.0, flow)
    if flow["starts"] > 0.0:
        flow["ageing_h"] = wear.cycle_ageing_h(p["run_temp_c"] - swing_from_c)
    felt_temp_c = outdoor_temp_c - zone["plant_shift_k"] if p["plant_kind"] == CONTAINER else outdoor_temp_c
    if felt_temp_c >= p["pad_on_temp_c"]:
        zone["pad_on"] = 1.0
    elif felt_temp_c <= p["pad_off_temp_c"]:
        zone["pad_on"] = 0.0
    if zone["mode"] == ASLEEP or p["pad_effectiveness"] <= 0.0:
        zone["pad_on"] = 0.0


@kernel
def end_step(zone: np.void, p: np.void, flow: np.void) -> None:
    """End a zone's control step: what is evaluated once a step, and flows of one machine to flows of the zone."""
    span_s = N_SUB_STEPS * SUB_STEP_S
    per_sub_step = 1.0 / N_SUB_STEPS
    flow["inlet_temp_c"] *= per_sub_step
    flow["supply_temp_c"] *= per_sub_step
    flow["exhaust_temp_c"] *= per_sub_step
    flow["approach_k"] *= per_sub_step
    error = machine.error_frac(flow["max_chip_temp_c"], p["error_ref_frac"], p["error_ref_temp_c"], p["error_per_k"])
    flow["hash_th"] *= 1.0 - error
    zone["power_w"] = flow["it_energy_kwh"] / span_s
    zone["hashrate_ths"] = flow["hash_th"] / span_s
    if flow["powered_sum"] > 0.0:
        freq_mhz = flow["freq_sum_mhz"] / flow["powered_sum"]
        rail_v = machine.rail_voltage_v(freq_mhz, p["ref_mhz"], p["ref_v"], p["slope_v_per_mhz"], p["floor_v"])
        factor = wear.ageing_factor(flow["chip_temp_sum_c"] * per_sub_step, rail_v / p["ref_v"])
        flow["ageing_h"] += factor * flow["powered_sum"] * SUB_STEP_S / SECONDS_PER_HOUR
    units = p["n_units"] * zone["online_frac"]
    to_kwh = units / JOULES_PER_KWH
    flow["air_m3_per_s"] *= units * per_sub_step / VOLUMETRIC_HEAT_J_PER_M3_K
    flow["it_energy_kwh"] *= to_kwh
    flow["cooling_energy_kwh"] *= to_kwh
    flow["heat_rejected_kwh"] *= to_kwh
    flow["stored_kwh"] *= to_kwh
    flow["received_kwh"] *= to_kwh
    flow["fan_energy_kwh"] *= to_kwh
    flow["pump_energy_kwh"] *= to_kwh
    flow["chiller_heat_kwh"] *= to_kwh
    flow["chiller_energy_kwh"] *= to_kwh
    flow["hash_th"] *= units
    flow["water_l"] *= units
    flow["ageing_h"] *= units
