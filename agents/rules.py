"""Rules that operators run today, as policies over a batch. They see what the observation holds and nothing else."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ..sim.foundation.errors import InfeasibleError
from ..sim.hardware.firmware import ASLEEP
from ..sim.site.ladders import SiteLadders

ActionArray = npt.NDArray[np.int64]
Threshold = float | npt.NDArray[np.float64]

CAP_RESERVE = 0.03
"""Share of a site's cap that rules leave free. chosen: what hot chips and fans draw above the published tables."""

PEAK_HOURS = (14, 19)
"""Local hours in which the load of a grid has its peaks, first and the one after the last. Source: ERCOT's coincident peaks came between 15:00
and 17:30 (energyby5.com), with an hour on either side."""

PEAK_RATIOS = (0.9, 0.92, 0.94, 0.955, 0.97, 0.98, 0.99, 1.0, np.inf)
"""Shares of the month's highest load among which the tuned rule's is chosen; the last never sheds."""


@dataclass(frozen=True, slots=True)
class Menu:
    """What a rule knows of a site.

    n_profiles and best_efficiency: number of profiles and index of the most efficient one of each zone, (n_zones,).
    break_even_share: break-even price of each profile over that of the site's best, (n_zones, n_profiles).
    meter_w and paid_ths: power and hashrate of a zone at each choice, off first, (n_zones, 1 + n_profiles). [W, TH/s]
    cap_w: largest power at the meter. [W]
    """

    n_profiles: npt.NDArray[np.int64]
    best_efficiency: npt.NDArray[np.int64]
    break_even_share: npt.NDArray[np.float64]
    meter_w: npt.NDArray[np.float64]
    paid_ths: npt.NDArray[np.float64]
    cap_w: float

    @classmethod
    def of(cls, ladders: SiteLadders, cap_w: float = np.inf) -> "Menu":
        """Take it from the ladders of a site's zones and the site's cap."""
        ratio = ladders.paid_ths_per_w
        meter_w, paid_ths = (
            np.pad(values, ((0, 0), (1, 0))) for values in (ladders.meter_power_w, ladders.paid_hashrate_ths)
        )
        best, share = np.argmax(ratio, axis=1), ratio / ratio.max()
        return cls(ladders.n_profiles, best, share, meter_w, paid_ths, cap_w * (1.0 - CAP_RESERVE))

    def under_cap(self, actions: ActionArray) -> ActionArray:
        """Return the choices, (n_envs, n_zones), lowered step by step where a watt earns least until the cap holds."""
        actions, zones = actions.copy(), np.arange(actions.shape[1])
        while True:
            over = np.flatnonzero(self.meter_w[zones, actions].sum(axis=1) > self.cap_w)
            if not over.size:
                return actions
            now = actions[over]
            below = np.maximum(now - 1, 0)
            saved_w = self.meter_w[zones, now] - self.meter_w[zones, below]
            lost_ths = self.paid_ths[zones, now] - self.paid_ths[zones, below]
            with np.errstate(invalid="ignore"):
                loss = np.where(now > 0, lost_ths / saved_w, np.inf)
            actions[over, np.argmin(loss, axis=1)] -= 1


@dataclass(frozen=True, slots=True)
class RuleInputs:
    """What a rule sees at a step, for each environment.

    price_ratio: known price over break-even price of the best profile, (n_envs,). myopic, is_asleep: myopic profile and
    whether a zone sleeps, (n_envs, n_zones). coincident_ratio: load of the grid over the month's highest so far in hours in
    which peaks come, else 0; is_called: a curtailment call stands or is announced, (n_envs,) each.
    """

    price_ratio: npt.NDArray[np.float64]
    myopic: npt.NDArray[np.int64]
    is_asleep: npt.NDArray[np.bool_]
    coincident_ratio: npt.NDArray[np.float64] | float = 0.0
    is_called: npt.NDArray[np.bool_] | bool = False


class Rule(ABC):
    """A policy of absolute profiles: 0 is off, k is profile k - 1."""

    name: ClassVar[str]

    def __init__(self, menu: Menu) -> None:
        """Take what is known of the site."""
        self.menu = menu
        self.top = menu.n_profiles

    @abstractmethod
    def act(self, view: RuleInputs) -> ActionArray:
        """Return the actions, (n_envs, n_zones)."""


class AlwaysOn(Rule):
    """Run the stock profile, whatever the price."""

    name = "always_on"

    def act(self, view: RuleInputs) -> ActionArray:
        """Return the top profile."""
        return np.broadcast_to(self.top, view.myopic.shape).copy()


class BestEfficiency(Rule):
    """Run the profile of the least joules per terahash, whatever the price."""

    name = "best_efficiency"

    def act(self, view: RuleInputs) -> ActionArray:
        """Return the most efficient profile."""
        return np.broadcast_to(self.menu.best_efficiency + 1, view.myopic.shape).copy()


