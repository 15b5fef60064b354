"""The bound of whole sites: broken by nothing, and near what brute force finds."""

from itertools import product

import numpy as np
import pytest

from hashgym.agents.planners.site_planner import SitePlanner
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.envs.scenario.scenario import Scenario, from_mapping
from hashgym.evaluation import paired
from hashgym.evaluation.search import rule_config
from hashgym.evaluation.site_bound import episode_bound_usd
from hashgym.synthesis.generate import synthesize
from tests.agents.test_operator_rules import rule
from tests.conftest import SMALL
from tests.conftest import STORED_SITE as SITE


@pytest.fixture(scope="module")
def world() -> Scenario:
    history = synthesize("ercot", "2024-06-01", "2024-07-16", 3, weather=("sun",), hashprice_usd_per_ph_day=39.0)
    tariff = {"kind": "real_time", "adder_usd_per_mwh": 15.0, "coincident_peak": {}}
    return from_mapping({**SMALL, "name": "stored", "site": SITE, "tariff": tariff}, history)


@pytest.fixture(scope="module")
def peaky(world: Scenario) -> Scenario:
    tariff = {"kind": "real_time", "adder_usd_per_mwh": 15.0, "demand": [{"usd_per_kw": 4.0}]}
    return from_mapping({**SMALL, "name": "peaky", "site": SITE, "tariff": tariff}, world.history)


def bound(world: Scenario, batch: Batch, series: int, start: int, n_steps: int, peak_kw: float = 0.0) -> float:
    return episode_bound_usd(world.site, batch.exogenous, series, start, n_steps, peak_kw)


def test_rules_and_plans_do_not_break_it(world: Scenario) -> None:
    config = rule_config(EnvConfig(scenario=world, split="test"))
    batch = Batch(config)
    _, starts = paired.episodes(config, batch, None)
    most = np.array([bound(world, batch, 0, int(start), 288) for start in starts])
    for policy in (rule(world), SitePlanner(batch.site, batch.exogenous, 900, None, 12.0, peak_ratio=0.97)):
        profit = paired.run(policy, config, 0).profit_usd
        assert (profit <= most).all()
    assert np.mean(most - profit) < 0.35 * np.mean(most)  # and the plan comes near


def test_random_play_does_not_break_it(peaky: Scenario) -> None:
    world = peaky
    n_envs, n_steps, start = 512, 96, 3000
    batch = Batch(rule_config(EnvConfig(scenario=world, episode_steps=n_steps)), n_envs)
    batch.seed(range(n_envs))
    batch.reset(starts=np.full(n_envs, start))
    rng, profit = np.random.default_rng(1), np.zeros(n_envs)
    peak_kw = batch.state.site["peak_kw"].copy()
    space = batch.action_space()
    held = rng.uniform(space.low, space.high, (n_envs, len(space.low)))
    for _ in range(n_steps):
        changed = rng.random((n_envs, 1)) < 0.2
        held = np.where(changed, rng.uniform(space.low, space.high, held.shape), held)
        batch.step(held)
        profit += batch.flow("profit_usd")
    best = np.argsort(-profit)[:20]
    for i in best:
        assert profit[i] <= bound(world, batch, 0, start, n_steps, float(peak_kw[i]))


def test_brute_force_over_a_few_steps_does_not_break_it(world: Scenario) -> None:
    n_steps, start = 4, 4000
    plans = np.array(list(product(list(product((0.0, 6.0, 11.0), (-1.0, 0.0, 1.0))), repeat=n_steps)))
    batch = Batch(rule_config(EnvConfig(scenario=world, episode_steps=n_steps)), len(plans))
    batch.seed(np.zeros(len(plans), np.uint64))
    batch.reset(starts=np.full(len(plans), start))
    names, profit = [entry.name for entry in batch.actions], np.zeros(len(plans))
    peak_kw = float(batch.state.site["peak_kw"][0])
    for k in range(n_steps):
        action = np.zeros((len(plans), len(names)))
        action[:, names.index("zone0_power")], action[:, names.index("battery")] = plans[:, k, 0], plans[:, k, 1]
        batch.step(action)
        profit += batch.flow("profit_usd")
    most = bound(world, batch, 0, start, n_steps, peak_kw)
    assert profit.max() <= most
    assert profit.max() > most - 60.0
