"""The people and the spares of a site: shifts, skills, stores and the bench, in SimPy's time."""

from collections.abc import Generator
from typing import Any, Final

import numpy as np
import simpy

from .crew import HOURS_PER_DAY, Crew, MaintenanceReport
from .lives import Part

Process = Generator[simpy.Event, Any, None]

URGENT: Final = 0
PLANNED: Final = 1

MOMENT_H: Final = 1e-6
"""Work that is not begun before the end of a shift. [h] assumed: above the rounding of the clock, or it would stand."""


class Shop:
    """Two teams, by skill, and the stores; what they do goes into a report.

    Attributes: teams: general technicians and those who may open boards and supplies; stock: spares by part.
    """

    def __init__(self, env: simpy.Environment, crew: Crew, report: MaintenanceReport) -> None:
        """Open the shop without spares."""
        self.env, self.crew, self.report = env, crew, report
        self.teams = (
            simpy.PriorityResource(env, int(crew.n_general)),
            simpy.PriorityResource(env, int(crew.n_electronics)),
        )
        self.stock: dict[str, simpy.Container] = {}

    def store(self, part: Part, expected: float) -> None:
        """Lay in spares for an expected number of failures, and one."""
        n_spares = 1 + int(np.ceil(expected))
        self.stock[part.name] = simpy.Container(self.env, init=n_spares)
        self.report.stock_usd += n_spares * part.spare_usd

    def restock(self, part: Part) -> Process:
        """Mend what was taken out on the bench, or order a new one: nobody waits for it, it is a spare again then."""
        if part.bench_h > 0.0:
            yield from self.job(int(part.electronics), part.bench_h)
            self.report.spares_usd += part.mend_usd
        else:
            self.report.spares_usd += part.spare_usd
            yield self.env.timeout(part.lead_days * HOURS_PER_DAY)
        yield self.stock[part.name].put(1)

    def job(self, team: int, hours: float) -> Process:
        """Have planned work done in the next shift."""
        yield from self.until_shift()
        with self.teams[team].request(PLANNED) as request:
            yield request
            yield from self.work(hours)

    def until_shift(self) -> Process:
        """Wait for the next shift, unless it is one."""
        clock = self.env.now % HOURS_PER_DAY
        if clock < self.crew.shift_start_h:
            yield self.env.timeout(self.crew.shift_start_h - clock)
        elif clock >= self.crew.shift_end_h - MOMENT_H:
            yield self.env.timeout(HOURS_PER_DAY - clock + self.crew.shift_start_h)

    def work(self, hours: float) -> Process:
        """Work for some hours, in shifts; what is done counts as it is done."""
        rest = hours
        while rest > MOMENT_H:
            yield from self.until_shift()
            span = min(rest, self.crew.shift_end_h - self.env.now % HOURS_PER_DAY)
            yield self.env.timeout(span)
            rest -= span
            self.report.technician_h += span
            self.report.wages_usd += span * self.crew.wage_usd_per_h
