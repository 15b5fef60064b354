"""Planners of whole sites: a stochastic programme on the known day-ahead curve, and plans that see true prices some hours ahead.

Both solve the same dynamic programme over machines and battery, and play it through the simulator. The stochastic one knows what an operator
knows: the curve that is published, the last price that is known, and from the training months how prices move around the curve.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from ...envs.batch.core import Batch
from ...envs.batch.operating import CAP_RESERVE
from ...sim.contract.channels import BEGINS_DAY
from ...sim.contract.contract import RealTimeTariff
from ...sim.energy.battery import BatteryParams, inverter_loss_pu
from ...sim.foundation.constants import CONTROL_STEP_S, SECONDS_PER_HOUR, usd_per_th
from ...sim.foundation.errors import BadInputError
from ...sim.hardware.firmware import ASLEEP
from ...sim.series.exogenous import CURVE_CHANNELS, STEPS_PER_DAY, STEPS_PER_HOUR, best_curve
from ...sim.series.price_features import known_curve, known_market
from ...sim.site.ladders import SiteLadders
from ...sim.site.params import SiteParams
from ...sim.site.world import Exogenous
from ..rules import Seen
from .storage import PLAN_PARAMS, solve

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

N_CHARGES: Final = 21
POWERS_PU: Final = (-1.0, -0.5, 0.0, 0.5, 1.0)
"""Grid of the battery's charge, and powers among which a plan chooses. chosen: a twentieth of two hours is six minutes at full power."""

MOST_CHOICES: Final = 5
"""Choices of the machines, off included. chosen: what lies between two profiles is worth little."""

LEVEL_EDGES: Final = (-3.2, -2.0, -1.2, -0.7, -0.35, -0.1, 0.1, 0.35, 0.7, 1.2, 2.0, 3.0, 4.2)
CURVE_EDGES_USD: Final = (18.0, 28.0, 45.0, 80.0)
SCALE_USD: Final = 10.0
"""Edges of the levels of asinh((price - curve) / SCALE_USD), and of classes of the curve. chosen: finer near the curve, where prices are most of
the time; the last level holds spikes."""

PRIOR: Final = 10.0
"""Weight of the chain over all hours and classes beside each one's own counts. chosen: a day of quarter-hours is 96."""

PLAN_HOURS: Final = 34
"""Hours ahead that a plan reckons with: as far as the curve goes. chosen."""

END_SHARE: Final = 0.9
"""Share of the curve's mean price at which energy counts that is left at the end of a plan. chosen."""

SOLVED_H: Final = 4
"""Hours after which a plan is made anew at the latest; it is when a new curve is out. chosen: sun and wind drift away from their forecast."""


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """How prices move around the curve, from training months.

    after: chance of each level after each, (4 parts of the day, classes, levels, levels). mean_usd: mean distance from the curve at
    each level, (4, classes, levels). [USD/MWh]
    """

    after: FloatArray
    mean_usd: FloatArray

    @classmethod
    def fit(cls, exogenous: Exogenous, site: SiteParams, steps: range, interval_s: int) -> "Chain":
        """Count it over some steps of every series of a world."""
        every = interval_s // int(CONTROL_STEP_S)
        market, curve = true_market(exogenous, site), known_curve(exogenous, site)[:, :, 0]
        at = np.arange(steps.start - steps.start % every + every, steps.stop - every, every)
        part, n_class, n_level = _part_of_day(exogenous)[at], len(CURVE_EDGES_USD) + 1, len(LEVEL_EDGES) + 1
        after = np.full((4, n_class, n_level, n_level), 1e-3)
        total, count = np.zeros((4, n_class, n_level)), np.zeros((4, n_class, n_level))
        for series in range(len(market)):
            gap = market[series, at] - curve[series, at]
            level, group = level_of(gap), np.digitize(curve[series, at], CURVE_EDGES_USD)
            np.add.at(after, (part[1:], group[1:], level[:-1], level[1:]), 1.0)
            np.add.at(total, (part, group, level), gap)
            np.add.at(count, (part, group, level), 1.0)
        overall = total.sum((0, 1)) / np.maximum(count.sum((0, 1)), 1.0)
        mean_usd = np.where(count > 5, total / np.maximum(count, 1.0), overall)
        pooled = after.sum((0, 1))
        after = after + PRIOR * pooled / pooled.sum(axis=1, keepdims=True)
        return cls(after / after.sum(axis=-1, keepdims=True), mean_usd)


def level_of(gap_usd: FloatArray) -> IntArray:
    """Return the level of a price's distance from the curve."""
    return np.digitize(np.arcsinh(np.asarray(gap_usd) / SCALE_USD), LEVEL_EDGES)


