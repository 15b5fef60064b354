"""Rear doors: a closed hall over a dry cooler, taken by every environment like any other plant."""

import gymnasium as gym
import numpy as np
import pytest

import hashgym.envs  # noqa: F401
from hashgym.envs.scenario import scenario as scenarios
from hashgym.sim.cooling.plants import PLANTS, RearDoorParams
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.hardware import catalogue
from hashgym.sim.site.params import SiteParams, ZoneParams
from hashgym.sim.site.step import Site
from tests.conftest import SMALL, weather

STEPS = 144


def settled(outdoor_temp_c: float, setpoint_pu: float = 1.0, **options: float) -> Site:
    zone = ZoneParams(
        machine=catalogue.machine("s19j_pro"),
        firmware=catalogue.firmware("slow_tuner"),
        plant=RearDoorParams(**options),
        n_units=100,
    )
    run = Site(SiteParams(zones=(zone,), altitude_m=0.0), weather(STEPS, outdoor_temp_c))
    for _ in range(STEPS):
        run.step(np.full((1, 1), setpoint_pu * zone.max_mhz))
    return run


def test_the_doors_take_the_heat_of_the_machines() -> None:
    run = settled(10.0)
    flow = run.zone_flow[0, 0]
    assert flow["heat_rejected_kwh"] + flow["stored_kwh"] == pytest.approx(
        flow["it_energy_kwh"] + flow["received_kwh"], rel=1e-9
    )
    # Supply air lies above the water by what the door leaves: (1 - ε) of the rise over ε.
    rise_k = float(flow["exhaust_temp_c"] - flow["supply_temp_c"])
    assert float(flow["supply_temp_c"]) - 24.0 == pytest.approx(rise_k * 0.15 / 0.85, rel=0.05)


def test_warm_weather_warms_the_water_and_its_fans_cost() -> None:
    mild, hot = settled(10.0), settled(35.0)
    assert hot.zone_flow["supply_temp_c"][0, 0] > mild.zone_flow["supply_temp_c"][0, 0] + 5.0
    assert hot.zone_flow["cooling_energy_kwh"][0, 0] > 2.0 * mild.zone_flow["cooling_energy_kwh"][0, 0]
    assert hot.site_flow["water_l"][0] == 0.0


def test_a_door_that_is_too_small_lets_the_hall_heat_up() -> None:
    tight, usual = settled(20.0, door_w_per_unit=2000.0), settled(20.0)
    # A door that is too small lets the inlet rise until the machines shut down, again and again.
    assert tight.zone_flow["hash_th"][0, 0] < usual.zone_flow["hash_th"][0, 0]
    assert (
        settled(20.0, door_w_per_unit=2900.0).state.zone["inlet_temp_c"][0, 0]
        > usual.state.zone["inlet_temp_c"][0, 0] + 5.0
    )


def test_a_cold_hall_does_not_follow_the_frost() -> None:
    flow = settled(-20.0, 0.6).zone_flow[0, 0]
    rise_k = float(flow["exhaust_temp_c"] - flow["supply_temp_c"])
    assert float(flow["supply_temp_c"]) == pytest.approx(24.0 + rise_k * 0.15 / 0.85, rel=0.02)


def test_wrong_doors_are_named() -> None:
    with pytest.raises(BadInputError, match="cooler_w_per_k"):
        RearDoorParams(cooler_w_per_k=1000.0)
    with pytest.raises(BadInputError, match="door_effectiveness"):
        RearDoorParams(door_effectiveness=1.2)


@pytest.mark.parametrize("env", ["HashrateTuning", "CoolingControl", "SiteOperation"])
def test_every_environment_takes_a_scenario_with_rear_doors(env: str) -> None:
    zones = [{"machine": "s19k_pro", "firmware": "slow_tuner", "n_units": 80, "plant": {"kind": "rear_door"}}] * 2
    world = scenarios.from_mapping({**SMALL, "name": "doors", "site": {"altitude_m": 0.0, "zones": zones}})
    envs = gym.make_vec(f"hashgym/{env}-v0", num_envs=3, scenario=world)
    envs.action_space.seed(0)
    envs.reset(seed=0)
    for _ in range(50):
        obs, reward, *_ = envs.step(envs.action_space.sample())
        assert np.isfinite(obs).all()
        assert np.isfinite(reward).all()
    if env != "HashrateTuning":
        names = [entry.name for entry in envs.unwrapped.actions]  # type: ignore[attr-defined]
        assert {"zone0_chip", "zone0_water"} <= set(names)


def test_a_scenario_names_the_kind() -> None:
    assert PLANTS["rear_door"] is RearDoorParams
