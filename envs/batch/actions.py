"""Tables of actions: what each entry of an action commands, for every environment over a site."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from gymnasium import spaces

from ...sim.contract.reserve import N_HOURS
from ...sim.foundation.errors import BadInputError
from ...sim.site.params import SiteParams, ZoneParams
from . import acting, arrays, operating, tables
from .arrays import COLUMNS

Power = Literal["discrete", "box", "profile", "plan"]

RESIDUAL: Final = "residual"
"""Form of action that moves the operator's rule: 0 everywhere is the rule itself."""

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
    residual: bool = False
    """Whether an action moves the operator's rule, which makes the rest of it."""

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
        "hashrate": ("discrete", "box", "profile", RESIDUAL),
        "cooling": ("box", RESIDUAL),
        "operation": ("box", "setpoints", RESIDUAL),
        "coin": ("discrete",),
    }
    if action not in allowed[task]:
        raise BadInputError(f"action is {action!r}; it must be one of {', '.join(allowed[task])}")
    if coin_choice and task != "operation":
        raise BadInputError("coin_choice is an option of hashgym/SiteOperation-v0 alone")
    if (coin_choice or task == "coin") and len(site.markets) < 2:
        raise BadInputError("the scenario has one market, so there is nothing to choose; scrypt_shed has four")
    residual = action == RESIDUAL
    if task == "cooling":
        return ActionForm("plan", cooling=True, share=len(site.zones) > 1, residual=residual)
    if task == "operation":
        return ActionForm(
            "box" if action == "box" else "profile",
            cooling=True,
            service=has_events,
            offer=site.contract.curtailment is not None,
            battery=site.battery is not None,
            curtail=site.sun is not None or site.wind is not None,
            reserve=site.contract.reserve is not None,
            market="bin" if coin_choice else "none",
            residual=residual,
        )
    if task == "coin":
        return ActionForm("plan", market="number")
    return ActionForm("profile", residual=True) if residual else ActionForm(action)  # type: ignore[arg-type]


def action_table(form: ActionForm, site: SiteParams) -> tuple[Acted, ...]:
    """Return the table of an action, in the order of its entries."""
    if form.residual:
        return residual_table(form, site)
    return commands_table(form, site)


def commands_table(form: ActionForm, site: SiteParams) -> tuple[Acted, ...]:
    """Return the table of what an action comes to: the action itself, or what the operator's rule makes of a residual one."""
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


SITE_MOVES: Final = {
    "move_peak": "peak_ratio",
    "move_cap": "cap",
    "move_offer": "offer",
    "move_sell": "battery_sell_price",
    "move_buy": "battery_buy_price",
    "move_battery": "battery",
    "move_curtail": "curtail",
    "move_reserve": "reserve_floor",
    "move_market": "market",
}
"""Entry of a residual action behind each of the columns of COLUMNS that move what a site does as a whole."""


def residual_table(form: ActionForm, site: SiteParams) -> tuple[Acted, ...]:
    """Return the table of an action that moves the operator's rule: 0 leaves what the rule does, 1 moves it as far as the table says."""
    zones = (entry for z in range(len(site.zones)) for entry in _moves_of_zone(form, site.zones[z], z, site))
    return (*zones, *_moves_of_site(form, site))


