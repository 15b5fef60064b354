"""Hindsight: the planner's values along a path, a policy that is fitted to its choices, and rewards that follow its values."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hashgym.agents.learning import hindsight
from hashgym.agents.learning.hindsight import Actor, Imitation, Teaching, collect
from hashgym.agents.learning.learners import PpoConfig, SacConfig
from hashgym.agents.learning.shaping import PlanShaped, value_states
from hashgym.agents.planners.plan_values import PlanValues
from hashgym.agents.planners.site_planner import SitePlanner
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.envs.forms.sb3 import SiteVecEnv
from hashgym.envs.scenario.scenario import Scenario
from hashgym.sim.foundation import jit, threads
from hashgym.sim.foundation.errors import BadInputError
from tests.envs.batch.test_operating import RULES

Planned = tuple[SitePlanner, PlanValues]


def options(stored: Scenario, **changes: object) -> EnvConfig:
    config = EnvConfig(scenario=stored, task="operation", action="residual", rule=RULES["ahead"], reward="beyond_rule")
    return EnvConfig.of(config, **changes)


@pytest.fixture(scope="module")
def planned(stored: Scenario) -> Planned:
    planner = SitePlanner.beside(Batch(options(stored)))
    return planner, PlanValues.of(planner, range(*stored.rows("train")))


def test_values_do_not_depend_on_threads(planned: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    planner, whole = planned
    monkeypatch.setattr(threads, "default_threads", lambda: 3)
    steps = range(whole.first, whole.first + 2 * 288)
    part = PlanValues.of(planner, steps)
    assert np.array_equal(part.value_usd, whole.value_usd[:, : part.value_usd.shape[1]])
    assert np.array_equal(part.choice, whole.choice[:, : part.choice.shape[1]])


def test_a_full_battery_is_worth_more_than_an_empty_one(planned: Planned) -> None:
    value = planned[1].value_usd
    assert (value[..., -1] >= value[..., 0] - 1e-3).all()
    assert (value[:, :, 1] >= value[:, :, 0] - 1e-3).mean() > 0.95  # machines that run need no start


def test_values_are_kept_for_the_next_run(planned: Planned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planner, whole = planned
    monkeypatch.setattr(jit, "cache_folder", lambda: tmp_path / "numba" / "x")
    steps = range(whole.first, whole.first + 288)
    made = PlanValues.kept(planner, steps)
    monkeypatch.setattr(PlanValues, "of", None)
    assert np.array_equal(PlanValues.kept(planner, steps).value_usd, made.value_usd)
    assert len(list((tmp_path / "plans").glob("*.npz"))) == 1


def test_shaped_rewards_add_up_to_the_gain_over_the_rule(stored: Scenario, planned: Planned) -> None:
    plain, shaped = (SiteVecEnv(6, range(6), options(stored, episode_steps=100)) for _ in range(2))
    env, rng = PlanShaped(shaped, planned[1]), np.random.default_rng(2)
    plain.reset()
    env.reset()
    sums = np.zeros((2, 6))
    apart = 0.0
    for _ in range(200):  # two episodes
        moves = rng.uniform(-1.0, 1.0, (6, len(plain.batch.actions))).astype(np.float32)
        sums[0] += plain.step(moves)[1]
        sums[1] += env.step(moves)[1]
        apart = max(apart, float(np.abs(sums[0] - sums[1]).max()))
    assert sums[1] == pytest.approx(sums[0], abs=1e-3)
    assert apart > 0.1  # on the way they differ: energy that was stored is worth something


def test_shaping_needs_a_rule_to_compare_with(stored: Scenario, planned: Planned) -> None:
    with pytest.raises(BadInputError, match="needs reward=beyond_rule"):
        PlanShaped(SiteVecEnv(2, [1, 2], options(stored, reward="profit")), planned[1])


def test_values_lie_between_two_charges() -> None:
    table, into = np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3), np.full(3, -1.0)
    on = np.array([True, False, True])
    value_states(table, np.zeros(3, np.int64), np.array([0.0, 1.0, 0.5]), on, np.array([0.25, 1.0, 0.0]), into)
    assert into.tolist() == [3.5, 8.0, -1.0]


@pytest.mark.parametrize("agent", [PpoConfig, SacConfig])
def test_a_pupil_decides_more_like_the_planner(agent: type, stored: Scenario, planned: Planned) -> None:
    env = SiteVecEnv(4, range(4), options(stored))
    sizes = {"n_steps": 2, "batch_size": 8} if agent is PpoConfig else {"learning_starts": 4}
    model = agent(n_envs=4, starts_as_rule=True, first_sigma=0.1, **sizes).build(env, env.batch.table, 0)
    assert not np.any(model.predict(env.reset(), deterministic=True)[0])  # it begins as the rule
    batch = Batch(options(stored, reward="profit"), 32)
    batch.seed(np.arange(32))
    batch.reset()
    lessons = collect(batch, *planned, 90, np.random.default_rng(0), None)
    assert {-1, 0, 1} >= set(lessons.battery.tolist()) >= {-1, 1}
    imitation = Imitation(batch)
    before = float(imitation(Actor.of(model)(lessons.observations), lessons).detach())
    teaching = Teaching(rounds=2, n_envs=32, steps=60, updates=60, batch_size=256)
    hindsight.teach(model, options(stored), planned, teaching, 0)
    after = float(imitation(Actor.of(model)(lessons.observations), lessons).detach())
    assert after < 0.8 * before


def test_a_planner_beside_nothing_is_refused(stored: Scenario) -> None:
    with pytest.raises(BadInputError, match=r"needs env\.action=residual"):
        SitePlanner.beside(Batch(EnvConfig(scenario=stored)))
    with pytest.raises(BadInputError, match=r"hindsight learning needs env\.action=residual"):
        Imitation(Batch(EnvConfig(scenario=stored)))


def test_observations_are_centred_by_what_is_seen(stored: Scenario) -> None:
    env = SiteVecEnv(2, [1, 2], replace(options(stored), reward="profit"))
    model = PpoConfig(n_envs=2, n_steps=4, batch_size=8).build(env, env.batch.table, 0)
    seen = torch.as_tensor(np.concatenate([env.reset() for _ in range(50)]))
    model.policy.features_extractor.standardise(seen)
    scaled = model.policy.features_extractor(seen)
    assert scaled.mean(dim=0).abs().max() < 0.05
    assert scaled.abs().max() <= 5.0
