"""A predictive maintenance rule against run-to-failure, on the same fleets in the same weather, with intervals."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hashgym.sim import models
from hashgym.sim.maintenance import PREDICTIVE, RUN_TO_FAILURE, Report, simulate
from hashgym.sim.params import SiteParams, ZoneParams
from hashgym.sim.synthesis import synthesize

SEEDS: Final = range(20)
YEARS: Final = ("2024-01-01", "2026-01-01")
N_ZONES, UNITS_PER_ZONE = 10, 100

MEASURES: Final = {
    "unplanned standstill [machine-hours]": lambda report: report.unplanned_down_h,
    "all standstill [machine-hours]": lambda report: report.unplanned_down_h + report.planned_down_h,
    "technicians' work [h]": lambda report: report.technician_h,
    "failures": lambda report: float(report.failures),
    "mean time between failures [h]": lambda report: report.mtbf_h,
    "life of a part [h]": lambda report: report.part_life_h(),
    "life of a fan [h]": lambda report: report.part_life_h("fan"),
    "wages and spares [USD]": lambda report: report.cost_usd,
}


def fleet() -> SiteParams:
    """Return a site of a thousand machines in ten containers."""
    zone = ZoneParams(
        machine=models.machine("s19j_pro"), firmware=models.firmware("slow_tuner"), n_units=UNITS_PER_ZONE
    )
    return SiteParams(zones=(zone,) * N_ZONES)


def run() -> dict[str, Any]:
    """Return, for a normal and a bad batch, each measure's means under both rules and its change with a 95 % interval."""
    site = fleet()
    outdoor_temp_c = synthesize("ercot", *YEARS, 1).frame["outdoor_temp_c"].to_numpy(np.float64)[::12]
    study: dict[str, Any] = {"n_seeds": len(SEEDS), "years": len(outdoor_temp_c) / 8760.0}
    for name, bad_batch in (("normal", False), ("bad batch", True)):
        base = [simulate(site, outdoor_temp_c, RUN_TO_FAILURE, seed=s, bad_batch=bad_batch) for s in SEEDS]
        ours = [simulate(site, outdoor_temp_c, PREDICTIVE, seed=s, bad_batch=bad_batch) for s in SEEDS]
        study[name] = {measure: compare(base, ours, measure) for measure in MEASURES}
    first = outdoor_temp_c[:8760]
    for key, bad_batch in (("failed_pct", False), ("bad_failed_pct", True)):
        years = [simulate(site, first, RUN_TO_FAILURE, seed=s, bad_batch=bad_batch) for s in SEEDS]
        study[key] = float(np.mean([100.0 * report.machines_failed / report.machine_years for report in years]))
    return study


def compare(base: list[Report], ours: list[Report], measure: str) -> dict[str, float]:
    """Return means of a measure under both rules, and the change of the mean with a paired bootstrap interval. [%]"""
    pick = MEASURES[measure]
    pairs: npt.NDArray[np.float64] = np.array([[pick(a), pick(b)] for a, b in zip(base, ours, strict=True)])
    rng = np.random.default_rng(0)
    draws = pairs[rng.integers(len(pairs), size=(2000, len(pairs)))].mean(axis=1)
    low, high = np.percentile(100.0 * (draws[:, 1] / draws[:, 0] - 1.0), (2.5, 97.5))
    before, after = pairs.mean(axis=0)
    return {
        "run_to_failure": float(before), "predictive": float(after), "change_pct": float(100.0 * (after / before - 1.0)),
        "lo": float(low), "hi": float(high),
    }  # fmt: skip
