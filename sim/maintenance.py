"""A year of failures and repairs as a discrete-event world: technicians with shifts and skills, spares, dust, cleaning."""

import heapq
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import simpy

from .errors import BadInputError
from .params import SiteParams
from .reliability import Part, ageing_at, ageing_table, book, lives_h, parts
from .unit import require, require_positive

FloatArray = npt.NDArray[np.float64]
Process = Generator[simpy.Event, Any, None]

HOURS_PER_DAY: Final = 24
_URGENT: Final = 0
_PLANNED: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How a site is maintained."""

    heeds_warnings: bool = False
    """Swap parts that warn of their failure, in rounds, instead of waiting for it."""
    round_days: float = 7.0
    """Time between rounds in which warned parts are swapped. [d] assumed: weekly."""
    clean_days: float | None = 90.0
    """Calendar interval of cleaning, every zone alike; None: by what dust has done. [d] assumed: quarterly, a common habit."""
    clean_at_fan_h: float = 400.0
    """Without a calendar a zone is cleaned when dust has aged its fans by this much since the last time. [h] Chosen among
    100 to 1,000: docs/validation.md."""
    spares_days: float = 60.0
    """Consumption that the stock of spares is made for. [d] assumed: two months."""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        require_positive(self, "round_days", "spares_days", "clean_at_fan_h")
        require(
            self.clean_days is None or self.clean_days > 0.0, "Rule", "clean_days", self.clean_days, "above 0 or None"
        )


RUN_TO_FAILURE: Final = Rule()
PREDICTIVE: Final = Rule(heeds_warnings=True, clean_days=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """Technicians and how long things take them. Sources: catalogue/parts.yaml."""

    n_general: int
    n_electronics: int
    shift_start_h: float
    shift_end_h: float
    detect_h: float
    diagnose_h: float
    walk_h: float
    clean_h: float
    wage_usd_per_h: float
    false_alarms_per_year: float

    @classmethod
    def default(cls, **changes: float) -> "Crew":
        """Return the catalogue's crew with some values changed."""
        return cls(**{**book()["crew"], **changes})

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        require_positive(self, "n_general", "n_electronics", "detect_h")
        ordered = 0.0 <= self.shift_start_h < self.shift_end_h <= HOURS_PER_DAY
        require(ordered, "Crew", "shift_end_h", self.shift_end_h, "after shift_start_h, in one day")


@dataclass(slots=True)
class Report:
    """What a run of the maintenance world came to."""

    machine_years: float
    unplanned_down_h: float = 0.0
    """Machine-hours of standstill by failures."""
    planned_down_h: float = 0.0
    """Machine-hours of standstill by planned swaps and cleaning."""
    failures: int = 0
    machines_failed: int = 0
    """Machines that failed once or more."""
    planned_swaps: int = 0
    false_alarms: int = 0
    technician_h: float = 0.0
    cleaning_h: float = 0.0
    """Part of technician_h."""
    spares_usd: float = 0.0
    wages_usd: float = 0.0
    queue_h: float = 0.0
    """Machine-hours that failed machines waited for a technician or a spare."""
    removed: dict[str, int] = field(default_factory=dict)
    """Parts taken out, failed or not, by kind."""
    per_machine: dict[str, int] = field(default_factory=dict)
    online: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    """Share of each zone's machines that work, hour by hour, (n_hours, n_zones)."""
    fouling: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    """Fouling of each zone, hour by hour, (n_hours, n_zones)."""

    @property
    def availability(self) -> float:
        """Share of machine-hours in which machines work."""
        return 1.0 - (self.unplanned_down_h + self.planned_down_h) / (self.machine_years * 8760.0)

    @property
    def mtbf_h(self) -> float:
        """Mean time between failures of a machine. [h]; infinite without one."""
        return self.machine_years * 8760.0 / self.failures if self.failures else np.inf

    @property
    def cost_usd(self) -> float:
        """Wages and spares; what standstill costs is the market's."""
        return self.wages_usd + self.spares_usd

    def part_life_h(self, name: str | None = None) -> float:
        """Return the hours that a part of a kind, or any part, serves for each one taken out; infinite without one. [h]"""
        names = list(self.per_machine) if name is None else [name]
        removed = sum(self.removed.get(one, 0) for one in names)
        return (
            self.machine_years * 8760.0 * sum(self.per_machine[one] for one in names) / removed if removed else np.inf
        )


