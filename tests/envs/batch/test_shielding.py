"""The shield keeps its limits whatever is asked, changes as little as a quadratic programme would, and says what it changed."""

from dataclasses import replace
from typing import Any

import cvxpy as cp
import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hashgym.envs.batch import shielding
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.envs.batch.shielding import SHIELD, SHIELD_COLUMNS
from hashgym.envs.scenario import scenario as scenarios
from hashgym.envs.scenario.scenario import Scenario
from hashgym.sim.foundation.errors import BadInputError
from hashgym.synthesis.generate import synthesize
from tests.conftest import SMALL

N = 12
ZONES = [
    {"machine": "s19j_pro", "firmware": "slow_tuner", "n_units": 200},
    {"machine": "s21", "firmware": "fast_curtail", "n_units": 80},
    {"machine": "s19j_pro", "firmware": "fast_curtail", "n_units": 120},
]


@pytest.fixture(scope="module")
def capped() -> Scenario:
    site = {"altitude_m": 0.0, "zones": ZONES, "site_cap_w": 0.9e6, "battery": {"power_w": 0.3e6, "energy_wh": 0.6e6}}
    tariff = {"kind": "real_time", "curtailment": {}}
    return scenarios.from_mapping({**SMALL, "name": "capped", "site": site, "tariff": tariff})


def batch_of(scenario: Scenario, *, shield: bool = True, **options: Any) -> Batch:
    batch = Batch(EnvConfig(scenario=scenario, task="operation", action="setpoints", shield=shield, **options), N)
    batch.seed(np.arange(N))
    batch.reset()
    return batch


def asked(batch: Batch, rng: np.random.Generator) -> np.ndarray:
    """Return any actions, mostly with machines at their highest."""
    space: Any = batch.action_space()
    actions = rng.uniform(space.low, space.high + (space.high > 1.0), (N, space.shape[0]))
    return np.where((space.high > 1.0) & (rng.random(actions.shape) < 0.6), space.high, actions)


@pytest.mark.parametrize("site", ["capped", "stored"])
def test_limits_are_kept_whatever_is_asked(site: str, request: pytest.FixtureRequest) -> None:
    scenario, totals = request.getfixturevalue(site), []
    for shield in (False, True):
        batch, rng = batch_of(scenario, shield=shield), np.random.default_rng(1)
        costs, reports = np.zeros(len(batch.cost_names)), np.zeros(len(SHIELD))
        for step in range(288):
            if step % 4 == 0:
                actions = asked(batch, rng)
            batch.step(actions)
            costs += batch.costs.sum(axis=0)
            reports += batch.shielded.sum(axis=0)
        totals.append((dict(zip(batch.cost_names, costs, strict=True)), reports))
    (plain, nothing), (kept, changed) = totals
    assert not nothing.any()
    assert plain["power_ramp"] > 0.0
    assert kept["power_ramp"] == kept["site_cap"] == kept["interconnect_breach"] == 0.0
    assert (site == "stored") or plain["site_cap"] > 0.0
    assert kept["curtailment_breach"] == 0.0 <= plain["curtailment_breach"]
    assert changed[SHIELD_COLUMNS.ramp] > 0.0
    if site == "capped":  # an interconnect curbs a battery by itself
        assert changed[SHIELD_COLUMNS.site] > 0.0
        assert changed[SHIELD_COLUMNS.battery] > 0.0


def test_a_call_is_kept() -> None:
    history = synthesize("ercot", "2024-06-01", "2024-07-16", 3)
    called = np.zeros(len(history.frame))
    called[800:1000] = 1.0
    history = replace(history, frame=history.frame.assign(curtailment_call=called))
    site, tariff = {"altitude_m": 0.0, "zones": ZONES}, {"kind": "real_time", "curtailment": {}}
    scenario = scenarios.from_mapping({**SMALL, "name": "called", "site": site, "tariff": tariff}, history)
    breaches = []
    for shield in (False, True):
        batch, rng = batch_of(scenario, shield=shield), np.random.default_rng(4)
        batch.reset(starts=np.full(N, 780))
        column = batch.cost_names.index("curtailment_breach")
        breaches.append(0.0)
        for _ in range(120):
            batch.step(asked(batch, rng))
            breaches[-1] += batch.costs[:, column].sum()
    assert breaches[0] > 0.0
    assert breaches[1] == 0.0


