"""A ventilated container with an evaporative wall: what an engineer would check by hand."""

from dataclasses import replace

import numpy as np
import pytest

from hashgym.sim.cooling.plants import ContainerParams
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.hardware import catalogue
from hashgym.sim.hardware.firmware import HASHING
from hashgym.sim.site.params import SiteParams
from hashgym.sim.site.step import Site
from tests.conftest import weather
from tests.sim.one_zone import TOP, events, flow, steady, zone

pytestmark = pytest.mark.interpreted


def test_intake_or_exhaust_fans_too_small_push_hot_air_back() -> None:
    def inlet(**options: float) -> float:
        return flow(steady(SiteParams(zones=(zone(plant=ContainerParams(**options)),)), 24.0), "inlet_temp_c")

    full = inlet(intake_flow_frac=1.2)
    assert inlet(intake_flow_frac=0.5) > full + 3.0
    assert inlet(intake_flow_frac=1.2, exhaust_flow_frac=0.5) == pytest.approx(inlet(intake_flow_frac=0.5), abs=0.2)


def test_exhaust_fans_of_their_own_draw_power() -> None:
    plain = steady(SiteParams(zones=(zone(),)), 30.0)
    both = steady(
        SiteParams(zones=(zone(plant=ContainerParams(exhaust_flow_frac=1.0, exhaust_fan_w_per_m3_per_s=200.0)),)), 30.0
    )
    assert flow(both, "cooling_energy_kwh") > flow(plain, "cooling_energy_kwh")


def test_machines_that_work_have_the_air_of_those_that_do_not() -> None:
    site = SiteParams(zones=(zone(plant=ContainerParams(intake_flow_frac=0.5)),))
    full = steady(site, 24.0)
    half = steady(site, 24.0, events=events(1, online_frac=(slice(None), 0.5)))
    assert flow(half, "inlet_temp_c") < flow(full, "inlet_temp_c") - 2.0


def test_pads_go_on_and_off_with_hysteresis() -> None:
    plant = ContainerParams(pad_on_temp_c=28.0, pad_off_temp_c=25.0)
    outdoor_c = np.array([20.0, 27.0, 28.0, 27.0, 25.5, 25.0, 27.0])
    run = Site(SiteParams(zones=(zone(plant=plant),)), weather(len(outdoor_c), outdoor_c))
    water_l = []
    for _ in outdoor_c:
        run.step(np.array([[TOP]]))
        water_l.append(flow(run, "water_l"))
    assert [value > 0.0 for value in water_l] == [False, False, True, True, True, False, False]


def test_a_wet_wall_supplies_air_near_the_wet_bulb() -> None:
    def supply_c(effectiveness: float) -> float:
        plant = ContainerParams(pad_effectiveness=effectiveness)
        return flow(steady(SiteParams(zones=(zone(plant=plant),)), 35.0), "supply_temp_c")

    # The weather of these tests has its wet bulb 5 K below its dry bulb.
    assert supply_c(0.8) == pytest.approx(35.0 - 0.8 * 5.0)
    assert supply_c(0.0) == pytest.approx(35.0)


def test_a_leak_warms_the_inlet_by_its_share_of_the_exhaust() -> None:
    def inlet_c(leak_frac: float) -> float:
        plant = ContainerParams(leak_frac=leak_frac, intake_flow_frac=1.5)
        return flow(steady(SiteParams(zones=(zone(plant=plant),)), 15.0), "inlet_temp_c")

    inlets = [inlet_c(leak_frac) for leak_frac in (0.0, 0.05, 0.1, 0.2)]
    assert inlets[0] == pytest.approx(15.0, abs=0.01)
    assert np.all(np.diff(inlets) > 0.3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"leak_frac": 1.0}, "ContainerParams.leak_frac is 1.0; it must be below 1"),
        ({"intake_flow_frac": 0.0}, "ContainerParams.intake_flow_frac is 0.0; it must be above 0"),
        ({"pad_off_temp_c": 40.0}, "ContainerParams.pad_off_temp_c is 40.0; it must be below pad_on_temp_c"),
        ({"pad_effectiveness": 1.1}, "ContainerParams.pad_effectiveness is 1.1; it must be between 0 and 1"),
        ({"bleed_frac": -0.1}, "ContainerParams.bleed_frac is -0.1; it must be 0 or more"),
    ],
)
def test_a_container_that_cannot_be_is_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        ContainerParams(**options)


