"""A year of failures and repairs as a discrete-event world: technicians with shifts and skills, spares, dust, cleaning."""

import heapq
from collections import Counter, defaultdict
from typing import Final

import numpy as np
import numpy.typing as npt
import simpy

from ..foundation.checks import require
from ..foundation.constants import HOURS_PER_YEAR
from ..foundation.errors import BadInputError
from ..site.params import SiteParams
from .crew import HOURS_PER_DAY, RUN_TO_FAILURE, Crew, MaintenanceReport, MaintenanceRule
from .lives import MOST_SLOTS, Part, ageing_at, ageing_table, lives_h, parts, reliability_figures
from .shop import MOMENT_H, PLANNED, URGENT, Process, Shop

FloatArray = npt.NDArray[np.float64]
PartSlot = tuple[int, int]
"""A machine of a zone and the slot of a part in it: kind of part times MOST_SLOTS, plus a number."""

_CHUNK_H: Final = 1.0
"""Longest stretch of cleaning, after which more urgent work goes first. [h] assumed."""


def simulate(
    site: SiteParams,
    outdoor_temp_c: FloatArray,
    rule: MaintenanceRule = RUN_TO_FAILURE,
    *,
    seed: int,
    crew: Crew | None = None,
    bad_batch: bool = False,
    ageing: FloatArray | None = None,
    age_years: float = 0.0,
) -> MaintenanceReport:
    """Run the maintenance world of a site.

    Args:
        site: The site; each zone's machines fail and are mended one by one.
        outdoor_temp_c: Outdoor temperature, hour by hour; its length is that of the run. [°C], (n_hours,)
        rule: How it is maintained.
        seed: Of lives, warnings, delays and dust. Under one seed the n-th part in a slot lives and warns alike whatever
            the rule, and dust falls alike.
        crew: Technicians; the catalogue's by default.
        bad_batch: Whether boards and supplies are of a bad batch.
        ageing: How a policy treats the machines: factor on the ageing of chips and boards against the top profile in
            settled weather, hour by hour, (n_hours, n_zones); 1 by default.
        age_years: Service that every part has behind it when the run begins, in this weather and clean.

    Raises:
        BadInputError: An array has the wrong shape or holds what is not a number, or an age is negative.
    """
    temp_c = np.asarray(outdoor_temp_c, np.float64)
    if temp_c.ndim != 1 or not len(temp_c) or not np.isfinite(temp_c).all():
        raise BadInputError(f"outdoor_temp_c has shape {temp_c.shape}; it must be (n_hours,) of finite temperatures")
    require(bool(0.0 <= age_years < np.inf), "simulate", "age_years", age_years, "0 or more")
    n_hours, n_zones = len(temp_c), len(site.zones)
    factors = np.ones((n_hours, n_zones)) if ageing is None else np.asarray(ageing, np.float64)
    if factors.shape != (n_hours, n_zones) or not (np.isfinite(factors) & (factors >= 0.0)).all():
        raise BadInputError(f"ageing has shape {factors.shape}; it must be {(n_hours, n_zones)} of numbers 0 or more")
    env = simpy.Environment()
    world = MaintenanceRun(env, site, temp_c, factors, rule, crew or Crew.default(), seed)
    kinds = [parts(zone, bad_batch=bad_batch) for zone in site.zones]
    world.store(kinds)
    for number in range(n_zones):
        world.install(number, kinds[number], age_years)
        env.process(world.live(number))
        if rule.heeds_warnings:
            env.process(world.go_round(number))
        env.process(world.clean(number))
    env.run(until=n_hours)
    return world.finish()


