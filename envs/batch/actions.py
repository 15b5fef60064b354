"""Tables of actions: what each entry of an action commands, for every environment over a site."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from gymnasium import spaces

from ...sim.cooling.plants import LOOP, ROOM
from ...sim.foundation.errors import BadInputError
from ...sim.site.params import SiteParams, ZoneParams
from . import acting, tables

Power = Literal["discrete", "box", "profile", "plan"]

POWER_KINDS: Final = {
    "discrete": acting.DISCRETE, "box": acting.BOX, "profile": acting.PROFILE_INDEX, "plan": acting.PLAN,
}  # fmt: skip

FAN_LOW_K: Final = -12.0
"""Most by which fans may hold chips colder than their target. [K] chosen."""
MOST_CHIP_C: Final = 80.0
"""Highest chip temperature that fans may be told to hold, and never within 2 K of the firmware's step-down. [°C] The threshold of chip_over_temp."""
PADS_K: Final = (-10.0, 12.0)
"""What moves the outdoor temperature at which pads go on: from 18 to 40 °C at the usual 28. [K] chosen."""
SUPPLY_K: Final = (-6.0, 8.0)
"""What moves a room's supply air: 18 to 32 °C, ASHRAE TC 9.9's recommended envelope up to its allowable one (A1). [K]"""
COOLANT_K: Final = (-10.0, 12.0)
"""What moves a loop's coolant: 28 to 50 °C at the usual 38; 50 is normal for hydro machines (miningos, Whatsminer). [K]"""
PUMP_LOW_PU: Final = -0.6
"""Most by which a loop's pump may run slower. chosen: laminar flow below."""


@dataclass(frozen=True, slots=True)
class Acted:
    """One entry of an action: name, unit of what it commands, what the lowest and the highest value command, meaning."""

    name: str
    unit: str
    low: float
    high: float
    meaning: str


@dataclass(frozen=True, slots=True)
class ActionForm:
    """What an environment's action holds: power, cooling and a share of the load for each zone, then an offer and a market."""

    power: Power
    cooling: bool = False
    share: bool = False
    offer: bool = False
    market: Literal["none", "number", "bin"] = "none"

    @property
    def per_zone(self) -> int:
        """Columns of the action that each zone has."""
        return (self.power != "plan") + 2 * self.cooling + self.share


def form_of(task: str, action: str, site: SiteParams, *, coin_choice: bool) -> ActionForm:
    """Return the form of a task's action on a site.

    Raises:
        BadInputError: The task has no such action, or the site nothing to choose.
    """
    allowed = {
        "hashrate": ("discrete", "box", "profile"),
        "cooling": ("box",),
        "operation": ("box",),
        "coin": ("discrete",),
    }
    if action not in allowed[task]:
        raise BadInputError(f"action is {action!r}; it must be one of {', '.join(allowed[task])}")
    if coin_choice and task != "operation":
        raise BadInputError("coin_choice is an option of hashgym/SiteOperation-v0 alone")
    if (coin_choice or task == "coin") and len(site.markets) < 2:
        raise BadInputError("the scenario has one market, so there is nothing to choose; scrypt_shed has four")
    if task == "cooling":
        return ActionForm("plan", cooling=True, share=len(site.zones) > 1)
    if task == "operation":
        offer = site.contract.curtailment is not None
        return ActionForm("box", cooling=True, offer=offer, market="bin" if coin_choice else "none")
    if task == "coin":
        return ActionForm("plan", market="number")
    return ActionForm(action)  # type: ignore[arg-type]


def reach_of(site: SiteParams) -> np.ndarray:
    """Return what the cooling commands of each zone can reach, (n_zones,) of RANGE."""
    reach = np.zeros(len(site.zones), acting.RANGE)
    for entry, zone in zip(reach, site.zones, strict=True):
        firmware = zone.firmware
        entry["fan_low_k"] = FAN_LOW_K
        highest_c = min(MOST_CHIP_C, firmware.throttle_down_temp_c - 2.0)
        entry["fan_high_k"] = max(0.0, highest_c - firmware.fan_target_temp_c)
        plant = COOLANT_K if zone.plant.kind == LOOP else SUPPLY_K if zone.plant.kind == ROOM else PADS_K
        entry["plant_low_k"], entry["plant_high_k"] = plant
        entry["pump_low_pu"] = PUMP_LOW_PU
    return reach