@pytest.mark.parametrize("limit_c", [70.0, 76.0])
def test_chips_stay_below_their_limit(small: Scenario, limit_c: float) -> None:
    steps, hottest = [], 0.0
    for shield in (False, True):
        batch, rng = batch_of(small, shield=shield, thresholds={"chip_over_temp": limit_c}), np.random.default_rng(2)
        steps.append(0)
        for step in range(288):
            if step % 6 == 0:
                actions = asked(batch, rng)
            was_below = batch.state.zone["hot_temp_c"][:, 0] <= limit_c
            batch.step(actions)
            steps[-1] += int(((batch.costs[:, 0] > 0.0) & was_below).sum())
            if shield:
                hottest = max(hottest, batch.flow("max_chip_temp_c")[was_below].max(initial=0.0))
    assert steps[0] > 50
    assert steps[1] <= 0.2 * steps[0]
    assert hottest <= limit_c + 2.0  # where pads go dry at once


def test_what_keeps_all_limits_is_not_changed(capped: Scenario) -> None:
    plain, shielded = batch_of(capped, shield=False), batch_of(capped)
    space: Any = plain.action_space()
    low = np.zeros((N, space.shape[0]))
    low[:, :3] = 0.0
    low[:, 0 : 3 * 3 : 3] = 1.0
    for _ in range(60):
        for batch in (plain, shielded):
            batch.step(low)
        assert not shielded.shielded.any()
        assert np.array_equal(plain.flow_table, shielded.flow_table)


def test_no_zone_could_have_been_left_higher(capped: Scenario) -> None:
    batch, wish, rng = batch_of(capped), batch_of(capped, shield=False), np.random.default_rng(3)
    world, checked = batch.world, 0
    for step in range(120):
        if step % 4 == 0:
            actions = asked(batch, rng)
        wish.restore(batch.save())
        before = batch.state.zone.copy()
        most_w = np.array([shielding.most_metered_w(i, world, batch.arrays) for i in range(N)])
        wish.step(actions)
        batch.step(actions)
        assert (batch.setpoint_mhz <= wish.setpoint_mhz + 1e-9).all()
        drawn = np.array(
            [[shielding.drawn_w(z, batch.setpoint_mhz[i, z], before[i, z], world) for z in range(3)] for i in range(N)]
        )
        battery_w = (0.003 - batch.state.site["battery_command"]) * 0.3e6
        assert (drawn.sum(axis=1) + battery_w <= most_w + 1.0).all()
        for i, z in np.argwhere(batch.shielded[:, [SHIELD_COLUMNS.site]] @ np.ones((1, 3)) > 0.0):
            ladder = batch.profiles["freq_mhz"][z]
            above = ladder[(ladder > batch.setpoint_mhz[i, z]) & (ladder <= wish.setpoint_mhz[i, z])]
            if batch.setpoint_mhz[i, z] > 0.0 and above.size and not batch.shielded[i, : SHIELD_COLUMNS.site].any():
                more_w = shielding.drawn_w(z, above.min(), before[i, z], world) - drawn[i, z]
                assert drawn[i].sum() + battery_w[i] + more_w > most_w[i] - 1.0
                checked += 1
    assert checked > 20


@settings(deadline=None, max_examples=60)
@given(
    arrays(np.float64, 5, elements=st.floats(0.0, 10.0)),
    arrays(np.float64, 5, elements=st.floats(0.0, 1.0)),
    st.floats(0.0, 1.0),
)
def test_powers_are_the_nearest_that_keep_a_sum(wanted: np.ndarray, shares: np.ndarray, part: float) -> None:
    least = wanted * shares
    most = least.sum() + part * (wanted.sum() - least.sum())
    lowered = shielding.multiplier_of(wanted, least, most)
    own = np.maximum(least, wanted - lowered)
    x = cp.Variable(5)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - wanted)), [cp.sum(x) <= most, x <= wanted, x >= least])
    problem.solve(solver=cp.CLARABEL)
    assert own.sum() <= most + 1e-9
    assert np.sum((own - wanted) ** 2) <= problem.value + 1e-6


def test_what_was_changed_is_told(capped: Scenario) -> None:
    env: Any = gym.make("hashgym/SiteOperation-v0", scenario=capped, action="setpoints", shield=True)
    env.reset(seed=1)
    info = env.step(env.action_space.high)[-1]
    assert info["shield_battery"] + info["shield_site"] > 0.0
    assert {f"shield_{name}" for name in SHIELD} <= set(info)
    many: Any = gym.make_vec("hashgym/SiteOperation-v0", 2, scenario=capped, action="setpoints", shield=True)
    many.reset(seed=1)
    told = many.step(np.tile(env.action_space.high, (2, 1)))[-1]
    assert told["shield_site"].shape == (2,)
    plain: Any = gym.make("hashgym/SiteOperation-v0", scenario=capped, action="setpoints")
    plain.reset(seed=1)
    assert not any(name.startswith("shield") for name in plain.step(env.action_space.high)[-1])


def test_a_shield_is_there_or_not() -> None:
    with pytest.raises(BadInputError, match="shield is 'yes'; it must be true or false"):
        EnvConfig(shield="yes")  # type: ignore[arg-type]
