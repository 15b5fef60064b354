"""What the kernel needs of a zone's plant, per machine: fans, coils and coolers at their size and the site's altitude."""

from typing import TYPE_CHECKING

import numpy as np

from ..foundation.constants import AIR_DENSITY_KG_PER_M3
from ..hardware.fans import fan_power_w
from ..hardware.thermal import CONVECTION_EXPONENT
from .air import air_capacity_w_per_k
from .plants import LoopParams, RoomParams

if TYPE_CHECKING:
    from ..site.params import ZoneParams


def of_air(zone: "ZoneParams", air_pu: float) -> dict[str, float]:
    """Return what the kernel needs of fans and air at a density over that at sea level; fans move volume, not mass."""
    machine, plant, places = zone.machine, zone.plant, zone.slots_per_unit
    assert not isinstance(plant, LoopParams)
    flow = machine.air_flow_m3_per_s
    banks = {
        bank: getattr(plant, f"{bank}_flow_frac")
        * places
        * flow
        * getattr(plant, f"{bank}_fan_w_per_m3_per_s")
        * air_pu
        for bank in ("intake", "exhaust")
    }
    chiller_w = plant.chiller_w_per_unit * places if isinstance(plant, RoomParams) else 0.0
    air_w_per_k = air_capacity_w_per_k(flow, AIR_DENSITY_KG_PER_M3 * air_pu)
    sink_w_per_k = machine.sink_w_per_k * air_pu**CONVECTION_EXPONENT
    return {
        "air_w_per_k": air_w_per_k,
        "fan_rated_w": machine.fan_rated_w * air_pu,
        "sink_w_per_k": sink_w_per_k,
        "sink_per_air": sink_w_per_k / air_w_per_k,
        "intake_flow_frac": plant.intake_flow_frac * places,
        "exhaust_flow_frac": plant.exhaust_flow_frac * places,
        "intake_fan_rated_w": banks["intake"],
        "exhaust_fan_rated_w": banks["exhaust"],
        "chiller_w_per_unit": chiller_w,
        "asleep_sink_pu": plant.asleep_flow_frac**CONVECTION_EXPONENT,
    }


def of_loop(zone: "ZoneParams", air_pu: float) -> dict[str, float]:
    """Return what the kernel needs of a liquid loop; its plant is shared by the machines that are there."""
    machine, plant, places = zone.machine, zone.plant, zone.slots_per_unit
    assert isinstance(plant, LoopParams)
    slower = plant.pump_share * plant.pump_idle_pu**-CONVECTION_EXPONENT
    return {
        "sink_j_per_k": machine.sink_j_per_k + plant.coolant_j_per_k * places,
        "idle_chip_w_per_k": machine.chip_w_per_k / (1.0 - plant.pump_share + slower),
        "coolant_w_per_k": plant.coolant_w_per_k * places,
        "pump_w_per_unit": plant.pump_w_per_unit * places,
        "cooler_w_per_k": plant.cooler_w_per_k * places * air_pu**CONVECTION_EXPONENT,
        "cooler_air_w_per_k": plant.cooler_air_w_per_k * places * air_pu,
        "cooler_fan_w_per_unit": plant.cooler_fan_w_per_unit * places * air_pu,
        "sink_per_air": plant.cooler_w_per_k / plant.cooler_air_w_per_k * air_pu ** (CONVECTION_EXPONENT - 1.0),
    }


def banks_w(record: np.void, fan_pu: float) -> float:
    """Return the power of intake and exhaust fans that follow the machines' fans, per machine. [W]"""
    banks = ((record[f"{bank}_flow_frac"], record[f"{bank}_fan_rated_w"]) for bank in ("intake", "exhaust"))
    return float(sum(fan_power_w(min(1.0, fan_pu / share), rated_w) for share, rated_w in banks))
