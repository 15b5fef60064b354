"""How a site is maintained, by whom, and what it comes to."""

from dataclasses import dataclass, field, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from ..foundation.checks import require, require_positive
from ..foundation.constants import HOURS_PER_YEAR
from .lives import reliability_figures

FloatArray = npt.NDArray[np.float64]

HOURS_PER_DAY: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceRule:
    """How a site is maintained."""

    heeds_warnings: bool = False
    """Swap parts that warn of their failure, in rounds, instead of waiting for it."""
    round_days: float = 7.0
    """Time between rounds in which warned parts are swapped. [d] assumed: weekly."""
    clean_days: float | None = 90.0
    """Calendar interval of cleaning, every zone alike; None: by what dust has done. [d] assumed: quarterly, a common habit."""
    clean_at_fan_h: float = 400.0
    """Without a calendar a zone is cleaned when dust has aged its fans by this much since the last time. [h] Chosen by hand:
    the least work among 100, 250 and 400 h; more dust costs more fan power."""
    spares_days: float = 60.0
    """Consumption that the stock of spares is made for. [d] assumed: two months."""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        require_positive(self, "round_days", "spares_days", "clean_at_fan_h")
        require(
            self.clean_days is None or self.clean_days > 0.0,
            "MaintenanceRule",
            "clean_days",
            self.clean_days,
            "above 0 or None",
        )


RUN_TO_FAILURE: Final = MaintenanceRule()
PREDICTIVE: Final = MaintenanceRule(heeds_warnings=True, clean_days=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """Technicians and how long things take them. Sources: parts.yaml."""

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
        return cls(**{**reliability_figures()["crew"], **changes})

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        for entry in fields(self):
            value = getattr(self, entry.name)
            require(bool(0.0 <= value < np.inf), "Crew", entry.name, value, "0 or more")
        require_positive(self, "detect_h", "clean_h")
        for name in ("n_general", "n_electronics"):
            value = getattr(self, name)
            require(value >= 1 and value == int(value), "Crew", name, value, "a whole number, 1 or more")
        ordered = 0.0 <= self.shift_start_h < self.shift_end_h <= HOURS_PER_DAY
        require(ordered, "Crew", "shift_end_h", self.shift_end_h, "after shift_start_h, in one day")


@dataclass(slots=True)
class MaintenanceReport:
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
    """New parts that were ordered, and material of those that were mended on the bench."""
    wages_usd: float = 0.0
    stock_usd: float = 0.0
    """What the spares cost with which the run began; they are there at its end, mended or on order."""
    queue_h: float = 0.0
    """Machine-hours from the moment that a failure is noticed until somebody works on it."""
    removed: dict[str, int] = field(default_factory=dict)
    """Parts taken out, failed or not, by kind."""
    slots: dict[str, int] = field(default_factory=dict)
    """Slots for parts in all machines, by kind."""
    online: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    """Share of each zone's machines that work, hour by hour, (n_hours, n_zones)."""
    fouling: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    """Fouling of each zone, hour by hour, (n_hours, n_zones)."""

    @property
    def availability(self) -> float:
        """Share of machine-hours in which machines work."""
        return 1.0 - (self.unplanned_down_h + self.planned_down_h) / (self.machine_years * HOURS_PER_YEAR)

    @property
    def mtbf_h(self) -> float:
        """Mean time between failures of a machine. [h]; infinite without one."""
        return self.machine_years * HOURS_PER_YEAR / self.failures if self.failures else np.inf

    @property
    def cost_usd(self) -> float:
        """Wages and spares; what standstill costs is the market's."""
        return self.wages_usd + self.spares_usd

    def part_life_h(self, name: str | None = None) -> float:
        """Return the hours that a part of a kind, or any part, serves for each one taken out; infinite without one. [h]"""
        names = list(self.slots) if name is None else [name]
        removed = sum(self.removed.get(one, 0) for one in names)
        hours = len(self.online) * sum(self.slots[one] for one in names)
        return hours / removed if removed else np.inf
