"""What others wrap environments in: vector wrappers, processes, SuperSuit; each sees the same numbers."""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import vector as wrappers
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

from hashgym.envs.batch.config import EnvConfig, UserCost
from hashgym.envs.batch.core import Batch
from hashgym.envs.forms.petting_zoo import SiteOperationParallelEnv
from hashgym.envs.forms.safe import CostBesideReward
from hashgym.envs.forms.sb3 import SiteVecEnv
from hashgym.envs.scenario.scenario import Scenario
from tests.conftest import SMALL

ID = "hashgym/HashrateTuning-v0"
STEPS, N = 5, 3
OPTIONS: dict[str, Any] = {"scenario": SMALL, "episode_steps": STEPS}
Mode = AutoresetMode


def ones(batch: Batch) -> np.ndarray:
    return np.ones(batch.n_envs)


COUNTED = (UserCost("one", ones),)


def made(**options: Any) -> gym.Env[Any, Any]:
    return gym.make(ID, **{**OPTIONS, **options})


@pytest.mark.parametrize("mode", ["same_step", "next_step"])
@pytest.mark.parametrize(
    "wrapper",
    [
        wrappers.RecordEpisodeStatistics,
        wrappers.NormalizeReward,
        wrappers.DictInfoToList,
        partial(wrappers.ClipReward, min_reward=-1.0, max_reward=1.0),
        wrappers.NormalizeObservation,
        partial(wrappers.TransformObservation, func=lambda obs: obs, observation_space=None),
        wrappers.FlattenObservation,
    ],
    ids=lambda wrapper: getattr(wrapper, "func", wrapper).__name__,
)
def test_vector_wrappers_of_gymnasium_work(wrapper: Callable[..., Any], mode: str) -> None:
    envs = gym.make_vec(ID, num_envs=N, autoreset_mode=mode, **OPTIONS)
    name = getattr(wrapper, "func", wrapper).__name__
    if mode == "same_step" and "Observation" in name:
        with pytest.raises((AssertionError, ValueError)):  # Gymnasium's own: they know no observation within a step
            wrapper(envs).reset(seed=1)
        return
    wrapped = wrapper(envs)
    wrapped.reset(seed=1)
    wrapped.action_space.seed(0)
    for _ in range(3 * STEPS):
        observation, reward, _, _, _ = wrapped.step(wrapped.action_space.sample())
        assert np.isfinite(observation).all()
        assert np.isfinite(reward).all()


@pytest.mark.parametrize("mode", [Mode.SAME_STEP, Mode.NEXT_STEP])
@pytest.mark.parametrize("other", [SyncVectorEnv, AsyncVectorEnv])
def test_the_vector_form_is_many_single_ones(mode: Mode, other: Any) -> None:
    native = gym.make_vec(ID, num_envs=N, autoreset_mode=mode, **OPTIONS)
    others = other([partial(made) for _ in range(N)], autoreset_mode=mode)
    try:
        first, _ = native.reset(seed=7)
        assert np.array_equal(first, others.reset(seed=7)[0])
        rng = np.random.default_rng(0)
        for _ in range(2 * STEPS + 3):
            action = rng.integers(0, 7, (N, 1))
            mine, theirs = native.step(action), others.step(action)
            for one, two in zip(mine[:4], theirs[:4], strict=True):
                assert np.array_equal(one, two)
            # Of a step that only begins anew, or whose last costs stand in final_info, Gymnasium's own hold none.
            theirs_cost = theirs[4].get("cost", theirs[4].get("final_info", {}).get("cost", np.zeros(N)))
            assert np.array_equal(mine[4]["cost"], theirs_cost)
    finally:
        others.close()


def test_a_mode_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="autoreset_mode is 'never'; it must be next_step or same_step"):
        gym.make_vec(ID, num_envs=2, autoreset_mode="never", **OPTIONS)


@pytest.mark.parametrize("start", ["fork", "forkserver"])
@pytest.mark.slow
def test_processes_of_sb3_see_what_one_process_sees(start: str) -> None:
    many = SubprocVecEnv([partial(made) for _ in range(2)], start_method=start)
    one = DummyVecEnv([partial(made) for _ in range(2)])
    try:
        for envs in (many, one):
            envs.seed(3)
        assert np.array_equal(many.reset(), one.reset())
        rng = np.random.default_rng(0)
        for _ in range(STEPS + 2):
            action = rng.integers(0, 7, (2, 1))
            theirs, mine = many.step(action), one.step(action)
            assert np.array_equal(theirs[0], mine[0])
            assert np.array_equal(theirs[1].astype(np.float32), mine[1])  # DummyVecEnv keeps rewards in float32
            assert np.array_equal(theirs[2], mine[2])
            for left, right in zip(theirs[3], mine[3], strict=True):
                assert left["cost"] == right["cost"]
                assert np.array_equal(left.get("terminal_observation", 0), right.get("terminal_observation", 0))
    finally:
        many.close()


