"""The interconnect: one connection for machines, battery, sun and wind, and the order in which what does not fit is shed."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from ..foundation.checks import require
from ..foundation.constants import CONTROL_STEP_S, SECONDS_PER_HOUR
from ..foundation.jit import kernel
from ..hardware import machine
from . import battery

STEP_H: Final = CONTROL_STEP_S / SECONDS_PER_HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class InterconnectParams:
    """Limits at the meter.

    No command breaks them. What would not fit into the import limit is shed in this order: the battery charges less, then it
    discharges; curtailed sun and wind come back; machines that could draw too much in the coming step go to their lowest profile and then
    asleep, those that hash least for a watt first. What would not fit into the export limit: the battery discharges less, then wind and sun
    are curtailed. Only what is left counts as a breach.
    """

    import_limit_w: float
    """[W]"""
    export_limit_w: float = 0.0
    """0: nothing may flow out. [W]"""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        require(self.import_limit_w > 0.0, "InterconnectParams", "import_limit_w", self.import_limit_w, "above 0")
        require(self.export_limit_w >= 0.0, "InterconnectParams", "export_limit_w", self.export_limit_w, "0 or more")


class Flows(NamedTuple):
    """Energy of a step at and behind the meter. [kWh]"""

    net_kwh: float
    """At the meter, what flows out negative."""
    sun_kwh: float
    """Used or exported."""
    wind_kwh: float
    """Used or exported."""
    curtailed_kwh: float
    """Sun and wind that were not taken."""
    battery_kwh: float
    """Drawn by the battery at its socket with its auxiliaries, what it gives negative."""
    lost_kwh: float
    """Lost in the battery."""
    breach_kwh: float
    """Beyond a limit of the interconnect."""
    wear_usd: float
    """Ageing of the battery."""


@kernel
def highest_power_w(freq_mhz: float, zone: np.void, p: np.void) -> float:
    """Return the most that a machine, with its share of the plant, can draw in a step at a frequency. [W]

    Chips are as hot as they can be without a trip, and all fans, pumps, heaters and chillers run at full power.

    Args:
        freq_mhz: Frequency that is set, 0 to sleep. [MHz]
        zone: State of the zone: from a higher frequency it ramps down within the step.
        p: Parameters of the zone.
    """
    side_w = p["intake_fan_full_w"] + p["exhaust_fan_full_w"] + p["pad_pump_w_per_unit"] + p["pump_full_w"]
    side_w += p["cooler_fan_full_w"] + p["heater_full_w"] + p["chiller_full_w"] / LEAST_COP
    if freq_mhz <= 0.0:
        return p["sleep_w"] + side_w
    freq_mhz = min(freq_mhz, p["max_mhz"])
    freq_mhz += max(0.0, zone["freq_mhz"] - freq_mhz) * 0.5 * p["ramp_s"] / CONTROL_STEP_S
    rail_v = machine.rail_voltage_v(freq_mhz, p["ref_mhz"], p["ref_v"], p["slope_v_per_mhz"], p["floor_v"])
    board_w = machine.switching_power_w(freq_mhz, rail_v, p["a_w_per_mhz_v2"], p["b_w_per_mhz"], p["base_w"])
    board_w += machine.leakage_w(rail_v, p["trip_temp_c"], p["leak_w_per_v2"], p["leak_ref_temp_c"], p["leak_per_k"])
    board_w *= 1.0 + zone["power_dev"]
    return machine.wall_power_w(board_w, p["psu_efficiency"], p["control_w"], p["fan_full_w"]) + side_w


LEAST_COP: Final = 2.5
"""Cooling over power of a chiller at its worst. assumed: full load in a hot condenser."""


@kernel
def shed_machines(
    site: np.void, p: np.void, zone: np.ndarray, zones: np.ndarray, supply_kwh: float, setpoint_mhz: np.ndarray
) -> None:
    """Lower the set-points of a step until what machines and plants can draw at most fits the import limit and what stands beside it.

    Args:
        site: State of the site.
        p: Parameters of the site.
        zone: State of its zones, (n_zones,).
        zones: Parameters of its zones, (n_zones,).
        supply_kwh: Sun and wind of the step. [kWh]
        setpoint_mhz: Set-points of the zones, (n_zones,), lowered in place. [MHz]
    """
    fits_kwh = p["import_limit_w"] / 1000.0 * STEP_H + supply_kwh
    if p["battery_power_w"] > 0.0:
        fits_kwh += (
            battery.most_given_kwh(site, p) - p["battery_auxiliary_frac"] * p["battery_power_w"] / 1000.0 * STEP_H
        )
    for _ in range(2 * zones.shape[0]):
        needed_w, worst, least = 0.0, -1, np.inf
        for z in range(zones.shape[0]):
            needed_w += zones[z]["n_units"] * (
                highest_power_w(setpoint_mhz[z], zone[z], zones[z]) + p["misc_w_per_unit"]
            )
            ths_per_w = zones[z]["ths_per_mhz"] * zones[z]["ref_mhz"] / zones[z]["rated_power_w"]
            if setpoint_mhz[z] > 0.0 and ths_per_w < least:
                worst, least = z, ths_per_w
        if worst < 0 or needed_w / 1000.0 * STEP_H * (1.0 + p["transformer_loss_frac"]) <= fits_kwh:
            return
        lowest_mhz = zones[worst]["min_mhz"]
        setpoint_mhz[worst] = lowest_mhz if setpoint_mhz[worst] > lowest_mhz else 0.0


@kernel
def balance(site: np.void, p: np.void, load_kwh: float, sun_kwh: float, wind_kwh: float, is_on: float) -> Flows:
    """Settle the energy of a step among load, sun, wind, battery and grid, within the limits of the interconnect.

    Args:
        site: State of the site: the battery's charge and its command, and the command of curtailment; it takes the step in.
        p: Parameters of the site.
        load_kwh: What machines, plants and everything else draw, with the losses of the transformer. [kWh]
        sun_kwh: What the sun could give. [kWh]
        wind_kwh: What the wind could give. [kWh]
        is_on: 1 with grid power; without it all stands still, sun, wind and battery as well.
    """
    if is_on <= 0.0:
        return Flows(load_kwh, 0.0, 0.0, sun_kwh + wind_kwh, 0.0, 0.0, 0.0, 0.0)
    most_in_kwh, most_out_kwh = p["import_limit_w"] / 1000.0 * STEP_H, p["export_limit_w"] / 1000.0 * STEP_H
    kept_frac = 1.0 - site["curtailed_frac"]
    sun_used_kwh, wind_used_kwh, wanted_kwh, side_kwh = sun_kwh * kept_frac, wind_kwh * kept_frac, 0.0, 0.0
    if p["battery_power_w"] > 0.0:
        side_kwh = p["battery_auxiliary_frac"] * p["battery_power_w"] / 1000.0 * STEP_H
        wanted_kwh = -site["battery_command"] * p["battery_power_w"] / 1000.0 * STEP_H
        wanted_kwh = min(max(wanted_kwh, -battery.most_given_kwh(site, p)), battery.most_drawn_kwh(site, p))
    alone_kwh = load_kwh + side_kwh - sun_used_kwh - wind_used_kwh
    over_kwh = alone_kwh + wanted_kwh - most_in_kwh
    if over_kwh > 0.0:
        less_kwh = over_kwh
        if p["battery_power_w"] > 0.0:
            less_kwh = min(over_kwh, wanted_kwh + battery.most_given_kwh(site, p))
            wanted_kwh -= less_kwh
            less_kwh = over_kwh - less_kwh
        back_kwh = min(less_kwh, sun_kwh - sun_used_kwh)
        sun_used_kwh += back_kwh
        wind_used_kwh += min(less_kwh - back_kwh, wind_kwh - wind_used_kwh)
    beyond_kwh = -(load_kwh + side_kwh - sun_used_kwh - wind_used_kwh + wanted_kwh) - most_out_kwh
    if beyond_kwh > 0.0:
        if wanted_kwh < 0.0:
            held_kwh = min(beyond_kwh, -wanted_kwh)
            wanted_kwh += held_kwh
            beyond_kwh -= held_kwh
        spilled_kwh = min(beyond_kwh, wind_used_kwh)
        wind_used_kwh -= spilled_kwh
        sun_used_kwh -= min(beyond_kwh - spilled_kwh, sun_used_kwh)
    drawn_kwh, lost_kwh, wear_usd = 0.0, 0.0, 0.0
    if p["battery_power_w"] > 0.0:
        moved = battery.move(site, p, wanted_kwh)
        drawn_kwh, lost_kwh, wear_usd = moved.drawn_kwh, moved.lost_kwh, moved.wear_usd
    net_kwh = load_kwh + side_kwh + drawn_kwh - sun_used_kwh - wind_used_kwh
    if net_kwh < -most_out_kwh:  # the battery took less than it was asked to
        spilled_kwh = min(-most_out_kwh - net_kwh, wind_used_kwh)
        wind_used_kwh -= spilled_kwh
        sun_used_kwh -= min(-most_out_kwh - net_kwh - spilled_kwh, sun_used_kwh)
        net_kwh = load_kwh + side_kwh + drawn_kwh - sun_used_kwh - wind_used_kwh
    curtailed_kwh = sun_kwh - sun_used_kwh + wind_kwh - wind_used_kwh
    breach_kwh = max(0.0, net_kwh - most_in_kwh) + max(0.0, -net_kwh - most_out_kwh)
    breach_kwh = breach_kwh if breach_kwh > _ROUNDING_KWH else 0.0
    return Flows(
        net_kwh, sun_used_kwh, wind_used_kwh, curtailed_kwh, drawn_kwh + side_kwh, lost_kwh, breach_kwh, wear_usd
    )


_ROUNDING_KWH: Final = 1e-9
"""Energy beyond a limit that is no breach. chosen: rounding of floats."""
