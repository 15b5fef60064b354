"""What users of Gymnasium and stable-baselines3 expect of an environment."""

import multiprocessing
import pickle
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_sb3

import hashgym.envs  # noqa: F401
from hashgym.envs.batch import rewards, tables
from hashgym.envs.forms.sb3 import SiteVecEnv
from hashgym.envs.hashrate import HashrateTuningEnv, HashrateTuningVectorEnv
from hashgym.envs.scenario.scenario import Scenario
from hashgym.sim.history.history import STEP

ENV_ID = "hashgym/HashrateTuning-v0"
ACTIONS = ("discrete", "box", "profile")


@pytest.mark.parametrize("action", ACTIONS)
def test_both_checkers_pass_without_a_warning(small: Scenario, action: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gym.make(ENV_ID, scenario=small, action=action)
        check_env(env.unwrapped, skip_render_check=True)
        check_env_sb3(env.unwrapped)


@pytest.mark.interpreted
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_vector_entry_point_is_native_and_resets_in_the_same_step(small: Scenario) -> None:
    env = gym.make_vec(ENV_ID, num_envs=3, scenario=small, episode_steps=5)
    assert isinstance(env.unwrapped, HashrateTuningVectorEnv)
    obs, _ = env.reset(seed=1)
    assert env.observation_space.contains(obs)
    for _ in range(5):
        obs, reward, terminated, truncated, info = env.step(np.full((3, 1), 3))
    assert truncated.all()
    assert not terminated.any()
    assert info["_final_obs"].all()
    assert not np.array_equal(info["final_obs"][0], obs[0])
    assert info["final_info"]["profit_usd"].shape == (3,)
    assert info["profit_usd"].shape == reward.shape == (3,)
    assert info["costs"].shape == (3, len(tables.COSTS))
    env.close()
    env.close()


def rollout(env: gym.Env[Any, Any], seed: int | None, steps: int = 60) -> tuple[np.ndarray, np.ndarray]:
    env.action_space.seed(5)
    obs = [env.reset(seed=seed)[0]]
    rewards = []
    for _ in range(steps):
        seen, reward, _, truncated, _ = env.step(env.action_space.sample())
        obs.append(seen)
        rewards.append(reward)
        if truncated:
            obs.append(env.reset()[0])
    return np.array(obs), np.array(rewards)


def actions_of(n_envs: int, n_steps: int, n_zones: int = 1) -> np.ndarray:
    return np.random.default_rng(4).integers(0, 6, (n_steps, n_envs, n_zones))


@pytest.mark.parametrize("name", ["small", "two_zones"])
def test_a_batch_of_1024_is_a_loop_of_single_environments_to_the_bit(name: str, request: pytest.FixtureRequest) -> None:
    world: Scenario = request.getfixturevalue(name)
    n_zones = len(world.site.zones)
    drawn = actions_of(1024, 40, n_zones)
    results = []
    for n_threads in (1, 2):
        env = HashrateTuningVectorEnv(1024, scenario=world, episode_steps=25, n_threads=n_threads)
        obs, _ = env.reset(seed=100)
        seen, rewards = [obs], []
        for action in drawn:
            obs, reward, *_ = env.step(action)
            seen.append(obs)
            rewards.append(reward)
        results.append((np.array(seen), np.array(rewards)))
    assert np.array_equal(results[0][0], results[1][0])
    assert np.array_equal(results[0][1], results[1][1])
    for i in (0, 1, 517, 1023):
        alone = HashrateTuningEnv(scenario=world, episode_steps=25)
        obs = alone.reset(seed=100 + i)[0]
        assert np.array_equal(obs, results[0][0][0, i])
        for step, action in enumerate(drawn[:, i]):
            obs, reward, _, truncated, _ = alone.step(action)
            if truncated:
                obs = alone.reset()[0]
            assert np.array_equal(obs, results[0][0][step + 1, i])
            assert reward == results[0][1][step, i]


def test_a_seed_gives_the_same_trajectory_after_other_episodes(small: Scenario) -> None:
    fresh = rollout(HashrateTuningEnv(scenario=small, episode_steps=30), 7)
    used = HashrateTuningEnv(scenario=small, episode_steps=30)
    rollout(used, 3)
    rollout(used, None)
    again = rollout(used, 7)
    assert np.array_equal(fresh[0], again[0])
    assert np.array_equal(fresh[1], again[1])
    other = rollout(used, 8)
    assert not np.array_equal(fresh[0], other[0])


def _in_child(connection: Any, world: Scenario) -> None:
    env = HashrateTuningVectorEnv(600, scenario=world, n_threads=2)
    env.reset(seed=1)
    total = 0.0
    for action in actions_of(600, 10):
        total += float(env.step(action)[1].sum())
    connection.send(total)
    connection.close()


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_and_spawned_processes_get_the_same_bits(small: Scenario, method: str) -> None:
    context = multiprocessing.get_context(method)
    here, there = context.Pipe()
    expected_here, expected_there = multiprocessing.Pipe()
    _in_child(expected_there, small)
    child = context.Process(target=_in_child, args=(there, small))
    child.start()
    assert here.poll(120)
    assert here.recv() == expected_here.recv()
    child.join(30)
    assert child.exitcode == 0


@pytest.mark.interpreted
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_costs_and_flows_are_there_on_every_step_the_last_included(small: Scenario) -> None:
    env = gym.make(ENV_ID, scenario=small, episode_steps=4)
    env.reset(seed=0)
    for step in range(4):
        _, _, terminated, truncated, info = env.step(env.action_space.sample())
        assert set(info) == {*tables.INFO_KEYS, "cost", "costs"}
        assert info["cost"] == pytest.approx(sum(info["costs"].values()))
        assert not terminated
        assert truncated == (step == 3)


@pytest.mark.interpreted
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_reward_is_scaled_dollars_and_the_baseline_takes_the_same_from_every_action(small: Scenario) -> None:
    plain, above = (HashrateTuningEnv(scenario=small, reward=name) for name in rewards.IN_KERNEL)
    lost = []
    for action in (1, 3, 5):
        plain.reset(seed=2)
        above.reset(seed=2)
        _, reward, _, _, info = plain.step(np.array([action]))
        assert reward == pytest.approx(info["profit_usd"] / plain.batch.reward_scale_usd)
        lost.append(reward - above.step(np.array([action]))[1])
    assert lost == pytest.approx([lost[0]] * 3)


def test_start_option_places_the_episode_and_bad_ones_are_named(small: Scenario) -> None:
    env = HashrateTuningEnv(scenario=small)
    env.reset(seed=0, options={"start": "2024-06-20T12:35:00"})
    assert int(env.batch.state.site["step"][0]) == (19 * 288) + 12 * 12 + 7
    for start in ("2024-06-20T12:34:00", "2030-01-01"):
        with pytest.raises(ValueError, match="must be a 5-minute stamp in"):
            env.reset(options={"start": start})
    with pytest.raises(ValueError, match="no 'begin'"):
        env.reset(options={"begin": 1})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"action": "jump"}, "action is 'jump'; it must be one of discrete, box, profile"),
        ({"reward": "joy"}, "reward is 'joy'"),
        ({"forecast": "magic"}, "forecast is 'magic'"),
        ({"thresholds": {"noise": 1.0}}, "no threshold 'noise'"),
        ({"split": "future"}, "no split 'future'; there are train, validation, test"),
        ({"episode_steps": 100_000}, "shorter than 100000 steps"),
    ],
)
def test_bad_options_are_named(small: Scenario, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HashrateTuningEnv(scenario=small, **options)


def test_unknown_scenario_lists_what_there_is() -> None:
    with pytest.raises(ValueError, match="no scenario 'moon'; there are alberta_immersion, .*west_texas_air"):
        gym.make(ENV_ID, scenario="moon")
    with pytest.raises(ValueError, match="render_mode"):
        HashrateTuningEnv(render_mode="film")


@pytest.mark.interpreted
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_saved_state_goes_on_as_if_nothing_had_been(small: Scenario) -> None:
    env = HashrateTuningVectorEnv(5, scenario=small)
    env.reset(seed=3)
    drawn = actions_of(5, 30)
    for action in drawn[:10]:
        env.step(action)
    saved = env.batch.save()
    first = [env.step(action)[:2] for action in drawn[10:]]
    env.batch.restore(saved)
    second = [env.step(action)[:2] for action in drawn[10:]]
    assert all(
        np.array_equal(a, b) for one, two in zip(first, second, strict=True) for a, b in zip(one, two, strict=True)
    )
    with pytest.raises(ValueError, match="this batch has"):
        HashrateTuningVectorEnv(4, scenario=small).batch.restore(saved)


def test_environments_pickle(small: Scenario) -> None:
    env = HashrateTuningEnv(scenario=small)
    copied = pickle.loads(pickle.dumps(env))
    assert np.array_equal(rollout(env, 1)[0], rollout(copied, 1)[0])


@pytest.mark.interpreted
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_sleep_band_of_the_box_action_holds_and_sleep_lasts_an_hour(small: Scenario) -> None:
    env = HashrateTuningEnv(scenario=small, action="box")
    env.reset(seed=0)

    def mode(action: float) -> str:
        seen = env.step(np.array([action], np.float32))[0]
        names = [entry.name.removeprefix("zone0_") for entry in env.table]
        return next(name for name in ("asleep", "starting", "hashing") if seen[names.index(name)] == 1.0)

    assert mode(-0.6) == "hashing"
    assert mode(-0.9) == "asleep"
    assert [mode(1.0) for _ in range(11)] == ["asleep"] * 11
    assert mode(-0.6) == "asleep"
    assert mode(1.0) == "starting"


@pytest.mark.interpreted
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_observation_holds_the_table_s_quantities(small: Scenario) -> None:
    env = HashrateTuningEnv(scenario=small)
    obs = env.reset(seed=0, options={"start": "2024-06-20T20:00:00"})[0]
    named = dict(zip([entry.name for entry in env.table], obs.tolist(), strict=True))
    frame = small.history.frame.loc["2024-06-20T20:00:00Z"]
    assert named["outdoor_temp_c"] == pytest.approx(frame["outdoor_temp_c"], rel=1e-5)
    assert named["known_energy_price_usd_per_mwh"] == pytest.approx(
        small.history.frame.loc["2024-06-20T19:55:00Z", "market_price_usd_per_mwh"] + 15.0, rel=1e-5
    )
    assert named["price_ratio"] == pytest.approx(
        named["known_energy_price_usd_per_mwh"] / named["break_even_usd_per_mwh"], rel=1e-5
    )
    assert named["zone0_hashing"] == 1.0
    assert named["zone0_target_pu"] == 1.0


@pytest.mark.interpreted
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_sb3_environment_carries_arrays_and_fills_infos_at_the_end_only(small: Scenario) -> None:
    env = SiteVecEnv(4, range(4), scenario=small, episode_steps=6)
    env.reset()
    for step in range(6):
        obs, rewards, dones, infos = env.step(np.full((4, 1), 3))
        assert env.step_costs.shape == (4, len(env.cost_names))
        assert all(bool(info) == (step == 5) for info in infos)
    assert dones.all()
    assert env.step_truncated.all()
    assert np.array_equal(infos[2]["terminal_observation"], env.final_obs[2])
    assert infos[0]["episode"]["l"] == 6
    assert rewards.dtype == np.float32
    assert not np.array_equal(obs, env.final_obs)
    assert env.get_attr("render_mode") == [None] * 4
    assert env.env_is_wrapped(gym.Wrapper) == [False] * 4
    for refused in (lambda: env.set_attr("x", 1), lambda: env.env_method("x")):
        with pytest.raises(NotImplementedError):
            refused()


def test_sb3_environment_can_fill_all_infos(small: Scenario) -> None:
    env = SiteVecEnv(2, range(2), scenario=small, full_info=True)
    assert env.seed(9) == [0, 1]
    env.reset()
    assert env.batch.state.site["seed"].tolist() == [0, 1]
    _, _, _, infos = env.step(np.full((2, 1), 3))
    assert set(infos[1]) == {*tables.INFO_KEYS, "cost", "costs"}
    with pytest.raises(ValueError, match="one for each of 2"):
        SiteVecEnv(2, [1], scenario=small)


def test_sb3_environment_starts_where_options_say_once(small: Scenario) -> None:
    free, told = (SiteVecEnv(2, range(2), scenario=small) for _ in range(2))
    start = small.history.start + STEP * 700
    told.set_options([{}, {"start": start}])
    assert np.array_equal(told.reset()[0], free.reset()[0])
    assert told.batch.state.site["step"][1] == 700
    assert np.array_equal(told.reset(), free.reset())
    for options, message in (({"begin": start}, "no 'begin'"), ([{"start": start}], "one or 2")):
        told.set_options(options)
        with pytest.raises(ValueError, match=message):
            told.reset()


@pytest.mark.interpreted
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_costs_count_what_their_table_says(small: Scenario) -> None:
    env = HashrateTuningEnv(scenario=small, action="profile", thresholds={"chip_over_temp": 20.0})
    env.reset(seed=0)
    top = int(env.batch.menus["n_profiles"][0])
    env.step(np.array([1]))
    costs = env.step(np.array([top]))[4]["costs"]
    assert costs["chip_over_temp"] == 1.0
    assert costs["power_ramp"] > 0.2
    env.step(np.array([0]))
    assert env.step(np.array([top]))[4]["costs"]["starts"] == 1.0
    assert env.step(np.array([0]))[4]["costs"]["power_ramp"] == 0.0


def test_stepping_before_a_reset_or_after_the_end_is_refused(small: Scenario) -> None:
    env = HashrateTuningEnv(scenario=small, episode_steps=1)
    with pytest.raises(gym.error.ResetNeeded):
        env.step(np.array([3]))
    env.reset(seed=0)
    assert env.step(np.array([3]))[3]
    with pytest.raises(gym.error.ResetNeeded):
        env.step(np.array([3]))


def test_a_batch_never_leaves_its_series(small: Scenario) -> None:
    batch = HashrateTuningVectorEnv(2, scenario=small).batch
    batch.seed([1, 2])
    last = batch.exogenous.n_steps - batch.episode_steps - 1
    batch.reset(starts=np.array([last, last]))
    for _ in range(batch.episode_steps + 5):
        batch.step(np.full((2, 1), 3))
    assert batch.state.site["step"].tolist() == [batch.exogenous.n_steps - 1] * 2
    with pytest.raises(ValueError, match="at most"):
        batch.reset(starts=np.array([last + 1, 0]))
