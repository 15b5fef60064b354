"""Write docs/validation.md and docs/validation.json: the simulator against every measurement at hand.

`python -m tools.validate DATA`: published points ship with the catalogue; DATA is a folder with the
measurements that do not (see measurements.py). Without DATA nothing is compared: the page is written anew
from the rows that validation.json and maintenance.json hold.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from hashgym.sim.cooling.plants import LoopParams, RoomParams
from hashgym.sim.foundation.files import write_bytes, write_json, write_text
from hashgym.sim.hardware import catalogue, fitting
from hashgym.sim.site.params import SiteParams, ZoneParams
from hashgym.sim.site.step import Site
from hashgym.sim.site.world import Exogenous
from tools import maintenance_study, measurements, steady_points, validation_plots

DOCS: Final = Path(__file__).resolve().parent.parent / "docs"
Row = dict[str, Any]


def row(
    model: str, quantity: str, measured: float, modelled: float, *, contradictory: bool = False, fitted: bool = False
) -> Row:
    """Return a row of validation.json with its error in percent; fitted: the model was set by this measurement."""
    error = 100.0 * (modelled / measured - 1.0)
    return {
        "model": model,
        "quantity": quantity,
        "measured": measured,
        "modelled": round(modelled, 3),
        "error_pct": round(error, 2),
        "contradictory": contradictory,
        "fitted": fitted,
    }


def power_rows() -> list[Row]:
    """Return every published operating point against the model, at equal hashrate.

    Lists that are not fitted are judged by the machine's default curve. A point is contradictory if its list is one
    that was set aside for another one's sake, or if its hashrate is more than the chips can compute.
    """
    result = []
    for key, entry in catalogue.read("machines.yaml")["machines"].items():
        values, fitted = catalogue.given(key), catalogue.read("fitted.yaml")[key]
        for name, curve in entry.get("curves", {}).items():
            points = fitting.Curve.read(curve["points"])
            possible = points.computable(values["chips"], values.get("cores"))
            coefficients = fitted.get(name, next(iter(fitted.values())))["coefficients"]
            modelled = fitting.model_w(coefficients, points.hashrate_ths / coefficients["ths_per_mhz"], values)
            for index in range(len(points)):
                is_fitted = bool(curve.get("fitted", True) and possible[index])
                disputed = bool(curve.get("contradictory", False) or not possible[index])
                result.append(
                    row(
                        entry["name"],
                        f"power_w at {points.hashrate_ths[index]:g} TH/s, list {name}",
                        float(points.power_w[index]),
                        float(modelled[index]),
                        contradictory=disputed,
                        fitted=is_fitted,
                    )
                )
    return result


def settled(zone: ZoneParams, temp_c: float, wet_bulb_c: float) -> Site:
    """Return a zone after six hours at its top profile in constant weather."""
    weather = Exogenous.plain(np.full((1, 72), temp_c), wet_bulb_c, 0.0, 0.0)
    run = Site(SiteParams(zones=(zone,), altitude_m=0.0), weather)
    for _ in range(72):
        run.step(np.full((1, 1), zone.max_mhz))
    return run


def hot_day_rows() -> list[Row]:
    """Return how much wall power follows a hot day, fans at a fixed speed as stock firmware has them."""
    machine = catalogue.machine("t21")
    stock = replace(catalogue.firmware("slow_tuner"), fan_min_pu=0.9)
    zone = ZoneParams(machine=machine, firmware=stock, n_units=100)
    low, high = (float(settled(zone, c, c - 6.0).state.zone["power_w"][0, 0]) for c in (12.0, 27.0))
    text = "swing of wall power over a day of 12-27 C [%], day assumed"
    return [row(machine.name, text, 7.3, 100.0 * (high / low - 1.0), fitted=True)]


def plant_rows() -> list[Row]:
    """Return the immersion container's rejected heat, fans and pumps against its maker's figures."""
    zone = ZoneParams(
        machine=catalogue.machine("m66s"),
        firmware=catalogue.firmware("slow_tuner"),
        n_units=130,
        plant=LoopParams(coolant_j_per_k=80000.0),
    )
    run = settled(zone, 33.0, 28.0)
    flow = run.zone_flow[0, 0]
    name, heat_kw = "immersion container, 28 C wet bulb", float(flow["heat_rejected_kwh"]) * 12.0
    power_kw = float(flow["cooling_energy_kwh"]) * 12.0
    return [
        row(
            name,
            "fans and pumps over rejected heat [%], maker's upper limit",
            100.0 * 25.0 / 720.0,
            100.0 * power_kw / heat_kw,
            fitted=True,
        ),
        row(
            name,
            "water of a hot day, pads on for half of it [L/kWh], maker's upper limit",
            8000.0 / (720.0 * 24.0),
            float(flow["water_l"]) * 12.0 * 12.0 / (heat_kw * 24.0),
        ),
    ]


def chiller_rows(data: Path) -> list[Row]:
    """Return the COP of June by a fit to May, for each chiller, and the shipped coefficients on the other one."""
    result, shipped = [], RoomParams()
    for number in ("1", "2"):
        rows = measurements.chiller(data, number)
        coefficients = measurements.fit_chiller(rows)
        default = np.array([shipped.chiller_entropy_per_k, shipped.chiller_loss, shipped.chiller_resistance_k])
        for text, fit in (("fitted to its May", coefficients), ("coefficients of RoomParams", default)):
            modelled = measurements.gordon_ng(rows, fit)[rows.is_june]
            error = 100.0 * np.abs(modelled / rows.cop[rows.is_june] - 1.0)
            result.append(
                {
                    "model": f"chiller {number}",
                    "quantity": f"COP of June, {text}: medians of {len(error)} rows",
                    "measured": round(float(np.median(rows.cop[rows.is_june])), 2),
                    "modelled": round(float(np.median(modelled)), 2),
                    "error_pct": round(float(np.median(error)), 2),
                    "error_p90_pct": round(float(np.percentile(error, 90)), 2),
                    "contradictory": False,
                    "fitted": text != "fitted to its May" and number == "1",
                }
            )
        result.append(
            row(
                f"cooling tower {number}",
                "condenser water above wet bulb [K], median",
                round(float(np.median(rows.approach_k)), 2),
                shipped.condenser_approach_k,
                fitted=True,
            )
        )
    return result


def bitaxe_rows(data: Path) -> list[Row]:
    """Return single BM1370 chips: power over a sweep, each set-point left out, and hashes a cycle."""
    result = []
    for sweep in measurements.bitaxe(data):
        errors = 100.0 * measurements.left_out_errors(sweep)
        result.append(
            {
                "model": f"BM1370, {sweep.name}",
                "quantity": f"power_w of {len(errors)} set-points by a f V² + P0, each left out: median and worst",
                "measured": round(float(np.median(sweep.power_w)), 2),
                "modelled": round(float(np.median(sweep.power_w * (1.0 + errors / 100.0))), 2),
                "error_pct": round(float(np.median(np.abs(errors))), 2),
                "error_worst_pct": round(float(np.abs(errors).max()), 2),
                "contradictory": False,
                "fitted": False,
            }
        )
        cycle = float(np.median(sweep.hashrate_ths / sweep.freq_mhz)) * 1e6
        result.append(row(f"BM1370, {sweep.name}", "hashes a cycle", round(cycle, 1), 2040.0))
    return result


def failure_rows(study: dict[str, Any]) -> list[Row]:
    """Return failures in the third year against the field's."""
    age = maintenance_study.AGE_YEARS
    text = "machines that fail in the third year [%]"
    return [
        row("fleet of 1,000", text, 5.0, study["failed_pct"][age], fitted=True),
        row("fleet of 1,000, bad batch", f"{text}, field 20-30", 25.0, study["bad_failed_pct"][age], fitted=True),
    ]


def main() -> None:
    """Compare, and write the page, its plots and the rows."""
    if len(sys.argv) > 2:
        sys.exit(f"usage: python -m tools.validate [DATA]\n\n{__doc__}")
    if len(sys.argv) == 2:
        compare(Path(sys.argv[1]))
    rows, study = (
        json.loads((DOCS / f"{name}.json").read_text(encoding="utf-8")) for name in ("validation", "maintenance")
    )
    write_text(DOCS / "validation.md", validation_plots.page(rows, study))


def compare(data: Path) -> None:
    """Write the rows, the study and the plots."""
    study = maintenance_study.run()
    sections = {
        "power": power_rows(),
        "heat": [{k: v for k, v in r.items() if k != "source"} for r in steady_points.rows()],
        "temperature": hot_day_rows(),
        "chip": bitaxe_rows(data),
        "plant": chiller_rows(data) + plant_rows(),
        "failures": failure_rows(study),
    }
    for name, picture in validation_plots.draw_all(data).items():
        write_bytes(DOCS / "validation" / f"{name}.png", picture)
    write_json(DOCS / "validation.json", [{"section": name, **r} for name, rows in sections.items() for r in rows])
    write_json(DOCS / "maintenance.json", study)


if __name__ == "__main__":
    main()
