"""Evolution: populations that act side by side, strategies that climb, and runs that go on bit for bit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hashgym.agents.learning.evolution import Evolving, Population, fitness_of, strategy_of
from hashgym.agents.learning.hindsight import Actor
from hashgym.agents.learning.learners import EvolutionConfig
from hashgym.agents.learning.training import Judged, Schedule, Training
from hashgym.agents.policy import Policy
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.forms.sb3 import SiteVecEnv
from hashgym.envs.scenario.scenario import Scenario
from hashgym.sim.foundation.errors import BadInputError
from tests.agents.learning.test_training import Told

RULE = {"off_ratio": 2.0, "on_ratio": 0.9}


def options(small: Scenario, **changes: object) -> EnvConfig:
    config = EnvConfig(scenario=small, task="operation", action="residual", rule=RULE, episode_steps=48)
    return EnvConfig.of(config, **changes)


@pytest.mark.parametrize("net_arch", [(), (6,), (5, 4)])
def test_candidates_act_as_the_network_with_their_weights(net_arch: tuple[int, ...], small: Scenario) -> None:
    env = SiteVecEnv(6, range(6), options(small))
    model = EvolutionConfig(n_envs=6, net_arch=net_arch).build(env, env.batch.table, 0)
    population, obs = Population(Actor.of(model)), np.asarray(env.reset())
    assert not population.weights[-len(env.batch.actions) :].any()
    candidates = np.random.default_rng(0).normal(0.0, 0.3, (3, len(population.weights)))

    together = population.act(torch.as_tensor(candidates, dtype=torch.float32), obs)
    for k, weights in enumerate(candidates):
        population.take(weights)
        alone = model.predict(obs[2 * k : 2 * k + 2], deterministic=True)[0]
        assert together[2 * k : 2 * k + 2] == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("strategy", ["cma", "ranks"])
def test_a_strategy_climbs_and_is_made_anew_from_what_it_was_told(strategy: str) -> None:
    how = Evolving(strategy=strategy, population=8, spread=0.2, learning_rate=0.1)
    one, told, goal = strategy_of(np.zeros(5), how, 1), [], np.array([1.0, -1.0, 0.5, 0.0, 2.0])
    for _ in range(120):
        told.append(-((one.ask() - goal) ** 2).sum(axis=1))
        one.tell(told[-1])
    assert ((one.mean - goal) ** 2).sum() < 0.3
    other = strategy_of(np.zeros(5), how, 1)
    for fitness in told:
        other.ask()
        other.tell(fitness)
    assert np.array_equal(one.mean, other.mean)
    assert np.array_equal(one.ask(), other.ask())


def test_the_rule_itself_earns_nothing_beyond_it(small: Scenario) -> None:
    env = SiteVecEnv(2, [1, 2], options(small))
    population = Population(Actor.of(EvolutionConfig(n_envs=2).build(env, env.batch.table, 0)))
    still = np.zeros((4, len(population.weights)))
    still[2:, -1] = 1.0  # one entry of the action at its end
    fitness, steps = fitness_of(population, still, options(small), Evolving(population=4, episodes=3), 0)
    assert fitness[0] == fitness[1] == 0.0
    assert steps == 5 * 3 * 48


def judge(policy: Policy) -> Judged:
    return Judged({"selection": 0.0})


def test_a_run_that_goes_on_ends_with_the_same_weights(small: Scenario, tmp_path: Path) -> None:
    agent = EvolutionConfig(
        total_steps=4 * 5 * 2 * 48, n_envs=2, population=4, episodes=2, strategy="ranks", net_arch=(4,)
    )
    schedule = Schedule(validations=0, checkpoint_steps=1)

    def run(folder: Path, generations: int) -> Training:
        training = Training(agent, options(small), schedule, folder)
        if generations < 4:
            training.agent = replace(agent, total_steps=generations * 480)
        training.learn(judge, Told())
        return training

    whole = run(tmp_path / "whole", 4)
    run(tmp_path / "parts", 2)
    parts = Training(agent, options(small), schedule, tmp_path / "parts")
    assert parts.model.num_timesteps == 960
    parts.learn(judge, Told())
    assert parts.weights_hash == whole.weights_hash
    assert parts.extra["fitness"] == whole.extra["fitness"]


def test_settings_out_of_range_are_refused() -> None:
    for wrong, said in (
        ({"population": 5}, "even, 4 or more"),
        ({"strategy": "hill"}, "one of cma, ranks"),
        ({"spread": 0.0}, "above 0"),
    ):
        with pytest.raises(BadInputError, match=said):
            EvolutionConfig(**wrong)
