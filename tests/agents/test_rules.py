"""Rules do what their names say, and see what the observation holds."""

import dataclasses

import numpy as np
import pytest

from hashgym.agents.rules import (
    AlwaysOn,
    BestEfficiency,
    BreakEven,
    Choices,
    Hysteresis,
    Menu,
    ProfileByPrice,
    Rule,
    Seen,
)
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.envs.scenario.scenario import Scenario
from hashgym.evaluation.paired import run
from hashgym.sim.foundation.errors import BadInputError


@pytest.fixture(scope="module")
def menu(small: Scenario) -> Menu:
    return Menu.of(small.site)


def view(ratios: list[float], asleep: list[bool], myopic: int = 4) -> Seen:
    n = len(ratios)
    return Seen(np.array(ratios), np.full((n, 1), myopic), np.array(asleep)[:, None])


def test_each_rule_does_what_its_name_says(menu: Menu) -> None:
    seen = view([0.3, 0.97, 1.2], [False] * 3)
    top = int(menu.n_profiles[0])
    assert AlwaysOn(menu).choose(seen).ravel().tolist() == [top] * 3
    assert BestEfficiency(menu).choose(seen).ravel().tolist() == [int(menu.best_efficiency[0]) + 1] * 3
    assert BreakEven(menu).choose(seen).ravel().tolist() == [top, 0, 0]
    assert ProfileByPrice(menu).choose(seen).ravel().tolist() == [5, 5, 0]


def test_hysteresis_keeps_its_state_between_its_thresholds(menu: Menu) -> None:
    rule = Hysteresis(menu, 4.0, 1.0)
    assert rule.choose(view([0.5, 2.0, 5.0], [False] * 3)).ravel().tolist() == [5, 5, 0]
    assert rule.choose(view([0.5, 2.0, 5.0], [True] * 3)).ravel().tolist() == [5, 0, 0]


def test_rules_know_that_zones_break_even_at_different_prices(two_zones: Scenario) -> None:
    menu = Menu.of(two_zones.site)
    seen = Seen(np.array([0.9]), np.full((1, 2), 4), np.zeros((1, 2), np.bool_))
    for rule in (BreakEven(menu), ProfileByPrice(menu), Hysteresis(menu, 1.2, 1.0)):
        old, new = rule.choose(seen)[0]
        assert old == 0, rule.name
        assert new > 0 or rule.name == "break_even", rule.name


class ColdHours(Rule):
    """Run the stock profile below 25 °C outdoors, sleep above."""

    name = "cold_hours"

    def choose(self, seen: Seen) -> Choices:
        return np.where(seen.observed["outdoor_temp_c"][:, None] < 25.0, self.top, 0)


def test_a_rule_of_ones_own_takes_ten_lines(small: Scenario) -> None:
    config = EnvConfig(scenario=small, action="profile")
    batch = Batch(config, 32)
    batch.seed(range(32))
    batch.reset()
    rule = ColdHours(Menu.of(batch.site))
    is_cold = batch.obs[:, batch.column("outdoor_temp_c")] < 25.0
    assert is_cold.any()
    assert not is_cold.all()
    assert np.array_equal(rule.act(batch)[:, 0] > 0, is_cold)
    trace = run(rule, config, 0)
    assert trace.name == "cold_hours"
    assert trace.costs[:, trace.cost_names.index("starts")].sum() > 0.0


def test_a_rule_sees_every_observation_by_name_and_no_other(small: Scenario) -> None:
    batch = Batch(EnvConfig(scenario=small, stack=2), 3)
    batch.seed(range(3))
    batch.reset()
    observed = Seen.of(batch).observed
    assert dict(observed).keys() == {entry.name for entry in batch.table}
    assert len(observed) == len(batch.table)
    for column, entry in enumerate(batch.table):
        assert np.array_equal(observed[entry.name], batch.obs[:, column])
    with pytest.raises(BadInputError, match="no observation 'tomorrow'"):
        observed["tomorrow"]


def test_rules_keep_to_the_cap_of_the_site(two_zones: Scenario) -> None:
    capped = dataclasses.replace(two_zones.site, site_cap_w=0.7 * two_zones.site.rated_power_w)
    batch = Batch(EnvConfig(scenario=dataclasses.replace(two_zones, site=capped), action="profile"), 2)
    batch.seed([0, 1])
    batch.reset()
    rule = AlwaysOn(Menu.of(batch.site))
    wanted, given = rule.choose(Seen.of(batch)), rule.act(batch)
    power_w = rule.menu.meter_w[np.arange(2), given].sum(axis=1)
    assert rule.menu.meter_w[np.arange(2), wanted].sum(axis=1).min() > capped.site_cap_w
    assert power_w.max() <= capped.site_cap_w
    assert np.all(given > 0)
