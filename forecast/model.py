"""Quantiles of the next 24 hours by gradient-boosted trees, fitted walk-forward: every answer comes from the past only."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pandas as pd
import xgboost

from .features import LEADS_H, WARM_UP_H, check_names, matrix
from .series import FloatArray, IntArray, PublishedSeries
from .targets import TARGETS, base, known_hours, miss_now

SCHEMA_VERSION: Final = 1
QUANTILES: Final = (0.1, 0.5, 0.9)
"""Quantiles that are forecast. chosen: the median and an interval that holds 80 %."""
HOURS_PER_DAY: Final = 24
MOST_CARRY: Final = 10.0
"""Carries beyond this are no least-squares fit of a share, which lies about 0 to 1. chosen."""


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

    def quantiles(self, world: PublishedSeries, name: str, origins: IntArray) -> FloatArray:
        """Return the quantiles of the hourly means ahead, ascending, (n_origins, LEADS_H, 3), in the target's unit.

        Raises:
            ValueError: There is no such target, or an origin is before the first model or before a week of history.
        """
        target = TARGETS[name]
        return np.asarray(target.inverse(self.transformed(world, name, origins)))

    def transformed(self, world: PublishedSeries, name: str, origins: IntArray) -> FloatArray:
        """Return the quantiles before the target's inverse transform, (n_origins, LEADS_H, 3).

        Hours that are wholly published ahead, as in a day-ahead market, are what they are, at every quantile.
        """
        if name not in self.vintages:
            raise ValueError(f"no forecast of {name!r}; there are {', '.join(self.vintages)}")
        target, entries = TARGETS[name], self.vintages[name]
        cuts = np.array([step_of(world, entry.until) for entry in entries])
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
            center = base(world, target, origins[chosen]) + entry.carry * miss_now(world, target, origins[chosen])
            result[chosen] = center[:, :, None] + entry.scale[:, None] * trees
        known = known_hours(world, name, origins)
        return np.where(np.isnan(known), result.transpose(2, 0, 1), target.transform(known)).transpose(1, 2, 0)

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
            _stamp(content["about"]["until"])
            vintages, features = {}, {}
            for name, entry in content["targets"].items():
                if name not in TARGETS:
                    raise ValueError(f"no target {name!r}; there are {', '.join(TARGETS)}")
                features[name] = tuple(entry["features"])
                check_names(features[name])
                vintages[name] = tuple(_read_vintage(item, len(features[name])) for item in entry["vintages"])
                cuts = [vintage.until for vintage in vintages[name]]
                if not cuts or any(one >= other for one, other in pairwise(cuts)):
                    raise ValueError(f"vintages of {name!r} must be one or more, in order of time")
        except (AttributeError, KeyError, TypeError, RecursionError, xgboost.core.XGBoostError) as error:
            raise ValueError(f"not a forecaster ({error!r})") from error
        missing = [name for name in TARGETS if name not in vintages]
        if missing:
            raise ValueError(f"target {missing[0]!r} is missing")
        return cls(vintages, features, content["about"])


def step_of(world: PublishedSeries, stamp: pd.Timestamp) -> int:
    """Return the step at which a time lies."""
    return int((stamp - world.start) / pd.Timedelta(seconds=world.step_s))


def _read_vintage(item: dict[str, Any], n_features: int) -> Vintage:
    carry, scale = (np.array(item[name], dtype=np.float64) for name in ("carry", "scale"))
    if (
        not carry.shape == scale.shape == (LEADS_H,)
        or not (np.abs(carry) <= MOST_CARRY).all()
        or not (scale > 0.0).all()
    ):
        raise ValueError(f"carry must be {LEADS_H} numbers within ±{MOST_CARRY:g}, scale {LEADS_H} numbers above 0")
    booster = _booster(item["booster"])
    if booster.num_features() != n_features:
        raise ValueError(f"a model takes {booster.num_features()} features, {n_features} are listed")
    return Vintage(_stamp(item["until"]), booster, carry, scale)


def _stamp(text: Any) -> pd.Timestamp:
    stamp = pd.Timestamp(text) if isinstance(text, str) else pd.NaT
    if pd.isna(stamp) or stamp.tz is None:
        raise ValueError(f"'until' is {text!r}; it must be a time with its zone")
    return stamp


def _booster(content: dict[str, Any]) -> xgboost.Booster:
    booster = xgboost.Booster()
    booster.load_model(bytearray(json.dumps(content).encode()))
    return booster
