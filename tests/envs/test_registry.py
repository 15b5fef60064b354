"""What holds for every environment of the registry, on every scenario that makes sense."""

import pickle
import subprocess
import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_sb3

import hashgym.envs  # noqa: F401

SCENARIOS = ("alberta_immersion", "georgia_room", "nordic_hydro", "scrypt_shed", "west_texas_air")
MARKETS = ("alberta_immersion", "scrypt_shed")

CASES: list[tuple[str, dict[str, Any]]] = [
    *(("HashrateTuning", {"scenario": name}) for name in SCENARIOS),
    ("HashrateTuning", {"scenario": "nordic_hydro", "action": "box"}),
    ("HashrateTuning", {"scenario": "georgia_room", "action": "profile"}),
    ("HashrateTuning", {"scenario": "west_texas_air", "stack": 12}),
    ("HashrateTuning", {"randomize": {"power_dev": [-0.05, 0.05], "hashrate_dev": [-0.03, 0.03], "noise": [0.5, 2.0]}}),
    *(("CoolingControl", {"scenario": name}) for name in SCENARIOS),
    ("CoolingControl", {"scenario": "georgia_room", "reward": "cooling_energy"}),
    *(("SiteOperation", {"scenario": name}) for name in SCENARIOS),
    *(("SiteOperation", {"scenario": name, "coin_choice": True}) for name in MARKETS),
    ("SiteOperation", {"scenario": "georgia_room", "reward": "profit_efficiency_stability"}),
    *(("CoinSwitching", {"scenario": name}) for name in MARKETS),
    ("ChipTuning", {}),
    ("ChipTuning", {"machine": "s21"}),
]  # fmt: skip


def named(case: tuple[str, dict[str, Any]]) -> str:
    name, options = case
    return "-".join([name, *(str(value) for value in options.values() if not isinstance(value, dict))])


every = pytest.mark.parametrize("case", CASES, ids=named)


def make(case: tuple[str, dict[str, Any]], **more: Any) -> gym.Env[Any, Any]:
    return gym.make(f"hashgym/{case[0]}-v0", **{**case[1], **more})


def short(case: tuple[str, dict[str, Any]], steps: int) -> dict[str, Any]:
    return {**case[1], "episode_steps": steps}


def rollout(env: gym.Env[Any, Any], actions: list[Any], seed: int) -> tuple[np.ndarray, ...]:
    seen = [env.reset(seed=seed)[0]]
    rewards, costs, ends, flows = [], [], [], []
    for action in actions:
        obs, reward, terminated, truncated, info = env.step(action)
        seen.append(obs)
        rewards.append(reward)
        costs.append(list(info["costs"].values()))
        ends.append((terminated, truncated))
        flows.append([value for key, value in info.items() if key not in ("cost", "costs")])
        assert info["cost"] == pytest.approx(sum(info["costs"].values()))
        if truncated:
            seen.append(env.reset()[0])
    return np.concatenate(seen), np.array(rewards), np.array(costs), np.array(ends), np.array(flows)


def actions_of(env: gym.Env[Any, Any], count: int) -> list[Any]:
    env.action_space.seed(11)
    return [env.action_space.sample() for _ in range(count)]


@every
def test_both_checkers_pass_without_a_warning(case: tuple[str, dict[str, Any]]) -> None:
    env = make((case[0], short(case, 40)))
    check_env(env.unwrapped, skip_render_check=True)
    check_env_sb3(env.unwrapped)
    env.close()
    env.close()


@every
def test_the_same_seed_gives_the_same_bits_whatever_came_before(case: tuple[str, dict[str, Any]]) -> None:
    fresh = make((case[0], short(case, 25)))
    actions = actions_of(fresh, 60)
    first = rollout(fresh, actions, 5)
    used = make((case[0], short(case, 25)))
    rollout(used, actions[:33], 9)
    second = rollout(used, actions, 5)
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one, other)
    third = rollout(used, actions, 6)
    assert not np.array_equal(first[0], third[0])
    ends = first[3]
    assert not ends[:, 0].any()
    assert np.flatnonzero(ends[:, 1]).tolist() == [24, 49]


