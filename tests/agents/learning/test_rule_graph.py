"""The rule in an exported graph does what the rule of the environment does."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hashgym.agents.learning.rule_graph import RuleGraph
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.envs.batch.operating import operate_rows
from hashgym.envs.scenario.scenario import Scenario
from tests.envs.batch.test_operating import RULES, residual

RESERVE: dict[str, dict[str, float]] = {
    "withheld": dict(family=1.0, reserve_floor_usd=np.inf),
    "sold": dict(family=1.0, reserve_floor_usd=8.0, reserve_share=0.5, reserve_withheld=1.0),
}


def same(batch: Batch, seed: int) -> None:
    """Require the graph's commands to be the kernel's on observations of episodes and from anywhere, under random moves."""
    rng, n = np.random.default_rng(seed), batch.n_envs
    seen = []
    for _ in range(40):
        batch.step(rng.uniform(-1.2, 1.2, (n, len(batch.actions))))
        seen.append(batch.obs.copy())
    seen.append(rng.uniform(batch.low, batch.high, (200, len(batch.table))).astype(np.float32))
    observations = np.concatenate(seen)
    moves = rng.uniform(-1.2, 1.2, (len(observations), len(batch.actions)))
    moves[::3] = 0.0
    rows = np.zeros((len(observations), batch.arrays.action.shape[1]))
    operate_rows(batch.world, observations, moves, rows)
    found = RuleGraph(batch)(torch.as_tensor(observations), torch.as_tensor(moves)).numpy()
    assert found == pytest.approx(rows, abs=1e-9)
    assert len(np.unique(rows[:, 0])) > 2


@pytest.mark.parametrize("name", RULES)
def test_a_battery_site(name: str, stored: Scenario) -> None:
    same(residual(stored, RULES[name]), 1)


@pytest.mark.parametrize("name", RESERVE)
def test_a_site_that_sells_reserve(name: str) -> None:
    config = EnvConfig(
        scenario="reserve_desk", task="operation", action="residual", rule=RESERVE[name], episode_steps=96
    )
    batch = Batch(config, 16)
    batch.seed(np.arange(16))
    batch.reset()
    same(batch, 2)


@pytest.mark.parametrize("task", ["hashrate", "operation"])
def test_zones_under_a_cap(task: str, two_zones: Scenario) -> None:
    site = replace(two_zones.site, site_cap_w=0.6 * two_zones.site.rated_power_w)
    rule = {"off_ratio": 2.0, "on_ratio": 0.7, "cap_pu": 0.5}
    for settings in (rule, {**rule, "cap_pu": 1.0}):
        config = EnvConfig(scenario=replace(two_zones, site=site), task=task, action="residual", rule=settings)
        batch = Batch(config, 16)
        batch.seed(np.arange(16))
        batch.reset()
        same(batch, 3)