def action_table(form: ActionForm, site: SiteParams) -> tuple[Acted, ...]:
    """Return the table of an action, in the order of its entries."""
    reach, entries = reach_of(site), []
    for z, zone in enumerate(site.zones):
        if form.power != "plan":
            entries.append(_power(form.power, z, zone))
        if form.cooling:
            entries += _cooling(z, zone, reach[z])
        if form.share:
            most = acting.MOST_SHARE
            entries.append(
                Acted(f"zone{z}_share", "1", 1.0 - most, 1.0 + most, "weight of the zone's part of the plan's load")
            )
    if form.offer:
        committed = site.contract.numbers["committed_pu"]
        entries.append(
            Acted(
                "offer",
                "rated power",
                0.0,
                committed,
                "commitment to the curtailment programme from the next local day on",
            )
        )
    if form.market != "none":
        names = ", ".join(f"{m}: {market.name}" for m, market in enumerate(site.markets))
        entries.append(Acted("market", "number", 0.0, len(site.markets) - 1.0, f"where hashes are sold; {names}"))
    return tuple(entries)


def _power(kind: str, z: int, zone: ZoneParams) -> Acted:
    top = len(zone.machine.profiles_mhz)
    if kind == "box":
        meaning = (
            f"below {tables.BOX_SLEEP_BELOW:g} the zone sleeps, above {tables.BOX_WAKE_ABOVE:g} it wakes, in between it stays; "
            "the rest is the power target from the lowest to the highest profile"
        )
        return Acted(f"zone{z}_power", "profile", 1.0, float(top), meaning)
    if kind == "discrete":
        low, high = tables.DISCRETE_OFFSETS[0], tables.DISCRETE_OFFSETS[-1]
        return Acted(f"zone{z}_power", "profiles", low, high, "0 is off, the others move the myopic profile")
    return Acted(f"zone{z}_power", "profile", 1.0, float(top), "0 is off, k is profile k of the ladder")


def _cooling(z: int, zone: ZoneParams, reach: np.void) -> list[Acted]:
    low_k, high_k = float(reach["plant_low_k"]), float(reach["plant_high_k"])
    if zone.plant.kind == LOOP:
        target = zone.plant.coolant_target_c  # type: ignore[union-attr]
        return [
            Acted(
                f"zone{z}_pump",
                "rated speed",
                1.0 + PUMP_LOW_PU,
                1.0,
                "speed of the pump; from 0 on it is the rated one",
            ),
            Acted(f"zone{z}_coolant", "°C", target + low_k, target + high_k, "coolant that the cooler holds"),
        ]
    fan_c = zone.firmware.fan_target_temp_c
    chip = Acted(
        f"zone{z}_chip", "°C", fan_c + float(reach["fan_low_k"]), fan_c + float(reach["fan_high_k"]),
        "hottest chip that the machines' fans hold",
    )  # fmt: skip
    if zone.plant.kind == ROOM:
        target = zone.plant.supply_target_c  # type: ignore[union-attr]
        return [
            chip,
            Acted(
                f"zone{z}_supply", "°C", target + low_k, target + high_k, "supply air that economizer and chiller hold"
            ),
        ]
    on_c = zone.plant.pad_on_temp_c  # type: ignore[union-attr]
    return [
        chip,
        Acted(f"zone{z}_pads", "°C", on_c + low_k, on_c + high_k, "outdoor temperature at which the pads go on"),
    ]


def action_space(form: ActionForm, site: SiteParams) -> spaces.Space:
    """Return the space of one action."""
    n = len(action_table(form, site))
    if form.power == "discrete":
        return spaces.MultiDiscrete([len(tables.DISCRETE_OFFSETS) + 1] * n)
    if form.power == "profile":
        return spaces.MultiDiscrete([len(zone.machine.profiles_mhz) + 1 for zone in site.zones])
    if form.market == "number":
        return spaces.Discrete(len(site.markets))
    return spaces.Box(-1.0, 1.0, (n,), np.float32)