@every
def test_a_batch_is_a_loop_to_the_bit(case: tuple[str, dict[str, Any]]) -> None:
    name, options = case[0], short(case, 12)
    vector = gym.make_vec(f"hashgym/{name}-v0", num_envs=3, **options)
    singles = [make((name, options)) for _ in range(3)]
    seen, _ = vector.reset(seed=[4, 5, 6])
    alone = [env.reset(seed=seed)[0] for env, seed in zip(singles, (4, 5, 6), strict=True)]
    assert np.array_equal(seen, np.stack(alone))
    vector.action_space.seed(3)
    for _ in range(30):
        actions = vector.action_space.sample()
        seen, rewards, terminated, truncated, info = vector.step(actions)
        assert info["costs"].shape == (3, len(vector.cost_names))  # type: ignore[attr-defined]
        for i, env in enumerate(singles):
            obs, reward, end, cut, own = env.step(actions[i])
            assert reward == rewards[i]
            assert (end, cut) == (terminated[i], truncated[i])
            assert list(own["costs"].values()) == info["costs"][i].tolist()
            if cut:
                assert np.array_equal(obs, info["final_obs"][i])
                obs, _ = env.reset()
            assert np.array_equal(obs, seen[i])


@every
def test_a_saved_state_goes_on_as_if_nothing_had_been(case: tuple[str, dict[str, Any]]) -> None:
    env = make((case[0], short(case, 60)))
    actions = actions_of(env, 40)
    env.reset(seed=2)
    for action in actions[:15]:
        env.step(action)
    saved = env.unwrapped.save()  # type: ignore[attr-defined]
    expected = [env.step(action)[:2] for action in actions[15:]]
    other = make((case[0], short(case, 60)))
    other.reset(seed=9)
    other.step(actions[-1])
    other.unwrapped.restore(saved)  # type: ignore[attr-defined]
    for action, (obs, reward) in zip(actions[15:], expected, strict=True):
        again = other.unwrapped.step(action)
        assert np.array_equal(again[0], obs)
        assert again[1] == reward


@every
def test_tables_name_every_entry(case: tuple[str, dict[str, Any]]) -> None:
    env = make(case).unwrapped
    assert env.observation_space.shape == (len(env.table),)  # type: ignore[attr-defined]
    names = [entry.name for entry in env.table]  # type: ignore[attr-defined]
    assert len(set(names)) == len(names)
    acted = env.actions  # type: ignore[attr-defined]
    assert len({entry.name for entry in acted}) == len(acted)
    space = env.action_space
    size = 1 if isinstance(space, gym.spaces.Discrete) else int(np.prod(space.shape or ()))
    assert len(acted) == size
    assert all(entry.low <= entry.high for entry in acted)


@every
def test_an_environment_pickles(case: tuple[str, dict[str, Any]]) -> None:
    env = make((case[0], short(case, 20))).unwrapped
    copy = pickle.loads(pickle.dumps(env))
    actions = actions_of(env, 10)
    for one, other in zip(rollout(env, actions, 1), rollout(copy, actions, 1), strict=True):
        assert np.array_equal(one, other)


PROCESS = """
import multiprocessing, sys
import gymnasium as gym, numpy as np
import hashgym.envs

def run(_):
    env = gym.make_vec("hashgym/SiteOperation-v0", num_envs=600, scenario="scrypt_shed", n_threads=2)
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(3)]
    return float(sum(env.step(action)[1].sum() for action in actions))

if __name__ == "__main__":
    here = run(0)
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        assert pool.map(run, range(2)) == [here, here], here
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_give_the_same_bits(method: str, tmp_path: Any) -> None:
    script = tmp_path / "run.py"
    script.write_text(PROCESS)
    subprocess.run([sys.executable, str(script), method], check=True, timeout=300)


def test_threads_give_the_same_bits() -> None:
    totals = []
    for n_threads in (1, 2, 3):
        env = gym.make_vec("hashgym/SiteOperation-v0", num_envs=700, scenario="nordic_hydro", n_threads=n_threads)
        env.reset(seed=0)
        env.action_space.seed(0)
        totals.append(np.array([env.step(env.action_space.sample())[1] for _ in range(4)]))
    assert np.array_equal(totals[0], totals[1])
    assert np.array_equal(totals[0], totals[2])


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_random_play_breaks_no_bound(scenario: str) -> None:
    """Part of the 10⁸ steps that `benchmarks/random_play.py` takes."""
    env = gym.make_vec("hashgym/SiteOperation-v0", num_envs=512, scenario=scenario, coin_choice=scenario in MARKETS)
    env.reset(seed=1)
    space, rng = env.single_observation_space, np.random.default_rng(2)
    assert isinstance(space, gym.spaces.Box)
    width = int(np.prod(env.single_action_space.shape or ()))
    for _ in range(400):
        action = rng.uniform(-1.0, 1.0, (512, width)).astype(np.float32)
        action[rng.random((512, width)) < 0.3] = rng.choice([-1.0, 1.0])
        obs, reward, _, _, info = env.step(action)
        assert np.isfinite(reward).all()
        assert (obs >= space.low).all()
        assert (obs <= space.high).all()
        assert np.isfinite(info["costs"]).all()
        assert (info["costs"] >= 0.0).all()
        assert info["max_chip_temp_c"].max() < 125.0
