"""Series with their publication: what is asked of them at a step is answered from what is out by then."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Published:
    """A series of equal steps.

    values: (n_steps,). known_until: at each step, the step before which every value is published, (n_steps,); it may
    lie ahead of the step (a day-ahead price) or behind it (a price that settles after its interval).
    """

    values: FloatArray
    known_until: IntArray
    _total: FloatArray = field(init=False, repr=False, compare=False)
    _square: FloatArray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check shapes and order.

        Raises:
            ValueError: Shapes differ, a value is not finite, or something published is withdrawn later.
        """
        n = len(self.values)
        if self.values.shape != (n,) or self.known_until.shape != (n,):
            raise ValueError(f"values {self.values.shape} and known_until {self.known_until.shape} must be (n_steps,)")
        if not np.isfinite(self.values).all():
            raise ValueError(f"value at step {int(np.argmin(np.isfinite(self.values)))} is not finite")
        if (np.diff(self.known_until) < 0).any() or self.known_until.max(initial=0) > n:
            raise ValueError("known_until must not fall and must not pass the end of the series")
        object.__setattr__(self, "_total", np.concatenate([[0.0], np.cumsum(self.values)]))
        object.__setattr__(self, "_square", np.concatenate([[0.0], np.cumsum(np.square(self.values))]))

    def mean(self, origin: IntArray, first: IntArray, last: IntArray) -> FloatArray:
        """Return the mean over steps [first, last) as far as it is published at `origin`; NaN where nothing of it is."""
        first, last, count = self._known(origin, first, last)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(count > 0, (self._total[last] - self._total[first]) / count, np.nan)

    def std(self, origin: IntArray, first: IntArray, last: IntArray) -> FloatArray:
        """Return the standard deviation over the published part of steps [first, last); NaN where there is none."""
        first, last, count = self._known(origin, first, last)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = (self._total[last] - self._total[first]) / count
            variance = (self._square[last] - self._square[first]) / count - mean * mean
        return np.where(count > 0, np.sqrt(np.maximum(variance, 0.0)), np.nan)

    def latest(self, origin: IntArray) -> FloatArray:
        """Return the newest value that stands at `origin`: in force then, or the last one published before; NaN if none."""
        at = np.minimum(self.known_until[origin] - 1, origin)
        return np.where(at >= 0, self.values[np.maximum(at, 0)], np.nan)

    def _known(self, origin: IntArray, first: IntArray, last: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        first, last = np.maximum(first, 0), np.minimum(last, self.known_until[origin])
        last = np.maximum(last, 0)
        return np.minimum(first, last), last, np.maximum(last - first, 0)


@dataclass(frozen=True, slots=True)
class PublishedSeries:
    """Published series on one clock.

    start: stamp of step 0, with a time zone. step_s: length of a step. timezone: local time, in which days and weeks are
    counted.
    """

    series: Mapping[str, Published]
    start: pd.Timestamp
    step_s: int
    timezone: str

    def __post_init__(self) -> None:
        """Check that the series are of one length and that hours are whole steps; raises ValueError."""
        lengths = {name: len(entry.values) for name, entry in self.series.items()}
        if not lengths or len(set(lengths.values())) != 1:
            raise ValueError(f"all series must have the same number of steps; they have {lengths}")
        if 3600 % self.step_s:
            raise ValueError(f"step_s is {self.step_s}; an hour must hold whole steps")

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return len(next(iter(self.series.values())).values)

    @property
    def steps_per_hour(self) -> int:
        """Number of steps in an hour."""
        return 3600 // self.step_s

    def local(self, steps: IntArray) -> pd.DatetimeIndex:
        """Return the local time of steps, (n,); steps may lie beyond the series."""
        offsets = pd.to_timedelta(np.asarray(steps) * self.step_s, unit="s")
        return pd.DatetimeIndex(self.start + offsets).tz_convert(self.timezone)

    def need(self, *names: str) -> None:
        """Raise a ValueError that names the first series that is missing."""
        for name in names:
            if name not in self.series:
                raise ValueError(f"no series {name!r}; there are {', '.join(self.series)}")
