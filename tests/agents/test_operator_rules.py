"""The operator's rule and the planners on whole sites: what they do in a clear case, and that many settings run side by side."""

from typing import Any

import numpy as np
import pytest

from hashgym.agents.operator_rules import CHOICES, OperatorRule, settings_of
from hashgym.agents.planners.site_planner import Chain, Choices, SitePlanner
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.envs.batch.operating import NEUTRAL
from hashgym.envs.scenario.scenario import Scenario, from_mapping
from hashgym.evaluation import paired
from hashgym.evaluation.search import Round, rule_config, search
from hashgym.sim.foundation.errors import BadInputError
from tests.conftest import SMALL


@pytest.fixture
def world(stored: Scenario) -> Scenario:
    return stored


def usd(policy: Any, world: Scenario, split: str = "train") -> float:
    config = rule_config(EnvConfig(scenario=world, split=split))
    return float(paired.run(policy, config, 0).usd_per_day.mean())


def rule(world: Scenario, **settings: float) -> OperatorRule:
    batch = Batch(rule_config(EnvConfig(scenario=world)))
    return OperatorRule(batch.site, batch.exogenous, settings)


def test_a_neutral_rule_is_always_on_with_an_idle_battery(world: Scenario) -> None:
    batch = Batch(rule_config(EnvConfig(scenario=world)), 2)
    batch.seed([1, 2])
    batch.reset()
    actions = rule(world).act(batch)
    named = dict(zip([entry.name for entry in batch.actions], actions[0], strict=True))
    assert named["zone0_power"] >= 1.0
    assert named["battery"] == named["curtail"] == named["zone0_chip"] == 0.0


def test_a_battery_that_follows_the_price_earns_more_than_an_idle_one(world: Scenario) -> None:
    idle = usd(rule(world, off_ratio=2.0, on_ratio=0.9), world)
    schedule = dict(sell_hours=2.0, buy_hours=2.0, sell_share=0.8, buy_share=1.0, spike_usd=120.0, store_first=1.0)
    assert usd(rule(world, off_ratio=2.0, on_ratio=0.9, **schedule), world) > idle + 10.0


def test_many_settings_side_by_side_are_what_each_is_alone(world: Scenario) -> None:
    batch = Batch(rule_config(EnvConfig(scenario=world)), 2)
    batch.seed([1, 1])
    batch.reset(starts=np.array([2500, 2500]))
    rng = np.random.default_rng(3)
    both = [{name: float(rng.choice(values)) for name, values in CHOICES.items()} for _ in range(2)]
    plain = rule(world)
    side_by_side = plain.with_settings({name: np.array([one[name] for one in both]) for name in NEUTRAL})
    for _ in range(40):
        actions = side_by_side.act(batch)
        for i, one in enumerate(both):
            assert actions[i] == pytest.approx(plain.with_settings(one).act(batch)[i])
        batch.step(actions)


def test_settings_that_a_site_has_no_use_for_are_not_searched(world: Scenario) -> None:
    assert "store_first" in settings_of(world.site)
    assert "reserve_floor_usd" not in settings_of(world.site)
    assert "sell_hours" not in settings_of(from_mapping(SMALL).site)
    with pytest.raises(BadInputError, match="no setting 'off' of the operator's rule; there are off_ratio"):
        OperatorRule(world.site, Batch(EnvConfig(scenario=world)).exogenous, {"off": 1.0})


def test_a_search_finds_better_settings_than_its_first_draws_and_finds_them_again(world: Scenario) -> None:
    rounds = (Round(60, 4, 10), Round(40, 6, 1))
    config = EnvConfig(scenario=world)
    found, again = search(config, 1, rounds), search(config, 1, rounds)
    assert found.settings == again.settings
    assert found.n_candidates == 90
    assert found.rounds[1]["best_usd_per_day"] > found.rounds[0]["median_usd_per_day"]


def test_a_planner_that_knows_the_curve_beats_an_idle_battery_and_foresight_beats_both(world: Scenario) -> None:
    config = rule_config(EnvConfig(scenario=world))
    batch = Batch(config)
    chain = Chain.fit(batch.exogenous, batch.site, range(*world.rows("train")), 900)
    assert chain.after.sum(axis=-1) == pytest.approx(1.0)
    planner = SitePlanner(batch.site, batch.exogenous, 900, chain, peak_ratio=0.97)
    foresight = SitePlanner(batch.site, batch.exogenous, 900, None, 12.0, peak_ratio=0.97)
    idle, planned, seen = (
        usd(p, world, "test") for p in (rule(world, off_ratio=2.0, on_ratio=0.9), planner, foresight)
    )
    assert idle < planned < seen
    with pytest.raises(BadInputError, match="either a chain or hours of foresight"):
        SitePlanner(batch.site, batch.exogenous, 900)


def test_choices_of_several_zones_rise_in_the_order_of_what_a_watt_hashes(two_zones: Scenario) -> None:
    choices = Choices.of(two_zones.site)
    assert choices.profiles[0].tolist() == [0, 0]
    assert (np.diff(choices.meter_w) > 0.0).all()
    assert choices.profiles[1, 1] > 0  # the S21 come first
    assert choices.profiles[-1].tolist() == [11, 10]
    capped = Choices.of(two_zones.site, 0.6)
    assert capped.meter_w.max() <= 0.6 * choices.meter_w.max() + 1e-6
