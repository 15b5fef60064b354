"""Refit the machine catalogue: sim/hardware/machines.yaml in, fitted.yaml, docs/machines.md and its plots out.

Run it after a change of the published points: `python -m tools.fit_machines`.
"""

from pathlib import Path
from typing import Any

import numpy as np
import yaml

import hashgym.sim
from hashgym.sim.foundation.files import write_text
from hashgym.sim.hardware import catalogue, fitting
from tools import machine_pages

HEADER = "# Written by `python -m tools.fit_machines` from machines.yaml; do not edit.\n"
MARGIN = 2
"""Points that a list needs beyond the fitted parameters."""


def usable(key: str, curve: dict[str, Any]) -> fitting.Curve:
    """Return the points of a curve that the chips can compute."""
    values = catalogue.given(key)
    points = fitting.Curve.read(curve["points"])
    return points.where(points.computable(values["chips"], values.get("cores")))


def fit_curve(key: str, curve: dict[str, Any]) -> dict[str, Any]:
    """Return the entry of fitted.yaml of one published list; raises ValueError if it has too few points."""
    points, values = usable(key, curve), catalogue.given(key)
    result = fitting.fit(points, values)
    if len(points) < result.n_parameters + MARGIN:
        raise ValueError(f"{key}: {len(points)} points for {result.n_parameters} parameters; scale it from its family")
    listed_best = int(np.argmin(points.power_w / points.hashrate_ths))
    span = np.linspace(points.freq_mhz.min(), points.freq_mhz.max(), 1001)
    modelled_w = fitting.model_w(result.coefficients, span, values)
    modelled_best_w = modelled_w[int(np.argmin(modelled_w / span))]
    return {
        "coefficients": _rounded(bounded(key, result.coefficients)),
        "n_points": len(points),
        "n_parameters": result.n_parameters,
        "median_error_pct": _pct(np.median(np.abs(result.error))),
        "worst_error_pct": _pct(np.max(np.abs(result.error))),
        "left_out_median_error_pct": _pct(np.median(np.abs(result.left_out_error))),
        "left_out_worst_error_pct": _pct(np.max(np.abs(result.left_out_error))),
        "listed_optimum_pct_of_rated": _pct(points.power_w[listed_best] / values["rated_power_w"]),
        "modelled_optimum_pct_of_rated": _pct(modelled_best_w / values["rated_power_w"]),
    }


def fit_all() -> dict[str, Any]:
    """Return the content of fitted.yaml: every machine's fitted lists, or what it takes from its family."""
    machines = catalogue.read("machines.yaml")["machines"]
    result: dict[str, Any] = {}
    for key, entry in machines.items():
        lists = {name: c for name, c in entry.get("curves", {}).items() if c.get("fitted", True)}
        result[key] = {name: fit_curve(key, curve) for name, curve in lists.items()}
    for key, entry in machines.items():
        if "scaled_from" not in entry:
            continue
        family, curve = entry["scaled_from"][0].split("/")
        coefficients = bounded(key, fitting.scale(result[family][curve]["coefficients"], catalogue.given(key)))
        scaled = {"coefficients": _rounded(coefficients), "scaled_from": f"{family}/{curve}"}
        result[key] = {"scaled": scaled, **result[key]}
    return {key: result[key] for key in machines}


def bounded(key: str, coefficients: dict[str, float]) -> dict[str, float]:
    """Return coefficients of a machine that are no more efficient than what is published of it or its generation."""
    values = catalogue.given(key)
    if "least_j_per_th" not in values:
        return coefficients
    ladder = np.array(catalogue.profiles_mhz(key, coefficients["ref_mhz"]))
    return fitting.bounded(coefficients, values["least_j_per_th"], values, ladder)


def _rounded(coefficients: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.8g}") for name, value in coefficients.items()}


def _pct(share: float) -> float:
    return round(float(share) * 100.0, 2)


def main() -> None:
    """Fit every machine and write coefficients, errors, the pages and their plots."""
    target = Path(next(iter(hashgym.sim.__path__))) / "hardware" / "fitted.yaml"
    write_text(target, HEADER + yaml.safe_dump(fit_all(), sort_keys=False))
    catalogue.read.cache_clear()
    machine_pages.write(Path(__file__).resolve().parent.parent / "docs")


if __name__ == "__main__":
    main()
