"""What the planner thinks of every state along each path: the value of machines on or off and of a battery's charge, at what is known then.

The value of a state is an expectation over what follows, made of what is published when the interval begins. It sees nothing of the path's own future,
so that a learner may take differences of it for what an action was worth, long before it shows in the bill.
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ...sim.foundation import jit, threads
from ...sim.foundation.files import keep_arrays
from ...sim.series.exogenous import STEPS_PER_DAY
from .site_planner import SitePlanner

Float32Array = npt.NDArray[np.float32]

MOST_KEPT: Final = 12
"""Tables that the user's cache keeps. chosen: some 40 MB each."""


@dataclass(frozen=True, slots=True, eq=False)
class PlanValues:
    """Values and choices of the planner at the price that is known in each interval.

    first: Step of the first interval. every: Steps of an interval. value_usd: (n_series, n_intervals, 2, n_charges), off first; a plan ends some
    34 hours ahead, so that only differences between states of one interval mean anything. [USD] choice: as `storage.solve` has it, same shape.
    """

    first: int
    every: int
    value_usd: Float32Array
    choice: npt.NDArray[np.int16]

    @classmethod
    def kept(cls, planner: SitePlanner, steps: range) -> "PlanValues":
        """Return the values of `of`, from the user's cache where they were made before of the same world by the same code."""
        digest = hashlib.sha256(
            f"{jit.source_hash()}|{steps}|{planner.site}|{planner.peak_ratio}|{planner.commands}".encode()
        )
        for array in (planner.exogenous.values, planner.exogenous.known, planner.choices.meter_w):
            digest.update(np.ascontiguousarray(array).data)
        path = jit.kept_folder("plans") / f"{digest.hexdigest()[:24]}.npz"
        try:
            with np.load(path, allow_pickle=False) as stored:
                return cls(int(stored["first"]), int(stored["every"]), stored["value_usd"], stored["choice"])
        except (OSError, ValueError, KeyError, EOFError):
            made = cls.of(planner, steps)
            keep_arrays(
                path, MOST_KEPT, first=made.first, every=made.every, value_usd=made.value_usd, choice=made.choice
            )
            return made

    @classmethod
    def of(cls, planner: SitePlanner, steps: range) -> "PlanValues":
        """Solve the plans of some steps in every series; the result does not depend on the number of threads.

        Args:
            planner: The planner, with a chain.
            steps: Steps that are looked at; whole days from the first one on.
        """
        every, n_series = planner.every, len(planner.market)
        first = steps.start - steps.start % every
        days = range(first, min(steps.stop, planner.exogenous.n_steps - every), STEPS_PER_DAY)
        per_day = STEPS_PER_DAY // every
        shape = n_series, len(days) * per_day, 2, planner.n_charges
        value, choice = np.zeros(shape, np.float32), np.zeros(shape, np.int16)
        column = planner.exogenous.column("expected_hashprice_usd_per_ph_day")

        def fill(task: tuple[int, int]) -> None:
            series, day = task
            at, stop = days[day], min(days[day] + STEPS_PER_DAY, planner.exogenous.n_steps - every)
            while at < stop:
                plan = planner.solved(series, at, float(planner.exogenous.known[series, at, column]))
                for k in range(min(len(plan.choices), (stop - at) // every)):
                    row, level = (at - first) // every + k, planner.level(series, at + k * every)
                    value[series, row], choice[series, row] = plan.values_usd[k, level], plan.choices[k, level]
                at += plan.stands

        tasks = [(series, day) for series in range(n_series) for day in range(len(days))]
        with ThreadPoolExecutor(threads.default_threads()) as pool:
            list(pool.map(fill, tasks, chunksize=8))
        return cls(first, every, value, choice)
