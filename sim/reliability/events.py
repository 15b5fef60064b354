"""What befalls a site, as traces for the kernel: outages of grid and pool, curtailment calls, failures and dust."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import simpy

from ..foundation.checks import require, require_fraction, require_positive
from ..foundation.constants import CONTROL_STEP_S, HOURS_PER_YEAR, SECONDS_PER_HOUR
from ..foundation.errors import BadInputError
from ..site.world import SITE_EVENTS, Events
from .crew import MaintenanceReport
from .lives import reliability_figures

FloatArray = npt.NDArray[np.float64]
Process = Generator[simpy.Event, Any, None]

STEPS_PER_HOUR: Final = int(SECONDS_PER_HOUR / CONTROL_STEP_S)

_LENGTH_SPREAD: Final = 0.8
"""Log-standard deviation of the lengths of outages and calls. assumed: most are short, few are long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbances:
    """How often and how long grid and pool fail and calls come. Sources: parts.yaml."""

    grid_outages_per_year: float
    grid_outage_h: float
    pool_outages_per_year: float
    pool_outage_h: float
    calls_per_year: float
    call_h: float
    call_pu: float

    @classmethod
    def default(cls, **changes: float) -> "Disturbances":
        """Return the catalogue's values with some changed."""
        return cls(**{**reliability_figures()["disturbances"], **changes})

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        require_positive(self, "grid_outage_h", "pool_outage_h", "call_h")
        require_fraction(self, "call_pu")
        for name in ("grid_outages_per_year", "pool_outages_per_year", "calls_per_year"):
            require(getattr(self, name) >= 0.0, "Disturbances", name, getattr(self, name), "0 or more")


def disturb(n_hours: int, disturbances: Disturbances, seed: int) -> FloatArray:
    """Return the site's part of an event trace, of spans that begin at random and last a log-normal time.

    Args:
        n_hours: Length of the trace. [h]
        disturbances: How often and how long.
        seed: Of the draws; grid, pool and calls have streams of their own.

    Returns:
        (n_hours * 12, len(SITE_EVENTS)): a step without grid power is 0 in `grid_on`, also if power failed within it;
        `pool_frac` is the share of the step with a pool; `call_pu` what the call leaves, of whole steps.
    """
    require(n_hours >= 1, "disturb", "n_hours", n_hours, "1 or more")
    env = simpy.Environment()
    kinds = (
        (disturbances.grid_outages_per_year, disturbances.grid_outage_h),
        (disturbances.pool_outages_per_year, disturbances.pool_outage_h),
        (disturbances.calls_per_year, disturbances.call_h),
    )
    spans: list[list[tuple[float, float]]] = [[], [], []]
    for stream, (per_year, mean_h) in enumerate(kinds):
        if per_year > 0.0:
            rng = np.random.default_rng([seed, stream])
            env.process(_recur(env, per_year, mean_h, rng, spans[stream]))
    env.run(until=n_hours)
    trace = np.ones((n_hours * STEPS_PER_HOUR, len(SITE_EVENTS)))
    for first, last in _whole_steps(spans[0], len(trace)):
        trace[first:last, 0] = 0.0
    trace[:, 1] -= _share_of_steps(spans[1], len(trace))
    for first, last in _whole_steps(spans[2], len(trace)):
        trace[first:last, 2] = disturbances.call_pu
    return trace


def _recur(
    env: simpy.Environment, per_year: float, mean_h: float, rng: np.random.Generator, spans: list[tuple[float, float]]
) -> Process:
    """Let something happen again and again: wait, begin, last, end. [h]"""
    while True:
        yield env.timeout(rng.exponential(HOURS_PER_YEAR / per_year))
        began = env.now
        length_h = mean_h * np.exp(_LENGTH_SPREAD * rng.standard_normal() - 0.5 * _LENGTH_SPREAD**2)
        spans.append((began, began + length_h))
        yield env.timeout(length_h)


def _whole_steps(spans: list[tuple[float, float]], n_steps: int) -> list[tuple[int, int]]:
    """Return the steps that spans of hours touch, as ranges."""
    ends = ((int(first * STEPS_PER_HOUR), int(np.ceil(last * STEPS_PER_HOUR))) for first, last in spans)
    return [(first, min(last, n_steps)) for first, last in ends if first < n_steps]


def _share_of_steps(spans: list[tuple[float, float]], n_steps: int) -> FloatArray:
    """Return the share of each step that spans of hours take. (n_steps,)"""
    share = np.zeros(n_steps)
    for first_h, last_h in spans:
        first, last = first_h * STEPS_PER_HOUR, last_h * STEPS_PER_HOUR
        steps = np.arange(int(first), min(int(np.ceil(last)), n_steps))
        share[steps] += np.minimum(steps + 1, last) - np.maximum(steps, first)
    return np.minimum(share, 1.0)


def traces(reports: list[MaintenanceReport], site: list[FloatArray]) -> Events:
    """Return the events that the kernel consumes, one series for each maintenance run and disturbance trace.

    Args:
        reports: Runs of `maintenance.simulate`, for machines that work and for dust.
        site: As many traces of `disturb`, of the same length.
    """
    lengths = {len(r.online) * STEPS_PER_HOUR for r in reports} | {len(trace) for trace in site}
    if len(reports) != len(site) or len(lengths) != 1:
        raise BadInputError(
            f"{len(reports)} maintenance runs and {len(site)} traces of {sorted(lengths)} steps; there must be as many, equally long"
        )
    zone = [np.repeat(np.stack([r.online, r.fouling], axis=-1), STEPS_PER_HOUR, axis=0) for r in reports]
    return Events(np.stack(site), np.stack(zone))
