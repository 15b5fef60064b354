"""The kinds of cooling plants, and the kernels that choose among them."""

from typing import Final

import numpy as np

from ..foundation.jit import kernel
from ..foundation.records import number_fields
from . import air, container, loop, rear_door, room
from .air import AIR_FIELDS
from .container import ContainerParams
from .loop import LOOP_FIELDS, LoopParams
from .plant import COMMAND_FIELDS, Boards, Weather
from .rear_door import REAR_DOOR_FIELDS, RearDoorParams
from .room import ROOM_FIELDS, RoomParams

__all__ = ["PLANTS", "PLANT_FIELDS", "ContainerParams", "LoopParams", "PlantParams", "RearDoorParams", "RoomParams"]

PlantParams = ContainerParams | RoomParams | LoopParams | RearDoorParams

PLANTS: Final[dict[str, type[PlantParams]]] = {
    "container": ContainerParams,
    "room": RoomParams,
    "loop": LoopParams,
    "rear_door": RearDoorParams,
}
"""Kinds of plants by the name that a scenario gives them."""

PLANT_FIELDS: Final = (
    "plant_kind",
    "is_liquid",
    "delivers_heat",
    *COMMAND_FIELDS,
    *(name for kind in PLANTS.values() for name in number_fields(kind)),
    *AIR_FIELDS,
    *ROOM_FIELDS,
    *LOOP_FIELDS,
    *REAR_DOOR_FIELDS,
)
"""Fields of a plant in the record of a zone: what it is, the ranges of its commands, its parameters, what is derived of
them. Those of plants of another kind are 0."""


@kernel
def command(zone: np.void, p: np.void, first: float, second: float) -> None:
    """Give a zone's plant its two commands, each in [-1, 1]; 0 is where it stands by itself."""
    if p["plant_kind"] == loop.KIND:
        loop.command(zone, p, first, second)
    else:
        air.command(zone, p, first, second)


@kernel
def reset(zone: np.void, p: np.void, outdoor_temp_c: float) -> None:
    """Bring a zone's air in line with the weather in which an episode begins."""
    if p["plant_kind"] == container.KIND:
        zone["inlet_temp_c"] = max(p["inlet_min_c"], outdoor_temp_c)


@kernel
def begin_step(zone: np.void, p: np.void, outdoor_temp_c: float) -> None:
    """Let what a plant does once a control step happen."""
    if p["plant_kind"] == loop.KIND:
        loop.begin_step(zone, p, outdoor_temp_c)
    elif p["plant_kind"] == container.KIND:
        container.begin_step(zone, p, outdoor_temp_c)


@kernel
def sub_step(zone: np.void, p: np.void, weather: Weather, boards: Boards, sums: np.void) -> None:
    """Advance a zone and its plant by a sub-step."""
    if p["plant_kind"] == loop.KIND:
        loop.sub_step(zone, p, weather, boards, sums)
    elif p["plant_kind"] == room.KIND:
        room.sub_step(zone, p, weather, boards, sums)
    elif p["plant_kind"] == rear_door.KIND:
        rear_door.sub_step(zone, p, weather, boards, sums)
    else:
        container.sub_step(zone, p, weather, boards, sums)
