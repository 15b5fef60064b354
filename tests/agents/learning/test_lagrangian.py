"""Learners under limits: multipliers come to the dual of a problem that is known, and without a binding limit nothing is changed."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from hashgym.agents.learning import checkpoint
from hashgym.agents.learning.lagrangian import (
    Constraint,
    Multipliers,
    PpoLagrangian,
    SacLagrangian,
    advantages,
    excess,
    tail_mean,
)
from hashgym.agents.learning.learners import PpoLagrangianConfig, SacLagrangianConfig, from_mapping
from hashgym.agents.learning.training import Judged, Schedule, Training
from hashgym.agents.policy import Policy
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.forms.sb3 import SiteVecEnv
from hashgym.envs.scenario.scenario import Scenario
from hashgym.sim.foundation.errors import BadInputError
from tests.agents.learning.test_training import Told

MEMORY = 0.2
STEPS = 40


class Heater(VecEnv):
    """A known problem: an action u of [0, 1] earns u - u²/2 at once and heats, x' = (x + u) / 2, which costs x' in every step.

    Without a limit u is 1; where the mean cost is held to d it is d, and a unit of cost is worth 1 - d: the dual. Episodes are cut off.
    """

    cost_names = ("heat",)
    cost_limits = (0.5,)

    def __init__(self, n: int, seed: int = 0) -> None:
        self.rng, self.age = np.random.default_rng(seed), np.zeros(n, np.int64)
        self.x = np.zeros(n)
        self.step_costs, self.step_truncated = np.zeros((n, 1)), np.zeros(n, np.bool_)
        self.final_obs = np.zeros((n, 1), np.float32)
        super().__init__(n, spaces.Box(0.0, 1.0, (1,), np.float32), spaces.Box(-1.0, 1.0, (1,), np.float32))

    def reset(self) -> np.ndarray:
        self.x, self.age = self.rng.random(self.num_envs), self.rng.integers(0, STEPS, self.num_envs)
        return self._seen()

    def _seen(self) -> np.ndarray:
        return self.x[:, None].astype(np.float32)

    def step_async(self, actions: np.ndarray) -> None:
        self.u = 0.5 + 0.5 * np.clip(actions[:, 0], -1.0, 1.0)

    def step_wait(self) -> Any:
        self.x, self.age = MEMORY * self.x + (1.0 - MEMORY) * self.u, self.age + 1
        reward = (self.u - self.u**2 / 2.0).astype(np.float32)
        self.step_costs[:, 0], self.step_truncated[:] = self.x, self.age >= STEPS
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for i in np.flatnonzero(self.step_truncated):
            self.final_obs[i] = self.x[i]
            infos[i] = {"terminal_observation": self._seen()[i], "TimeLimit.truncated": True}
            self.x[i], self.age[i] = self.rng.random(), 0
        return self._seen(), reward, self.step_truncated.copy(), infos

    def close(self) -> None: ...

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self, attr_name, None)] * self.num_envs

    def set_attr(self, attr_name: str, value: object, indices: Any = None) -> None: ...

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        return []

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        return [seed] * self.num_envs


PPO_SETTINGS: dict[str, Any] = {
    "n_steps": 16, "batch_size": 128, "n_epochs": 4, "learning_rate": 5e-3, "gamma": 0.95,
    "policy_kwargs": {"net_arch": [16], "log_std_init": -1.0},
    "device": "cpu", "seed": 1,
}  # fmt: skip
SAC_SETTINGS: dict[str, Any] = {
    "batch_size": 128, "learning_starts": 1024, "learning_rate": 3e-3, "gamma": 0.8, "tau": 0.05, "buffer_size": 20_000, "train_freq": 1,
    "gradient_steps": 1, "ent_coef": 1e-3, "policy_kwargs": {"net_arch": [16]}, "device": "cpu", "seed": 1,
}  # fmt: skip


def dual(gamma: float) -> float:
    """Return what a unit of cost is worth at the limit, when what comes later counts less."""
    return (1.0 - Heater.cost_limits[0]) * (1.0 - gamma * MEMORY) / (1.0 - MEMORY)


def tried(model: BaseAlgorithm) -> float:
    """Return the mean cost of the policy without exploring."""
    env = Heater(64, seed=9)
    seen, total = env.reset(), 0.0
    for _ in range(200):
        env.step_async(model.predict(seen, deterministic=True)[0])
        seen, *_ = env.step_wait()
        total += env.step_costs.mean()
    return total / 200


class Recorded:
    """Keeps the multipliers of a run."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def __call__(self, local: dict[str, Any], _: dict[str, Any]) -> bool:
        self.seen.append(float(local["self"].multipliers.multiplier[0]))
        return True


