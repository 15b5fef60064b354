import numpy as np
import pytest

from hashgym.agents.rules import (
    AlwaysOn,
    BestEfficiency,
    BreakEven,
    Hysteresis,
    Menu,
    ProfileByPrice,
    RuleInputs,
    tune_hysteresis,
)
from hashgym.envs.scenario.scenario import Scenario
from hashgym.sim.site.ladders import SiteLadders


@pytest.fixture(scope="module")
def menu(small: Scenario) -> Menu:
    return Menu.of(SiteLadders.of(small.site))


def view(ratios: list[float], asleep: list[bool], myopic: int = 4) -> RuleInputs:
    n = len(ratios)
    return RuleInputs(np.array(ratios), np.full((n, 1), myopic), np.array(asleep)[:, None])


def test_each_rule_does_what_its_name_says(menu: Menu) -> None:
    seen = view([0.3, 0.97, 1.2], [False] * 3)
    top = int(menu.n_profiles[0])
    assert AlwaysOn(menu).act(seen).ravel().tolist() == [top] * 3
    assert BestEfficiency(menu).act(seen).ravel().tolist() == [int(menu.best_efficiency[0]) + 1] * 3
    assert BreakEven(menu).act(seen).ravel().tolist() == [top, 0, 0]
    assert ProfileByPrice(menu).act(seen).ravel().tolist() == [5, 5, 0]


def test_hysteresis_keeps_its_state_between_its_thresholds(menu: Menu) -> None:
    rule = Hysteresis(menu, 4.0, 1.0)
    assert rule.act(view([0.5, 2.0, 5.0], [False] * 3)).ravel().tolist() == [5, 5, 0]
    assert rule.act(view([0.5, 2.0, 5.0], [True] * 3)).ravel().tolist() == [5, 0, 0]


def test_tuning_widens_the_grid_until_the_best_point_is_inside() -> None:
    def profit(points: list[tuple[float, float]]) -> np.ndarray:
        return np.array([-((np.log(off) - np.log(60.0)) ** 2) - (np.log(on) - np.log(0.3)) ** 2 for off, on in points])

    tuned = tune_hysteresis(profit)
    offs, ons = ({point[k] for point in tuned.grid} for k in (0, 1))
    assert min(offs) < tuned.off_ratio < max(offs)
    assert min(ons) < tuned.on_ratio < max(ons)
    assert tuned.off_ratio == pytest.approx(60.0, rel=0.3)
    assert tuned.profit_usd == max(tuned.grid.values())


def test_tuning_without_an_inner_optimum_says_so() -> None:
    with pytest.raises(RuntimeError, match="still on the grid's edge"):
        tune_hysteresis(lambda points: np.array([off for off, _ in points]))


def test_rules_know_that_zones_break_even_at_different_prices(two_zones: Scenario) -> None:
    menu = Menu.of(SiteLadders.of(two_zones.site))
    seen = RuleInputs(np.array([0.9]), np.full((1, 2), 4), np.zeros((1, 2), np.bool_))
    for rule in (BreakEven(menu), ProfileByPrice(menu), Hysteresis(menu, 1.2, 1.0)):
        old, new = rule.act(seen)[0]
        assert old == 0, rule.name
        assert new > 0 or rule.name == "break_even", rule.name