class BreakEven(Rule):
    """Run the stock profile below its break-even price, sleep above it."""

    name = "break_even"

    def act(self, view: RuleInputs) -> ActionArray:
        """Return the top profile or off."""
        top_share = self.menu.break_even_share[np.arange(len(self.top)), self.top - 1]
        return np.where(view.price_ratio[:, None] < top_share, self.top[None, :], 0)


class ProfileByPrice(Rule):
    """Run the profile that earns most at the known price, sleep when none earns anything."""

    name = "profile_by_price"

    def act(self, view: RuleInputs) -> ActionArray:
        """Return the myopic profile or off."""
        return np.where(view.price_ratio[:, None] < self.menu.break_even_share.max(axis=1), view.myopic + 1, 0)


class Hysteresis(Rule):
    """Run the myopic profile; sleep above `off_ratio` times the break-even price, wake below `on_ratio` times.

    It also sleeps in curtailment calls, and where the grid's load is `peak_ratio` of the month's highest so far or more.
    """

    name = "hysteresis"

    def __init__(self, menu: Menu, off_ratio: Threshold, on_ratio: Threshold, peak_ratio: Threshold = np.inf) -> None:
        """Take the thresholds: numbers, or one for each environment, (n_envs,)."""
        super().__init__(menu)
        self.off_ratio = np.asarray(off_ratio, dtype=np.float64)
        self.on_ratio = np.asarray(on_ratio, dtype=np.float64)
        self.peak_ratio = np.asarray(peak_ratio, dtype=np.float64)

    def act(self, view: RuleInputs) -> ActionArray:
        """Return the myopic profile or off."""
        ratio = view.price_ratio[:, None] / self.menu.break_even_share.max(axis=1)
        goes_off = ratio > self.off_ratio.reshape(-1, 1)
        comes_on = ratio < self.on_ratio.reshape(-1, 1)
        is_off = np.where(view.is_asleep, ~comes_on, goes_off)
        sheds = np.asarray((view.coincident_ratio >= self.peak_ratio) | view.is_called)
        return np.where(is_off | sheds.reshape(-1, 1), 0, view.myopic + 1)


PARAMETER_FREE: tuple[type[Rule], ...] = (AlwaysOn, BestEfficiency, BreakEven, ProfileByPrice)

OFF_RATIOS = (1.5, 2.0, 3.0, 4.5, 7.0, 10.0, 15.0, 22.0)
ON_RATIOS = (0.5, 0.7, 0.9, 1.1, 1.4)
"""First grid of the hysteresis thresholds, chosen; it grows until its best point is inside."""

_GROWTH = 1.5
_MOST_ROUNDS = 6
"""By what factor the grid grows at an edge, and how often at most: to eleven times its ends. chosen."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """Tuned thresholds, the mean profit there, and the profit of the whole grid for reports."""

    off_ratio: float
    on_ratio: float
    profit_usd: float
    grid: dict[tuple[float, float], float]
    peak_ratio: float = np.inf

    @property
    def thresholds(self) -> dict[str, float]:
        """Return the thresholds that are in use, by name, as `Hysteresis` takes them."""
        peak = {"peak_ratio": self.peak_ratio} if np.isfinite(self.peak_ratio) else {}
        return {"off_ratio": self.off_ratio, "on_ratio": self.on_ratio, **peak}


def tune_hysteresis(evaluate: Callable[[list[tuple[float, float]]], npt.NDArray[np.float64]]) -> Tuning:
    """Find the thresholds of the highest mean profit on the training months.

    The grid is widened by a factor of 1.5 on each side on which its best point lies. Where several points are as good
    (beyond some threshold the price never gets), the lowest of them inside the grid is taken.

    Args:
        evaluate: Returns the mean profit of each (off_ratio, on_ratio).

    Raises:
        InfeasibleError: The best point is still on an edge after six widenings.
    """
    offs, ons = list(OFF_RATIOS), list(ON_RATIOS)
    grid: dict[tuple[float, float], float] = {}
    for _ in range(_MOST_ROUNDS):
        todo = [(off, on) for off in offs for on in ons if on <= off and (off, on) not in grid]
        grid.update(zip(todo, evaluate(todo).tolist(), strict=True))
        best = max(grid.values())
        # On a plateau every point is as good: take one that is not on the edge, if there is any.
        inside = [p for p in grid if grid[p] >= best and offs[0] < p[0] < offs[-1] and ons[0] < p[1] < ons[-1]]
        if inside:
            off, on = inside[0]
            return Tuning(off, on, best, grid)
        edge_off, edge_on = next(p for p in grid if grid[p] >= best)
        if edge_off in (offs[0], offs[-1]):
            offs = sorted({*offs, offs[0] / _GROWTH} if edge_off == offs[0] else {*offs, offs[-1] * _GROWTH})
        if edge_on in (ons[0], ons[-1]):
            ons = sorted({*ons, ons[0] / _GROWTH} if edge_on == ons[0] else {*ons, ons[-1] * _GROWTH})
    raise InfeasibleError(f"hysteresis thresholds: the best point {edge_off, edge_on} is still on the grid's edge")


def is_asleep(mode: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Tell which zones sleep, from their mode."""
    return mode == ASLEEP
