"""Rewards, costs, limits, randomisation, adapters and pictures."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from pettingzoo.test import parallel_api_test

from hashgym.envs.batch import rewards, tables
from hashgym.envs.batch.config import EnvConfig, UserCost
from hashgym.envs.batch.core import Batch
from hashgym.envs.forms.layout import ZoneLayout
from hashgym.envs.forms.petting_zoo import SiteOperationParallelEnv
from hashgym.envs.forms.safe import CostBesideReward
from hashgym.envs.scenario import scenario as scenarios
from hashgym.envs.scenario.scenario import Scenario
from hashgym.sim.foundation.errors import BadInputError
from tests.conftest import SMALL


def stepped(config: EnvConfig, n: int = 4, steps: int = 5, seed: int = 3) -> Batch:
    batch = Batch(config, n)
    batch.seed(range(n))
    batch.reset()
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        space = batch.action_space()
        space.seed(int(rng.integers(1000)))
        batch.step(np.stack([space.sample() for _ in range(n)]))
    return batch


def frugal(batch: Batch) -> np.ndarray:
    return batch.reward_of_usd(batch.flow("profit_usd") - batch.flow("energy_kwh") / 1000.0)


def test_a_reward_of_ones_own_takes_ten_lines(small: Scenario) -> None:
    batch = stepped(EnvConfig(scenario=small, reward=frugal))
    expected = (batch.flow("profit_usd") - batch.flow("energy_kwh") / 1000.0) / batch.reward_scale_usd
    assert batch.reward == pytest.approx(expected)


def test_a_cost_of_ones_own_stands_beside_the_others(small: Scenario) -> None:
    thirst = UserCost("thirst", lambda batch: batch.flow("water_l"), "L", 5.0, "water that the pads take")
    batch = stepped(EnvConfig(scenario=small, costs=(thirst,)))
    assert batch.cost_names == (*tables.COST_NAMES, "thirst")
    assert batch.costs[:, -1] == pytest.approx(batch.flow("water_l"))
    with pytest.raises(BadInputError, match="two of one name"):
        EnvConfig(scenario=small, costs=(UserCost("starts", frugal),))


@pytest.mark.parametrize("name", rewards.NAMES)
def test_every_named_reward_is_finite_and_of_the_order_of_one(name: str, small: Scenario) -> None:
    batch = stepped(EnvConfig(scenario=small, reward=name, task="operation", rule={}), 16, 20)
    assert np.isfinite(batch.reward).all()
    assert np.abs(batch.reward).max() < 100.0


def test_cvar_counts_the_tail_alone(small: Scenario) -> None:
    batch = stepped(EnvConfig(scenario=small, reward=rewards.Cvar(alpha=0.5, var_usd=1.0)), 16)
    profit = batch.flow("profit_usd")
    assert batch.reward * batch.reward_scale_usd == pytest.approx(1.0 - np.maximum(0.0, 1.0 - profit) / 0.5)


def test_steadiness_looks_at_the_step_before_and_survives_a_restore(small: Scenario) -> None:
    config = EnvConfig(scenario=small, reward=rewards.ProfitEfficiencyStability(0.0, 0.0, 1.0), action="profile")
    batch = Batch(config, 1)
    batch.seed([1])
    batch.reset()
    batch.step(np.array([[3]]))
    saved, before = batch.save(), float(batch.flow("energy_kwh")[0])
    batch.step(np.array([[0]]))
    change = abs(float(batch.flow("energy_kwh")[0]) - before) / (batch.full_power_w / 1000.0 / 12.0)
    assert batch.reward[0] == pytest.approx(-change)
    first = batch.reward.copy()
    other = Batch(config, 1)
    other.restore(saved)
    other.step(np.array([[0]]))
    assert np.array_equal(other.reward, first)
    batch.step(np.array([[5]]))
    batch.restore(saved)
    batch.step(np.array([[0]]))
    assert np.array_equal(batch.reward, first)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"thresholds": {"chip_over_temp": 90.0}}, "thresholds.chip_over_temp is 90.0; it must be 85 at most"),
        ({"thresholds": {"trips": 1.0}}, "no threshold 'trips'"),
        ({"task": "mining"}, "task is 'mining'"),
        ({"task": "cooling", "action": "discrete"}, "it must be one of box"),
        ({"task": "coin"}, "one market, so there is nothing to choose"),
        ({"coin_choice": True}, "an option of hashgym/SiteOperation-v0 alone"),
        ({"reward": "glory"}, "reward is 'glory'; it must be one of profit"),
        ({"stack": 0}, "stack is 0"),
        ({"randomize": {"luck": [0, 1]}}, "randomize: unknown 'luck'"),
        ({"randomize": {"power_dev": [0.2, 0.1]}}, "must be \\[low, high\\] within"),
        ({"randomize": {"histories": 0}}, "histories is 0"),
        ({"episode_steps": 0}, "episode_steps is 0"),
        ({"episode_steps": 2.5}, "episode_steps is 2.5"),
    ],
)
def test_options_that_cannot_be_are_named(options: dict[str, Any], message: str, small: Scenario) -> None:
    with pytest.raises(BadInputError, match=message):
        EnvConfig(scenario=small, **options).load()


def test_a_stack_holds_the_past_and_the_newest_last(small: Scenario) -> None:
    plain, stacked = (Batch(EnvConfig(scenario=small, stack=depth), 2) for depth in (1, 3))
    seen = []
    for batch in (plain, stacked):
        batch.seed([1, 2])
        batch.reset()
    for k in range(4):
        seen.append(plain.obs.copy())
        for batch in (plain, stacked):
            batch.step(np.full((2, 1), k % 3))
    seen.append(plain.obs.copy())
    assert np.array_equal(stacked.obs, np.concatenate(seen[-3:], axis=1))
    assert stacked.table[-1].name == plain.table[-1].name
    assert stacked.table[0].name == f"{plain.table[0].name}_t-2"
    stacked.reset(np.array([1]))
    assert np.array_equal(stacked.obs[1, : plain.n_now], stacked.obs[1, -plain.n_now :])
    assert not np.array_equal(stacked.obs[0, : plain.n_now], stacked.obs[0, -plain.n_now :])


def test_machines_that_differ_from_their_model_draw_and_hash_as_drawn(small: Scenario) -> None:
    usual = stepped(EnvConfig(scenario=small, action="profile"), 64, 1)
    ranges = {"power_dev": [0.1, 0.1], "hashrate_dev": [-0.1, -0.1]}
    other = stepped(EnvConfig(scenario=small, action="profile", randomize=ranges), 64, 1)
    on = usual.flow("hash_th") > 0.0
    assert other.flow("hash_th")[on] == pytest.approx(0.9 * usual.flow("hash_th")[on], rel=1e-3)
    ratio = other.flow("it_energy_kwh")[on] / usual.flow("it_energy_kwh")[on]
    assert ratio.min() > 1.08
    assert ratio.max() < 1.14
    spread = stepped(EnvConfig(scenario=small, randomize={"sink_dev": [-0.2, 0.2]}), 64, 1).state.zone["sink_dev"]
    assert spread.std() == pytest.approx(0.4 / np.sqrt(12.0), rel=0.25)


def test_episodes_draw_among_histories(small: Scenario) -> None:
    batch = stepped(EnvConfig(scenario=small, randomize={"histories": 3}), 64, 1)
    assert batch.exogenous.values.shape[0] == 3
    assert set(batch.state.site["series"].tolist()) == {0, 1, 2}
    assert not np.array_equal(*batch.exogenous.in_force("energy_price_usd_per_mwh")[:2])


def test_cooling_commands_move_temperature_energy_and_water(small: Scenario) -> None:
    def run(action: list[float]) -> Batch:
        batch = Batch(EnvConfig(scenario=small, task="cooling"), 1)
        batch.seed([0])
        batch.reset(starts=np.array([batch.start_step("2024-06-20T20:00")]))
        for _ in range(12):
            batch.step(np.array([action]))
        return batch

    usual, cold, hot, dry = (run(action) for action in ([0.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [0.0, 1.0]))
    assert cold.state.zone["hot_temp_c"][0, 0] < usual.state.zone["hot_temp_c"][0, 0] - 5.0
    assert hot.state.zone["hot_temp_c"][0, 0] > usual.state.zone["hot_temp_c"][0, 0] + 1.0
    fans = [float(batch.zone_flow["fan_energy_kwh"][0, 0]) for batch in (hot, usual, cold)]
    assert fans[0] < fans[1] < fans[2]
    assert dry.flow("water_l")[0] == 0.0
    assert usual.flow("water_l")[0] > 0.0


def test_an_offer_counts_from_the_next_day_and_is_paid_by_its_share() -> None:
    batch = Batch(EnvConfig(scenario="west_texas_air", task="operation", events="none"), 1)
    batch.seed([0])
    batch.reset(starts=np.array([batch.start_step("2024-04-02T22:00")]))
    paid = []
    for _ in range(160):
        batch.step(np.array([[1.0, 0.0, 0.0, -0.5]]))  # a quarter is offered
        paid.append(float(batch.flow("programme_usd")[0]))
    midnight = 7 * 12  # local midnight is 05:00 UTC
    assert paid[0] > 0.0
    assert paid[midnight - 1] == pytest.approx(paid[0])
    assert paid[midnight] == pytest.approx(0.25 * paid[0])


def test_an_offer_made_at_midnight_waits_a_day() -> None:
    batch = Batch(EnvConfig(scenario="west_texas_air", task="operation", events="none"), 1)
    batch.seed([0])
    batch.reset(starts=np.array([batch.start_step("2024-04-02T05:00")]))
    paid = []
    for _ in range(290):
        batch.step(np.array([[1.0, 0.0, 0.0, -1.0]]))
        paid.append(float(batch.flow("programme_usd")[0]))
    assert paid[287] == pytest.approx(paid[0])
    assert paid[0] > 0.0
    assert paid[288] == 0.0


@pytest.mark.parametrize("task", ["hashrate", "cooling", "operation"])
def test_actions_that_are_none_are_refused(task: str) -> None:
    batch = Batch(EnvConfig(scenario="scrypt_shed", task=task, action="box"), 3)
    batch.seed(range(3))
    batch.reset()
    whole = np.zeros((3, len(batch.actions)))
    with pytest.raises(BadInputError, match="action has shape"):
        batch.step(whole.T)
    whole[1, 0] = np.nan
    with pytest.raises(BadInputError, match="action of environment 1 holds what is not a number"):
        batch.step(whole)


def test_forms_that_have_not_begun_say_so(small: Scenario) -> None:
    vector = gym.make_vec("hashgym/HashrateTuning-v0", num_envs=2, scenario=small)
    with pytest.raises(gym.error.ResetNeeded):
        vector.step(vector.action_space.sample())
    parallel = SiteOperationParallelEnv(scenario="nordic_hydro")
    with pytest.raises(gym.error.ResetNeeded):
        parallel.step({})
    for options in ({"start": None}, {"start": "garbage"}, {"start": "2031-01-01"}):
        with pytest.raises(BadInputError, match="options\\['start'\\] is"):
            gym.make("hashgym/HashrateTuning-v0", scenario=small).reset(options=options)
    for options in ({"start": "2024-01-01"}, {"scenario": "west_texas_air"}):
        with pytest.raises(BadInputError, match="on the bench"):
            gym.make("hashgym/ChipTuning-v0").reset(seed=0, options=options)


def test_easier_histories_swing_less_drawn_ones_as_well(small: Scenario) -> None:
    world = scenarios.from_mapping({**SMALL, "difficulty": 0.1}).exogenous("none", 2)
    usual = small.exogenous("none")
    for series in range(2):
        assert (
            world.in_force("energy_price_usd_per_mwh")[series].std()
            < 0.2 * usual.in_force("energy_price_usd_per_mwh")[0].std()
        )


def test_a_state_of_another_world_is_refused(small: Scenario, two_zones: Scenario) -> None:
    one, other = (gym.make("hashgym/HashrateTuning-v0", scenario=world).unwrapped for world in (small, two_zones))
    one.reset(seed=0)
    with pytest.raises(BadInputError, match="the saved state is of world"):
        other.restore(one.save())  # type: ignore[attr-defined]


def test_a_slow_pump_warms_the_coolant_on_its_way() -> None:
    seen = []
    for pump in (0.0, -1.0):
        batch = Batch(EnvConfig(scenario="nordic_hydro", task="cooling"), 1)
        batch.seed([0])
        batch.reset(starts=np.array([batch.start_step("2025-02-02T00:00")]))
        for _ in range(24):
            batch.step(np.array([[pump, 0.0, 0.0] * 3]))
        seen.append(
            (
                batch.zone_flow["supply_temp_c"][0, 2],
                batch.state.zone["hot_temp_c"][0, 2],
                batch.flow("cooling_energy_kwh")[0],
            )
        )
    assert seen[1][0] < seen[0][0] - 1.0  # the mean is held: with a larger rise the supply is colder
    assert seen[1][1] > seen[0][1]
    assert seen[1][2] < seen[0][2]


def test_the_parallel_form_passes_its_own_test() -> None:
    for options in (
        {"scenario": "scrypt_shed", "coin_choice": True},
        {"scenario": "nordic_hydro"},
        {"scenario": "west_texas_air"},
    ):
        parallel_api_test(SiteOperationParallelEnv(episode_steps=30, **options), num_cycles=60)


def test_the_parallel_form_is_the_single_one_in_parts() -> None:
    together = SiteOperationParallelEnv(scenario="scrypt_shed", coin_choice=True)
    single = gym.make("hashgym/SiteOperation-v0", scenario="scrypt_shed", coin_choice=True)
    together.reset(seed=4)
    single.reset(seed=4)
    action = np.array([0.5, -0.2, 0.1, 0.9, 0.3, -0.4, 0.7], np.float32)
    parts = {"zone_0": action[:3], "zone_1": action[3:6], "plant": action[6:]}
    seen, shared, *_ = together.step(parts)
    obs, reward, *_ = single.step(action)
    assert np.array_equal(seen["plant"], obs)
    assert set(shared.values()) == {reward}
    assert np.array_equal(together.state(), obs)


def test_the_cost_stands_beside_the_reward(small: Scenario) -> None:
    env = CostBesideReward(gym.make("hashgym/HashrateTuning-v0", scenario=small), "starts")
    env.reset(seed=0)
    assert len(env.step(env.action_space.sample())) == 6
    with pytest.raises(ValueError, match="cost is 'thirst'"):
        CostBesideReward(gym.make("hashgym/HashrateTuning-v0", scenario=small), "thirst")


def test_zones_and_features_hold_the_same_numbers() -> None:
    env = ZoneLayout(gym.make("hashgym/SiteOperation-v0", scenario="nordic_hydro"))
    obs, _ = env.reset(seed=0)
    flat = env.unwrapped.batch.obs[0]  # type: ignore[attr-defined]
    assert obs.shape[0] == 3
    assert env.observation_space.contains(obs)
    assert set(obs.ravel().tolist()) == set(flat.tolist())


def test_another_scenario_with_equal_spaces_can_be_entered() -> None:
    env = gym.make("hashgym/HashrateTuning-v0", scenario="georgia_room")
    with pytest.raises(BadInputError, match="whose spaces differ"):
        env.reset(seed=0, options={"scenario": "nordic_hydro"})
    obs, _ = env.reset(seed=0, options={"scenario": "georgia_room"})
    assert env.observation_space.contains(obs)


@pytest.mark.parametrize("name", ["HashrateTuning", "CoolingControl", "SiteOperation", "CoinSwitching", "ChipTuning"])
def test_pictures_are_drawn(name: str) -> None:
    env = gym.make(f"hashgym/{name}-v0", render_mode="rgb_array")
    env.reset(seed=0)
    before: Any = env.render()
    for _ in range(3):
        env.step(env.action_space.sample())
    after: Any = env.render()
    assert after.dtype == np.uint8
    assert after.shape == before.shape
    assert after.shape[2] == 3
    assert not np.array_equal(before, after)
    text = gym.make(f"hashgym/{name}-v0", render_mode="ansi")
    text.reset(seed=0)
    text.step(text.action_space.sample())
    assert "°C" in str(text.render())
    env.close()
    env.close()


def test_a_site_of_64_zones_is_stepped_alone_and_in_a_batch(small: Scenario) -> None:
    content = scenarios.read("west_texas_air")
    zones = [{**content["site"]["zones"][0], "n_units": 5}] * 64
    given = {**content, "site": {**content["site"], "zones": zones}, "splits": dict(small.splits), "episode_days": 1}
    wide = scenarios.from_mapping(given, small.history)
    for task in ("hashrate", "cooling", "operation"):
        batch = stepped(EnvConfig(scenario=wide, task=task, split="test"), 2, 3)
        assert batch.obs.shape[1] == len({entry.name for entry in batch.table})
        assert np.isfinite(batch.obs).all()
        assert np.isfinite(batch.reward).all()


@pytest.mark.parametrize("stack", [1, 3])
def test_chosen_observations_are_the_same_numbers(stack: int, two_zones: Scenario) -> None:
    whole = Batch(EnvConfig(scenario=two_zones, stack=stack), 2)
    some = Batch(
        EnvConfig(scenario=two_zones, stack=stack, observations=["power_w", "known_energy_price_usd_per_mwh"]), 2
    )
    names = [entry.name for entry in whole.table]
    assert len(some.table) == 3 * stack
    places = [names.index(entry.name) for entry in some.table]
    for batch in (whole, some):
        batch.seed([1, 2])
        batch.reset()
    assert np.array_equal(some.obs, whole.obs[:, places])
    for _ in range(4):
        for batch in (whole, some):
            batch.step(np.full((2, 2), 4))
        assert np.array_equal(some.obs, whole.obs[:, places])
    saved = some.save()
    before = some.obs.copy()
    some.step(np.zeros((2, 2)))
    some.restore(saved)
    assert np.array_equal(some.obs, before)
    with pytest.raises(
        BadInputError, match="observations: unknown name 'power_ww'; did you mean 'zone1_power_w' or 'zone0_power_w'"
    ):
        Batch(EnvConfig(scenario=two_zones, observations=["power_ww"]), 1)
    with pytest.raises(BadInputError, match="observations is 'power_w'; it must be a list of names"):
        EnvConfig(scenario=two_zones, observations="power_w")