def true_market(exogenous: Exogenous, site: SiteParams) -> FloatArray:
    """Return the price of the market in force, (n_series, n_steps): what a plan with foresight may see. [USD/MWh]

    Where the tariff is a calendar it is the price of energy.
    """
    if not isinstance(site.contract.energy, RealTimeTariff):
        return exogenous.in_force("energy_price_usd_per_mwh")
    return exogenous.in_force("export_price_usd_per_mwh") - site.contract.export_adder_usd_per_mwh


def _part_of_day(exogenous: Exogenous) -> IntArray:
    """Return the quarter of the local day that each step lies in, (n_steps,)."""
    begins = (exogenous.in_force("clock")[0].astype(np.int64) & BEGINS_DAY) > 0
    begins[0] = True
    at = np.arange(len(begins))
    first = np.maximum.accumulate(np.where(begins, at, 0))
    return np.minimum((at - first) // (6 * STEPS_PER_HOUR), 3)


@dataclass(frozen=True, slots=True, eq=False)
class Choices:
    """Choices of a site's machines: profile of each zone, 0 off, (n, n_zones); power at the meter and paid hashrate, (n,). [W], [TH/s]"""

    profiles: IntArray
    meter_w: FloatArray
    paid_ths: FloatArray

    @classmethod
    def of(cls, site: SiteParams, cap_pu: float = 1.0) -> "Choices":
        """Return off, and steps up the site's ladder in the order of what a watt more hashes; no more than MOST_CHOICES under the cap."""
        ladders = SiteLadders.of(site)
        now = np.zeros(len(site.zones), np.int64)
        path, tops = [now.copy()], ladders.n_profiles
        best = ladders.paid_ths_per_w.argmax(axis=1) + 1
        while (now < tops).any():
            gains = []
            for z in range(len(now)):
                after = best[z] if now[z] == 0 else now[z] + 1
                if now[z] >= tops[z]:
                    gains.append(-np.inf)
                    continue
                before_w = ladders.asleep_power_w[z] if now[z] == 0 else ladders.meter_power_w[z, now[z] - 1]
                before_ths = 0.0 if now[z] == 0 else ladders.paid_hashrate_ths[z, now[z] - 1]
                more_w = ladders.meter_power_w[z, after - 1] - before_w
                gains.append((ladders.paid_hashrate_ths[z, after - 1] - before_ths) / max(more_w, 1e-9))
            z = int(np.argmax(gains))
            now[z] = best[z] if now[z] == 0 else now[z] + 1
            path.append(now.copy())
        profiles, zones = np.stack(path), np.arange(len(now))
        meter_w = np.where(profiles > 0, ladders.meter_power_w[zones, profiles - 1], ladders.asleep_power_w).sum(axis=1)
        paid = np.where(profiles > 0, ladders.paid_hashrate_ths[zones, profiles - 1], 0.0).sum(axis=1)
        last = int(
            np.flatnonzero(meter_w <= min(site.site_cap_w * (1.0 - CAP_RESERVE), cap_pu * meter_w.max()) + 1e-6)[-1]
        )
        kept = np.unique(
            np.concatenate([[0], np.linspace(min(1, last), last, MOST_CHOICES - 1).round().astype(np.int64)])
        )
        return cls(profiles[kept], meter_w[kept], paid[kept])


class Plan(NamedTuple):
    """A plan: the step at which it begins, for how many steps it stands, and its choices and values, as `storage.solve` has them."""

    first: int
    stands: int
    choices: npt.NDArray[np.int64]
    values_usd: FloatArray


class SitePlanner:
    """Plan machines and battery anew as prices are published, and take the plan's choice in each step.

    In calls and in hours in which the grid may have its peak the machines are off and the battery is emptied, as the tuned rule has it.
    Charges on the month's own peak are not planned for.
    """

    action: Final = "setpoints"
    task: Final = "operation"

    def __init__(
        self,
        site: SiteParams,
        exogenous: Exogenous,
        interval_s: int,
        chain: Chain | None = None,
        foresight_h: float | None = None,
        peak_ratio: float = np.inf,
        commands: tuple[float, float] = (0.0, 0.0),
        cap_pu: float = 1.0,
    ) -> None:
        """Prepare plans.

        Args:
            site: The site.
            exogenous: Its world; without foresight only what is known of it is read.
            interval_s: Length of a settlement interval. [s]
            chain: How prices move around the curve; None with foresight.
            foresight_h: Hours of true prices, sun and wind ahead; None plans with the chain.
            peak_ratio: Share of the month's highest load of the grid from which the site sheds.
            commands: Commands of every zone's plant.
            cap_pu: Most power that machines are set to, over that of all at their top profile: what keeps the month's peak down.

        Raises:
            BadInputError: Neither chain nor foresight is given.
        """
        if (chain is None) == (foresight_h is None):
            raise BadInputError("SitePlanner: either a chain or hours of foresight")
        self.name = "planner_day_ahead" if foresight_h is None else f"foresight_{foresight_h:g}h"
        self.site, self.exogenous, self.chain, self.foresight_h = site, exogenous, chain, foresight_h
        self.every = interval_s // int(CONTROL_STEP_S)
        self.peak_ratio, self.commands = peak_ratio, commands
        self.choices = Choices.of(site, cap_pu)
        self.curve, self.market = known_curve(exogenous, site).astype(np.float64), known_market(exogenous, site)
        self.true_market, self.part = true_market(exogenous, site), _part_of_day(exogenous)
        self.supply_w = exogenous.in_force("sun_power_w") + exogenous.in_force("wind_power_w")
        self.params = _plan_params(site, interval_s)
        self.powers = np.array(POWERS_PU if site.battery is not None else (0.0,))
        self.n_charges = N_CHARGES if site.battery is not None else 1
        self._plans: dict[int, Plan] = {}

    @classmethod
    def beside(cls, batch: Batch) -> Self:
        """Return the planner for the worlds of a batch whose actions move a rule: it sheds, cools and keeps the cap as the rule does.

        How prices move it learns on the training months.

        Raises:
            BadInputError: The actions of the batch move no rule.
        """
        rule, scenario, world = batch.setup.rule, batch.scenario, batch.exogenous
        if rule is None:
            raise BadInputError("a planner beside a rule needs env.action=residual")
        if CURVE_CHANNELS[0] not in world.channels:
            world = scenario.exogenous(best_curve(scenario.history, scenario.site), batch.config.n_histories)
        interval_s = scenario.history.price_interval_s
        chain = Chain.fit(world, batch.site, range(*scenario.rows("train")), interval_s)
        commands = rule["first_command"], rule["second_command"]
        return cls(
            batch.site,
            world,
            interval_s,
            chain,
            peak_ratio=rule["peak_ratio"],
            commands=commands,
            cap_pu=rule["cap_pu"],
        )

    def act(self, batch: Batch) -> FloatArray:
        """Return the actions, (n_envs, n_actions)."""
        seen, site = Seen.of(batch), batch.state.site
        sheds = np.broadcast_to(
            np.asarray((seen.coincident_ratio >= self.peak_ratio) | seen.is_called), (batch.n_envs,)
        )
        is_on = (batch.state.zone["mode"] != ASLEEP).any(axis=1)
        actions = np.zeros((batch.n_envs, len(batch.actions)))
        power = [k for k, entry in enumerate(batch.actions) if entry.name.endswith("_power")]
        for k in power:
            actions[:, k + 1], actions[:, k + 2] = self.commands
        names = [entry.name for entry in batch.actions]
        for i in range(batch.n_envs):
            if site["age"][i] == 0:
                self._plans.pop(i, None)
            machines, battery = (0, len(self.powers) - 1) if sheds[i] else self._choose(i, batch, bool(is_on[i]))
            actions[i, power] = self.choices.profiles[machines]
            if "battery" in names:
                actions[i, names.index("battery")] = self.powers[battery]
        if "offer" in names:
            actions[:, names.index("offer")] = 1.0
        return actions

    def _choose(self, i: int, batch: Batch, is_on: bool) -> tuple[int, int]:
        """Return the choice of the machines and that of the battery."""
        series, step = int(batch.state.site["series"][i]), int(batch.state.site["step"][i])
        first = step - step % self.every
        if i not in self._plans or first - self._plans[i].first >= self._plans[i].stands:
            self._plans[i] = self.solved(
                series, first, float(batch.obs[i, batch.column("expected_hashprice_usd_per_ph_day")])
            )
        begun, _, policy, _ = self._plans[i]
        level = self.level(series, first)
        charge = 0
        if self.site.battery is not None:
            held = batch.state.site["battery_kwh"][i] / (self.site.battery.energy_wh / 1000.0)
            charge = int(np.clip(round(held * (self.n_charges - 1)), 0, self.n_charges - 1))
        number = int(policy[(first - begun) // self.every, level, int(is_on), charge])
        return divmod(number, len(self.powers))

    def level(self, series: int, first: int) -> int:
        """Return the level of the last known price at the first step of an interval; 0 with foresight."""
        if self.chain is None:
            return 0
        return int(level_of(self.market[series, first] - self.curve[series, max(first - self.every, 0), 0]))

    def solved(self, series: int, first: int, hashprice: float) -> Plan:
        """Return the plan that is made at the first step of an interval, at an expected hashprice in USD/(PH/s)/day."""
        per_h = STEPS_PER_HOUR // self.every if self.every <= STEPS_PER_HOUR else 1
        last = self.exogenous.n_steps - self.every
        hours = PLAN_HOURS if self.foresight_h is None else max(1, round(self.foresight_h))
        at = first + self.every * np.arange(hours * per_h)
        hour = np.minimum((at - first + first % STEPS_PER_HOUR) // STEPS_PER_HOUR, self.curve.shape[2] - 1)
        curve = self.curve[series, first, hour]
        where = np.minimum(at, last)
        interval_h = self.every * CONTROL_STEP_S / SECONDS_PER_HOUR
        if self.chain is None:
            price = self.true_market[series, where][:, None]
            chain, supply_w = np.ones((len(at), 1, 1)), self.supply_w[series, where]
            stands = self.every
        else:
            group, part = np.digitize(curve, CURVE_EDGES_USD), self.part[where]
            price, chain = curve[:, None] + self.chain.mean_usd[part, group], self.chain.after[part, group]
            supply_w = self._forecast_w(series, first, at)
            stands = self._until_next(series, first)
        params = self.params.copy()
        params["end_usd_per_mwh"] = END_SHARE * max(0.0, float(self.curve[series, first].mean()))
        load_mwh = self.choices.meter_w * interval_h / 1e6
        revenue = np.tile(self.choices.paid_ths * usd_per_th(hashprice) * interval_h * SECONDS_PER_HOUR, (len(at), 1))
        keep = min(stands // self.every, len(at))
        policy = np.zeros((keep, price.shape[1], 2, self.n_charges), np.int64)
        values = np.zeros(policy.shape)
        args = (price, chain, supply_w * interval_h / 1e6, load_mwh, revenue, self.powers, params[0])
        solve(*args, self.n_charges, keep, policy, values)
        return Plan(first, keep * self.every, policy, values)

    def _until_next(self, series: int, first: int) -> int:
        """Return the steps until the plan is made anew: when the curve of the hours ahead changes, or after SOLVED_H."""
        most, curve = SOLVED_H * STEPS_PER_HOUR, self.curve[series]
        hour = first // STEPS_PER_HOUR
        for ahead in range(self.every, most, self.every):
            moved = (first + ahead) // STEPS_PER_HOUR - hour
            now = min(first + ahead, self.exogenous.n_steps - 1)
            if not np.array_equal(curve[now, : curve.shape[1] - moved], curve[first, moved:]):
                return ahead
        return most

    def _forecast_w(self, series: int, first: int, at: IntArray) -> FloatArray:
        """Return sun and wind ahead: as a day before, moved by how the last interval differs from its own, (n,). [W]"""
        supply = self.supply_w[series]
        if not supply.any():
            return np.zeros(len(at))
        back = at - STEPS_PER_DAY * -(-(at - first + 1) // STEPS_PER_DAY)
        usual = supply[np.maximum(back, 0)]
        more = supply[max(first - 1, 0)] - supply[max(first - 1 - STEPS_PER_DAY, 0)]
        fades = 0.5 ** ((at - first) / STEPS_PER_HOUR / 6.0)
        moved = np.maximum(0.0, usual + fades * more)
        return np.where(usual > 0.0, moved, 0.0) if self.site.wind is None else moved


def _plan_params(site: SiteParams, interval_s: int) -> np.ndarray:
    """Return PLAN_PARAMS of a site, (1,)."""
    interval_h, tariff = interval_s / SECONDS_PER_HOUR, site.contract.energy
    params = np.zeros(1, PLAN_PARAMS)
    inter = site.interconnect
    params["import_mwh"] = (np.inf if inter is None else inter.import_limit_w) * interval_h / 1e6
    params["export_mwh"] = (0.0 if inter is None else inter.export_limit_w) * interval_h / 1e6
    if isinstance(tariff, RealTimeTariff):
        params["adder_usd_per_mwh"], params["markup_frac"] = tariff.adder_usd_per_mwh, tariff.markup_frac
    params["export_adder_usd_per_mwh"] = site.contract.export_adder_usd_per_mwh
    params["start_usd"] = sum(zone.n_units * zone.firmware.start_wear_usd for zone in site.zones)
    params["start_intervals"] = max(zone.firmware.boot_s for zone in site.zones) / interval_s
    if site.battery is not None:
        battery, record = site.battery, site.site_record[0]
        lost = inverter_loss_pu(1.0, record)
        params["capacity_mwh"], params["rated_mwh"] = battery.energy_wh / 1e6, battery.power_w * interval_h / 1e6
        params["charge_pu"] = (1.0 - lost) * battery.cell_efficiency
        params["discharge_pu"] = battery.cell_efficiency / (1.0 + lost)
        params["wear_usd_per_mwh"] = wear_usd_per_mwh(battery)
    return params


def wear_usd_per_mwh(battery: BatteryParams) -> float:
    """Return what a megawatt-hour that a battery gives ages it, in the mean of a full cycle. [USD/MWh]"""
    return battery.modules_usd_per_kwh * 1000.0 / battery.cycles_to_end
