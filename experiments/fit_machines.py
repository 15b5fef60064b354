"""Refit the machine catalogue: reads sim/catalogue/machines.yaml, writes sim/catalogue/fitted.yaml beside it.

Run it after a change of the published points: `python -m hashgym.experiments.fit_machines`.
"""

from pathlib import Path

import numpy as np
import yaml

import hashgym.sim
from hashgym.experiments.files import write_text
from hashgym.sim import fitting, models

HEADER = "# Written by `python -m hashgym.experiments.fit_machines` from machines.yaml; do not edit.\n"


def main() -> None:
    """Fit every machine and write coefficients and errors."""
    published = models.published()
    result = {}
    for key, entry in published["machines"].items():
        coefficients, error = fitting.fit(entry, published["common"])
        result[key] = {
            "coefficients": {name: float(f"{value:.8g}") for name, value in coefficients.items()},
            "median_error_pct": round(float(np.median(np.abs(error))) * 100, 2),
            "worst_error_pct": round(float(np.max(np.abs(error))) * 100, 2),
        }
    target = Path(next(iter(hashgym.sim.__path__))) / "catalogue" / "fitted.yaml"
    write_text(target, HEADER + yaml.safe_dump(result, sort_keys=False))


if __name__ == "__main__":
    main()