class MaintenanceRun:
    """The state of one run: machines' parts on a heap by the age at which they fail, crew, stores and the report."""

    def __init__(
        self,
        env: simpy.Environment,
        site: SiteParams,
        temp_c: FloatArray,
        factors: FloatArray,
        rule: MaintenanceRule,
        crew: Crew,
        seed: int,
    ) -> None:
        """Make an empty world: `store` and `install` fill it."""
        self.env, self.site, self.temp_c, self.factors, self.rule, self.crew = env, site, temp_c, factors, rule, crew
        self.seed, n_zones = seed, len(site.zones)
        dust = reliability_figures()["dust"]
        spread = np.random.default_rng([seed, n_zones]).standard_normal(n_zones)
        self.dust_per_day, self.most_dust = dust["per_day"] * np.exp(dust["zone_spread"] * spread), dust["most"]
        self.alarm_rng = [np.random.default_rng([seed, n_zones + 1, number]) for number in range(n_zones)]
        self.tables = [ageing_table(site, number) for number in range(n_zones)]
        self.age, self.fouling, self.dust_ageing_h = np.zeros((n_zones, 2)), np.zeros(n_zones), np.zeros(n_zones)
        self.due: list[list[tuple[float, int, int, int]]] = [[] for _ in range(2 * n_zones)]
        self.parts: list[tuple[Part, ...]] = [()] * n_zones
        self.fitted: list[dict[PartSlot, int]] = [{} for _ in range(n_zones)]
        self.generation: list[Counter[PartSlot]] = [Counter() for _ in range(n_zones)]
        self.warned: list[dict[PartSlot, int]] = [{} for _ in range(n_zones)]
        self.false_alarms = [0] * n_zones
        self.broken: list[Counter[int]] = [Counter() for _ in range(n_zones)]
        self.broken_since: list[dict[int, float]] = [{} for _ in range(n_zones)]
        self.serviced = [set[int]() for _ in range(n_zones)]
        self.cleaning = [0] * n_zones
        self.failed_once = [set[int]() for _ in range(n_zones)]
        self.waiting: dict[int, float] = {}
        self.serial = 0
        self.report = MaintenanceReport(
            machine_years=sum(zone.n_units for zone in site.zones) * len(temp_c) / HOURS_PER_YEAR
        )
        self.shop = Shop(env, crew, self.report)
        self.report.online = np.ones((len(temp_c), n_zones))
        self.report.fouling = np.zeros((len(temp_c), n_zones))

    def store(self, kinds: list[tuple[Part, ...]]) -> None:
        """Lay in the spares of the site: what is expected to fail in the rule's span, and one."""
        expected: dict[str, float] = defaultdict(float)
        by_name = {part.name: part for several in kinds for part in several}
        for zone, several in zip(self.site.zones, kinds, strict=True):
            for part in several:
                slots = zone.n_units * int(part.per_machine)
                self.report.slots[part.name] = self.report.slots.get(part.name, 0) + slots
                expected[part.name] += slots * self.rule.spares_days * HOURS_PER_DAY / part.scale_h
        for name, part in by_name.items():
            self.shop.store(part, expected[name])

    def install(self, number: int, kinds: tuple[Part, ...], age_years: float) -> None:
        """Give every machine of a zone its parts, of the age that years of service in clean air have given them."""
        self.parts[number] = kinds
        served_h = age_years * HOURS_PER_YEAR * ageing_at(self.tables[number], self.temp_c, 0.0).mean(axis=0)
        for index, part in enumerate(kinds):
            age_h = float(served_h[int(part.ages_like_fan)])
            for unit in range(self.site.zones[number].n_units):
                for slot in range(int(part.per_machine)):
                    self._fit(number, (unit, index * MOST_SLOTS + slot), age_h)

    def _draws(self, number: int, slot: PartSlot, salt: int) -> FloatArray:
        """Return the draws of the part that is in a slot: they depend on nothing that a rule does."""
        return np.random.default_rng([self.seed, number, *slot, self.generation[number][slot], salt]).random(2)

    def _fit(self, number: int, slot: PartSlot, age_h: float = 0.0) -> None:
        """Put a part in: it will fail when the zone has aged by its life, and warn before if it is of that kind."""
        part = self.parts[number][slot[1] // MOST_SLOTS]
        column = int(part.ages_like_fan)
        life, warns = self._draws(number, slot, 0)
        fails_at = self.age[number, column] + float(lives_h(part, np.array([life]), age_h)[0])
        self.serial += 1
        self.fitted[number][slot] = self.serial
        heap = self.due[2 * number + column]
        heapq.heappush(heap, (fails_at, self.serial, *slot))
        if self.rule.heeds_warnings and warns < part.warned_frac:
            heapq.heappush(heap, (fails_at - part.warning_h, -self.serial, *slot))

    def live(self, number: int) -> Process:
        """Let a zone age hour by hour: dust settles, parts warn and fail; note what works."""
        n_units = self.site.zones[number].n_units
        for hour in range(len(self.temp_c)):
            if hour % HOURS_PER_DAY == 0:
                day_c = self.temp_c[hour : hour + HOURS_PER_DAY]
                rates = ageing_at(self.tables[number], day_c, self.fouling[number])
                clean = ageing_at(self.tables[number], day_c, 0.0)
                self.dust_ageing_h[number] += max(0.0, float(np.sum(rates[:, 1] - clean[:, 1])))
                self._raise_false_alarms(number, n_units)
            rate = rates[hour % HOURS_PER_DAY]
            self.age[number] += rate[0] * self.factors[hour, number], rate[1]
            self.fouling[number] = min(self.most_dust, self.fouling[number] + self.dust_per_day[number] / HOURS_PER_DAY)
            for column in range(2):
                self._come_due(number, column)
            standing = len(self.serviced[number] | self.broken_since[number].keys()) + self.cleaning[number]
            self.report.online[hour, number] = max(0.0, 1.0 - standing / n_units)
            self.report.fouling[hour, number] = self.fouling[number]
            yield self.env.timeout(1)

    def _come_due(self, number: int, column: int) -> None:
        heap = self.due[2 * number + column]
        while heap and heap[0][0] <= self.age[number, column]:
            _, serial, unit, position = heapq.heappop(heap)
            slot = (unit, position)
            if self.fitted[number].get(slot) != abs(serial):
                continue  # it was taken out before
            if serial < 0:
                self.warned[number][slot] = -serial
            else:
                self.env.process(self.mend(number, slot))

    def _raise_false_alarms(self, number: int, n_units: int) -> None:
        """Let sound machines raise an alarm; the next round looks at them and leaves their parts in."""
        if self.rule.heeds_warnings:
            alarms = int(self.alarm_rng[number].poisson(n_units * self.crew.false_alarms_per_year / 365.0))
            self.false_alarms[number] += alarms
            self.report.false_alarms += alarms

    def mend(self, number: int, slot: PartSlot) -> Process:
        """Mend a machine after a failure: notice, find a spare and a technician, diagnose, swap; then the bench."""
        part, unit = self.parts[number][slot[1] // MOST_SLOTS], slot[0]
        self.report.failures += 1
        self.failed_once[number].add(unit)
        self.fitted[number].pop(slot, None)
        self.warned[number].pop(slot, None)
        self.broken[number][unit] += 1
        self.broken_since[number].setdefault(unit, self.env.now)
        yield self.env.timeout(-np.log1p(-self._draws(number, slot, 1)[0]) * self.crew.detect_h)
        self.serial += 1
        job, self.waiting[self.serial] = self.serial, self.env.now
        yield self.shop.stock[part.name].get(1)
        with self.shop.teams[int(part.electronics)].request(URGENT) as team:
            yield team
            yield from self.shop.until_shift()
            self.report.queue_h += self.env.now - self.waiting.pop(job)
            yield from self.shop.work(self.crew.walk_h + self.crew.diagnose_h + part.swap_h)
        self._replace(number, slot)
        self.broken[number][unit] -= 1
        if not self.broken[number][unit]:
            self.report.unplanned_down_h += self.env.now - self.broken_since[number].pop(unit)
        self.env.process(self.shop.restock(part))

    def go_round(self, number: int) -> Process:
        """Swap the parts that warned, round after round; what lacks a spare or stands for another reason waits."""
        span_h, rounds = self.rule.round_days * HOURS_PER_DAY, 0
        while True:
            rounds += 1
            yield self.env.timeout(max(0.0, rounds * span_h - self.env.now))
            if self.false_alarms[number]:
                hours, self.false_alarms[number] = self.crew.diagnose_h * self.false_alarms[number], 0
                yield from self.shop.job(0, hours)
            walked = False
            for slot, serial in list(self.warned[number].items()):
                part = self.parts[number][slot[1] // MOST_SLOTS]
                if not self._is_due(number, slot, serial):
                    continue
                yield from self.shop.until_shift()
                with self.shop.teams[int(part.electronics)].request(PLANNED) as team:
                    yield team
                    if self.shop.stock[part.name].level < 2:
                        continue  # the last spare is for failures
                    yield self.shop.stock[part.name].get(1)
                    yield from self.shop.work(0.0 if walked else self.crew.walk_h)
                    walked = True
                    if not self._is_due(number, slot, serial):
                        yield self.shop.stock[part.name].put(1)
                        continue  # it failed on its own meanwhile
                    yield from self._swap(number, slot, part)
                self.env.process(self.shop.restock(part))

    def _is_due(self, number: int, slot: PartSlot, serial: int) -> bool:
        """Tell whether the part that warned is still in a machine that works; forget it if it is not in."""
        if self.fitted[number].get(slot) != serial:
            self.warned[number].pop(slot, None)
            return False
        return slot[0] not in self.broken_since[number]

    def _swap(self, number: int, slot: PartSlot, part: Part) -> Process:
        began = self.env.now
        self.warned[number].pop(slot, None)
        self.fitted[number].pop(slot)
        self.serviced[number].add(slot[0])
        yield from self.shop.work(part.swap_h)
        self.serviced[number].discard(slot[0])
        self.report.planned_down_h += self.env.now - began
        self.report.planned_swaps += 1
        self._replace(number, slot)

    def clean(self, number: int) -> Process:
        """Blow out a zone's machines, by the calendar or when dust has done enough."""
        n_units, crew, cleanings = self.site.zones[number].n_units, self.crew, 0
        while True:
            if self.rule.clean_days is None:
                yield self.env.timeout(HOURS_PER_DAY)
                if self.dust_ageing_h[number] < self.rule.clean_at_fan_h:
                    continue
            else:
                cleanings += 1
                yield self.env.timeout(max(0.0, cleanings * self.rule.clean_days * HOURS_PER_DAY - self.env.now))
            rest_h = crew.clean_h * n_units
            yield from self.shop.job(0, crew.walk_h)
            while rest_h > MOMENT_H:
                yield from self.shop.until_shift()
                with self.shop.teams[0].request(PLANNED) as team:
                    yield team
                    yield from self.shop.until_shift()
                    chunk_h = min(_CHUNK_H, rest_h, self.crew.shift_end_h - self.env.now % HOURS_PER_DAY)
                    self.cleaning[number] = 1
                    yield from self.shop.work(chunk_h)
                    self.cleaning[number] = 0
                rest_h -= chunk_h
            self.report.cleaning_h += crew.walk_h + crew.clean_h * n_units
            self.report.planned_down_h += crew.clean_h * n_units
            self.fouling[number] = self.dust_ageing_h[number] = 0.0

    def _replace(self, number: int, slot: PartSlot) -> None:
        name = self.parts[number][slot[1] // MOST_SLOTS].name
        self.report.removed[name] = self.report.removed.get(name, 0) + 1
        self.generation[number][slot] += 1
        self._fit(number, slot)

    def finish(self) -> MaintenanceReport:
        """Return the report, with the standstill and the waiting that go on at the end up to now."""
        report, now = self.report, float(len(self.temp_c))
        report.unplanned_down_h += sum(now - since for zone in self.broken_since for since in zone.values())
        report.queue_h += sum(now - since for since in self.waiting.values())
        report.machines_failed = sum(len(units) for units in self.failed_once)
        return report
