"""The strongest rules that an operator could run on a whole site: machines by price, plants at constant set-points, battery by thresholds.

A rule is a table of numbers; a batch runs many of them side by side, one for each environment, which is how they are tuned.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from ..envs.batch import acting
from ..envs.batch.core import Batch
from ..sim.contract.contract import RealTimeTariff
from ..sim.contract.reserve import N_HOURS
from ..sim.foundation.constants import CONTROL_STEP_S, STEP_MWH_PER_W, usd_per_th
from ..sim.foundation.errors import BadInputError
from ..sim.hardware.firmware import ASLEEP
from ..sim.site.ladders import SiteLadders
from ..sim.site.params import SiteParams
from ..sim.site.world import Exogenous
from .price_features import AHEAD, PAST, PriceFeatures
from .rules import Menu, Seen

FloatArray = npt.NDArray[np.float64]
Settings = Mapping[str, FloatArray | float]

SCHEDULE: Final = 0.0
AHEAD_HOURS: Final = 1.0
PERCENTILES: Final = 2.0
"""Families of rules for a battery, numbers by definition: hours of the day by the known curve, with an override by spikes; the dearest hours
ahead as the price of what is stored; percentiles of the prices of days past."""

CHOICES: Final[dict[str, tuple[float, ...]]] = {
    "off_ratio": (1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 8.0, 15.0),
    "on_ratio": (0.5, 0.7, 0.9, 1.0),
    "ride_ratio": (1.0, 1.0, 1.5, 2.0, 4.0),
    "peak_ratio": (0.94, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995, 1.0, np.inf),
    "cap_pu": (1.0, 1.0, 0.97, 0.94, 0.9, 0.85, 0.8),
    "first_command": (-1.0, -0.6, -0.3, 0.0, 0.0, 0.3, 0.6, 1.0),
    "second_command": (-1.0, -0.6, -0.3, 0.0, 0.0, 0.3, 0.6, 1.0),
    "family": (SCHEDULE, AHEAD_HOURS, PERCENTILES),
    "sell_hours": (0.0, 1.0, 2.0, 3.0, 4.0, 5.0),
    "buy_hours": (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0),
    "spike_usd": (50.0, 70.0, 90.0, 120.0, 180.0, 300.0, 1e9),
    "cheap_usd": (-20.0, -5.0, 0.0, 3.0, 6.0, 9.0, 12.0, 16.0),
    "sell_share": (0.0, 0.4, 0.6, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5),
    "buy_share": (0.6, 0.8, 1.0, 1.1, 1.3, 1.6, 2.0),
    "slope": (0.0, 0.3, 0.6, 1.0),
    "least_spread_usd": (0.0, 5.0, 10.0, 20.0, 30.0, 45.0),
    "reserve_pu": (0.0, 0.1, 0.25),
    "variant": tuple(float(k) for k in range(len(AHEAD))),
    "store_first": (0.0, 1.0),
    "reserve_floor_usd": (0.0, 2.0, 4.0, 8.0, 15.0, 30.0, 80.0, np.inf),
    "reserve_withheld": (0.0, 1.0),
    "reserve_share": (0.0, 0.0, 0.25, 0.5, 1.0),
}
"""Values among which a search chooses. chosen: from never to always of each, denser where the best rules of earlier searches lay."""

WITHHELD_HOURS: Final = (15, 19)
"""Local hours in which reserve may be withheld in months with coincident peaks: those in which the grid has them and machines shed. Source: ERCOT's
four coincident peaks."""

NEUTRAL: Final[dict[str, float]] = {
    "off_ratio": 1e9, "on_ratio": 1.0, "ride_ratio": 1.0, "peak_ratio": np.inf, "cap_pu": 1.0, "first_command": 0.0, "second_command": 0.0,
    "family": SCHEDULE, "sell_hours": 0.0, "buy_hours": 0.0, "spike_usd": 1e9, "cheap_usd": -1e9, "sell_share": 1.0, "buy_share": 1.0,
    "slope": 0.0, "least_spread_usd": 0.0, "reserve_pu": 0.0, "variant": 0.0, "store_first": 0.0,
    "reserve_floor_usd": np.inf, "reserve_withheld": 0.0, "reserve_share": 0.0,
}  # fmt: skip
"""A rule that never sleeps, leaves the plants as they are and the battery idle, by definition."""

assert len(AHEAD) == len(PAST)


def settings_of(site: SiteParams) -> tuple[str, ...]:
    """Return the names of the settings that matter on a site, in the order of CHOICES."""
    unused = set[str]()
    if site.contract.coincident_peak is None:
        unused.add("peak_ratio")
    if not site.contract.demand and not np.isfinite(site.site_cap_w):
        unused.add("cap_pu")
    if site.battery is None:
        unused |= {
            "family", "sell_hours", "buy_hours", "spike_usd", "cheap_usd", "sell_share", "buy_share", "slope", "least_spread_usd",
            "reserve_pu", "variant",
        }  # fmt: skip
    if site.battery is None or site.sun is None:
        unused.add("store_first")
    if site.contract.reserve is None:
        unused |= {"reserve_floor_usd", "reserve_withheld", "reserve_share"}
    return tuple(name for name in CHOICES if name not in unused)


class OperatorRule:
    """Machines by price with hysteresis, plants at constant set-points, the battery by one of three families of thresholds.

    off_ratio, on_ratio: times the break-even price above which the machines sleep and below which they wake; between off_ratio and
    off_ratio · ride_ratio they ride through at their lowest profile. The price is that of the energy that they add: the export price
    where the sun gives more than they draw. peak_ratio: share of the month's highest load of the grid from which the machines are off
    and the battery is emptied. cap_pu: most power that machines are set to, over that of all at their top profile. first_command, second_command:
    commands of every zone's plant. sell_hours, buy_hours: of the local day, the dearest and cheapest by the known curve; at prices
    above spike_usd, or below cheap_usd, the battery sells or buys whatever the hour. sell_share, buy_share: times the running hour's price (by
    the schedule), or the price of what is stored. slope: how that moves with the charge. least_spread_usd: below which the battery stands. reserve_pu:
    charge that the schedule leaves for spikes. variant: which of AHEAD or PAST. store_first: 1 charges with what the sun gives beyond the machines.
    reserve_floor_usd: price from which every hour's reserve is sold, infinite: never; reserve_withheld: 1 sells none in WITHHELD_HOURS of
    months with coincident peaks; reserve_share: of what the machines would save by sleeping in that hour, by the known curve, that is asked beside.
    """

    name: str = "operator"
    action: Final = "setpoints"
    task: Final = "operation"

    def __init__(self, site: SiteParams, exogenous: Exogenous, settings: Settings) -> None:
        """Take the site, what is published of its world, and the settings: numbers, or one for each environment, (n_envs,).

        Raises:
            BadInputError: A setting is none.
        """
        self.site, self.menu = site, Menu.of(site)
        self.ladders, self.features = SiteLadders.of(site), PriceFeatures.of(exogenous, site)
        self.settings = _whole(settings)

    def with_settings(self, settings: Settings, name: str = "operator") -> "OperatorRule":
        """Return the rule with other settings and a name of its own, which shares what was computed of the prices."""
        other = object.__new__(type(self))
        other.name = name
        other.site, other.menu, other.ladders, other.features = self.site, self.menu, self.ladders, self.features
        other.settings = _whole(settings)
        return other

    def act(self, batch: Batch) -> FloatArray:
        """Return the actions, (n_envs, n_actions)."""
        seen = Seen.of(batch)
        series, step = batch.state.site["series"], batch.state.site["step"]
        choices, is_peak = self._machines(batch, seen, self._margin_usd(batch, series, step))
        actions = np.zeros((batch.n_envs, len(batch.actions)))
        floors = self._reserve(batch, series, step) if self.site.contract.reserve is not None else None
        for column, entry in enumerate(batch.actions):
            zone, _, what = entry.name.partition("_")
            if zone == "reserve" and floors is not None:
                actions[:, column] = floors[:, int(what.removesuffix("h"))]
                continue
            if what == "service":
                continue
            if what == "power":
                actions[:, column] = choices[:, int(zone.removeprefix("zone"))]
            elif entry.name == "battery":
                actions[:, column] = self._battery(batch, choices, is_peak, series, step)
            elif entry.name == "offer":
                actions[:, column] = 1.0
            elif zone.startswith("zone"):
                first = batch.actions[column - 1].name == f"{zone}_power"
                actions[:, column] = self.settings["first_command" if first else "second_command"]
        return actions

    def _reserve(self, batch: Batch, series: npt.NDArray[np.int64], step: npt.NDArray[np.int64]) -> FloatArray:
        """Return the actions that offer each hour's reserve, (n_envs, N_HOURS): those of the next day, by the curve of this one."""
        s, ladders = self.settings, self.ladders
        today = self.features.today[series, step].astype(np.float64)
        hashprice = batch.obs[:, batch.column("expected_hashprice_usd_per_ph_day")].astype(np.float64)
        per_mwh = usd_per_th(1.0) * ladders.paid_ths_per_w.max() * CONTROL_STEP_S / STEP_MWH_PER_W
        tariff = self.site.contract.energy
        adder = tariff.adder_usd_per_mwh if isinstance(tariff, RealTimeTariff) else 0.0
        saved = np.maximum(0.0, today + adder - (hashprice * per_mwh)[:, None])
        floor = s["reserve_floor_usd"].reshape(-1, 1) + s["reserve_share"].reshape(-1, 1) * saved
        hours = np.zeros(N_HOURS, np.bool_)
        hours[WITHHELD_HOURS[0] : WITHHELD_HOURS[1]] = True
        is_month = self._is_summer(batch)[:, None]
        withheld = (s["reserve_withheld"].reshape(-1, 1) > 0.0) & is_month & hours
        share = np.sqrt(np.minimum(floor, acting.MOST_FLOOR_USD) / acting.MOST_FLOOR_USD)
        offers = acting.RESERVE_WITHHELD + (1.0 - acting.RESERVE_WITHHELD) * share
        return np.where(withheld | ~np.isfinite(floor), -1.0, offers)

    def _is_summer(self, batch: Batch) -> npt.NDArray[np.bool_]:
        """Tell where the month counts for coincident peaks, (n_envs,)."""
        if self.site.contract.coincident_peak is None:
            return np.zeros(batch.n_envs, np.bool_)
        return np.asarray(batch.obs[:, batch.column("coincident_ratio")] > 0.0)

    def _sun_w(self, batch: Batch) -> FloatArray:
        """Return the power of sun and wind in the last step, (n_envs,). [W]"""
        total = np.zeros(batch.n_envs)
        for kind, part in (("sun", self.site.sun), ("wind", self.site.wind)):
            if part is not None:
                total += batch.obs[:, batch.column(f"{kind}_now_pu")] * part.power_w
        return total

    def _margin_usd(self, batch: Batch, series: npt.NDArray[np.int64], step: npt.NDArray[np.int64]) -> FloatArray:
        """Return what a megawatt-hour more costs the machines, (n_envs,): its export price where the sun gives more than they draw."""
        price = batch.obs[:, batch.column("known_energy_price_usd_per_mwh")].astype(np.float64)
        if self.site.sun is None and self.site.wind is None:
            return price
        export = np.maximum(0.0, self.features.market[series, step] + self.site.contract.export_adder_usd_per_mwh)
        top_w = self.ladders.meter_power_w[:, -1].sum()
        return np.where(self._sun_w(batch) >= top_w, export, price)

    def _machines(
        self, batch: Batch, seen: Seen, margin_usd: FloatArray
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Return the choice of each zone, (n_envs, n_zones), and whether the grid may have its peak, (n_envs,)."""
        s, ladders = self.settings, self.ladders
        hashprice = batch.obs[:, batch.column("expected_hashprice_usd_per_ph_day")].astype(np.float64)
        worth = usd_per_th(1.0) * hashprice[:, None, None] * ladders.paid_hashrate_ths * CONTROL_STEP_S
        cost = margin_usd[:, None, None] * ladders.meter_power_w * STEP_MWH_PER_W
        best = np.where(ladders.is_profile, worth - cost, -np.inf).argmax(axis=2)
        even = (worth / (ladders.meter_power_w * STEP_MWH_PER_W)).max(axis=2)
        ratio = margin_usd[:, None] / np.maximum(even, 1e-9)
        is_asleep = batch.state.zone["mode"] == ASLEEP
        off, on = s["off_ratio"].reshape(-1, 1), s["on_ratio"].reshape(-1, 1)
        rides = ~is_asleep & (ratio > off) & (ratio <= off * s["ride_ratio"].reshape(-1, 1))
        is_off = np.where(is_asleep, ratio >= np.minimum(on, off), ratio > off)
        choices = np.where(is_off, 0, best + 1)
        choices = np.where(rides, 1, choices)
        is_peak = np.broadcast_to(np.asarray(seen.coincident_ratio >= s["peak_ratio"]), (batch.n_envs,))
        called = np.broadcast_to(np.asarray(seen.is_called), (batch.n_envs,))
        choices = np.where((is_peak | called)[:, None], 0, choices)
        choices = self.menu.under_cap(choices)
        cap = s["cap_pu"]
        if np.any(cap < 1.0):
            choices = _under(
                choices, self.menu, np.broadcast_to(cap, (batch.n_envs,)) * self.menu.meter_w.max(axis=1).sum()
            )
        return choices, is_peak

    def _battery(
        self,
        batch: Batch,
        choices: npt.NDArray[np.int64],
        is_peak: npt.NDArray[np.bool_],
        series: npt.NDArray[np.int64],
        step: npt.NDArray[np.int64],
    ) -> FloatArray:
        """Return the battery's command, (n_envs,)."""
        s, f = self.settings, self.features
        assert self.site.battery is not None
        charge = batch.obs[:, batch.column("battery_charge_pu")].astype(np.float64)
        market = f.market[series, step].astype(np.float64)
        hour, family, variant = f.hour[series, step], s["family"], s["variant"].astype(np.int64)
        spread = f.spread[series, step]
        dear = np.where(family == PERCENTILES, f.high[variant, series, step], f.dear_ahead[variant, series, step])
        cheap = np.where(family == PERCENTILES, f.low[variant, series, step], f.cheap_ahead[variant, series, step])
        tilt = s["slope"] * (0.5 - charge)
        high, low = dear * s["sell_share"] * (1.0 + tilt), cheap * s["buy_share"] + tilt * np.abs(cheap)
        is_wide = high - low >= s["least_spread_usd"]
        by_price = np.where(
            (market > high) & is_wide & (market > 0.0), 1.0, np.where((market < low) & is_wide, -1.0, 0.0)
        )
        wide_day = spread >= s["least_spread_usd"]
        sells = (
            wide_day
            & (f.dearer[series, step] < s["sell_hours"])
            & (market > s["sell_share"] * hour)
            & (charge > s["reserve_pu"])
        )
        buys = wide_day & (f.cheaper[series, step] < s["buy_hours"]) & (market < s["buy_share"] * hour)
        command = np.where(family == SCHEDULE, np.where(sells, 1.0, np.where(buys, -1.0, 0.0)), by_price)
        command = np.where(market > s["spike_usd"], 1.0, np.where(market < s["cheap_usd"], -1.0, command))
        if self.site.sun is not None or self.site.wind is not None:
            load_w = self.menu.meter_w[np.arange(choices.shape[1]), choices].sum(axis=1)
            surplus_w = self._sun_w(batch) - load_w
            limit = self.site.interconnect.export_limit_w if self.site.interconnect is not None else 0.0
            spilled = np.maximum(0.0, surplus_w - np.where(s["store_first"] > 0.0, 0.0, limit))
            stored = -np.minimum(1.0, spilled / self.site.battery.power_w)
            command = np.where((spilled > 0.0) & (command <= 0.0), np.minimum(command, stored), command)
        return np.where(is_peak, 1.0, command)


def _under(choices: npt.NDArray[np.int64], menu: Menu, cap_w: FloatArray) -> npt.NDArray[np.int64]:
    """Return the choices lowered zone by zone, the last one first, until the power of each environment's profiles keeps its cap."""
    choices, zones = choices.copy(), np.arange(choices.shape[1])
    for _ in range(int(menu.meter_w.shape[1] * choices.shape[1])):
        over = menu.meter_w[zones, choices].sum(axis=1) > cap_w
        if not over.any():
            break
        top = choices.argmax(axis=1)
        rows = np.flatnonzero(over & (choices.max(axis=1) > 1))
        if not rows.size:
            break
        choices[rows, top[rows]] -= 1
    return choices


def require_settings(names: Iterable[str]) -> None:
    """Raise BadInputError if a name is no setting of the operator's rule."""
    for name in names:
        if name not in NEUTRAL:
            raise BadInputError(f"no setting {name!r} of the operator's rule; there are {', '.join(NEUTRAL)}")


def _whole(settings: Settings) -> dict[str, FloatArray]:
    """Return every setting, those that are not given neutral; raises BadInputError."""
    require_settings(settings)
    return {name: np.asarray(settings.get(name, value), np.float64) for name, value in NEUTRAL.items()}
