"""What-if runs are paired: the same plan twice gains exactly nothing, and execution keeps to its rate limit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashgym.advisor import whatif
from hashgym.advisor.execution import limit_rise, rise_steps
from hashgym.advisor.whatif import Plan
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.scenario.scenario import Scenario
from hashgym.sim.hardware.firmware import ASLEEP, HASHING
from hashgym.sim.site.ladders import SiteLadders
from hashgym.sim.site.state import ZONE_STATE, State
from hashgym.sim.site.step import Site
from hashgym.sim.site.world import Exogenous
from tests.conftest import site


@pytest.fixture
def world(small: Scenario) -> Exogenous:
    whole = small.exogenous("day_ahead")
    values = np.concatenate([whole.values[:, k : k + 48] for k in (1000, 3000, 5000)])
    known = np.concatenate([whole.known[:, k : k + 48] for k in (1000, 3000, 5000)])
    return Exogenous(values, known, whole.channels)


def outcome(small: Scenario, world: Exogenous, *setpoints: float, seed: int = 0) -> whatif.Outcome:
    zones = State.hashing(1, small.site).zone[0]
    plans = [Plan(np.array([setpoint]), 48) for setpoint in setpoints]
    return whatif.run(EnvConfig(scenario=small, action="profile", forecast="day_ahead"), world, zones, plans, 0.1, seed)


def test_the_same_plan_gains_exactly_nothing(small: Scenario, world: Exogenous) -> None:
    result = outcome(small, world, 395.0, 395.0)
    assert np.array_equal(result.gain("profit_usd", 1), np.zeros(3))


def test_a_held_set_point_is_the_plain_simulator(small: Scenario, world: Exogenous) -> None:
    result = outcome(small, world, 545.0, 0.0)
    run = Site(small.site, world, 3)
    run.state.site["series"] = np.arange(3)
    run.state.zone[:] = State.hashing(1, small.site).zone
    profit = np.zeros(3)
    for _ in range(48):
        profit += run.step(np.zeros((3, 1)))["profit_usd"]
    assert result.totals["profit_usd"][1] == pytest.approx(profit)
    assert result.profit_usd[1].sum(axis=1) == pytest.approx(profit)


def test_sensor_noise_does_not_move_held_plans(small: Scenario, world: Exogenous) -> None:
    one, other = outcome(small, world, 545.0, 395.0), outcome(small, world, 545.0, 395.0, seed=9)
    assert np.array_equal(one.totals["profit_usd"], other.totals["profit_usd"])


@settings(max_examples=200, deadline=None)
@given(st.floats(0.0, 600.0), st.floats(0.0, 600.0), st.floats(0.01, 0.5))
def test_execution_keeps_to_its_rate_limit(now: float, wanted: float, limit: float) -> None:
    ladder = SITE.zones[0].ladder
    zones = np.zeros((1, 1), ZONE_STATE)
    now_mhz = ladder.freq_mhz[ladder.nearest(now)]
    zones["mode"], zones["target_mhz"] = HASHING, now_mhz
    given_mhz = limit_rise(LADDERS, np.array([[wanted]]), zones, limit)[0, 0]
    assert given_mhz <= wanted
    if wanted <= now_mhz:
        assert given_mhz == wanted
    elif given_mhz > now_mhz:
        k, at = ladder.nearest(given_mhz), ladder.nearest(now_mhz)
        rise_w = ladder.setpoint_power_w[k] - ladder.setpoint_power_w[at]
        rise_pu = rise_w / SITE.zones[0].machine.rated_power_w
        assert rise_pu <= limit + 1e-9 or k == at + 1
    zones["mode"] = ASLEEP
    assert limit_rise(LADDERS, np.array([[wanted]]), zones, limit)[0, 0] == wanted


@pytest.mark.parametrize("now", range(9))
@pytest.mark.parametrize("goal", range(9))
def test_the_way_that_is_told_is_the_way_that_is_run(now: int, goal: int) -> None:
    start, end = LADDERS.freq_mhz[0, now], LADDERS.freq_mhz[0, goal]
    zones = np.zeros((1, 1), ZONE_STATE)
    zones["mode"], zones["target_mhz"], seen = HASHING, start, []
    while not seen or seen[-1] != end:
        seen.append(float(limit_rise(LADDERS, np.array([[end]]), zones, 0.1)[0, 0]))
        zones["target_mhz"] = seen[-1]
    assert rise_steps(LADDERS, 0, start, end, 0.1) == seen


SITE = site()
LADDERS = SiteLadders.of(SITE)
