"""The strongest rules that an operator could run on a whole site: machines by price, plants at constant set-points, battery by thresholds.

A rule is a table of numbers; a batch runs many of them side by side, one for each environment, which is how they are tuned.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from ..envs.batch.actions import RESIDUAL
from ..envs.batch.core import Batch
from ..envs.batch.operating import (
    AHEAD_HOURS,
    NEUTRAL,
    PERCENTILES,
    SCHEDULE,
    operate_all,
    require_settings,
    rule_record,
)
from ..sim.series.price_features import AHEAD, SEEN, PriceFeatures, seen_of
from ..sim.site.params import SiteParams
from ..sim.site.world import Exogenous

FloatArray = npt.NDArray[np.float64]
Settings = Mapping[str, FloatArray | float]

CHOICES: Final[dict[str, tuple[float, ...]]] = {
    "off_ratio": (1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 8.0, 15.0),
    "on_ratio": (0.5, 0.7, 0.9, 1.0),
    "ride_ratio": (1.0, 1.0, 1.5, 2.0, 4.0),
    "peak_ratio": (0.94, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995, 1.0, np.inf),
    "cap_pu": (1.0, 1.0, 0.97, 0.94, 0.9, 0.85, 0.8),
    "first_command": (-1.0, -0.6, -0.3, 0.0, 0.0, 0.3, 0.6, 1.0),
    "second_command": (-1.0, -0.6, -0.3, 0.0, 0.0, 0.3, 0.6, 1.0),
    "family": (SCHEDULE, AHEAD_HOURS, PERCENTILES),
    "sell_hours": (0.0, 1.0, 2.0, 3.0, 4.0, 5.0),
    "buy_hours": (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0),
    "spike_usd": (50.0, 70.0, 90.0, 120.0, 180.0, 300.0, 1e9),
    "cheap_usd": (-20.0, -5.0, 0.0, 3.0, 6.0, 9.0, 12.0, 16.0),
    "sell_share": (0.0, 0.4, 0.6, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5),
    "buy_share": (0.6, 0.8, 1.0, 1.1, 1.3, 1.6, 2.0),
    "slope": (0.0, 0.3, 0.6, 1.0),
    "least_spread_usd": (0.0, 5.0, 10.0, 20.0, 30.0, 45.0),
    "reserve_pu": (0.0, 0.1, 0.25),
    "variant": tuple(float(k) for k in range(len(AHEAD))),
    "store_first": (0.0, 1.0),
    "reserve_floor_usd": (0.0, 2.0, 4.0, 8.0, 15.0, 30.0, 80.0, np.inf),
    "reserve_withheld": (0.0, 1.0),
    "reserve_share": (0.0, 0.0, 0.25, 0.5, 1.0),
}
"""Values among which a search chooses. chosen: from never to always of each, denser where the best rules of earlier searches lay."""


def settings_of(site: SiteParams) -> tuple[str, ...]:
    """Return the names of the settings that matter on a site, in the order of CHOICES."""
    unused = set[str]()
    if site.contract.coincident_peak is None:
        unused.add("peak_ratio")
    if not site.contract.demand and not np.isfinite(site.site_cap_w):
        unused.add("cap_pu")
    if site.battery is None:
        unused |= {
            "family", "sell_hours", "buy_hours", "spike_usd", "cheap_usd", "sell_share", "buy_share", "slope", "least_spread_usd",
            "reserve_pu", "variant",
        }  # fmt: skip
    if site.battery is None or site.sun is None:
        unused.add("store_first")
    if site.contract.reserve is None:
        unused |= {"reserve_floor_usd", "reserve_withheld", "reserve_share"}
    return tuple(name for name in CHOICES if name not in unused)


class OperatorRule:
    """Machines by price with hysteresis, plants at constant set-points, the battery by one of three families of thresholds.

    off_ratio, on_ratio: times the break-even price above which the machines sleep and below which they wake; between off_ratio and
    off_ratio · ride_ratio they ride through at their lowest profile. The price is that of the energy that they add: the export price
    where the sun gives more than they draw. peak_ratio: share of the month's highest load of the grid from which the machines are off
    and the battery is emptied. cap_pu: most power that machines are set to, over that of all at their top profile. first_command, second_command:
    commands of every zone's plant. sell_hours, buy_hours: of the local day, the dearest and cheapest by the known curve; at prices
    above spike_usd, or below cheap_usd, the battery sells or buys whatever the hour. sell_share, buy_share: times the running hour's price (by
    the schedule), or the price of what is stored. slope: how that moves with the charge. least_spread_usd: below which the battery stands. reserve_pu:
    charge that the schedule leaves for spikes. variant: which of AHEAD or PAST. store_first: 1 charges with what the sun gives beyond the machines.
    reserve_floor_usd: price from which every hour's reserve is sold, infinite: never; reserve_withheld: 1 sells none in WITHHELD_HOURS of
    months with coincident peaks; reserve_share: of what the machines would save by sleeping in that hour, by the known curve, that is asked beside.
    """

    name: str = "operator"
    action: Final = "setpoints"
    task: Final = "operation"

    def __init__(self, site: SiteParams, exogenous: Exogenous, settings: Settings) -> None:
        """Take the site, what is published of its world, and the settings: numbers, or one for each environment, (n_envs,).

        Raises:
            BadInputError: A setting is none.
        """
        self.site, self.features, self.settings = site, PriceFeatures(exogenous, site), _whole(settings)

    def with_settings(self, settings: Settings, name: str = "operator") -> "OperatorRule":
        """Return the rule with other settings and a name of its own, which shares what was computed of the prices."""
        other = object.__new__(type(self))
        other.name, other.site, other.features, other.settings = name, self.site, self.features, _whole(settings)
        return other

    def act(self, batch: Batch) -> FloatArray:
        """Return the actions, (n_envs, n_actions)."""
        rules = rule_record(self.settings, max(len(np.atleast_1d(value)) for value in self.settings.values()))
        rows = np.empty((batch.n_envs, len(batch.actions)))
        operate_all(batch.world, batch.arrays, rules, self._seen(batch), rows)
        return rows

    def _seen(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Return what the rule sees of published prices in each environment, (n_envs, n_seen)."""
        if not seen_of(self.site):
            return np.zeros((batch.n_envs, 0), np.float32)
        series, step, features = batch.state.site["series"], batch.state.site["step"], self.features
        seen = np.empty((batch.n_envs, len(SEEN)), np.float32)
        seen[:, :4] = features.of_day[:, series, step].T
        is_past, variants = self.settings["family"] == PERCENTILES, self.settings["variant"].astype(np.int64)
        is_past, variants = np.broadcast_to(is_past, batch.n_envs), np.broadcast_to(variants, batch.n_envs)
        for past, variant in {*zip(is_past.tolist(), variants.tolist(), strict=True)}:
            rows = np.flatnonzero((is_past == past) & (variants == variant))
            prices = features.past(variant) if past else features.ahead(variant)
            seen[rows, 4:] = prices[:, series[rows], step[rows]].T
        if self.site.contract.reserve is None:
            return seen
        return np.concatenate([seen, features.today[series, step]], axis=1)


class RuleAlone:
    """The rule of an environment with residual actions, left as it is: it plays in any world without being made for it."""

    name: str = "operator"
    action: Final = RESIDUAL
    task: Final = "operation"

    def act(self, batch: Batch) -> FloatArray:
        """Return the actions, (n_envs, n_actions): nothing is moved."""
        return np.zeros((batch.n_envs, len(batch.actions)))


def _whole(settings: Settings) -> dict[str, FloatArray]:
    """Return every setting, those that are not given neutral; raises BadInputError."""
    require_settings(settings)
    return {name: np.asarray(settings.get(name, value), np.float64) for name, value in NEUTRAL.items()}
