"""Quantiles of the next 24 hours by gradient-boosted trees, fitted walk-forward: every answer comes from the past only."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd
import xgboost

from .features import LEADS_H, WARM_UP_H, View, matrix
from .series import FloatArray, IntArray, World
from .targets import DAY_AHEAD_FEATURES, TARGETS, Target

SCHEMA_VERSION: Final = 1
QUANTILES: Final = (0.1, 0.5, 0.9)
HOURS_PER_DAY: Final = 24
MIN_SCALE: Final = 1e-6
"""Least scale of an hour, so that a series that never moves does not divide by 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """How trees are grown and on which origins."""

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


@dataclass(frozen=True, slots=True)
class Vintage:
    """A model that was fitted on what was published before `until`.

    For each hour ahead: transform(y) = transform(base) + carry · (the miss of the base now) + scale · (what the trees say).

    carry: share of the base's present miss that is left h hours later, (LEADS_H,). scale: mean size of what is left for the
    trees, (LEADS_H,); it makes all hours weigh alike and keeps the trees from stirring the near ones.
    """

    until: pd.Timestamp
    booster: xgboost.Booster
    carry: FloatArray
    scale: FloatArray


@dataclass(frozen=True, slots=True)
class Forecaster:
    """Dated models of each target. An origin is answered by the newest model whose cut-off is not after it."""

    vintages: Mapping[str, tuple[Vintage, ...]]
    features: Mapping[str, tuple[str, ...]]
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def first(self) -> pd.Timestamp:
        """First origin that every target has a model for."""
        return max(entries[0].until for entries in self.vintages.values())

    def quantiles(self, world: World, name: str, origins: IntArray) -> FloatArray:
        """Return the quantiles of the hourly means ahead, ascending, (n_origins, LEADS_H, 3), in the target's unit.

        Raises:
            ValueError: There is no such target, or an origin is before the first model or before a week of history.
        """
        target = TARGETS[name]
        return np.asarray(target.inverse(self.transformed(world, name, origins)))

    def transformed(self, world: World, name: str, origins: IntArray) -> FloatArray:
        """Return the quantiles before the target's inverse transform, (n_origins, LEADS_H, 3)."""
        if name not in self.vintages:
            raise ValueError(f"no forecast of {name!r}; there are {', '.join(self.vintages)}")
        target, entries = TARGETS[name], self.vintages[name]
        cuts = np.array([_step(world, entry.until) for entry in entries])
        serving = np.searchsorted(cuts, origins, side="right") - 1
        if (serving < 0).any() or (origins < WARM_UP_H * world.steps_per_hour).any():
            raise ValueError(
                f"origin {world.local(origins[:1])[0]} is before the first model ({entries[0].until}) or the first week of history"
            )
        rows = matrix(world, self.features[name], origins).reshape(len(origins), LEADS_H, -1)
        result = np.empty((len(origins), LEADS_H, len(QUANTILES)))
        for number in np.unique(serving):
            chosen = serving == number
            entry = entries[number]
            flat = entry.booster.inplace_predict(rows[chosen].reshape(-1, rows.shape[2]))
            trees = np.sort(flat, axis=1).reshape(-1, LEADS_H, len(QUANTILES))
            center = _base(world, target, origins[chosen]) + entry.carry * _miss_now(world, target, origins[chosen])
            result[chosen] = center[:, :, None] + entry.scale[:, None] * trees
        return result

    def dump(self) -> str:
        """Return the models as JSON text."""
        content = {
            "schema_version": SCHEMA_VERSION,
            "about": self.about,
            "targets": {
                name: {
                    "features": list(self.features[name]),
                    "vintages": [
                        {
                            "until": entry.until.isoformat(),
                            "carry": entry.carry.tolist(),
                            "scale": entry.scale.tolist(),
                            "booster": json.loads(entry.booster.save_raw("json")),
                        }
                        for entry in entries
                    ],
                }
                for name, entries in self.vintages.items()
            },
        }
        return json.dumps(content)

    @classmethod
    def parse(cls, text: str | bytes) -> "Forecaster":
        """Read what `dump` wrote.

        Raises:
            ValueError: It is not a forecaster of this schema.
        """
        try:
            content = json.loads(text)
            if content["schema_version"] != SCHEMA_VERSION:
                raise ValueError(
                    f"schema version is {content['schema_version']!r}; this version reads {SCHEMA_VERSION}"
                )
            vintages, features = {}, {}
            for name, entry in content["targets"].items():
                features[name] = tuple(entry["features"])
                vintages[name] = tuple(_read_vintage(item) for item in entry["vintages"])
        except (KeyError, TypeError, xgboost.core.XGBoostError) as error:
            raise ValueError(f"not a forecaster ({error!r})") from error
        return cls(vintages, features, content["about"])


