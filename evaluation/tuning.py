"""Tuning of rules on the training months."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from ..agents.rules import Hysteresis, Menu
from ..envs.batch.config import EnvConfig
from ..envs.batch.core import Batch
from ..envs.batch.seeding import draw_seeds
from ..sim.foundation.errors import InfeasibleError
from .paired import episode_starts, judged, spread

FloatArray = npt.NDArray[np.float64]

TUNING_ROLE: Final = 1
"""Role of the environments in SeedSequence([run seed, role]); training has 0, evaluation 2."""

OFF_RATIOS: Final = (1.5, 2.0, 3.0, 4.5, 7.0, 10.0, 15.0, 22.0)
ON_RATIOS: Final = (0.5, 0.7, 0.9, 1.1, 1.4)
"""First grid of the hysteresis thresholds, chosen; it grows until its best point is inside."""

PEAK_RATIOS: Final = (0.9, 0.92, 0.94, 0.955, 0.97, 0.98, 0.99, 1.0, np.inf)
"""Shares of the month's highest load among which the tuned rule's is chosen, dense where peaks are; the last never sheds."""

_GROWTH: Final = 1.5
_MOST_ROUNDS: Final = 6
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


def tune(config: EnvConfig, seed: int, *, progress: bool = False, most_episodes: int | None = None) -> Tuning:
    """Tune the hysteresis rule on the training months: first when it sheds before peaks of the grid, then its prices.

    Args:
        config: Options of the environment; its split and reward are not looked at.
        seed: Seed of the sensors.
        progress: Whether a bar shows how far it is.
        most_episodes: Episodes at most, evenly spread; None takes all.
    """
    train = replace(judged(config), split="train")
    probe = Batch(train)
    starts, menu = spread(episode_starts(train, probe), most_episodes), Menu.of(probe.site)

    def mean_usd(points: Sequence[tuple[float, float, float]]) -> FloatArray:
        off, on, peak = (np.repeat(np.array(values), len(starts)) for values in zip(*points, strict=True))
        batch = Batch(train, len(off))
        batch.seed(np.tile(draw_seeds(seed, TUNING_ROLE, len(starts)), len(points)))
        batch.reset(starts=np.tile(starts, len(points)))
        rule, profit = Hysteresis(menu, off, on, peak), np.zeros(len(off))
        title = f"tuning {rule.name}, {len(points)} settings"
        for _ in tqdm(range(batch.episode_steps), title, leave=False, unit="step", disable=not progress):
            batch.step(rule.act(batch))
            profit += batch.flow("profit_usd")
        return profit.reshape(len(points), len(starts)).mean(axis=1)

    peak = np.inf
    if probe.site.contract.coincident_peak is not None:
        middle = OFF_RATIOS[len(OFF_RATIOS) // 2], ON_RATIOS[len(ON_RATIOS) // 2]
        peak = PEAK_RATIOS[int(np.argmax(mean_usd([(*middle, ratio) for ratio in PEAK_RATIOS])))]
    tuned = tune_hysteresis(lambda points: mean_usd([(off, on, peak) for off, on in points]))
    return replace(tuned, peak_ratio=peak)
