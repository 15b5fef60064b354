"""A chiller's coefficient of performance, and the air handler with an economizer that it serves."""

import numpy as np

from ..foundation.constants import ZERO_CELSIUS_K
from ..foundation.jit import kernel
from .plant import Weather


@kernel
def cop(
    load_pu: float,
    evaporator_temp_c: float,
    condenser_temp_c: float,
    entropy_per_k: float,
    loss: float,
    resistance_k: float,
) -> float:
    """Return the coefficient of performance of a vapour-compression chiller, cooling over electric power.

    (T_e/T_c)(1 + 1/COP) - 1 = s T_e/q + l (T_c - T_e)/(T_c q) + r q/T_c (1 + 1/COP), solved for COP.

    Args:
        load_pu: Cooling q over rated cooling, above 0.
        evaporator_temp_c: Leaving chilled water T_e. [°C]
        condenser_temp_c: Entering condenser water T_c. [°C]
        entropy_per_k: s, internal entropy production over rated cooling. [1/K]
        loss: l, heat gains over rated cooling.
        resistance_k: r, resistance of the heat exchangers times rated cooling. [K]

    Source:
        J. Gordon, K. Ng, Cool Thermodynamics, 2000, ch. 4 (universal chiller model, three parameters).
    """
    evaporator_k = evaporator_temp_c + ZERO_CELSIUS_K
    # Below a lift of a few kelvin the model leaves the range in which chillers run; they hold their head pressure.
    condenser_k = max(condenser_temp_c + ZERO_CELSIUS_K, evaporator_k + MIN_LIFT_K)
    losses = (entropy_per_k * evaporator_k + loss * (condenser_k - evaporator_k) / condenser_k) / load_pu
    per_unit = (1.0 + losses) / ((evaporator_k - resistance_k * load_pu) / condenser_k)
    return 1.0 / (per_unit - 1.0)


LEAST_LOAD_PU = 0.1
"""Load below which a chiller runs on and off. assumed: the fitted ones ran above 19 %."""

MIN_LIFT_K = 8.0
"""Least lift from evaporator to condenser. [K] Source: coldest condenser water of the fitted chillers, 15 °C over 5.5 °C."""


@kernel
def outdoor_frac(outdoor_temp_c: float, return_temp_c: float, target_c: float, min_frac: float) -> float:
    """Return the share of outdoor air that a differential dry-bulb economizer takes.

    Below the target it mixes outdoor and return air to meet it; between target and return it takes outdoor air alone;
    above the return air the least.

    Source:
        ASHRAE Guideline 36-2021, sec. 5.16 (economizer high limit, differential dry bulb).
    """
    if outdoor_temp_c >= return_temp_c:
        return min_frac
    if outdoor_temp_c >= target_c:
        return 1.0
    return min(1.0, max(min_frac, (return_temp_c - target_c) / (return_temp_c - outdoor_temp_c)))


@kernel
def room_supply(
    p: np.void,
    air_w_per_k: float,
    plant_share: float,
    fan_w: float,
    weather: Weather,
    return_temp_c: float,
    shift_k: float,
) -> tuple[float, float, float]:
    """Cool the supply air of a room: economizer first, chiller for the rest, as far as its rated cooling goes.

    The air is taken as dry: machines give off no moisture, and outdoor air dries little at these supply temperatures.

    Args:
        p: The zone's parameters.
        air_w_per_k: Heat capacity flow through the coil, per machine. [W/K]
        plant_share: Machines that the plant was made for, for each one that works.
        fan_w: Power of the supply fans, which warms the air before the coil, per machine. [W]
        weather: Outdoor air.
        return_temp_c: Air that comes back from the machines. [°C]
        shift_k: Command that moves the target of the supply air. [K]

    Returns:
        Supply temperature [°C], heat that the chiller takes [W], electric power of chiller, pumps and tower [W].
    """
    target_c = p["supply_target_c"] + shift_k
    share = outdoor_frac(weather.outdoor_temp_c, return_temp_c, target_c - fan_w / air_w_per_k, p["outdoor_min_frac"])
    mixed_c = share * weather.outdoor_temp_c + (1.0 - share) * return_temp_c + fan_w / air_w_per_k
    rated_w = p["chiller_full_w"] * plant_share
    heat_w = min(max(air_w_per_k * (mixed_c - target_c), 0.0), rated_w)
    if heat_w <= 0.0:
        return mixed_c, 0.0, 0.0
    condenser_c = weather.outdoor_temp_c + p["dry_approach_k"]
    if p["condenser_is_wet"] > 0.0:
        condenser_c = weather.wet_bulb_temp_c + p["condenser_approach_k"]
    performance = cop(
        max(heat_w / rated_w, LEAST_LOAD_PU),
        p["chilled_water_c"],
        condenser_c,
        p["chiller_entropy_per_k"],
        p["chiller_loss"],
        p["chiller_resistance_k"],
    )
    compressor_w = heat_w / performance
    return mixed_c - heat_w / air_w_per_k, heat_w, compressor_w + p["chiller_side_frac"] * (heat_w + compressor_w)
