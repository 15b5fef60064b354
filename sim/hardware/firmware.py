"""What a machine's firmware does by itself: start-up, sleep, profile change, tuning, throttle, trip, fans."""

from typing import Final

import numpy as np

from ..foundation.jit import kernel
from . import machine
from .fans import holding_sink_pu

RESTART_BELOW_K: Final = 2.0
"""How far the inlet must be below its limit before machines start. [K] assumed: hysteresis of an alarm."""

ASLEEP: Final = 0.0
STARTING: Final = 1.0
HASHING: Final = 2.0  # codes of the modes, by definition
TRIPPED: Final = 3.0  # by definition
"""Modes of a machine, by definition: asleep, starting, hashing, tripped by heat."""


@kernel
def enter(zone: np.void, mode: float, timer_s: float) -> None:
    """Put a zone's machines into a mode."""
    zone["mode"] = mode
    zone["mode_s"] = 0.0
    zone["timer_s"] = timer_s
    zone["pause_s"] = 0.0
    zone["tuning"] = 0.0
    if mode != HASHING:
        zone["freq_mhz"] = 0.0


@kernel
def throttle(zone: np.void, p: np.void) -> None:
    """Move the frequency cap by one profile while hashing: down when the hottest chip is too hot, up when it has cooled.

    Source:
        VNish preset switcher: check every 300 s, decrease and rise temperatures (API documentation, firmware 1.2.6).
    """
    if zone["mode"] == HASHING and zone["hot_temp_c"] >= p["throttle_down_temp_c"]:
        zone["cap_mhz"] = max(p["min_mhz"], min(zone["cap_mhz"], zone["target_mhz"]) - p["step_mhz"])
    elif zone["mode"] == HASHING and zone["hot_temp_c"] <= p["throttle_rise_temp_c"]:
        zone["cap_mhz"] = min(p["max_mhz"], zone["cap_mhz"] + p["step_mhz"])


@kernel
def setpoint_power_w(freq_mhz: float, p: np.void) -> float:
    """Return the power that a frequency set-point stands for, at the reference temperature of the leakage. [W]"""
    rail_v = machine.rail_voltage_v(freq_mhz, p["ref_mhz"], p["ref_v"], p["slope_v_per_mhz"], p["floor_v"])
    board_w = machine.switching_power_w(freq_mhz, rail_v, p["a_w_per_mhz_v2"], p["b_w_per_mhz"], p["base_w"])
    return machine.wall_power_w(
        board_w + p["leak_w_per_v2"] * rail_v * rail_v, p["psu_efficiency"], p["control_w"], 0.0
    )


@kernel
def is_tuned(zone: np.void, freq_mhz: float) -> bool:
    """Tell whether the firmware has tuned a frequency before; it keeps what it learned."""
    return bool(zone["tuned_low_mhz"] <= freq_mhz <= zone["tuned_high_mhz"])


@kernel
def commanded_mhz(zone: np.void, p: np.void, setpoint_mhz: float) -> float:
    """Return the frequency that the firmware makes of a set-point: within ladder and throttle, and not one that failed."""
    if setpoint_mhz <= 0.0:
        return 0.0
    command = min(max(setpoint_mhz, p["min_mhz"]), min(p["max_mhz"], zone["cap_mhz"]))
    return command if command < zone["failed_mhz"] else zone["tuned_high_mhz"]


@kernel
def change_start(zone: np.void, p: np.void, tune_s: float) -> None:
    """Change the preset of a start: a boot goes on, a tuning that has begun ends with a restart."""
    boot_left_s = max(0.0, p["boot_s"] + p["stagger_s"] - zone["mode_s"])
    if zone["tuning"] > 0.0:
        boot_left_s = p["restart_s"] + p["stagger_s"]
        enter(zone, STARTING, 0.0)
        zone["tuning"] = 1.0
    zone["timer_s"] = boot_left_s + tune_s


@kernel
def may_start(zone: np.void, p: np.void) -> bool:
    """Tell whether machines are neither too cold nor their inlet too hot for a start."""
    is_warm = zone["sink_temp_c"] >= p["start_min_temp_c"]
    return bool(is_warm and zone["inlet_temp_c"] <= p["inlet_off_temp_c"] - RESTART_BELOW_K)


@kernel
def obey(zone: np.void, p: np.void, setpoint_mhz: float, sums: np.void) -> None:
    """Apply a frequency set-point at the start of a control step; 0 means sleep.

    Sleep is immediate. A start needs heatsinks above the machine's lowest start temperature and an inlet that is not too hot, and takes
    the firmware's boot time, the machines one after the other. A change of profile costs a restart and a ramp; one to a preset that
    is not tuned yet costs the tuning. After a trip the machines wait for the hold time and for their chips to cool,
    then start.
    """
    throttle(zone, p)
    mode = zone["mode"]
    command = commanded_mhz(zone, p, setpoint_mhz)
    if mode == TRIPPED:
        cool = zone["hot_temp_c"] <= p["trip_restart_temp_c"]
        if zone["timer_s"] <= 0.0 and (cool or command == 0.0):
            mode = ASLEEP
            enter(zone, ASLEEP, 0.0)
    tune_s = 0.0 if command == 0.0 or is_tuned(zone, command) else p["tune_s"]
    if mode == ASLEEP and command > 0.0 and may_start(zone, p):
        enter(zone, STARTING, p["boot_s"] + p["stagger_s"] + tune_s)
        sums["starts"] = p["n_units"] * zone["online_frac"]
    elif (mode == STARTING or mode == HASHING) and command == 0.0:  # noqa: SIM109 (numba is slow at tuples)
        enter(zone, ASLEEP, 0.0)
    elif mode == STARTING and command != zone["target_mhz"]:
        change_start(zone, p, tune_s)
    elif mode == HASHING and command != zone["target_mhz"]:
        if command > zone["target_mhz"]:
            rise_w = setpoint_power_w(command, p) - setpoint_power_w(zone["target_mhz"], p)
            sums["rise_pu"] = rise_w / p["rated_power_w"]
        if not is_tuned(zone, command):
            enter(zone, STARTING, p["restart_s"] + p["stagger_s"] + tune_s)
            zone["tuning"] = 1.0
        else:
            zone["pause_s"] = p["restart_s"]
    zone["target_mhz"] = command


