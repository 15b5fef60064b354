"""Tables of actions: what each entry of an action commands, for every environment over a site."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from gymnasium import spaces

from ...sim.contract.reserve import N_HOURS
from ...sim.foundation.errors import BadInputError
from ...sim.site.params import SiteParams, ZoneParams
from . import acting, arrays, tables

Power = Literal["discrete", "box", "profile", "plan"]

POWER_KINDS: Final = {
    "discrete": arrays.DISCRETE,
    "box": arrays.BOX,
    "profile": arrays.PROFILE_INDEX,
    "plan": arrays.PLAN,
}

MARKET_KINDS: Final = {"none": 0.0, "number": arrays.MARKET_NUMBER, "bin": arrays.MARKET_BIN}


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
    """What an action holds: power, cooling and share of the load of each zone, an offer, what stands behind the meter, a market."""

    power: Power
    cooling: bool = False
    share: bool = False
    service: bool = False
    offer: bool = False
    battery: bool = False
    curtail: bool = False
    reserve: bool = False
    market: Literal["none", "number", "bin"] = "none"

    @property
    def per_zone(self) -> int:
        """Columns of the action that each zone has."""
        return (self.power != "plan") + 2 * self.cooling + self.share + self.service


def form_of(task: str, action: str, site: SiteParams, *, coin_choice: bool, has_events: bool = False) -> ActionForm:
    """Return the form of a task's action on a site; where something befalls it, an operator may ask for technicians.

    Raises:
        BadInputError: The task has no such action, or the site nothing to choose.
    """
    allowed = {
        "hashrate": ("discrete", "box", "profile"),
        "cooling": ("box",),
        "operation": ("box", "setpoints"),
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
        return ActionForm(
            "profile" if action == "setpoints" else "box",
            cooling=True,
            service=has_events,
            offer=site.contract.curtailment is not None,
            battery=site.battery is not None,
            curtail=site.sun is not None or site.wind is not None,
            reserve=site.contract.reserve is not None,
            market="bin" if coin_choice else "none",
        )
    if task == "coin":
        return ActionForm("plan", market="number")
    return ActionForm(action)  # type: ignore[arg-type]


def action_table(form: ActionForm, site: SiteParams) -> tuple[Acted, ...]:
    """Return the table of an action, in the order of its entries."""
    zones = (entry for z in range(len(site.zones)) for entry in _of_zone(form, site, z))
    return (*zones, *_of_site(form, site))


def _of_zone(form: ActionForm, site: SiteParams, z: int) -> list[Acted]:
    """Return the entries of a zone."""
    zone, entries = site.zones[z], list[Acted]()
    if form.power != "plan":
        entries.append(_power(form.power, z, zone))
    if form.cooling:
        entries += [
            Acted(f"zone{z}_{told.name}", told.unit, told.neutral + told.low, told.neutral + told.high, told.meaning)
            for told in zone.plant.commands(zone)
        ]
    if form.share:
        most = acting.MOST_SHARE
        entries.append(
            Acted(f"zone{z}_share", "1", 1.0 - most, 1.0 + most, "weight of the zone's part of the plan's load")
        )
    if form.service:
        meaning = f"above {acting.SERVICE_ABOVE:g} a technician is at work in the zone, {site.technician_usd_per_h:g} USD an hour"
        entries.append(Acted(f"zone{z}_service", "1", 0.0, 1.0, meaning))
    return entries


def _of_site(form: ActionForm, site: SiteParams) -> list[Acted]:
    """Return the entries of the site: offers, what stands behind the meter, and where hashes are sold."""
    entries = list[Acted]()
    if form.offer:
        committed = site.contract.numbers["committed_pu"]
        meaning = "commitment to the curtailment programme from the next local day on"
        entries.append(Acted("offer", "rated power", 0.0, committed, meaning))
    if form.battery:
        meaning = f"power that the battery gives, negative to charge; it stands below {acting.IDLE_BELOW:g}"
        entries.append(Acted("battery", "rated power", -1.0, 1.0, meaning))
    if form.curtail:
        meaning = "share of sun and wind that is left; 0 for an action of 0 or less"
        entries.append(Acted("curtail", "1", 0.0, 1.0, meaning))
    if form.reserve:
        meaning = f"price from which reserve is sold in this hour; below {acting.RESERVE_WITHHELD:g} it is withheld"
        entries += [
            Acted(f"reserve_{hour:02d}h", "USD/MW/h", 0.0, acting.MOST_FLOOR_USD, meaning) for hour in range(N_HOURS)
        ]
    if form.market != "none":
        names = ", ".join(f"{m}: {market.name}" for m, market in enumerate(site.markets))
        entries.append(Acted("market", "number", 0.0, len(site.markets) - 1.0, f"where hashes are sold; {names}"))
    return entries


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


def fill_action_columns(columns: np.ndarray, form: ActionForm, site: SiteParams) -> None:
    """Write into COLUMNS, (1,), where kernels read an action; what an action lacks stays -1."""
    per_zone, n_zones = form.per_zone, len(site.zones)
    has_power = form.power != "plan"
    columns["act_per_zone"] = per_zone
    columns["act_power"] = 0 if has_power else -1
    columns["act_cooling"] = int(has_power) if form.cooling else -1
    columns["act_share"] = per_zone - 1 if form.share else -1
    columns["act_service"] = per_zone - 1 if form.service else -1
    columns["act_offer"] = n_zones * per_zone if form.offer else -1
    at = n_zones * per_zone + form.offer
    columns["act_battery"] = at if form.battery else -1
    columns["act_curtail"] = at + form.battery if form.curtail else -1
    at += form.battery + form.curtail
    columns["act_reserve"] = at if form.reserve else -1
    columns["act_market"] = at + N_HOURS * form.reserve if form.market != "none" else -1


def action_space(form: ActionForm, site: SiteParams) -> spaces.Space:
    """Return the space of one action."""
    n = len(action_table(form, site))
    if form.power == "discrete":
        return spaces.MultiDiscrete([len(tables.DISCRETE_OFFSETS) + 1] * n)
    if form.power == "profile" and form.cooling:
        tops = [len(zone.machine.profiles_mhz) for zone in site.zones]
        high = np.ones(n, np.float32)
        low = -high
        high[: len(tops) * form.per_zone : form.per_zone], low[: len(tops) * form.per_zone : form.per_zone] = tops, 0.0
        return spaces.Box(low, high, dtype=np.float32)
    if form.power == "profile":
        return spaces.MultiDiscrete([len(zone.machine.profiles_mhz) + 1 for zone in site.zones])
    if form.market == "number":
        return spaces.Discrete(len(site.markets))
    return spaces.Box(-1.0, 1.0, (n,), np.float32)