def fit(
    world: World, until: pd.Timestamp, config: FitConfig | None = None, names: Sequence[str] = tuple(TARGETS)
) -> Forecaster:
    """Fit the dated models of each target on what was published before `until`.

    Cut-offs with too little history before them are left out.

    Args:
        world: The series.
        until: Last cut-off.
        config: How trees are grown.
        names: Targets.

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
        world.need(name)
        cuts = [cut for cut in _cuts(until, config) if _has_enough(world, cut, config)] or [until]
        vintages[name] = tuple(_fit_one(world, target, features[name], cut, config) for cut in cuts)
    return Forecaster(vintages, features, {"until": until.isoformat(), "fit": asdict(config)})


def _cuts(until: pd.Timestamp, config: FitConfig) -> list[pd.Timestamp]:
    return [until - pd.Timedelta(days=config.vintage_days * k) for k in reversed(range(config.n_vintages))]


def _least_days(config: FitConfig) -> int:
    """Return the days of history that a model needs: its windows, what comes, days to grow trees on and to stop by."""
    return WARM_UP_H // HOURS_PER_DAY + 2 * config.stopping_days + 4


def _has_enough(world: World, cut: pd.Timestamp, config: FitConfig) -> bool:
    return bool(cut - world.start >= pd.Timedelta(days=_least_days(config)))


def _fit_one(world: World, target: Target, names: tuple[str, ...], until: pd.Timestamp, config: FitConfig) -> Vintage:
    day = HOURS_PER_DAY * world.steps_per_hour
    # The outcome of the last training origin must itself be out before the cut-off; a day more covers its publication.
    last = _step(world, until) - 2 * day
    stop_from = last - config.stopping_days * day
    origins = np.arange(WARM_UP_H * world.steps_per_hour, last, config.origin_spacing_steps)
    grow, check = origins[origins < stop_from - day], origins[origins >= stop_from]
    if not _has_enough(world, until, config):
        raise ValueError(
            f"not enough history before {until}: {_least_days(config)} days are needed, a week of windows and twice the "
            f"{config.stopping_days} days that tell when to stop among them"
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
        "objective": "reg:quantileerror", "quantile_alpha": np.array(QUANTILES), "tree_method": "hist",
        "learning_rate": config.learning_rate, "max_depth": config.max_depth, "subsample": config.subsample,
        "min_child_weight": config.min_child_weight, "colsample_bytree": config.colsample_bytree,
        "gamma": config.gamma, "alpha": config.alpha, "lambda": config.reg_lambda, "seed": config.seed,
        "nthread": config.n_threads, "verbosity": 1,
    }  # fmt: skip
    booster = xgboost.train(
        settings, train, config.n_trees, evals=[(stop, "stop")], early_stopping_rounds=config.early_stopping,
        verbose_eval=False,
    )  # fmt: skip
    return Vintage(until, booster[: booster.best_iteration + 1], carry, scale)


def _near_hours(world: World, target: Target, origins: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return carry and scale of each hour ahead: least squares on the present miss, and the mean size of what is left."""
    miss = _miss_now(world, target, origins)
    ahead = _left(world, target, origins, np.zeros(LEADS_H))
    ok = np.isfinite(miss[:, 0]) & np.isfinite(ahead).all(axis=1)
    power = float(np.square(miss[ok]).sum())
    carry = (miss[ok] * ahead[ok]).sum(axis=0) / power if power > 0.0 else np.zeros(LEADS_H)
    left = np.abs(ahead[ok] - carry * miss[ok]).mean(axis=0)
    return carry, np.maximum(left, MIN_SCALE)


def _left(world: World, target: Target, origins: IntArray, carry: FloatArray) -> FloatArray:
    """Return what base and carried miss leave of the transformed target, (n_origins, LEADS_H)."""
    came = target.transform(actual(world, target.name, origins))
    return came - _base(world, target, origins) - carry * _miss_now(world, target, origins)


def _miss_now(world: World, target: Target, origins: IntArray) -> FloatArray:
    """Return by how much the newest value differs from what the base says of the hour before, (n_origins, 1)."""
    view = View(world, origins[:, None], np.zeros((1, 1), dtype=np.int64))
    return target.transform(view.latest(target.name)) - target.transform(target.base(view))


def actual(world: World, name: str, origins: IntArray) -> FloatArray:
    """Return what came: the mean of each hour ahead, (n_origins, LEADS_H); every hour must lie inside the series."""
    hour = world.steps_per_hour
    first = origins[:, None] + np.arange(LEADS_H)[None, :] * hour
    total = np.concatenate([[0.0], np.cumsum(world.series[name].values)])
    return np.asarray((total[first + hour] - total[first]) / hour)


def _base(world: World, target: Target, origins: IntArray) -> FloatArray:
    view = View(world, origins[:, None], np.arange(1, LEADS_H + 1)[None, :])
    return target.transform(target.base(view))


def _step(world: World, stamp: pd.Timestamp) -> int:
    return int((stamp - world.start) / pd.Timedelta(seconds=world.step_s))


def _read_vintage(item: dict[str, Any]) -> Vintage:
    carry, scale = (np.array(item[name], dtype=np.float64) for name in ("carry", "scale"))
    if not carry.shape == scale.shape == (LEADS_H,):
        raise ValueError(f"carry and scale have {len(carry)} and {len(scale)} entries; they must have {LEADS_H}")
    return Vintage(pd.Timestamp(item["until"]), _booster(item["booster"]), carry, scale)


def _booster(content: dict[str, Any]) -> xgboost.Booster:
    booster = xgboost.Booster()
    booster.load_model(bytearray(json.dumps(content).encode()))
    return booster
