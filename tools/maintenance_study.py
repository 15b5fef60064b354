"""A predictive maintenance rule against run-to-failure, on the same fleets in the same weather, with intervals."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hashgym.sim.hardware import catalogue
from hashgym.sim.reliability.crew import PREDICTIVE, RUN_TO_FAILURE, MaintenanceReport, MaintenanceRule
from hashgym.sim.reliability.maintenance import simulate
from hashgym.sim.site.params import SiteParams, ZoneParams
from hashgym.synthesis.generate import synthesize

SEEDS: Final = range(20)
YEARS: Final = ("2024-01-01", "2026-01-01")
N_ZONES, UNITS_PER_ZONE = 10, 100
AGE_YEARS: Final = 2.0

WORK: Final = "technicians' work [h]"
LIFE: Final = "life of a part [h]"

MEASURES: Final[dict[str, Callable[[MaintenanceReport], float]]] = {
    "unplanned standstill [machine-hours]": lambda report: report.unplanned_down_h,
    "all standstill [machine-hours]": lambda report: report.unplanned_down_h + report.planned_down_h,
    WORK: lambda report: report.technician_h,
    "failures": lambda report: float(report.failures),
    "mean time between failures [h]": lambda report: report.mtbf_h,
    LIFE: lambda report: report.part_life_h(),
    "life of a fan [h]": lambda report: report.part_life_h("fan"),
    "wages and spares [USD]": lambda report: report.cost_usd,
}


def often(rule: MaintenanceRule) -> MaintenanceRule:
    """Return a rule that cleans more: when dust has aged the fans by 100 h."""
    return replace(rule, clean_at_fan_h=100.0)


def fleet() -> SiteParams:
    """Return a site of a thousand machines in ten containers."""
    zone = ZoneParams(
        machine=catalogue.machine("s19j_pro"), firmware=catalogue.firmware("slow_tuner"), n_units=UNITS_PER_ZONE
    )
    return SiteParams(zones=(zone,) * N_ZONES)


def run() -> dict[str, Any]:
    """Return each measure's means under both rules and its change with a 95 % interval, for a normal and a bad batch.

    Beside it: the share of machines that fail in a year, by age, and the measures of a rule that cleans more.
    """
    site = fleet()
    outdoor_temp_c = synthesize("ercot", *YEARS, 1).frame["outdoor_temp_c"].to_numpy(np.float64)[::12]
    study: dict[str, Any] = {"n_seeds": len(SEEDS), "years": len(outdoor_temp_c) / 8760.0}
    for name, bad_batch in (("normal", False), ("bad batch", True)):
        options: dict[str, Any] = {"bad_batch": bad_batch, "age_years": AGE_YEARS}
        base = [simulate(site, outdoor_temp_c, RUN_TO_FAILURE, seed=s, **options) for s in SEEDS]
        ours = [simulate(site, outdoor_temp_c, PREDICTIVE, seed=s, **options) for s in SEEDS]
        study[name] = {measure: compare(base, ours, measure) for measure in MEASURES}
    first = outdoor_temp_c[:8760]
    for name, bad_batch in (("failed_pct", False), ("bad_failed_pct", True)):
        study[name] = {}
        for age in (0.0, 1.0, AGE_YEARS, 3.0, 4.0):
            years = [simulate(site, first, seed=s, bad_batch=bad_batch, age_years=age) for s in list(SEEDS)[:8]]
            study[name][age] = float(np.mean([100.0 * r.machines_failed / r.machine_years for r in years]))
    dust = [simulate(site, outdoor_temp_c, often(PREDICTIVE), seed=s, age_years=AGE_YEARS) for s in SEEDS]
    base = [simulate(site, outdoor_temp_c, RUN_TO_FAILURE, seed=s, age_years=AGE_YEARS) for s in SEEDS]
    study["cleaned often"] = {measure: compare(base, dust, measure) for measure in MEASURES}
    return study


def compare(base: list[MaintenanceReport], ours: list[MaintenanceReport], measure: str) -> dict[str, float]:
    """Return means of a measure under both rules, and the change of the mean with a paired bootstrap interval. [%]"""
    pick = MEASURES[measure]
    pairs: npt.NDArray[np.float64] = np.array([[pick(a), pick(b)] for a, b in zip(base, ours, strict=True)])
    rng = np.random.default_rng(0)
    draws = pairs[rng.integers(len(pairs), size=(2000, len(pairs)))].mean(axis=1)
    low, high = np.percentile(100.0 * (draws[:, 1] / draws[:, 0] - 1.0), (2.5, 97.5))
    before, after = pairs.mean(axis=0)
    return {
        "run_to_failure": float(before),
        "predictive": float(after),
        "change_pct": float(100.0 * (after / before - 1.0)),
        "lo": float(low),
        "hi": float(high),
    }