def simulate(
    site: SiteParams,
    outdoor_temp_c: FloatArray,
    rule: Rule = RUN_TO_FAILURE,
    *,
    seed: int,
    crew: Crew | None = None,
    bad_batch: bool = False,
    ageing: FloatArray | None = None,
    age_h: float = 0.0,
) -> Report:
    """Run the maintenance world of a site.

    Args:
        site: The site; each zone's machines fail and are mended one by one.
        outdoor_temp_c: Outdoor temperature, hour by hour; its length is that of the run. [°C], (n_hours,)
        rule: How it is maintained.
        seed: Of lives, warnings, delays and dust. Two rules under one seed meet the same first lives and the same dust.
        crew: Technicians; the catalogue's by default.
        bad_batch: Whether boards and supplies are of a bad batch.
        ageing: How a policy treats the machines: factor on the ageing of chips and boards against the top profile in
            settled weather, hour by hour, (n_hours, n_zones); 1 by default.
        age_h: Hours of ageing that every part has behind it when the run begins.

    Raises:
        BadInputError: An array has the wrong shape.
    """
    n_hours, n_zones = len(outdoor_temp_c), len(site.zones)
    factors = np.ones((n_hours, n_zones)) if ageing is None else np.asarray(ageing, np.float64)
    if factors.shape != (n_hours, n_zones):
        raise BadInputError(f"ageing has shape {factors.shape}; it must be {(n_hours, n_zones)}")
    env = simpy.Environment()
    world = _World(env, site, np.asarray(outdoor_temp_c, np.float64), factors, rule, crew or Crew.default(), seed)
    for number in range(n_zones):
        world.install(number, parts(site.zones[number], bad_batch=bad_batch), age_h)
        env.process(world.live(number))
        if rule.heeds_warnings:
            env.process(world.go_round(number))
        env.process(world.clean(number))
    env.run(until=n_hours)
    return world.report()


