"""A ventilated container with an evaporative wall: what an engineer would check by hand."""

import numpy as np
import pytest

from hashgym.sim.cooling.plants import ContainerParams
from hashgym.sim.foundation.errors import BadInputError
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
