"""Energy behind the meter on random play: it closes, no limit breaks, and nothing that is observed or decided sees the future."""

from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import hashgym.envs  # noqa: F401
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.envs.scenario.scenario import Scenario, from_mapping
from hashgym.sim.foundation import jit
from hashgym.sim.series.price_features import AHEAD, PAST, PriceFeatures
from hashgym.synthesis.generate import synthesize
from tests.conftest import SMALL

SITE: dict[str, Any] = {
    **SMALL["site"],
    "battery": {"power_w": 1.5e6, "energy_wh": 3.0e6},
    "sun": {"power_w": 1.5e6, "latitude_deg": 32.8, "longitude_deg": -96.8},
    "wind": {"power_w": 0.5e6},
    "interconnect": {"import_limit_w": 1.0e6, "export_limit_w": 1.0e6},
}
TARIFF = {"kind": "real_time", "adder_usd_per_mwh": 15.0, "coincident_peak": {}, "reserve": {}}


@pytest.fixture(scope="module")
def world() -> Scenario:
    history = synthesize("ercot", "2024-06-01", "2024-07-16", 3, weather=("sun", "wind"), reserve="ecrs")
    return from_mapping({**SMALL, "name": "whole", "site": SITE, "tariff": TARIFF, "events": "drawn"}, history)


def worst_gap(batch: Batch, before_kwh: np.ndarray) -> float:
    """Return the largest relative gap of a step's energy, at the meter and in the battery."""
    flow = batch.site_flow
    used = flow["load_kwh"] + flow["battery_drawn_kwh"]
    at_meter = np.abs(flow["energy_kwh"] + flow["sun_kwh"] + flow["wind_kwh"] - used) / np.maximum(used, 1.0)
    stored = batch.state.site["battery_kwh"] - before_kwh
    assert batch.site.battery is not None
    side = batch.site.battery.auxiliary_frac * batch.site.battery.power_w / 12_000.0 * (flow["load_kwh"] > 0.0)
    in_battery = np.abs(flow["battery_drawn_kwh"] - side - flow["battery_lost_kwh"] - stored) / 125.0
    return float(max(at_meter.max(), in_battery.max()))


def play(world: Scenario, n_envs: int, n_steps: int) -> None:
    batch = Batch(EnvConfig(scenario=world, task="operation", forecast="day_ahead_curve", events="none"), n_envs)
    batch.seed(range(n_envs))
    batch.reset()
    rng = np.random.default_rng(0)
    n_actions = len(batch.actions)
    limit_kwh = 1000.0 / 12.0
    for k in range(n_steps):
        before = batch.state.site["battery_kwh"].copy()
        spread = rng.choice([0.1, 1.0, 3.0])
        batch.step(np.clip(rng.normal(0.0, spread, (n_envs, n_actions)), -1.0, 1.0))
        assert worst_gap(batch, before) < 1e-6
        flow = batch.site_flow
        assert np.abs(flow["energy_kwh"]).max() <= limit_kwh + 1e-6
        assert flow["interconnect_breach_kwh"].max() == 0.0
        assert np.isfinite(batch.flow_table).all()
        if k % 288 == 287:
            batch.reset()


def test_energy_closes_and_no_action_breaks_a_limit(world: Scenario) -> None:
    play(world, 64, 600)


@pytest.mark.slow
def test_ten_million_random_steps_break_no_limit(world: Scenario) -> None:
    if jit.numba.config.DISABLE_JIT:
        pytest.skip("ten million steps need compiled physics")
    play(world, 8192, 1221)


def test_the_environment_is_one_that_gymnasium_knows(world: Scenario) -> None:
    env = gym.make("hashgym/SiteOperation-v0", scenario=world, forecast="day_ahead_curve")
    check_env(env.unwrapped, skip_render_check=True)
    names = [entry.name for entry in env.unwrapped.actions]  # type: ignore[attr-defined]
    assert names[-26:-24] == ["battery", "curtail"]
    assert names[-24:] == [f"reserve_{hour:02d}h" for hour in range(24)]
    observed = [entry.name for entry in env.unwrapped.table]  # type: ignore[attr-defined]
    for name in (
        "battery_charge_pu",
        "net_power_pu",
        "sun_now_pu",
        "wind_forecast_12_24h_pu",
        "reserve_sold",
        "day_ahead_34h_usd_per_mwh",
    ):
        assert name in observed


def test_a_render_shows_charge_and_flows(world: Scenario) -> None:
    env = gym.make("hashgym/SiteOperation-v0", scenario=world, render_mode="ansi")
    env.reset(seed=0)
    env.step(env.action_space.sample())
    text = str(env.render())
    assert "battery" in text
    assert "sun and wind" in text


@pytest.mark.parametrize("cut", [2222, 3001, 4567])
def test_no_feature_of_prices_sees_the_future(world: Scenario, cut: int) -> None:
    history, config = (
        world.history,
        EnvConfig(scenario=world, task="operation", action="setpoints", forecast="day_ahead_curve"),
    )
    frame = history.frame.copy()
    for name in ("market_price_usd_per_mwh", "ghi_w_per_m2", "wind_speed_m_per_s"):
        column = list(frame.columns).index(name)
        frame.iloc[cut:, column] = frame.iloc[cut:, column] * 0.5 + 7.0
    other = from_mapping({**SMALL, "name": "whole", "site": SITE, "tariff": TARIFF}, replace(history, frame=frame))
    one, two = Batch(config).exogenous, Batch(replace(config, scenario=other)).exogenous
    assert np.array_equal(one.known[:, :cut], two.known[:, :cut])
    before, after = PriceFeatures(one, world.site), PriceFeatures(two, world.site)
    assert np.array_equal(before.today[:, :cut], after.today[:, :cut])
    for read in (
        lambda features: features.market,
        lambda features: features.of_day,
        *(lambda features, k=k: features.ahead(k) for k in range(len(AHEAD))),
        *(lambda features, k=k: features.past(k) for k in range(len(PAST))),
    ):
        assert np.array_equal(read(before)[..., :cut], read(after)[..., :cut])


def test_what_a_battery_holds_at_the_end_is_worth_the_days_price(world: Scenario) -> None:
    def profit(command: float) -> tuple[float, float]:
        batch = Batch(EnvConfig(scenario=world, task="operation", events="none", episode_steps=12), 1)
        batch.seed([1])
        batch.reset(starts=np.array([2000]))
        at = [entry.name for entry in batch.actions].index("battery")
        action = np.zeros((1, len(batch.actions)))
        action[0, at], stored = command, 0.0
        for _ in range(12):
            batch.step(action)
            stored += float(batch.flow("stored_usd")[0])
        return stored, float(batch.state.site["battery_kwh"][0]) - 1500.0

    for command in (-1.0, 1.0):
        stored_usd, more_kwh = profit(command)
        assert np.sign(stored_usd) == np.sign(more_kwh) == -np.sign(command)
    assert abs(profit(0.0)[0]) < 0.1
