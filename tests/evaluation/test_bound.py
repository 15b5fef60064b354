"""The bound holds: no plan, rule or random play beats it, and on small cases it is not far from the best."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from hashgym.agents.planners import dynamic
from hashgym.agents.planners.foresight import Foresight
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.envs.scenario import scenario as scenarios
from hashgym.envs.scenario.scenario import Scenario
from hashgym.evaluation.bound import MOST_COOLING_K, TRIP_OVERSHOOT_K, upper_bound
from hashgym.evaluation.paired import run
from hashgym.evaluation.summary import bound_trace, yardsticks
from hashgym.evaluation.tuning import Tuning
from hashgym.sim.cooling.plant import Weather
from hashgym.sim.foundation.constants import N_SUB_STEPS
from hashgym.sim.hardware import catalogue
from hashgym.sim.hardware.firmware import HASHING, STARTING
from hashgym.sim.site import zone
from hashgym.sim.site.params import SiteParams, ZoneParams
from hashgym.sim.site.step import Site
from tests.conftest import SMALL, weather

ARRAYS = ("mature", "young", "leave", "boot", "off")


def worlds() -> list[Scenario]:
    fast = {"machine": "s21", "firmware": "fast_curtail", "n_units": 100}
    cheap = {"kind": "real_time", "adder_usd_per_mwh": -40.0}
    winter = {"region": "ercot", "start": "2024-12-20", "end": "2025-02-01", "seed": 5}
    splits = {"train": ["2024-12-23", "2025-01-25"]}
    return [
        scenarios.from_mapping(SMALL),
        scenarios.from_mapping({**SMALL, "site": {"altitude_m": 0.0, "zones": [fast]}}),
        scenarios.from_mapping({**SMALL, "tariff": cheap}),
        scenarios.from_mapping({**SMALL, "history": winter, "splits": splits}),
    ]


@pytest.mark.parametrize("world", worlds(), ids=["small", "fast", "negative_prices", "winter"])
@pytest.mark.parametrize("stickiness", [0.0, 0.9, 0.99])
def test_random_play_never_beats_the_bound(world: Scenario, stickiness: float) -> None:
    config = EnvConfig(scenario=world, split="train", action="profile", episode_steps=96)
    n_envs = 2000
    batch = Batch(config, n_envs)
    rng = np.random.default_rng(1)
    low, high = batch.start_range
    starts = rng.integers(low, high + 1, n_envs)
    batch.seed(np.arange(n_envs))
    batch.reset(starts=starts)
    bound = upper_bound(batch.site, batch.exogenous, range(low, high + 96))
    most = np.array([bound.episode_usd(int(start) - low, 96) for start in starts])
    total = np.zeros(n_envs)
    n_choices = int(batch.menus["n_profiles"][0]) + 1
    action = np.full((n_envs, 1), n_choices - 1)
    for _ in range(96):
        redraw = rng.random((n_envs, 1)) > stickiness
        drawn = np.where(rng.random((n_envs, 1)) < 0.3, 0, rng.integers(0, n_choices, (n_envs, 1)))
        action = np.where(redraw, drawn, action)
        batch.step(action)
        total += batch.flow("profit_usd")
    assert np.all(total <= most)


@pytest.mark.parametrize("machine", ["s19j_pro", "s21", "t21", "s9", "s21_xp"])
def test_the_two_numbers_that_are_estimated_hold_in_sub_steps_of_random_play(machine: str) -> None:
    part = ZoneParams(machine=catalogue.machine(machine), firmware=catalogue.firmware("slow_tuner"), n_units=100)
    run = Site(SiteParams(zones=(part,)), weather(2, 20.0))
    state, params, sums = run.state.zone[0, 0], run.params.zone_record[0], run.arrays.sums[0, 0]
    rng, choices = np.random.default_rng(1), [*part.machine.profiles_mhz, 0.0]
    outdoor_c, setpoint_mhz, cooling_k, above_trip_k = 20.0, choices[-2], [], []
    for _ in range(3000):
        outdoor_c = float(np.clip(outdoor_c + rng.normal(0.0, 1.0), -30.0, 50.0))
        if rng.random() < 0.3:
            setpoint_mhz = float(rng.choice(choices))
        zone.begin_step(state, params, setpoint_mhz, outdoor_c, 1.0, sums)
        for _ in range(N_SUB_STEPS):
            first_c, sum_c, mode = float(state["chip_temp_c"]), float(sums["chip_temp_sum_c"]), float(state["mode"])
            zone.sub_step(state, params, Weather(outdoor_c, outdoor_c - 5.0), sums)
            if mode in (HASHING, STARTING):
                mean_c = float(sums["chip_temp_sum_c"]) - sum_c
                cooling_k.append(first_c - mean_c)
                above_trip_k.append(mean_c - part.firmware.trip_temp_c)
        zone.end_step(state, params, sums, run.zone_flow[0, 0])
    assert 1.0 < max(cooling_k) < 0.5 * MOST_COOLING_K
    assert -40.0 < max(above_trip_k) < 0.0 < TRIP_OVERSHOOT_K


def test_foresight_and_rules_stay_below_the_bound_and_foresight_comes_near(small: Scenario) -> None:
    config = EnvConfig(scenario=small, split="test")
    bound = bound_trace(config)
    probe = Batch(replace(config, action="profile"))
    plan = Foresight(probe.site, probe.profiles[0], probe.exogenous, 24.0)
    others = yardsticks(config, Tuning(4.5, 1.1, 0.0, {}))
    traces = {policy.name: run(policy, config, 0) for policy in [*others, plan]}
    for trace in traces.values():
        assert np.all(trace.profit_usd <= bound)
    assert traces["foresight_24h"].profit_usd.sum() >= max(
        trace.profit_usd.sum() for name, trace in traces.items() if not name.startswith("foresight")
    )
    # What the bound leaves out (heat, fans, water) is a share of turnover, whatever the margin of the weeks.
    best = traces["foresight_24h"]
    assert bound.sum() - best.profit_usd.sum() < 0.07 * best.revenue_usd.sum()


def brute_force(values: dict[str, np.ndarray], n_boot: int, rest: float, n_young: int, start_usd: float) -> float:
    """Return the best over all sequences of sleep and wake commands and of trips, by enumeration."""
    best = -np.inf
    n_steps = len(values["mature"])
    for wants in itertools.product(("on", "off", "trip"), repeat=n_steps):
        state, age, total = "on", n_young, 0.0
        for t, want in enumerate(wants):
            if state == "off":
                if want != "on":
                    total += values["off"][t]
                    continue
                total -= start_usd
                state, age = ("boot", 0)
            if state == "boot" and want != "on":
                total += values["off"][t]
                state = "off"
            elif state == "boot" and age < n_boot:
                total += values["boot"][t]
                age += 1
            elif state == "boot":
                total += (1.0 - rest) * values["young"][t] + rest * values["boot"][t]
                state, age = "on", 0
            elif want != "on":
                total += values["leave"][t]
                state = "off"
            else:
                total += values["mature" if age >= n_young else "young"][t]
                age += 1
        best = max(best, total)
    return best


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("n_boot", "rest"), [(0, 0.1), (1, 0.0), (2, 0.5)])
def test_dynamic_programme_is_at_least_the_best_of_all_sequences(seed: int, n_boot: int, rest: float) -> None:
    rng = np.random.default_rng(seed)
    values = {name: rng.normal(0.0, 2.0, 7) for name in ARRAYS}
    values["off"] = -np.abs(values["off"]) * 0.1
    values["mature"] = np.minimum(values["mature"], values["young"])
    values["leave"] = np.maximum(values["young"], values["off"])
    args = [values[name] for name in ARRAYS]
    found = dynamic.bound_usd(*args, n_boot, rest, 2, 0.7)
    assert found >= brute_force(values, n_boot, rest, 2, 0.7) - 1e-9


@pytest.mark.interpreted
def test_plan_finds_the_best_of_all_choices_on_small_cases() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        n_steps, n_profiles, start_usd = 4, 2, 1.0
        earn, change = rng.normal(0.0, 2.0, (n_steps, n_profiles)), np.full((n_steps, n_profiles), 0.2)
        off, boot = np.full(n_steps, -0.1), np.full(n_steps, -0.3)
        choice = np.empty((n_steps, n_profiles + 1), np.int64)
        dynamic.plan(earn, change, boot, off, 0, start_usd, 0.0, choice)

        def value(first: int, rest: tuple[int, ...], earn: np.ndarray = earn, start_usd: float = start_usd) -> float:
            total, state = 0.0, 1
            for t, want in enumerate((first, *rest)):
                total += -0.1 if want == 0 else earn[t, want - 1]
                total -= start_usd if state == 0 and want > 0 else 0.2 if state != want and want > 0 else 0.0
                state = want
            return total

        options = list(itertools.product(range(n_profiles + 1), repeat=n_steps - 1))
        best = max(range(n_profiles + 1), key=lambda first: max(value(first, rest) for rest in options))
        assert int(choice[0, 1]) == best


def test_more_than_one_zone_is_refused(two_zones: Scenario) -> None:
    batch = Batch(EnvConfig(scenario=two_zones))
    with pytest.raises(ValueError, match="one zone"):
        upper_bound(batch.site, batch.exogenous, range(100, 200))
    with pytest.raises(ValueError, match="one zone"):
        Foresight(batch.site, batch.profiles[0], batch.exogenous, 6.0)
