"""Drawn years: a synthetic scenario is judged on many of them, since one drawn year is one sample of what a year may bring."""

from dataclasses import replace
from functools import lru_cache
from typing import Final

import pandas as pd

from ..envs.batch.config import EnvConfig
from ..envs.scenario import scenario as scenarios
from ..envs.scenario.scenario import Scenario

YEARS: Final = 20
"""Drawn years on which a synthetic scenario is judged. chosen: the mean of twenty has a fifth of one year's spread."""

EPISODES_A_YEAR: Final = 8
"""Episodes of each drawn year, evenly spread. chosen: between years there is more to tell than between weeks of one."""

SEED_OFFSET: Final = 1_000_000
"""Seeds of drawn years begin so far beyond a scenario's own, which training and its further histories use. chosen."""

LEAD_DAYS: Final = 3
"""Days drawn before a split, in which trailing means fill. chosen: two are needed."""


def drawn_years(config: EnvConfig, n_years: int) -> EnvConfig:
    """Return options whose scenario is the split of `n_years` drawn histories; a history that was given stays the one it is.

    Args:
        config: Options of the environment.
        n_years: Number of years; 1 leaves the scenario's own history.

    Examples:
        >>> options = drawn_years(EnvConfig(scenario="georgia_room", split="test"), 2)
        >>> options.scenario.years, options.scenario.rows("test")[0] // 288
        (2, 3)
    """
    scenario = config.load().scenario
    if n_years <= 1 or scenario.recipe is None:
        return config
    return replace(config, scenario=_drawn(scenario, config.split, n_years), history=None)


@lru_cache(maxsize=4)
def _drawn(scenario: Scenario, split: str, n_years: int) -> Scenario:
    assert scenario.recipe is not None
    first, last = scenario.splits[split]
    begin = pd.Timestamp(first) - pd.Timedelta(days=LEAD_DAYS)
    seed = int(scenario.recipe["seed"]) + SEED_OFFSET
    recipe = {**scenario.recipe, "start": f"{begin:%Y-%m-%d}", "end": last, "seed": seed}
    history = scenarios.eased(scenarios.synthesize_recipe(recipe), scenario.difficulty)
    return replace(scenario, history=history, recipe=recipe, splits={split: (first, last)}, years=n_years)
