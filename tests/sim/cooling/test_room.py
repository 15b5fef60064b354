"""A room with an economizer and a chiller: what an engineer would check by hand."""

import numpy as np
import pytest

from hashgym.sim.cooling.plants import RoomParams
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.site.params import SiteParams
from tests.sim.one_zone import flow, steady, zone

pytestmark = pytest.mark.interpreted


def test_a_room_holds_its_supply_with_outdoor_air_first_and_its_chiller_then() -> None:
    site = SiteParams(zones=(zone(plant=RoomParams()),))
    cool, mild, hot = (steady(site, temp_c) for temp_c in (0.0, 22.0, 38.0))
    for run in (cool, mild, hot):
        assert flow(run, "supply_temp_c") == pytest.approx(24.0, abs=0.3)
    assert flow(cool, "chiller_heat_kwh") == flow(cool, "water_l") == 0.0
    assert flow(hot, "chiller_heat_kwh") > 0.0
    assert float(hot.site_flow["pue"][0]) > float(cool.site_flow["pue"][0]) > 1.0
    assert 0.5 < float(hot.site_flow["wue_l_per_kwh"][0]) < 3.0


def test_a_chiller_too_small_lets_the_room_warm_up() -> None:
    site = SiteParams(zones=(zone(plant=RoomParams(chiller_w_per_unit=500.0)),))
    assert flow(steady(site, 38.0), "supply_temp_c") > 28.0


def test_a_sleeping_room_does_not_run_its_chiller() -> None:
    run = steady(SiteParams(zones=(zone(plant=RoomParams()),)), 38.0, setpoint=0.0)
    assert flow(run, "chiller_heat_kwh") == flow(run, "cooling_energy_kwh") == 0.0


def test_a_dry_condenser_costs_more_power_and_no_water() -> None:
    wet, dry = (steady(SiteParams(zones=(zone(plant=RoomParams(condenser_is_wet=w)),)), 35.0) for w in (1.0, 0.0))
    assert flow(dry, "chiller_energy_kwh") > 1.2 * flow(wet, "chiller_energy_kwh")
    assert flow(wet, "water_l") > 0.0 == flow(dry, "water_l")


@pytest.mark.parametrize("temp_c", [10.0, 24.0, 38.0])
def test_a_warmer_supply_spares_the_chiller_in_any_weather(temp_c: float) -> None:
    def chiller_kwh(target_c: float) -> float:
        plant = RoomParams(supply_target_c=target_c)
        return flow(steady(SiteParams(zones=(zone(plant=plant),)), temp_c), "chiller_energy_kwh")

    used = [chiller_kwh(target_c) for target_c in (20.0, 23.0, 26.0)]
    assert np.all(np.diff(used) < 1e-12)
    assert (used[2] < used[0] - 1e-3) == (temp_c > 20.0)


def test_a_chiller_takes_the_machines_heat_where_outdoor_air_is_too_hot_to_help() -> None:
    plant = RoomParams(supply_target_c=20.0, outdoor_min_frac=0.0)
    run = steady(SiteParams(zones=(zone(plant=plant),)), 48.0)
    fan_kwh = flow(run, "cooling_energy_kwh") - flow(run, "chiller_energy_kwh")
    assert flow(run, "supply_temp_c") == pytest.approx(20.0, abs=0.05)
    assert flow(run, "chiller_heat_kwh") == pytest.approx(flow(run, "it_energy_kwh") + fan_kwh, rel=0.03)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chilled_water_c": 30.0}, "RoomParams.chilled_water_c is 30.0; it must be below supply_target_c"),
        ({"chiller_w_per_unit": 0.0}, "RoomParams.chiller_w_per_unit is 0.0; it must be above 0"),
        ({"outdoor_min_frac": 1.5}, "RoomParams.outdoor_min_frac is 1.5; it must be between 0 and 1"),
        ({"leak_frac": 1.0}, "RoomParams.leak_frac is 1.0; it must be below 1"),
    ],
)
def test_a_room_that_cannot_be_is_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        RoomParams(**options)