def _moves_of_zone(form: ActionForm, zone: ZoneParams, z: int, site: SiteParams) -> list[Acted]:
    entries, head = list[Acted](), f"zone{z}_"
    if form.power != "plan":
        log, steps = operating.MOST_LOG_RATIO, operating.MOST_PROFILES
        entries += [
            Acted(
                f"{head}price_ratio",
                "ln",
                -log,
                log,
                "logarithm of the factor on the price by which the zone sleeps and wakes",
            ),
            Acted(f"{head}profile", "profiles", -steps, steps, "steps of the ladder from the profile that earns most"),
        ]
    if form.cooling:
        for told in zone.plant.commands(zone):
            meaning = f"{told.meaning}; from the rule's towards the lowest and the highest"
            entries.append(
                Acted(head + told.name, told.unit, told.neutral + told.low, told.neutral + told.high, meaning)
            )
    if form.share:
        most = acting.MOST_SHARE
        entries.append(
            Acted(f"{head}share", "1", 1.0 - most, 1.0 + most, "weight of the zone's part of the plan's load")
        )
    if form.service:
        meaning = f"above {acting.SERVICE_ABOVE:g} a technician is at work in the zone, {site.technician_usd_per_h:g} USD an hour"
        entries.append(Acted(f"{head}service", "1", 0.0, 1.0, meaning))
    return entries


def _moves_of_site(form: ActionForm, site: SiteParams) -> list[Acted]:
    entries, still = list[Acted](), f"; nothing below {operating.STILL_BELOW:g}"
    if form.power != "plan" and site.contract.coincident_peak is not None:
        most = operating.MOST_PEAK
        meaning = "share of the month's highest load of the grid from which the site sheds"
        entries.append(Acted("peak_ratio", "1", -most, most, meaning))
    if form.power != "plan" and site.contract.demand:
        most = operating.MOST_CAP
        entries.append(Acted("cap", "of the rule's", -most, most, "most power that machines are set to"))
    if form.offer:
        committed = site.contract.numbers["committed_pu"]
        meaning = (
            "what is withheld of the commitment to the curtailment programme from the next local day on, either way"
            + still
        )
        entries.append(Acted("offer", "rated power", -committed, committed, meaning))
    if form.battery:
        most = operating.MOST_PRICE_MOVE
        unit = f"asinh(USD/MWh / {operating.PRICE_UNIT_USD:g})"
        entries += [
            Acted("battery_sell_price", unit, -most, most, "price above which the battery sells"),
            Acted("battery_buy_price", unit, -most, most, "price below which the battery buys"),
            Acted("battery", "rated power", -2.0, 2.0, "added to the battery's command" + still),
        ]
    if form.curtail:
        entries.append(Acted("curtail", "1", 0.0, 1.0, "share of sun and wind that is left" + still))
    if form.reserve:
        most = acting.MOST_FLOOR_USD
        entries.append(
            Acted("reserve_floor", "USD/MW/h", -most, most, "price from which every hour's reserve is sold" + still)
        )
    if form.market != "none":
        names = ", ".join(f"{m}: {market.name}" for m, market in enumerate(site.markets))
        meaning = f"where hashes are sold, the first one at 0 or less; {names}"
        entries.append(Acted("market", "number", 0.0, len(site.markets) - 1.0, meaning))
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
    for name in COLUMNS.names or ():
        if name.startswith("move_"):
            columns[name] = -1
    columns["move_per_zone"] = 0
    if form.residual:
        _fill_move_columns(columns, form, site)


def _fill_move_columns(columns: np.ndarray, form: ActionForm, site: SiteParams) -> None:
    """Write into COLUMNS, (1,), where kernels read a residual action."""
    names = [entry.name for entry in residual_table(form, site)]
    of_power = 2 * (form.power != "plan")
    per_zone = of_power + 2 * form.cooling + form.share + form.service
    columns["move_per_zone"] = per_zone
    columns["move_ratio"] = 0 if of_power else -1
    columns["move_cooling"] = of_power if form.cooling else -1
    columns["move_share"] = per_zone - 1 if form.share else -1
    columns["move_service"] = per_zone - 1 if form.service else -1
    for name, entry in SITE_MOVES.items():
        columns[name] = names.index(entry) if entry in names else -1


def action_space(form: ActionForm, site: SiteParams) -> spaces.Space:
    """Return the space of one action."""
    n = len(action_table(form, site))
    if form.residual:
        return spaces.Box(-1.0, 1.0, (n,), np.float32)
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