class _World:
    """The state of one run: machines' parts on a heap by the age at which they fail, crew, stores and the books."""

    def __init__(
        self, env: simpy.Environment, site: SiteParams, temp_c: FloatArray, factors: FloatArray, rule: Rule, crew: Crew,
        seed: int,
    ) -> None:  # fmt: skip
        self.env, self.site, self.temp_c, self.factors, self.rule, self.crew = env, site, temp_c, factors, rule, crew
        n_zones = len(site.zones)
        self.rng = [np.random.default_rng([seed, number]) for number in range(n_zones)]
        dust = book()["dust"]
        spread = np.random.default_rng([seed, n_zones]).standard_normal(n_zones)
        self.dust_per_day = dust["per_day"] * np.exp(dust["zone_spread"] * spread)
        self.most_dust = dust["most"]
        self.tables = [ageing_table(site, number) for number in range(n_zones)]
        self.age = np.zeros((n_zones, 2))
        self.fouling = np.zeros(n_zones)
        self.dust_ageing_h = np.zeros(n_zones)
        self.due: list[list[tuple[float, int, int, int]]] = [[] for _ in range(2 * n_zones)]
        self.parts: list[tuple[Part, ...]] = [()] * n_zones
        self.fitted: list[dict[tuple[int, int], int]] = [{} for _ in range(n_zones)]
        self.warned: list[dict[tuple[int, int], int]] = [{} for _ in range(n_zones)]
        self.false_alarms = [0] * n_zones
        self.alarm_rng = [np.random.default_rng([seed, n_zones + 1, number]) for number in range(n_zones)]
        self.down = [set[int]() for _ in range(n_zones)]
        self.failed_once = [set[int]() for _ in range(n_zones)]
        self.teams = (
            simpy.PriorityResource(env, int(crew.n_general)), simpy.PriorityResource(env, int(crew.n_electronics))
        )  # fmt: skip
        self.stock: dict[str, simpy.Container] = {}
        self.serial = 0
        years = sum(zone.n_units for zone in site.zones) * len(temp_c) / 8760.0
        self.books = Report(machine_years=years)
        self.books.online = np.ones((len(temp_c), n_zones))
        self.books.fouling = np.zeros((len(temp_c), n_zones))

    def install(self, number: int, kinds: tuple[Part, ...], age_h: float) -> None:
        """Give every machine of a zone its parts, and the site the spares for them."""
        n_units, rng = self.site.zones[number].n_units, self.rng[number]
        self.parts[number] = kinds
        for index, part in enumerate(kinds):
            uniform = rng.random((n_units, int(part.per_machine)))
            # Parts that have served a while are those that lived so long.
            used = 1.0 - np.exp(-((age_h / part.scale_h) ** part.shape))
            left = lives_h(part, used + (1.0 - used) * uniform) - age_h
            for unit in range(n_units):
                for slot in range(int(part.per_machine)):
                    self._fit(number, unit, index, slot, float(left[unit, slot]))
            expected = part.per_machine * n_units * self.rule.spares_days * HOURS_PER_DAY / part.scale_h
            if part.name not in self.stock:
                self.stock[part.name] = simpy.Container(self.env, init=0)
                self.books.per_machine[part.name] = int(part.per_machine)
            self.stock[part.name].put(1 + int(np.ceil(expected)))

    def _fit(self, number: int, unit: int, index: int, slot: int, life_h: float) -> None:
        """Put a part in: it will fail when the zone has aged by its life, and warn before if it is of that kind."""
        part = self.parts[number][index]
        column = int(part.ages_like_fan)
        age = self.age[number, column]
        self.serial += 1
        self.fitted[number][unit, index * 8 + slot] = self.serial
        heap = self.due[2 * number + column]
        heapq.heappush(heap, (age + life_h, self.serial, unit, index * 8 + slot))
        if self.rule.heeds_warnings and self.rng[number].random() < part.warned_frac:
            heapq.heappush(heap, (age + max(0.0, life_h - part.warning_h), -self.serial, unit, index * 8 + slot))

    def live(self, number: int) -> Process:
        """Let a zone age hour by hour: dust settles, parts warn and fail; book what works."""
        n_units = self.site.zones[number].n_units
        for hour in range(len(self.temp_c)):
            if hour % HOURS_PER_DAY == 0:
                day_c = self.temp_c[hour : hour + HOURS_PER_DAY]
                rates = ageing_at(self.tables[number], day_c, self.fouling[number])
                clean = ageing_at(self.tables[number], day_c, 0.0)
                self.dust_ageing_h[number] += max(0.0, float(np.sum(rates[:, 1] - clean[:, 1])))
                self._false_alarms(number, n_units)
            rate = rates[hour % HOURS_PER_DAY]
            self.age[number] += rate[0] * self.factors[hour, number], rate[1]
            self.fouling[number] = min(self.most_dust, self.fouling[number] + self.dust_per_day[number] / HOURS_PER_DAY)
            for column in range(2):
                self._come_due(number, column)
            self.books.online[hour, number] = 1.0 - len(self.down[number]) / n_units
            self.books.fouling[hour, number] = self.fouling[number]
            yield self.env.timeout(1)

    def _come_due(self, number: int, column: int) -> None:
        heap = self.due[2 * number + column]
        while heap and heap[0][0] <= self.age[number, column]:
            _, serial, unit, place = heapq.heappop(heap)
            if self.fitted[number].get((unit, place)) != abs(serial):
                continue  # it was taken out before
            if serial < 0:
                self.warned[number][unit, place] = -serial
            else:
                self.env.process(self.mend(number, unit, place))

    def _false_alarms(self, number: int, n_units: int) -> None:
        """Let sound machines raise an alarm; the next round looks at them and leaves their parts in."""
        if self.rule.heeds_warnings:
            alarms = int(self.alarm_rng[number].poisson(n_units * self.crew.false_alarms_per_year / 365.0))
            self.false_alarms[number] += alarms
            self.books.false_alarms += alarms

    def mend(self, number: int, unit: int, place: int) -> Process:
        """Mend a machine after a failure: notice, find a technician and a spare, diagnose, swap; then the bench."""
        part = self.parts[number][place // 8]
        began = self.env.now
        self.books.failures += 1
        self.failed_once[number].add(unit)
        self.fitted[number].pop((unit, place), None)
        self.warned[number].pop((unit, place), None)
        was_down = unit in self.down[number]
        self.down[number].add(unit)
        yield self.env.timeout(self.rng[number].exponential(self.crew.detect_h))
        noticed = self.env.now
        yield from self._spare(part)
        with self.teams[int(part.electronics)].request(_URGENT) as team:
            yield team
            self.books.queue_h += self.env.now - noticed
            yield from self._work(self.crew.walk_h + self.crew.diagnose_h + part.swap_h)
        self._replace(number, unit, place)
        if not was_down:
            self.down[number].discard(unit)
            self.books.unplanned_down_h += self.env.now - began
        yield from self._bench(part)

    def go_round(self, number: int) -> Process:
        """Swap the parts that warned, one round after the other, while the spares are at hand."""
        while True:
            yield self.env.timeout(self.rule.round_days * HOURS_PER_DAY)
            due = [key for key, serial in self.warned[number].items() if self.fitted[number].get(key) == serial]
            self.warned[number].clear()
            if self.false_alarms[number]:
                with self.teams[0].request(_PLANNED) as team:
                    yield team
                    hours, self.false_alarms[number] = self.crew.diagnose_h * self.false_alarms[number], 0
                    yield from self._work(hours)
            walked = False
            for unit, place in due:
                part = self.parts[number][place // 8]
                yield from self._spare(part)
                with self.teams[int(part.electronics)].request(_PLANNED) as team:
                    yield team
                    if (unit, place) not in self.fitted[number] or unit in self.down[number]:
                        self.stock[part.name].put(1)
                        continue  # it failed on its own meanwhile
                    if not walked:
                        yield from self._work(self.crew.walk_h)
                        walked = True
                    began = self.env.now
                    self.down[number].add(unit)
                    yield from self._work(part.swap_h)
                    self.down[number].discard(unit)
                    self.books.planned_down_h += self.env.now - began
                    self.books.planned_swaps += 1
                    self._replace(number, unit, place)
                yield from self._bench(part)

    def clean(self, number: int) -> Process:
        """Blow out a zone's machines, by the calendar or when they are dirty."""
        n_units, crew = self.site.zones[number].n_units, self.crew
        while True:
            if self.rule.clean_days is None:
                yield self.env.timeout(HOURS_PER_DAY)
                if self.dust_ageing_h[number] < self.rule.clean_at_fan_h:
                    continue
            else:
                yield self.env.timeout(self.rule.clean_days * HOURS_PER_DAY)
            with self.teams[0].request(_PLANNED) as team:
                yield team
                hours = crew.walk_h + crew.clean_h * n_units
                yield from self._work(hours)
                self.books.cleaning_h += hours
                self.books.planned_down_h += crew.clean_h * n_units
            self.fouling[number] = self.dust_ageing_h[number] = 0.0

    def _replace(self, number: int, unit: int, place: int) -> None:
        index, slot = divmod(place, 8)
        part = self.parts[number][index]
        life_h = float(lives_h(part, self.rng[number].random(1))[0])
        self.books.removed[part.name] = self.books.removed.get(part.name, 0) + 1
        self._fit(number, unit, index, slot, life_h)

    def _spare(self, part: Part) -> Process:
        """Take a spare and order the next one."""
        yield self.stock[part.name].get(1)
        self.books.spares_usd += part.spare_usd
        self.env.process(self._order(part))

    def _order(self, part: Part) -> Process:
        yield self.env.timeout(part.lead_days * HOURS_PER_DAY)
        yield self.stock[part.name].put(1)

    def _bench(self, part: Part) -> Process:
        """Repair what was taken out, if that is worth it; nobody waits for it."""
        if part.bench_h > 0.0:
            with self.teams[int(part.electronics)].request(_PLANNED) as team:
                yield team
                yield from self._work(part.bench_h)

    def _work(self, hours: float) -> Process:
        """Work for some hours, in shifts."""
        crew, rest = self.crew, hours
        while rest > 0.0:
            clock = self.env.now % HOURS_PER_DAY
            if clock < crew.shift_start_h:
                yield self.env.timeout(crew.shift_start_h - clock)
            elif clock >= crew.shift_end_h:
                yield self.env.timeout(HOURS_PER_DAY - clock + crew.shift_start_h)
            else:
                span = min(rest, crew.shift_end_h - clock)
                yield self.env.timeout(span)
                rest -= span
        self.books.technician_h += hours
        self.books.wages_usd += hours * crew.wage_usd_per_h

    def report(self) -> Report:
        """Return the books, with the standstill that is still going on at the end left out."""
        self.books.machines_failed = sum(len(units) for units in self.failed_once)
        return self.books