@pytest.mark.slow
def test_ppo_comes_to_the_dual_of_a_known_problem() -> None:
    how = Constraint(proportional=1.0, integral=0.02, derivative=0.0)
    model = PpoLagrangian("MlpPolicy", Heater(64), constraint=how, **{**PPO_SETTINGS, "batch_size": 512})
    told = Recorded()
    model.learn(64 * 16 * 200, callback=told, log_interval=None)  # type: ignore[arg-type]
    assert np.mean(told.seen[-640:]) == pytest.approx(dual(0.95), rel=0.05)
    assert tried(model) == pytest.approx(Heater.cost_limits[0], rel=0.05)


@pytest.mark.slow
def test_sac_comes_to_the_dual_of_a_known_problem() -> None:
    how = Constraint(proportional=0.5, integral=0.01, derivative=0.0, learning_rate=3e-3)
    model = SacLagrangian("MlpPolicy", Heater(32), constraint=how, **SAC_SETTINGS)
    told = Recorded()
    model.learn(32 * 3000, callback=told, log_interval=None)  # type: ignore[arg-type]
    assert np.mean(told.seen[-640:]) == pytest.approx(dual(0.8), rel=0.05)
    assert tried(model) == pytest.approx(Heater.cost_limits[0], rel=0.1)


@pytest.mark.parametrize("tail", [0.0, 0.8])
def test_a_limit_that_does_not_bind_changes_nothing(tail: float) -> None:
    slack = Constraint(limits={"heat": 10.0}, tail=tail)
    pairs: list[tuple[type[BaseAlgorithm], Any, dict[str, Any], int]] = [
        (PPO, PpoLagrangian, PPO_SETTINGS, 512),
        (SAC, SacLagrangian, SAC_SETTINGS, 1400),
    ]
    for cls, limited, how, steps in pairs:
        plain = cls("MlpPolicy", Heater(8), **how).learn(steps, log_interval=None)
        ours = limited("MlpPolicy", Heater(8), constraint=slack, **how).learn(steps, log_interval=None)
        weights = ours.policy.state_dict()
        assert all(torch.equal(tensor, weights[name]) for name, tensor in plain.policy.state_dict().items())


def test_a_tail_is_limited_more_than_a_mean() -> None:
    costs = [0.0, 0.0]
    for k, tail in enumerate((0.0, 0.8)):
        model = PpoLagrangian(
            "MlpPolicy",
            Heater(64),
            constraint=Constraint(proportional=1.0, tail=tail),
            **{**PPO_SETTINGS, "batch_size": 512},
        )
        model.learn(64 * 16 * 30, log_interval=None)
        costs[k] = tried(model)
    assert costs[1] < costs[0]


def test_sac_knows_how_uncertain_costs_are() -> None:
    model = SacLagrangian("MlpPolicy", Heater(8), constraint=Constraint(tail=0.9), **SAC_SETTINGS)
    model.learn(1600, log_interval=None)
    features, actions = torch.zeros(3, 1), torch.zeros(3, 1)
    means, variances = model.cost_critic(features, actions)
    assert (variances > 0.0).all()
    assert (model._expected(model.cost_critic, features, actions) > means.mean(dim=0)).all()


@given(
    arrays(np.float64, (6, 3, 2), elements=st.floats(0.0, 2.0)),
    arrays(np.bool_, (6, 3)),
    st.floats(0.0, 1.0),
)
def test_advantages_are_sums_of_what_is_not_yet_expected(costs: np.ndarray, dones: np.ndarray, gamma: float) -> None:
    """With λ = 1 an advantage is the discounted sum of costs up to the end of the episode, less what was expected."""
    rng = np.random.default_rng(0)
    values, last = rng.random((6, 3, 2)), rng.random((3, 2))
    expected = np.zeros_like(costs)
    after = last
    for step in reversed(range(6)):
        after = costs[step] + gamma * after * ~dones[step][:, None]
        expected[step] = after - values[step]
    assert np.allclose(advantages(costs, values, last, dones, gamma, 1.0), expected)


@given(arrays(np.float64, (7, 2), elements=st.floats(0.0, 9.0)), st.floats(0.0, 0.95))
def test_a_tail_is_no_smaller_than_the_mean(values: np.ndarray, tail: float) -> None:
    found, weights = tail_mean(values, tail)
    assert (found >= values.mean(axis=0) - 1e-9).all()
    assert (found <= values.max(axis=0) + 1e-9).all()
    assert np.allclose(weights.mean(axis=0), 1.0)