@pytest.mark.slow
def test_supersuit_wraps_both_forms() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import supersuit

        stacked = supersuit.frame_stack_v1(made(), 3)
        single = made()
        assert stacked.observation_space.shape == (single.observation_space.shape[0] * 3,)
        stacked.reset(seed=1)
        stacked.step(stacked.action_space.sample())
        parallel = supersuit.pad_action_space_v0(
            supersuit.pad_observations_v0(SiteOperationParallelEnv(scenario=SMALL, episode_steps=STEPS))
        )
        envs = supersuit.concat_vec_envs_v1(
            supersuit.pettingzoo_env_to_vec_env_v1(parallel), 2, num_cpus=1, base_class="stable_baselines3"
        )
        observation = envs.reset()
        for _ in range(STEPS + 2):
            action = np.stack([envs.action_space.sample() for _ in range(envs.num_envs)])
            observation, reward, _, _ = envs.step(action)
        assert np.isfinite(observation).all()
        assert np.isfinite(reward).all()


def counted_vector(mode: Mode) -> float:
    envs = gym.make_vec(ID, num_envs=N, autoreset_mode=mode, costs=COUNTED, **OPTIONS)
    envs.reset(seed=1)
    total = 0.0
    for _ in range(STEPS):
        _, _, _, truncated, info = envs.step(np.full((N, 1), 3))
        total += float(info["costs"]["one"][0]) if isinstance(info["costs"], dict) else float(info["costs"][0, -1])
    assert truncated.all()
    return total


def counted_single() -> float:
    env = made(costs=COUNTED)
    env.reset(seed=1)
    return sum(env.step(np.array([3]))[4]["costs"]["one"] for _ in range(STEPS))


def counted_sb3() -> float:
    config = EnvConfig(scenario=SMALL, episode_steps=STEPS, costs=COUNTED)
    envs = SiteVecEnv(N, [1, 2, 3], config)
    envs.reset()
    column, total = envs.cost_names.index("one"), 0.0
    for _ in range(STEPS):
        envs.step(np.full((N, 1), 3))
        total += float(envs.step_costs[0, column])
    return total


def counted_beside() -> float:
    env = CostBesideReward(made(costs=COUNTED, thresholds={}))
    env.reset(seed=1)
    whole = [env.step(np.array([3])) for _ in range(STEPS)]
    return sum(step[-1]["costs"]["one"] for step in whole)


@pytest.mark.parametrize(
    "count",
    [
        partial(counted_vector, Mode.SAME_STEP),
        partial(counted_vector, Mode.NEXT_STEP),
        counted_single,
        counted_sb3,
        counted_beside,
    ],
    ids=["same_step", "next_step", "single", "sb3", "beside"],
)
def test_the_cost_of_the_last_step_counts_once(count: Callable[[], float]) -> None:
    assert count() == STEPS


@pytest.mark.parametrize(
    "value", [1.0, np.ones((2, 1)), np.ones(3), np.full(2, np.nan), np.full(2, np.inf), np.array(["a", "b"])], ids=str
)
def test_a_reward_or_cost_of_the_wrong_shape_is_refused(value: Any, small: Scenario) -> None:
    from hashgym.sim.foundation.errors import BadInputError

    for options in ({"reward": lambda _: value}, {"costs": (UserCost("mine", lambda _: value),)}):
        batch = Batch(EnvConfig(scenario=small, **options), 2)
        batch.seed([1, 2])
        batch.reset()
        with pytest.raises(
            BadInputError, match=r"(reward|cost 'mine') is .* it must be a finite number for each environment, \(2,\)"
        ):
            batch.step(np.array([[3], [3]]))


def test_whole_numbers_and_truths_are_rewards(small: Scenario) -> None:
    batch = Batch(EnvConfig(scenario=small, reward=lambda b: np.arange(b.n_envs)), 2)
    batch.seed([1, 2])
    batch.reset()
    batch.step(np.array([[3], [3]]))
    assert batch.reward.tolist() == [0.0, 1.0]
