"""Rules that operators run today, as policies over a batch. They see what the observation holds and nothing else."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ..sim.errors import InfeasibleError
from ..sim.state import ASLEEP

ActionArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Menu:
    """What a rule knows of a site.

    n_profiles and best_efficiency: number of profiles and index of the most efficient one of each zone, (n_zones,).
    break_even_share: break-even price of each profile over that of the site's best, (n_zones, n_profiles).
    """

    n_profiles: npt.NDArray[np.int64]
    best_efficiency: npt.NDArray[np.int64]
    break_even_share: npt.NDArray[np.float64]

    @classmethod
    def of(cls, profiles: np.ndarray, menus: np.ndarray) -> "Menu":
        """Take it from an environment's profile table, (n_zones, n_profiles), and menus, (n_zones,)."""
        n_profiles = menus["n_profiles"].astype(np.int64)
        ratio = profiles["paid_ths"] / np.where(profiles["meter_w"] > 0.0, profiles["meter_w"], np.inf)
        return cls(n_profiles, np.argmax(ratio, axis=1), ratio / ratio.max())


@dataclass(frozen=True, slots=True)
class View:
    """What a rule sees at a step, for each environment: known price over break-even price, myopic profile, asleep."""

    price_ratio: npt.NDArray[np.float64]  # (n_envs,), of the best profile
    myopic: npt.NDArray[np.int64]  # (n_envs, n_zones)
    is_asleep: npt.NDArray[np.bool_]  # (n_envs, n_zones)


class Rule(ABC):
    """A policy of absolute profiles: 0 is off, k is profile k - 1."""

    name: ClassVar[str]

    def __init__(self, menu: Menu) -> None:
        """Take what is known of the site."""
        self.menu = menu
        self.top = menu.n_profiles

    @abstractmethod
    def act(self, view: View) -> ActionArray:
        """Return the actions, (n_envs, n_zones)."""


class AlwaysOn(Rule):
    """Run the stock profile, whatever the price."""

    name = "always_on"

    def act(self, view: View) -> ActionArray:
        """Return the top profile."""
        return np.broadcast_to(self.top, view.myopic.shape).copy()


class BestEfficiency(Rule):
    """Run the profile of the least joules per terahash, whatever the price."""

    name = "best_efficiency"

    def act(self, view: View) -> ActionArray:
        """Return the most efficient profile."""
        return np.broadcast_to(self.menu.best_efficiency + 1, view.myopic.shape).copy()


class BreakEven(Rule):
    """Run the stock profile below its break-even price, sleep above it."""

    name = "break_even"

    def act(self, view: View) -> ActionArray:
        """Return the top profile or off."""
        top_share = self.menu.break_even_share[np.arange(len(self.top)), self.top - 1]
        return np.where(view.price_ratio[:, None] < top_share, self.top[None, :], 0)


class ProfileByPrice(Rule):
    """Run the profile that earns most at the known price, sleep when none earns anything."""

    name = "profile_by_price"

    def act(self, view: View) -> ActionArray:
        """Return the myopic profile or off."""
        return np.where(view.price_ratio[:, None] < self.menu.break_even_share.max(axis=1), view.myopic + 1, 0)


class Hysteresis(Rule):
    """Run the myopic profile; sleep above `off_ratio` times the break-even price, wake below `on_ratio` times."""

    name = "hysteresis"

    def __init__(
        self, menu: Menu, off_ratio: float | npt.NDArray[np.float64], on_ratio: float | npt.NDArray[np.float64]
    ) -> None:
        """Take the thresholds: numbers, or one for each environment, (n_envs,)."""
        super().__init__(menu)
        self.off_ratio = np.asarray(off_ratio, dtype=np.float64)
        self.on_ratio = np.asarray(on_ratio, dtype=np.float64)

    def act(self, view: View) -> ActionArray:
        """Return the myopic profile or off."""
        ratio = view.price_ratio[:, None] / self.menu.break_even_share.max(axis=1)
        goes_off = ratio > self.off_ratio.reshape(-1, 1)
        comes_on = ratio < self.on_ratio.reshape(-1, 1)
        is_off = np.where(view.is_asleep, ~comes_on, goes_off)
        return np.where(is_off, 0, view.myopic + 1)


PARAMETER_FREE: tuple[type[Rule], ...] = (AlwaysOn, BestEfficiency, BreakEven, ProfileByPrice)

OFF_RATIOS = (1.5, 2.0, 3.0, 4.5, 7.0, 10.0, 15.0, 22.0)
ON_RATIOS = (0.5, 0.7, 0.9, 1.1, 1.4)
"""First grid of the hysteresis thresholds; it grows until its best point is inside."""

_GROWTH = 1.5
_MOST_ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Tuning:
    """Tuned thresholds, the mean profit there, and the profit of the whole grid for reports."""

    off_ratio: float
    on_ratio: float
    profit_usd: float
    grid: dict[tuple[float, float], float]


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
