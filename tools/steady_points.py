"""The heat model of a machine against measured steady points: fitted to some, judged by the others."""

from typing import Any

import numpy as np

from hashgym.sim.cooling.air import air_capacity_w_per_k
from hashgym.sim.foundation.constants import AIR_DENSITY_KG_PER_M3
from hashgym.sim.hardware import catalogue
from hashgym.sim.hardware.fans import fan_power_w
from hashgym.sim.hardware.params import MachineParams
from hashgym.sim.hardware.thermal import CONVECTION_EXPONENT


def points() -> list[dict[str, Any]]:
    """Return the measured points of catalogue/steady.yaml."""
    found: list[dict[str, Any]] = catalogue.read("steady.yaml")["points"]
    return found


def outlet_temp_c(machine: MachineParams, point: dict[str, Any]) -> float:
    """Return the modelled temperature of the air behind a machine. [°C]"""
    capacity = air_capacity_w_per_k(machine.air_flow_m3_per_s * point["fan_pu"], AIR_DENSITY_KG_PER_M3)
    return float(point["inlet_temp_c"] + point["power_w"] / capacity)


def chip_heat_w(machine: MachineParams, point: dict[str, Any]) -> float:
    """Return the heat of the boards at a point's power. [W]"""
    side_w = machine.control_w + fan_power_w(point["fan_pu"], machine.fan_rated_w)
    return float((point["power_w"] - side_w) * machine.psu_efficiency)


def chip_temp_c(machine: MachineParams, point: dict[str, Any]) -> float:
    """Return the modelled temperature of the hottest chip. [°C]"""
    sink_w_per_k = machine.sink_w_per_k * point["fan_pu"] ** CONVECTION_EXPONENT
    resistance = 1.0 / machine.chip_w_per_k + machine.hot_k_per_w + 1.0 / sink_w_per_k
    return float(point["inlet_temp_c"] + chip_heat_w(machine, point) * resistance)


def fitted(point: dict[str, Any]) -> dict[str, float]:
    """Return the parameters that a point fixes, by the model solved for them.

    The air flow follows from the mean outlet temperature, the conductance from heatsink to air from the hottest chip.
    """
    machine, result = catalogue.machine(point["machine"]), {}
    if "air_flow_m3_per_s" in point["fits"]:
        rise_k = float(np.mean(point["outlet_temp_c"])) - point["inlet_temp_c"]
        result["air_flow_m3_per_s"] = point["power_w"] / (
            air_capacity_w_per_k(rise_k, AIR_DENSITY_KG_PER_M3) * point["fan_pu"]
        )
    if "sink_w_per_k" in point["fits"]:
        rise_k = max(point["chip_temp_c"]) - point["inlet_temp_c"]
        inner = 1.0 / machine.chip_w_per_k + machine.hot_k_per_w
        outer = rise_k / chip_heat_w(machine, point) - inner
        result["sink_w_per_k"] = 1.0 / outer / point["fan_pu"] ** CONVECTION_EXPONENT
    return result


def rows() -> list[dict[str, Any]]:
    """Return measured and modelled temperatures, with what was fitted marked."""
    result = []
    for point in points():
        machine = catalogue.machine(point["machine"])
        label = f"{point['power_w']} W, fans {point['fan_pu']:.0%}, inlet {point['inlet_temp_c']} °C"
        for quantity, parameter, model, pick in (
            ("outlet_temp_c", "air_flow_m3_per_s", outlet_temp_c, np.mean),
            ("chip_temp_c", "sink_w_per_k", chip_temp_c, np.max),
        ):
            if quantity not in point:
                continue
            measured, modelled = float(pick(point[quantity])), model(machine, point)
            result.append(
                {
                    "model": machine.name,
                    "quantity": f"{quantity} at {label}",
                    "measured": round(measured, 1),
                    "modelled": round(modelled, 1),
                    "error_k": round(modelled - measured, 1),
                    "contradictory": False,
                    "fitted": parameter in point["fits"],
                    "source": point["source"],
                }
            )
    return result
