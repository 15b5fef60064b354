"""Fit the dated models of a forecaster, each on what was published before its cut-off."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import pandas as pd
import xgboost
from tqdm import tqdm

from .features import LEADS_H, WARM_UP_H, matrix, of_channel
from .model import HOURS_PER_DAY, QUANTILES, Forecaster, Vintage, step_of
from .series import FloatArray, IntArray, PublishedSeries
from .targets import DAY_AHEAD_FEATURES, TARGETS, Target, actual, base, miss_now

MIN_SCALE: Final = 1e-6
"""Least scale of an hour, so that a series that never moves does not divide by 0. chosen: any small number does."""


_COUNTS: Final = (
    "n_trees",
    "max_depth",
    "early_stopping",
    "n_vintages",
    "vintage_days",
    "stopping_days",
    "origin_spacing_steps",
    "n_threads",
)
"""Settings that are whole numbers above 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """How trees are grown and on which origins.

    Defaults: chosen on the training months (docs/forecast.md), shallow and slow.
    """

    n_trees: int = 400
    learning_rate: float = 0.03
    max_depth: int = 4
    min_child_weight: float = 300.0
    subsample: float = 0.8
    colsample_bytree: float = 0.8
    gamma: float = 0.0
    alpha: float = 0.1
    reg_lambda: float = 1.0
    early_stopping: int = 20
    seed: int = 42
    n_vintages: int = 5
    """Models fitted one after the other, each on everything before its cut-off."""
    vintage_days: int = 90
    """Days between cut-offs; the last one is where the fit is told to end."""
    stopping_days: int = 28
    """Last days before a cut-off that tell when to stop adding trees; no tree is grown on them."""
    origin_spacing_steps: int = 61
    """Steps between training origins; prime to a day's, so that all times of day occur."""
    n_threads: int = 2
    channels: tuple[str, ...] = ()
    """Channels that the history declares and the forecast looks at."""

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError that names the setting."""
        for name in _COUNTS:
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value!r}; it must be a whole number above 0")
        for name, low, high in (("learning_rate", 0.0, 1.0), ("subsample", 0.0, 1.0), ("colsample_bytree", 0.0, 1.0)):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not low < value <= high:
                raise ValueError(f"{name} is {value!r}; it must be above {low:g} and at most {high:g}")


def fit(
    world: PublishedSeries,
    until: pd.Timestamp,
    config: FitConfig | None = None,
    names: Sequence[str] = tuple(TARGETS),
    *,
    progress: bool = False,
) -> Forecaster:
    """Fit the dated models of each target on what was published before `until`.

    Cut-offs with too little history before them are left out.

    Args:
        world: The series.
        until: Last cut-off.
        config: How trees are grown.
        names: Targets.
        progress: Whether a bar shows how far it is.

    Raises:
        ValueError: A series is missing, or there is not enough history before the last cut-off.
    """
    config = config or FitConfig()
    vintages, features = {}, {}
    for name in names:
        target = TARGETS[name]
        features[name] = tuple(
            entry
            for entry in target.features
            if entry not in DAY_AHEAD_FEATURES or "day_ahead_price_usd_per_mwh" in world.series
        )
        features[name] += tuple(entry for channel in config.channels for entry in of_channel(channel))
        world.need(name, *config.channels)
        cuts = [cut for cut in _cuts(until, config) if _has_enough(world, cut, config)] or [until]
        bar = tqdm(cuts, f"forecast of {name}", unit="model", leave=False, disable=not progress)
        vintages[name] = tuple(_fit_one(world, target, features[name], cut, config) for cut in bar)
    return Forecaster(vintages, features, {"until": until.isoformat(), "fit": asdict(config)})


def _cuts(until: pd.Timestamp, config: FitConfig) -> list[pd.Timestamp]:
    return [until - pd.Timedelta(days=config.vintage_days * k) for k in reversed(range(config.n_vintages))]


def least_days(config: FitConfig) -> int:
    """Return the days of history that a model needs: its windows, what comes, days to grow trees on and to stop by."""
    return WARM_UP_H // HOURS_PER_DAY + 2 * config.stopping_days + 4


def _has_enough(world: PublishedSeries, cut: pd.Timestamp, config: FitConfig) -> bool:
    return bool(cut - world.start >= pd.Timedelta(days=least_days(config)))


def _fit_one(
    world: PublishedSeries, target: Target, names: tuple[str, ...], until: pd.Timestamp, config: FitConfig
) -> Vintage:
    day = HOURS_PER_DAY * world.steps_per_hour
    # The outcome of the last training origin must itself be out before the cut-off; a day more covers its publication.
    last = step_of(world, until) - 2 * day
    stop_from = last - config.stopping_days * day
    origins = np.arange(WARM_UP_H * world.steps_per_hour, last, config.origin_spacing_steps)
    grow, check = origins[origins < stop_from - day], origins[origins >= stop_from]
    if not _has_enough(world, until, config):
        raise ValueError(
            f"not enough history before {until}: {least_days(config)} days are needed, a week of windows and twice the "
            f"{config.stopping_days} days that tell when to stop among them (stopping_days of the forecast's settings)"
        )
    carry, scale = _near_hours(world, target, grow)
    parts = []
    for part in (grow, check):
        left = _left(world, target, part, carry) / scale
        ok = np.isfinite(left.ravel())
        parts.append((matrix(world, names, part)[ok], left.ravel()[ok]))
    train = xgboost.QuantileDMatrix(*parts[0], nthread=config.n_threads)
    stop = xgboost.QuantileDMatrix(*parts[1], ref=train, nthread=config.n_threads)
    settings = {
        "objective": "reg:quantileerror",
        "quantile_alpha": np.array(QUANTILES),
        "tree_method": "hist",
        "learning_rate": config.learning_rate,
        "max_depth": config.max_depth,
        "subsample": config.subsample,
        "min_child_weight": config.min_child_weight,
        "colsample_bytree": config.colsample_bytree,
        "gamma": config.gamma,
        "alpha": config.alpha,
        "lambda": config.reg_lambda,
        "seed": config.seed,
        "nthread": config.n_threads,
        "verbosity": 1,
    }
    booster = xgboost.train(
        settings,
        train,
        config.n_trees,
        evals=[(stop, "stop")],
        early_stopping_rounds=config.early_stopping,
        verbose_eval=False,
    )
    return Vintage(until, booster[: booster.best_iteration + 1], carry, scale)


def _near_hours(world: PublishedSeries, target: Target, origins: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return carry and scale of each hour ahead: least squares on the present miss, and the mean size of what is left."""
    miss = miss_now(world, target, origins)
    ahead = _left(world, target, origins, np.zeros(LEADS_H))
    ok = np.isfinite(miss[:, 0]) & np.isfinite(ahead).all(axis=1)
    power = float(np.square(miss[ok]).sum())
    carry = (miss[ok] * ahead[ok]).sum(axis=0) / power if power > 0.0 else np.zeros(LEADS_H)
    left = np.abs(ahead[ok] - carry * miss[ok]).mean(axis=0)
    return carry, np.maximum(left, MIN_SCALE)


def _left(world: PublishedSeries, target: Target, origins: IntArray, carry: FloatArray) -> FloatArray:
    """Return what base and carried miss leave of the transformed target, (n_origins, LEADS_H)."""
    came = target.transform(actual(world, target.name, origins))
    return came - base(world, target, origins) - carry * miss_now(world, target, origins)
