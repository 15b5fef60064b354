"""Quantiles along a whole history, each from models that were fitted on what was published before it."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from .features import LEADS_H, WARM_UP_H
from .fitting import FitConfig, fit, least_days
from .model import HOURS_PER_DAY, QUANTILES, step_of
from .series import IntArray, PublishedSeries


def walked(world: PublishedSeries, name: str, origins: IntArray, config: FitConfig) -> npt.NDArray[np.float64]:
    """Return the quantiles of the hourly means ahead at every origin, (n_origins, LEADS_H, 3); NaN before the first model.

    Models are fitted every `vintage_days` from as soon as there is enough history; `n_vintages` is not looked at.

    Args:
        world: The series.
        name: Target.
        origins: Steps at which forecasts are made, ascending.
        config: How trees are grown.

    Raises:
        ValueError: A series is missing.
    """
    result = np.full((len(origins), LEADS_H, len(QUANTILES)), np.nan)
    day = HOURS_PER_DAY * world.steps_per_hour
    first, last = least_days(config), int(origins[-1]) // day if len(origins) else 0
    days = range(first, last + 1, config.vintage_days)
    if not days:
        return result
    until = world.start + pd.Timedelta(days=days[-1])
    forecaster = fit(world, until, replace(config, n_vintages=len(days)), [name])
    served = origins >= max(step_of(world, forecaster.first), WARM_UP_H * world.steps_per_hour)
    if served.any():
        result[served] = forecaster.quantiles(world, name, origins[served])
    return result