def test_a_container_takes_machines_that_are_cooled_by_air_alone() -> None:
    with pytest.raises(BadInputError, match="one for machines that are cooled by liquid"):
        zone("s21_hyd")


@pytest.mark.parametrize("outdoor_c", [-10.5, -25.0])
def test_machines_that_slept_for_three_hours_in_the_cold_start_again(outdoor_c: float) -> None:
    site = SiteParams(zones=(zone(),))
    asleep = steady(site, outdoor_c, hours=3, setpoint=0.0)
    assert float(asleep.state.zone["inlet_temp_c"][0, 0]) == pytest.approx(5.0, abs=0.5)  # the damper's limit
    woken = Site(site, weather(12, outdoor_c))
    woken.state.zone[...] = asleep.state.zone
    for _ in range(12):
        woken.step(np.array([[TOP]]))
    assert float(woken.state.zone["mode"][0, 0]) == HASHING


def test_a_container_spends_about_a_hundredth_on_its_fans_in_mild_weather() -> None:
    # Staged fans: 0.7 to 1.3 % of the machines' power from 0 to 30 °C, where speed-controlled ones took 0.1 to 0.8 %.
    shares = [
        flow(run, "cooling_energy_kwh") / flow(run, "it_energy_kwh")
        for run in (steady(SiteParams(zones=(zone(),)), outdoor_c) for outdoor_c in (0.0, 20.0, 25.0))
    ]
    assert all(0.006 < share < 0.014 for share in shares)


def test_fans_do_not_turn_slower_than_telemetry_shows() -> None:
    # LuxOS, S19k Pro at 1.1 kW and a duty of 20 %: 0.346 of full speed, intake 33.5 and exhaust 47 °C.
    params = SiteParams(
        zones=(zone("s19k_pro", plant=ContainerParams(pad_effectiveness=0.0, leak_frac=0.0)),), altitude_m=0.0
    )
    low = steady(params, 33.5, setpoint=290.0)
    assert float(low.state.zone["fan_pu"][0, 0]) == pytest.approx(0.346, abs=0.01)
    assert flow(low, "exhaust_temp_c") == pytest.approx(47.0, abs=4.0)
    for machine in ("s19j_pro", "s19k_pro", "s19_xp", "s21"):
        run = steady(SiteParams(zones=(zone(machine),), altitude_m=0.0), 20.0)
        assert flow(run, "exhaust_temp_c") < 60.0, machine


@pytest.mark.parametrize(
    ("machine", "outdoor_c", "hashes"), [("s21", 43.0, True), ("s21", 48.0, False), ("s19j_pro", 48.0, False)]
)
def test_machines_shut_down_above_their_inlet_limit_and_wait_until_it_is_cooler(
    machine: str, outdoor_c: float, hashes: bool
) -> None:
    # Source: review of the S21, off above 47 °C.
    site = SiteParams(zones=(zone(machine, plant=ContainerParams(pad_effectiveness=0.0, intake_flow_frac=2.0)),))
    hot = steady(site, outdoor_c)
    assert (flow(hot, "hash_th") > 0.0) == hashes
    cooler = Site(site, weather(24, 42.0))
    cooler.state.zone[...] = hot.state.zone
    for _ in range(24):
        cooler.step(np.array([[TOP]]))
    assert float(cooler.state.zone["mode"][0, 0]) == HASHING


def test_an_outlet_that_is_too_hot_shuts_the_machines_down() -> None:
    fragile = replace(catalogue.machine("s21"), outlet_off_temp_c=45.0)
    site = SiteParams(zones=(replace(zone("s21"), machine=fragile),))
    run = Site(site, weather(24, 25.0))
    trips = []
    for _ in range(24):
        run.step(np.array([[TOP]]))
        trips.append(flow(run, "trips"))
    assert sum(trips) > 0.0
