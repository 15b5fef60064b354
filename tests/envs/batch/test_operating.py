"""Residual actions: zero is the operator's rule itself, and what is paid beyond it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashgym.agents.operator_rules import OperatorRule
from hashgym.envs.batch import operating
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.envs.forms.sb3 import SiteVecEnv
from hashgym.envs.scenario.scenario import Scenario
from hashgym.evaluation.search import rule_config
from hashgym.sim.foundation.errors import BadInputError

RULES: dict[str, dict[str, float]] = {
    "ahead": dict(off_ratio=2.0, on_ratio=0.7, ride_ratio=1.5, peak_ratio=0.97, first_command=0.3, family=1.0, variant=2.0, slope=0.3,
                  sell_share=0.9, buy_share=1.3, cheap_usd=12.0),
    "schedule": dict(off_ratio=1.5, on_ratio=0.9, family=0.0, sell_hours=3.0, buy_hours=4.0, sell_share=0.8, spike_usd=90.0, store_first=1.0),
    "percentiles": dict(off_ratio=3.0, on_ratio=0.5, family=2.0, variant=3.0, reserve_pu=0.1, cap_pu=0.9, least_spread_usd=5.0),
}  # fmt: skip


def residual(stored: Scenario, rule: dict[str, float], n_envs: int = 16, **options: Any) -> Batch:
    config = replace(rule_config(EnvConfig(scenario=stored)), action="residual", rule=rule, forecast=None, **options)
    batch = Batch(config, n_envs)
    batch.seed(np.arange(1, n_envs + 1))
    batch.reset()
    return batch


@pytest.mark.parametrize("name", RULES)
def test_zero_is_the_rule_bit_for_bit(name: str, stored: Scenario) -> None:
    moved, plain = residual(stored, RULES[name]), Batch(rule_config(EnvConfig(scenario=stored)), 16)
    rule = OperatorRule(plain.site, plain.exogenous, RULES[name])
    plain.seed(np.arange(1, 17))
    plain.reset()
    still, kinds = np.zeros((16, len(moved.actions))), set[float]()
    for _ in range(288):
        plain.step(rule.act(plain))
        moved.step(still)
        kinds |= set(plain.state.site["battery_command"])
        assert np.array_equal(moved.flow_table, plain.flow_table)
    assert {-1.0, 0.0, 1.0} <= kinds


def test_what_the_rule_does_is_worth_nothing_beyond_it(stored: Scenario) -> None:
    batch = residual(stored, RULES["ahead"], reward="beyond_rule", episode_steps=30)
    still, total = np.zeros((16, len(batch.actions))), 0.0
    for _ in range(31):
        batch.step(still)
        total += np.abs(batch.reward).max()
        if batch.truncated.any():
            batch.reset(np.flatnonzero(batch.truncated))
    assert total == 0.0


def test_an_episodes_rewards_are_its_paired_gain_and_survive_a_restore(stored: Scenario) -> None:
    rng = np.random.default_rng(1)
    both = residual(stored, RULES["ahead"], reward="beyond_rule", episode_steps=40)
    alone, rule = (residual(stored, RULES["ahead"], episode_steps=40) for _ in range(2))
    gain, rewards = np.zeros(16), np.zeros(16)
    for step in range(40):
        if step == 20:
            saved = both.save()
            both.step(rng.uniform(-1.0, 1.0, (16, len(both.actions))))
            both.restore(saved)
        moves = rng.uniform(-1.0, 1.0, (16, len(both.actions)))
        for batch, given_moves in ((both, moves), (alone, moves), (rule, np.zeros_like(moves))):
            batch.step(given_moves)
        rewards += both.reward * both.reward_scale_usd
        gain += alone.flow("profit_usd") - rule.flow("profit_usd")
    assert rewards == pytest.approx(gain, abs=1e-9)
    assert np.abs(gain).max() > 1.0


def test_autoreset_begins_both_anew_on_the_same_path(stored: Scenario) -> None:
    options = rule_config(EnvConfig(scenario=stored))
    config = replace(options, action="residual", rule=RULES["ahead"], reward="beyond_rule", episode_steps=20)
    env = SiteVecEnv(4, [1, 2, 3, 4], config)
    env.reset()
    for _ in range(45):
        _, rewards, _, _ = env.step(np.zeros((4, len(env.batch.actions))))
        assert not rewards.any()
    rule = env.batch.rule_alone
    assert rule is not None
    for name in ("series", "step", "age", "key"):
        assert np.array_equal(rule.state.site[name], env.batch.state.site[name])


def test_every_form_of_action_can_be_paid_beyond_the_rule(stored: Scenario) -> None:
    batch = Batch(EnvConfig(scenario=stored, action="discrete", reward="beyond_rule", rule={"off_ratio": 2.0}), 3)
    batch.seed([1, 2, 3])
    batch.reset()
    batch.step(np.array([[0], [3], [3]]))
    assert batch.reward[0] < batch.reward[1]


@pytest.mark.parametrize("task", ["hashrate", "cooling", "operation"])
def test_each_environment_of_a_site_has_residual_actions(task: str, two_zones: Scenario) -> None:
    batch = Batch(EnvConfig(scenario=two_zones, task=task, action="residual", rule={"first_command": 0.5}), 2)
    batch.seed([1, 2])
    batch.reset()
    names = [entry.name for entry in batch.actions]
    assert len(set(names)) == len(names)
    batch.step(batch.action_space().sample()[None].repeat(2, axis=0))
    assert ("zone1_price_ratio" in names) == (task != "cooling")
    assert ("zone1_share" in names) == (task == "cooling")


def moved_entry(batch: Batch, name: str, move: float) -> np.ndarray:
    """Return what the entries of the action come to after a move of one of them."""
    moves = np.zeros((batch.n_envs, len(batch.actions)))
    moves[:, [entry.name for entry in batch.actions].index(name)] = move
    batch.step(moves)
    return batch.arrays.action.copy()


def test_each_entry_moves_what_its_table_says(stored: Scenario) -> None:
    rule = {"off_ratio": 2.0, "on_ratio": 0.9, "first_command": 0.5, "family": 1.0, "cap_pu": 0.9}
    battery = 3 + bool(stored.events != "none")
    still = residual(stored, rule)
    base = moved_entry(still, "battery", 0.0)
    assert (moved_entry(residual(stored, rule), "zone0_price_ratio", 1.0)[:, 0] <= base[:, 0]).all()
    assert (moved_entry(residual(stored, rule), "zone0_profile", -1.0)[:, 0] < base[:, 0]).any()
    assert moved_entry(residual(stored, rule), "zone0_chip", 1.0)[:, 1] == pytest.approx(1.0)
    assert moved_entry(residual(stored, rule), "zone0_chip", -1.0)[:, 1] == pytest.approx(-1.0)
    assert (moved_entry(residual(stored, rule), "battery_sell_price", -1.0)[:, battery] == 1.0).any()
    assert (moved_entry(residual(stored, rule), "battery_buy_price", 1.0)[:, battery] == -1.0).any()
    assert (moved_entry(residual(stored, rule), "battery", 0.29)[:, battery] == base[:, battery]).all()
    assert (moved_entry(residual(stored, rule), "battery", -1.0)[:, battery] == -1.0).all()
    assert (moved_entry(residual(stored, rule), "curtail", 1.0)[:, -1] == 1.0).all()


@pytest.mark.interpreted
@given(base=st.floats(-1, 1), one=st.floats(-1, 1), other=st.floats(-1, 1))
@settings(deadline=None)
def test_a_command_between_its_ends_moves_with_the_action(base: float, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert -1.0 - 1e-12 <= operating.between(base, low) <= operating.between(base, high) + 1e-12 <= 1.0 + 2e-12


@pytest.mark.interpreted
@given(price=st.floats(-900, 900), one=st.floats(-1, 1), other=st.floats(-1, 1))
@settings(deadline=None)
def test_a_price_moves_with_the_action(price: float, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert operating.moved_price(price, low) <= operating.moved_price(price, high) + 1e-6
    assert operating.moved_price(price, 0.0) == price


def test_without_a_searched_rule_there_is_nothing_to_move(small: Scenario) -> None:
    with pytest.raises(BadInputError, match="no rule was searched for scenario 'small'"):
        Batch(EnvConfig(scenario=small, action="residual"))
    with pytest.raises(BadInputError, match="no setting 'off' of the operator's rule"):
        EnvConfig(scenario=small, rule={"off": 1.0})
