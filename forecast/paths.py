"""Joint paths around a forecast: today's quantiles, moved by what past forecasts missed on past days, all targets together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from .features import LEADS_H, WARM_UP_H
from .model import Forecaster
from .series import FloatArray, IntArray, PublishedSeries
from .targets import TARGETS

MIN_SPREAD: Final = 1e-3
"""Least distance of the outer quantiles, in the transformed target, by which a miss is divided. chosen: against a division by nearly 0."""

MOST_DAYS: Final = 400
"""Past days that are looked back on. Chosen with NEAR_H and the number of paths on months before the held-out ones."""

NEAR_H: Final = 3
"""Hours ahead whose forecast tells which past days are like today."""

ALIKE: Final = "market_price_usd_per_mwh"
"""Target by which days are alike: how far a price forecast misses depends most on how high it is."""

LEAST_PATHS: Final = 30
"""Fewer past forecasts than this say nothing of tails."""


class TooFewForecastsError(ValueError):
    """There are too few past forecasts to draw paths from."""


@dataclass(frozen=True, slots=True)
class Paths:
    """Equally likely futures of all targets from a step on.

    values: by target, (n_paths, n_steps), step 0 is the origin's. quantiles: by target, the forecast that the paths lie
    around, (LEADS_H, 3), hourly means. origins: the past origins whose misses the paths repeat, (n_paths,).
    """

    origin: int
    values: Mapping[str, FloatArray]
    quantiles: Mapping[str, FloatArray]
    origins: IntArray

    @property
    def n_paths(self) -> int:
        """Number of paths."""
        return len(self.origins)

    @property
    def n_steps(self) -> int:
        """Number of steps of each path."""
        return int(next(iter(self.values.values())).shape[1])

    def hourly(self, name: str) -> FloatArray:
        """Return the hourly means of a target's paths, (n_paths, LEADS_H)."""
        return self.values[name].reshape(self.n_paths, LEADS_H, -1).mean(axis=2)


def past_origins(forecaster: Forecaster, world: PublishedSeries, origin: int, n_paths: int) -> IntArray:
    """Return the origins at the same time of the days before whose outcome is out by now, newest first.

    The outcome of yesterday's is not: its last settlement interval may still run.
    """
    day = LEADS_H * world.steps_per_hour
    first = max((forecaster.first - world.start).total_seconds() / world.step_s, WARM_UP_H * world.steps_per_hour)
    past = origin - day * np.arange(2, n_paths + 2)
    return np.asarray(past[past >= first], dtype=np.int64)


def joint_paths(forecaster: Forecaster, world: PublishedSeries, origin: int, n_paths: int) -> Paths:
    """Return joint paths of every target over the next day.

    With q the quantiles of the transformed target and y what came, path j at step s of hour h is
    q50(h) + w(h) · (y_j(s) - q50_j(h)) / w_j(h), w = q90 - q10: the miss of the forecast made on day j in units of the
    spread that it stated, put on today's. One day j moves all targets and hours, which keeps how they go together; the
    misses are out of sample, so the paths are as wide as the forecast is wrong. Of the past days those are taken whose
    price forecast for the near hours was most like today's: misses of calm days say little of spikes. Values that are
    published for steps ahead stand in every path, and no path leaves the range that the series has shown so far.

    Args:
        forecaster: Fitted models.
        world: The series; nothing is read that is not published at the origin.
        origin: Step at which the paths begin.
        n_paths: Paths at most; fewer where the forecaster has fewer past days.

    Raises:
        TooFewForecastsError: There are fewer than 30 past forecasts.

    Source:
        The idea of drawing whole past error trajectories: R. Schefzik, T. Thorarinsdottir, T. Gneiting, "Uncertainty
        quantification in complex simulation models using ensemble copula coupling", Stat. Sci. 28, 616 (2013);
        normalised misses as in conformal prediction, J. Lei et al., JASA 113, 1094 (2018), sec. 5.2.
    """
    past = past_origins(forecaster, world, origin, MOST_DAYS)
    if len(past) < LEAST_PATHS:
        raise TooFewForecastsError(
            f"only {len(past)} past forecasts lie between the first model ({forecaster.first}) and {world.local(np.array([origin]))[0]}; "
            f"paths need {LEAST_PATHS}: advise at a later time, or export with models that begin earlier, more forecast.n_vintages or longer "
            "forecast.vintage_days"
        )
    together = {name: forecaster.transformed(world, name, np.append(past, origin)) for name in forecaster.vintages}
    near = together[ALIKE if ALIKE in together else next(iter(together))][:, :NEAR_H, 1].mean(axis=1)
    chosen = np.sort(np.argsort(np.abs(near[:-1] - near[-1]), kind="stable")[:n_paths])
    values, quantiles = {}, {}
    for name, transformed in together.items():
        values[name] = _moved(world, name, past[chosen], origin, transformed[np.append(chosen, len(past))])
        quantiles[name] = np.asarray(TARGETS[name].inverse(transformed[-1]))
    return Paths(origin, values, quantiles, past[chosen])


def _moved(world: PublishedSeries, name: str, past: IntArray, origin: int, together: FloatArray) -> FloatArray:
    """Return the paths of one target, given the transformed quantiles at the past origins and, last, at the origin."""
    target, series, hour = TARGETS[name], world.series[name], world.steps_per_hour
    n_steps = LEADS_H * hour
    middle = np.repeat(together[:, :, 1], hour, axis=1)
    width = np.repeat(np.maximum(together[:, :, 2] - together[:, :, 0], MIN_SPREAD), hour, axis=1)
    came = series.values[past[:, None] + np.arange(n_steps)[None, :]]
    miss = (target.transform(came) - middle[:-1]) / width[:-1]
    known_until = int(series.known_until[origin])
    shown = series.values[: min(known_until, origin + 1)]
    paths = np.clip(target.inverse(middle[-1] + width[-1] * miss), shown.min(), shown.max())
    n_known = min(max(known_until - origin, 0), n_steps)
    paths[:, :n_known] = series.values[origin : origin + n_known]
    return np.asarray(paths)


def interval(paths: FloatArray, share: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the central interval over paths that holds what comes with a probability, each (…,) without the first axis.

    The k-th of n paths stands at the level k / (n + 1): then one more draw falls inside with the stated probability,
    which it does not quite between the plain quantiles of few paths.
    """
    low, high = np.quantile(paths, [(1.0 - share) / 2.0, (1.0 + share) / 2.0], axis=0, method="weibull")
    return low, high
