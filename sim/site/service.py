"""Technicians who are called: they mend machines that stand, and then clean, before the crew's own turn."""

from typing import Final

import numpy as np

from ..contract.channels import STEP_H
from ..foundation.jit import kernel

REPAIR_H: Final = 1.0
"""Work to bring a machine back. [h] Source: S19 XP sites, 10 repairs a day and technician (education.compassmining.io)."""

CLEAN_H: Final = 0.05
"""Work to clean a machine. [h] assumed: as the crew of the catalogue of parts."""


@kernel
def serve(zone: np.void, n_units: float, online_frac: float, fouling_frac: float, grid_on: float) -> float:
    """Let what befalls a zone happen, less what technicians have done about it, and return the hours that one works in this step. [h]

    What they mend and clean lasts until the crew's own turn would have done it; what fails or settles after that is new.

    Args:
        zone: State of the zone.
        n_units: Its machines.
        online_frac: Share of them that work by the trace.
        fouling_frac: Share of the conductance that dust has taken by the trace.
        grid_on: 1 with grid power.
    """
    mended = min(zone["mended_frac"], 1.0 - online_frac)
    cleaned = min(zone["cleaned_frac"], fouling_frac)
    worked_h = 0.0
    if zone["service"] > 0.0 and grid_on > 0.0:
        broken = max(0.0, 1.0 - online_frac - mended) * n_units
        fixed = min(broken, STEP_H / REPAIR_H)
        mended += fixed / n_units
        dusty_h = (fouling_frac - cleaned) / max(fouling_frac, 1e-9) * n_units * CLEAN_H
        cleaned_h = min(STEP_H - fixed * REPAIR_H, dusty_h)
        cleaned += cleaned_h / (n_units * CLEAN_H) * fouling_frac
        worked_h = fixed * REPAIR_H + cleaned_h
    zone["mended_frac"], zone["cleaned_frac"] = mended, min(cleaned, fouling_frac)
    zone["online_frac"], zone["fouling_frac"] = online_frac + mended, fouling_frac - zone["cleaned_frac"]
    return worked_h
