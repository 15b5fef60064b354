"""Air around machines: evaporative wall, tower, recirculation and damper."""

from typing import Final

from ..foundation.constants import AIR_HEAT_CAPACITY_J_PER_KG_K, WATER_LATENT_HEAT_J_PER_KG
from ..foundation.jit import kernel

_MAX_RECIRCULATION: Final = 4.0
"""Largest recirculated flow per fresh flow: the damper cannot close below a fifth. assumed."""


@kernel
def supply_temp_c(outdoor_temp_c: float, wet_bulb_temp_c: float, pad_effectiveness: float) -> float:
    """Return the temperature behind a wetted pad, T = T_db - ε (T_db - T_wb); ε = 0 is a dry pad. [°C]

    Source:
        ASHRAE Handbook HVAC Systems and Equipment 2020, ch. 41 (direct evaporative air coolers).
    """
    return outdoor_temp_c - pad_effectiveness * (outdoor_temp_c - wet_bulb_temp_c)


@kernel
def pad_water_kg_per_s(air_w_per_k: float, outdoor_temp_c: float, supply_c: float, bleed_frac: float) -> float:
    """Return the water that a pad takes: what evaporates (adiabatic cooling) and the bleed-off. [kg/s]"""
    if outdoor_temp_c == supply_c:
        return 0.0
    return air_w_per_k * (outdoor_temp_c - supply_c) / WATER_LATENT_HEAT_J_PER_KG * (1.0 + bleed_frac)


@kernel
def evaporated_kg_per_s(heat_w: float, bleed_frac: float) -> float:
    """Return the water that a cooling tower takes to reject heat by evaporation alone, with its bleed-off. [kg/s]

    Source:
        ASHRAE Handbook HVAC Systems and Equipment 2020, ch. 40: about 1 % of the circulating water per 7 K, all latent.
    """
    return heat_w / WATER_LATENT_HEAT_J_PER_KG * (1.0 + bleed_frac)


@kernel
def air_capacity_w_per_k(flow_m3_per_s: float, air_kg_per_m3: float) -> float:
    """Return the heat capacity flow of an air stream. [W/K]"""
    return flow_m3_per_s * air_kg_per_m3 * AIR_HEAT_CAPACITY_J_PER_KG_K


@kernel
def recirculation_ratio(
    machine_flow: float,
    supply_flow: float,
    leak_frac: float,
    inlet_min_c: float,
    supply_c: float,
    sink_temp_c: float,
    sink_per_air: float,
    direct_rise_k: float,
) -> float:
    """Return recirculated flow per fresh flow at the machines' inlet.

    Machines whose fans draw more than the supply delivers take the rest from their own exhaust; a leak is always
    there; in the cold a damper mixes in exhaust until the inlet reaches its lower limit.

    Args:
        machine_flow: Flow that the machine fans draw, in the unit of supply_flow.
        supply_flow: Flow that the supply fans deliver.
        leak_frac: Least share of exhaust in the inlet air.
        inlet_min_c: Lower limit of the inlet temperature. [°C]
        supply_c: Temperature of the fresh air. [°C]
        sink_temp_c: Heatsink temperature. [°C]
        sink_per_air: Heat taken from the heatsinks per heat capacity flow of the air, G/(m cp).
        direct_rise_k: Rise of the air by heat that does not pass the heatsinks. [K]
    """
    fresh_frac = 1.0 - leak_frac
    if machine_flow > supply_flow:
        fresh_frac = min(fresh_frac, supply_flow / machine_flow)
    ratio = (1.0 - fresh_frac) / fresh_frac
    if supply_c < inlet_min_c:
        rise_k = sink_per_air * (sink_temp_c - inlet_min_c) + direct_rise_k
        if rise_k > 0.0:
            ratio = max(ratio, (inlet_min_c - supply_c) / rise_k)
    return min(ratio, _MAX_RECIRCULATION)