def test_multipliers_rise_while_a_cost_is_too_high_and_fall_again() -> None:
    told = Multipliers(np.array([0.1, 0.0]), Constraint(most=2.0, derivative=0.0))
    seen = []
    for cost in (0.2, 0.2, 0.2, 0.05, 0.0, 0.0):
        told.answer(np.array([cost, 0.0]))
        seen.append(float(told.multiplier[0]))
    assert seen[0] < seen[2]
    assert seen[5] < seen[2]
    for _ in range(400):
        told.answer(np.array([9.0, 0.0]))
    assert told.multiplier.tolist() == [2.0, 0.0]


def site(scenario: Scenario) -> EnvConfig:
    return EnvConfig(scenario=scenario, task="operation", episode_steps=24, reward="profit")


SMALL_PPO = PpoLagrangianConfig(total_steps=768, n_envs=8, n_steps=16, batch_size=64, n_epochs=1, net_arch=(8,))
SMALL_SAC = SacLagrangianConfig(
    total_steps=480, n_envs=8, buffer_size=400, batch_size=32, learning_starts=64, gradient_steps=1, net_arch=(8,)
)


@pytest.mark.parametrize("agent", [SMALL_PPO, SMALL_SAC], ids=["ppo", "sac"])
def test_a_run_that_goes_on_ends_with_the_same_weights(
    agent: PpoLagrangianConfig | SacLagrangianConfig, small: Scenario, tmp_path: Path
) -> None:
    def judge(policy: Policy) -> Judged:
        return Judged({"selection": 0.0}, dict.fromkeys(SiteVecEnv(1, [0], site(small)).cost_names, 0.0))

    schedule = Schedule(validations=0, checkpoint_steps=128)
    whole = Training(agent, site(small), schedule, tmp_path / "whole")
    whole.learn(judge, Told())
    done = sorted((tmp_path / "whole" / "checkpoints").iterdir())
    shutil.copytree(done[0], tmp_path / "parts" / "checkpoints" / done[0].name)
    parts = Training(agent, site(small), schedule, tmp_path / "parts")
    assert 0 < parts.model.num_timesteps < agent.total_steps
    parts.learn(judge, Told())
    assert parts.weights_hash == whole.weights_hash
    ours, theirs = (run.model.multipliers.state_dict() for run in (whole, parts))  # type: ignore[union-attr]
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert float(ours["multiplier"].sum()) > 0.0
    assert any(name.startswith("multiplier/") for row in whole.curve for name in row)
    assert checkpoint.latest(tmp_path / "parts" / "checkpoints") is not None


def test_the_policy_that_keeps_its_limits_is_kept(small: Scenario, tmp_path: Path) -> None:
    earned, hot, hashes = [1.0, 9.0, 2.0, 3.0], [0.0, 0.5, 0.0, 0.2], list[str]()
    training = Training(SMALL_PPO, site(small), Schedule(validations=2), tmp_path)

    def judge(policy: Policy) -> Judged:
        hashes.append(training.weights_hash)
        k = len(hashes) - 1
        return Judged(
            {"selection": earned[k]}, {**dict.fromkeys(training.env.cost_names, 0.0), "chip_over_temp": hot[k]}
        )

    training.learn(judge, Told())
    assert len(hashes) == 4
    assert training.weights_hash == hashes[2]


def test_limits_are_of_costs_that_there_are(small: Scenario) -> None:
    env = SiteVecEnv(2, [1, 2], site(small))
    names, columns, limits = Constraint().of(env)
    assert names == env.cost_names
    assert limits.tolist() == list(env.cost_limits)
    names, columns, limits = Constraint(limits={"starts": 0.02}).of(env)
    assert (names, columns.tolist(), limits.tolist()) == (("starts",), [env.cost_names.index("starts")], [0.02])
    assert Constraint(limits={"starts": None}).of(env)[0] == env.cost_names
    with pytest.raises(BadInputError, match="no cost 'start'.*did you mean 'starts'"):
        Constraint(limits={"start": 0.02}).of(env)
    target = "hashgym.agents.learning.learners.PpoLagrangianConfig"
    made = from_mapping({"_target_": target, "constraint": {"limits": {"starts": 0.02}, "tail": 0.9}})
    assert isinstance(made, PpoLagrangianConfig)
    assert made.constraint.tail == 0.9
    for wrong, said in (
        ({"tail": 1.0}, "0 or more and below 1"),
        ({"tails": 1.0}, "unknown key 'tails'"),
        ({"most": "high"}, "must be a number"),
    ):
        with pytest.raises(BadInputError, match=said):
            from_mapping({"_target_": target, "constraint": wrong})


def test_excess_is_counted_in_limits() -> None:
    assert excess({"a": 0.3, "b": 0.0}, {"a": 0.1, "b": 0.0}) == pytest.approx(2.0)
