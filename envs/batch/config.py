"""Options of an environment, as `gym.make` takes them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from ...sim.foundation.errors import BadInputError
from ...sim.series import exogenous
from ..scenario.scenario import Scenario, load
from . import rewards, tables
from .actions import ActionForm, form_of
from .arrays import RANDOMIZED

if TYPE_CHECKING:
    from .core import Batch

TASKS: Final = {"hashrate": "discrete", "cooling": "box", "operation": "box", "coin": "discrete"}
"""Environments over a site, each with its usual form of action."""

_WIDEST: Final = {"power_dev": (-0.3, 0.3), "hashrate_dev": (-0.3, 0.3), "sink_dev": (-0.5, 0.3), "noise": (0.0, 10.0)}
"""Widest ranges of RANDOMIZED. chosen: beyond them a machine is broken, not another one of its model; random play holds every bound within."""


@dataclass(frozen=True, slots=True)
class UserCost:
    """A cost of one's own: name, unit, meaning, mean per step that is allowed, and what counts it, (n_envs,), after a step.

    Examples:
        >>> thirst = UserCost("thirst", lambda batch: batch.flow("water_l"), unit="L", limit=5.0)
        >>> EnvConfig(costs=(thirst,)).costs[0].name
        'thirst'
    """

    name: str
    count: Callable[["Batch"], npt.NDArray[np.float64]]
    unit: str = "1"
    limit: float = 0.0
    meaning: str = "a cost of the user's"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvConfig:
    """Options of the environments over a site.

    scenario: name, or a Scenario; history: folder of a history in place of its own; split: months of it. task: hashrate, cooling,
    operation or coin. action: discrete, box or profile. reward: a name of `rewards.NAMES`, or a function of the batch. forecast: none,
    persistence or day_ahead; None takes the best that the history publishes. episode_steps: None takes the scenario's. thresholds:
    thresholds of named costs that replace the table's, never looser than the catalogue's. costs: further costs. stack: past
    observations that are seen at once, the newest last. coin_choice: SiteOperation also chooses the market. randomize: ranges of
    RANDOMIZED, and `histories`: number of synthetic histories among which an episode draws.
    """

    scenario: str | Scenario = "west_texas_air"
    history: str | None = None
    split: str = "train"
    task: str = "hashrate"
    action: str | None = None
    reward: str | rewards.Reward = "profit"
    forecast: str | None = None
    episode_steps: int | None = None
    n_threads: int | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    costs: tuple[UserCost, ...] = ()
    stack: int = 1
    coin_choice: bool = False
    randomize: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the options, load the scenario and settle action and forecast; raises BadInputError."""
        if self.task not in TASKS:
            raise BadInputError(f"task is {self.task!r}; it must be one of {', '.join(TASKS)}")
        if not isinstance(self.scenario, Scenario):
            object.__setattr__(self, "scenario", load(self.scenario, self.history))
        if self.action is None:
            object.__setattr__(self, "action", TASKS[self.task])
        if self.forecast is None:
            object.__setattr__(self, "forecast", exogenous.best_forecast(self.world.history, self.world.site))
        if self.forecast not in exogenous.FORECASTS:
            raise BadInputError(f"forecast is {self.forecast!r}; it must be one of {', '.join(exogenous.FORECASTS)}")
        rewards.named(self.reward)
        self.form  # noqa: B018 (raises if the site has not what the action needs)
        self._check_limits()
        self._check_randomize()
        steps = self.episode_steps
        if steps is not None and (not isinstance(steps, int) or steps < 1):
            raise BadInputError(
                f"episode_steps is {steps!r}; it must be a whole number, 1 or more, or None for the scenario's"
            )
        if not isinstance(self.stack, int) or self.stack < 1:
            raise BadInputError(f"stack is {self.stack!r}; it must be a whole number of observations, 1 or more")
        names = [*tables.COST_NAMES, *(cost.name for cost in self.costs)]
        if len(set(names)) < len(names):
            raise BadInputError(f"costs have two of one name: {', '.join(names)}")

    def _check_limits(self) -> None:
        for name, value in self.cost_thresholds.items():
            if name not in tables.ADJUSTABLE:
                raise BadInputError(f"thresholds: no threshold {name!r}; there are {', '.join(tables.ADJUSTABLE)}")
            most = tables.LOOSEST[name]
            if not isinstance(value, int | float) or not value <= most:
                raise BadInputError(f"thresholds.{name} is {value!r}; it must be {most:g} at most")

    def _check_randomize(self) -> None:
        for name, value in self.randomize.items():
            if name == "histories":
                if not isinstance(value, int) or value < 1 or self.history is not None:
                    raise BadInputError(
                        f"randomize.histories is {value!r}; it must be 1 or more, and no history may be given"
                    )
                continue
            if name not in RANDOMIZED:
                raise BadInputError(f"randomize: unknown {name!r}; there are {', '.join(RANDOMIZED)}, histories")
            low, high = _WIDEST[name]
            pair = tuple(value) if isinstance(value, list | tuple) else ()
            if len(pair) != 2 or not low <= pair[0] <= pair[1] <= high:
                raise BadInputError(f"randomize.{name} is {value!r}; it must be [low, high] within {low:g}…{high:g}")

    @property
    def world(self) -> Scenario:
        """The scenario."""
        assert isinstance(self.scenario, Scenario)
        return self.scenario

    @property
    def cost_thresholds(self) -> dict[str, float]:
        """Thresholds that replace the table's: the scenario's, and over them the options'."""
        return {**self.world.thresholds, **self.thresholds}

    @property
    def known_ahead(self) -> str:
        """The forecast that is observed."""
        assert self.forecast is not None
        return self.forecast

    @property
    def chosen_action(self) -> str:
        """The form of the action, by name."""
        assert self.action is not None
        return self.action

    @property
    def form(self) -> ActionForm:
        """Form of the action; raises BadInputError if the site has not what it needs."""
        return form_of(self.task, self.chosen_action, self.world.site, coin_choice=self.coin_choice)
