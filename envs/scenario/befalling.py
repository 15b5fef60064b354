"""What befalls a scenario's site: nothing, failures, dust and outages that are drawn, or a trace from a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from ...sim.foundation.checks import require, require_not_negative
from ...sim.foundation.errors import BadInputError
from ...sim.reliability import maintenance
from ...sim.reliability.crew import Crew, MaintenanceRule
from ...sim.reliability.events import STEPS_PER_HOUR, Disturbances, disturb, traces
from ...sim.site.params import SiteParams
from ...sim.site.world import Events, Exogenous

KINDS: Final = ("none", "drawn")

SEED_STREAM: Final = 7
"""Stream of a history's seed from which what befalls its site is drawn. chosen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnEvents:
    """How what befalls a site is drawn: a fleet of some age, and a crew that comes when it comes.

    The defaults give some 99 % of machines online, with dust; a site with a crew of its own has 99.9 %. Source: makers promise 95-98 % with
    repairs off site (hosting contracts); failures of 5 % a year, and 20-30 % of a bad batch (cointelegraph.com on S17/T17).
    """

    age_years: float = 4.0
    """Service that every part has behind it. [a] assumed: machines of 2021."""
    bad_batch: bool = True
    """Whether boards and supplies are of a bad batch."""
    detect_h: float = 168.0
    """Mean time until somebody acts on an alarm. [h] assumed: a crew that comes weekly."""
    clean_days: float = 90.0
    """Time between cleanings. [d] assumed: quarterly, a common habit."""
    grid_outages_per_year: float = 3.0
    """Source: as the catalogue of parts."""
    pool_outages_per_year: float = 12.0
    """Source: as the catalogue of parts."""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        require_not_negative(self, "age_years", "grid_outages_per_year", "pool_outages_per_year")
        require(self.detect_h > 0.0, "DrawnEvents", "detect_h", self.detect_h, "above 0")
        require(self.clean_days > 0.0, "DrawnEvents", "clean_days", self.clean_days, "above 0")

    def draw(self, site: SiteParams, world: Exogenous, seed: int) -> Events:
        """Return what befalls a site in each series of a world; calls are the contract's and not drawn here."""
        n_hours = world.n_steps // STEPS_PER_HOUR
        outdoor_c = world.in_force("outdoor_temp_c")
        rule, crew = MaintenanceRule(clean_days=self.clean_days, spares_days=1.0), Crew.default(detect_h=self.detect_h)
        told = Disturbances.default(
            calls_per_year=0.0,
            grid_outages_per_year=self.grid_outages_per_year,
            pool_outages_per_year=self.pool_outages_per_year,
        )
        reports, sites = [], []
        for series in range(len(world.values)):
            own = int(np.random.SeedSequence([seed + series, SEED_STREAM]).generate_state(1)[0])
            hourly = outdoor_c[series, : n_hours * STEPS_PER_HOUR : STEPS_PER_HOUR]
            reports.append(
                maintenance.simulate(
                    site, hourly, rule, seed=own, crew=crew, bad_batch=self.bad_batch, age_years=self.age_years
                )
            )
            sites.append(disturb(n_hours, told, own))
        return traces(reports, sites)


def read_events(path: Path, n_zones: int) -> Events:
    """Return the events of a file that `numpy.savez` made of `Events.site` and `Events.zone`, as site and zone.

    Raises:
        BadInputError: There is no such file, or it holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            missing = [name for name in ("site", "zone") if name not in content]
            if missing:
                raise BadInputError(f"{path}: no array {missing[0]!r}; events have site and zone")
            events = Events(content["site"].astype(np.float64), content["zone"].astype(np.float64))
    except (OSError, ValueError) as error:
        if isinstance(error, BadInputError):
            raise
        raise BadInputError(f"{path}: not a readable file of events ({error})") from error
    if events.zone.shape[2] != n_zones:
        raise BadInputError(f"{path}: events of {events.zone.shape[2]} zones; the site has {n_zones}")
    return events


def chosen(option: Any) -> str:
    """Return an option of events as text; raises BadInputError if it is none."""
    if not isinstance(option, str) or not option:
        raise BadInputError(f"events is {option!r}; it must be none, drawn, or the path of a file")
    return option
