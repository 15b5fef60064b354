"""Options of an environment, as `gym.make` takes them, and what they come to on their scenario."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from ...sim.foundation.checks import require_known
from ...sim.foundation.errors import BadInputError
from ...sim.series import exogenous
from ..scenario import scenario as scenarios
from ..scenario.befalling import chosen
from ..scenario.scenario import Scenario
from ..scenario.tuned import tuned_settings
from . import rewards, tables
from .actions import RESIDUAL, ActionForm, form_of
from .arrays import RANDOMIZED
from .like import CountedBatch
from .operating import NEUTRAL, require_settings

TASKS: Final = {"hashrate": "discrete", "cooling": "box", "operation": "box", "coin": "discrete"}
"""Environments over a site, each with its usual form of action."""

_WIDEST: Final = {"power_dev": (-0.3, 0.3), "hashrate_dev": (-0.3, 0.3), "sink_dev": (-0.5, 0.3), "noise": (0.0, 10.0)}
"""Widest ranges of RANDOMIZED. chosen: beyond them a machine is broken, not another one of its model; random play holds every bound within."""

_MAPPINGS: Final = ("scenario", "thresholds", "randomize", "observations", "rule")


@dataclass(frozen=True, slots=True)
class UserCost:
    """A cost of one's own: name, unit, meaning, mean per step that is allowed, and what counts it, (n_envs,), after a step.

    Examples:
        >>> thirst = UserCost("thirst", lambda batch: batch.flow("water_l"), unit="L", limit=5.0)
        >>> EnvConfig(costs=(thirst,)).costs[0].name
        'thirst'
    """

    name: str
    count: Callable[[CountedBatch], npt.NDArray[np.float64]]
    unit: str = "1"
    limit: float = 0.0
    meaning: str = "a cost of the user's"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvConfig:
    """Options of the environments over a site: a plain value. Making one reads no file and synthesises nothing; `load` does.

    scenario: name, file of a scenario's YAML, its content, or a Scenario; history: folder of a history in place of its own; split: months of it.
    task: hashrate, cooling, operation or coin. action: discrete, box, profile, setpoints or residual; None takes the task's usual one. rule:
    settings of the operator's rule that a residual action moves and that `beyond_rule` compares with; None takes those that a search found for the
    scenario. Given for another form of action, what the rule looks at is observed as well. reward: a name of
    `rewards.NAMES`, or a function of the batch. forecast: none, persistence, day_ahead, day_ahead_curve, or model (the
    project's quantiles, walk-forward); None takes the best that the history
    publishes. episode_steps: None takes the scenario's. thresholds: thresholds of named costs that replace the table's and the
    scenario's, never looser than the catalogue's. costs: further costs. observations: names of those that are seen, of a zone's without its number; none is all. stack: past observations that are seen at once, the newest
    last. coin_choice: SiteOperation also chooses the market. shield: whether commands are lowered to the nearest that keep
    the limits of chips, ramp, cap, import and calls, as `shielding` does. events: what befalls the site, none, drawn or a file; None takes the scenario's. randomize: ranges of RANDOMIZED, and `histories`: number of synthetic
    histories among which an episode draws.
    """

    scenario: str | Path | Mapping[str, object] | Scenario = "west_texas_air"
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
    observations: Sequence[str] = ()
    stack: int = 1
    coin_choice: bool = False
    events: str | None = None
    rule: Mapping[str, float] | None = None
    shield: bool = False
    randomize: Mapping[str, int | Sequence[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, base: Self | None = None, /, **options: object) -> Self:
        """Return options by name over those of `base` (default: the defaults); raises BadInputError for a name that there is not."""
        require_known("unknown option", options, (entry.name for entry in fields(cls)))
        return replace(cls() if base is None else base, **options)  # type: ignore[arg-type]

    def __post_init__(self) -> None:
        """Check what can be checked without the scenario; raises BadInputError."""
        if self.task not in TASKS:
            raise BadInputError(f"task is {self.task!r}; it must be one of {', '.join(TASKS)}")
        if self.forecast is not None and self.forecast not in exogenous.FORECASTS:
            raise BadInputError(f"forecast is {self.forecast!r}; it must be one of {', '.join(exogenous.FORECASTS)}")
        rewards.named(self.reward)
        _check_thresholds(self.thresholds)
        self._check_randomize()
        steps = self.episode_steps
        if steps is not None and (not isinstance(steps, int) or steps < 1):
            raise BadInputError(
                f"episode_steps is {steps!r}; it must be a whole number, 1 or more, or None for the scenario's"
            )
        if isinstance(self.observations, str) or not all(isinstance(name, str) for name in self.observations):
            raise BadInputError(f"observations is {self.observations!r}; it must be a list of names")
        if self.events is not None:
            chosen(self.events)
        if not isinstance(self.stack, int) or self.stack < 1:
            raise BadInputError(f"stack is {self.stack!r}; it must be a whole number of observations, 1 or more")
        require_settings(self.rule or {})
        if not isinstance(self.shield, bool):
            raise BadInputError(f"shield is {self.shield!r}; it must be true or false")
        names = [*tables.COST_NAMES, *(cost.name for cost in self.costs)]
        if len(set(names)) < len(names):
            raise BadInputError(f"costs have two of one name: {', '.join(names)}")

    def __hash__(self) -> int:
        """Return a hash; of options that are mappings it takes the keys."""
        values = ((entry.name, getattr(self, entry.name)) for entry in fields(self))
        return hash(
            tuple(
                frozenset(value) if name in _MAPPINGS and isinstance(value, Mapping | list) else value
                for name, value in values
            )
        )

    def load(self) -> "Setup":
        """Load the scenario, synthesising its history if it has none yet, and settle what the options leave to it.

        Raises:
            BadInputError: The scenario cannot be loaded, or does not have what the options ask for.
        """
        scenario = self.scenario if isinstance(self.scenario, Scenario) else scenarios.load(self.scenario, self.history)
        action = TASKS[self.task] if self.action is None else self.action
        _check_thresholds(scenario.thresholds)
        has_events = (scenario.events if self.events is None else self.events) != "none"
        return Setup(
            scenario=scenario,
            action=action,
            has_events=has_events,
            form=form_of(self.task, action, scenario.site, coin_choice=self.coin_choice, has_events=has_events),
            forecast=self.forecast or _best_forecast(scenario, has_rule=action == RESIDUAL),
            rule=self._rule(scenario) if action == RESIDUAL or self.rule is not None else None,
            thresholds={
                **{cost.name: cost.threshold for cost in tables.COSTS},
                **scenario.thresholds,
                **self.thresholds,
            },
        )

    def _rule(self, scenario: Scenario) -> dict[str, float]:
        """Return the settings of the operator's rule; raises BadInputError where the scenario has none."""
        found = self.rule if self.rule is not None else tuned_settings(scenario)
        if found is None:
            raise BadInputError(
                f"no rule was searched for scenario {scenario.name!r} as it stands, so there is nothing that a residual action could move; "
                "give its settings as `rule`, {} is always on; `hashgym train env=residual` searches them first, and its config.json has them"
            )
        return {name: float(found.get(name, value)) for name, value in NEUTRAL.items()}

    @property
    def n_histories(self) -> int:
        """Number of histories among which an episode draws."""
        number = self.randomize.get("histories", 1)
        return number if isinstance(number, int) else 1

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Range of each of RANDOMIZED, from which an episode draws: lowest and highest."""
        found = {name: (1.0, 1.0) if name == "noise" else (0.0, 0.0) for name in RANDOMIZED}
        for name, value in self.randomize.items():
            if not isinstance(value, int):
                found[name] = (value[0], value[1])
        return found

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What options come to on their scenario.

    scenario: site, contract and history. action: form of the action, by name; form: what it holds on this site.
    has_events: whether anything befalls it. forecast: the forecast
    that is observed. thresholds: the threshold of every cost of the
    table. rule: settings of the operator's rule that the action moves or that is observed, None where there is none.
    """

    scenario: Scenario
    action: str
    form: ActionForm
    has_events: bool
    forecast: str
    thresholds: Mapping[str, float]
    rule: Mapping[str, float] | None


def _best_forecast(scenario: Scenario, *, has_rule: bool) -> str:
    """Return the best forecast that is published: hour by hour where an action moves a rule for a battery, which looks at it so."""
    best = exogenous.best_curve if has_rule and scenario.site.battery is not None else exogenous.best_forecast
    return best(scenario.history, scenario.site)


def _check_thresholds(thresholds: Mapping[str, float]) -> None:
    """Refuse thresholds that there are not, or that are looser than the catalogue's; raises BadInputError."""
    for name, value in thresholds.items():
        if name not in tables.ADJUSTABLE:
            raise BadInputError(f"thresholds: no threshold {name!r}; there are {', '.join(tables.ADJUSTABLE)}")
        most = tables.LOOSEST[name]
        if not isinstance(value, int | float) or not value <= most:
            raise BadInputError(f"thresholds.{name} is {value!r}; it must be {most:g} at most")