@kernel
def started_s(time_s: float, stagger_s: float) -> float:
    """Return the integral up to a time of the share that has started, when starts are spread evenly over a span. [s]"""
    if time_s <= 0.0:
        return 0.0
    if time_s >= stagger_s:
        return time_s - 0.5 * stagger_s
    return 0.5 * time_s * time_s / stagger_s


@kernel
def learn(zone: np.void, p: np.void) -> None:
    """End a tuning: the firmware knows the preset, or falls back to the highest it knows if the silicon is too poor."""
    ceiling_mhz = p["min_mhz"] + p["ceiling_pu"] * (p["max_mhz"] - p["min_mhz"])
    if zone["target_mhz"] > ceiling_mhz:
        zone["failed_mhz"] = min(zone["failed_mhz"], zone["target_mhz"])
        zone["target_mhz"] = zone["tuned_high_mhz"]
    zone["tuned_low_mhz"] = min(zone["tuned_low_mhz"], zone["target_mhz"])
    zone["tuned_high_mhz"] = max(zone["tuned_high_mhz"], zone["target_mhz"])


@kernel
def run_clock(zone: np.void, p: np.void, dt_s: float) -> tuple[float, float, float]:
    """Advance boot, tuning, pause and ramp over a sub-step.

    Returns:
        Mean frequency of powered boards [MHz], their power over that of all machines hashing, share spent hashing.
    """
    since_s = zone["mode_s"]
    zone["mode_s"] += dt_s
    mode = zone["mode"]
    if mode == STARTING:
        stagger_s = p["stagger_s"]
        hashing_s = stagger_s - zone["timer_s"]
        hashing = (started_s(hashing_s + dt_s, stagger_s) - started_s(hashing_s, stagger_s)) / dt_s
        if zone["tuning"] > 0.0 or since_s >= p["boot_s"] + stagger_s:
            zone["tuning"], powered = 1.0, 1.0
        else:
            started = (started_s(since_s + dt_s, stagger_s) - started_s(since_s, stagger_s)) / dt_s
            powered = hashing + (started - hashing) * p["boot_power_frac"]
        target_mhz = zone["target_mhz"]
        zone["timer_s"] -= min(zone["timer_s"], dt_s)
        if zone["timer_s"] <= 0.0:
            if not is_tuned(zone, target_mhz):
                learn(zone, p)
            enter(zone, HASHING, 0.0)
            zone["freq_mhz"] = zone["target_mhz"]
        return target_mhz, powered, hashing
    if mode == HASHING:
        pause_s = min(zone["pause_s"], dt_s)
        zone["pause_s"] -= pause_s
        before_mhz = zone["freq_mhz"]
        reach_mhz = p["slew_mhz_per_s"] * (dt_s - pause_s)
        change_mhz = min(max(zone["target_mhz"] - before_mhz, -reach_mhz), reach_mhz)
        zone["freq_mhz"] = before_mhz + change_mhz
        return before_mhz + 0.5 * change_mhz, 1.0, (dt_s - pause_s) / dt_s
    zone["timer_s"] = max(0.0, zone["timer_s"] - dt_s)
    return 0.0, 0.0, 0.0


@kernel
def sink_conductance_pu(zone: np.void, p: np.void, heat_w: float, sink_w_per_k: float) -> float:
    """Return the conductance from heatsink to air, of the clean rated one, that the machine fans bring about.

    Asleep the fans stand and a draught remains; after a trip they run at full speed; else they hold the fan target.
    The fan loop settles within a sub-step; it is computed from the inlet temperature of the last sub-step.
    """
    if zone["mode"] == ASLEEP:
        return p["asleep_sink_pu"]
    if zone["mode"] == TRIPPED:
        return 1.0
    target_c = p["fan_target_temp_c"] + zone["fan_shift_k"]
    held = holding_sink_pu(heat_w, target_c, zone["inlet_temp_c"], p["chip_k_per_w"], sink_w_per_k)
    return min(1.0, max(p["fan_min_sink_pu"], held))


@kernel
def trip_if_hot(zone: np.void, p: np.void, sums: np.void) -> None:
    """Shut the machines down when chips, inlet or outlet are too hot; after hot chips they come back a profile lower.

    Source:
        VNish setting downscale_preset_on_failure (API documentation, firmware 1.2.6); limits of inlet and boards stand in the catalogue.
    """
    if zone["mode"] != HASHING and zone["mode"] != STARTING:
        return
    is_chip = zone["hot_temp_c"] >= p["trip_temp_c"]
    is_outlet = p["is_liquid"] <= 0.0 and zone["exhaust_temp_c"] >= p["outlet_off_temp_c"]
    if not (is_chip or is_outlet or zone["inlet_temp_c"] >= p["inlet_off_temp_c"]):
        return
    if is_chip:
        zone["cap_mhz"] = max(p["min_mhz"], min(zone["cap_mhz"], zone["target_mhz"]) - p["step_mhz"])
    enter(zone, TRIPPED, p["trip_hold_s"])
    sums["trips"] += p["n_units"] * zone["online_frac"]
