from dataclasses import replace

import pytest

from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.hardware import catalogue
from hashgym.sim.site.params import SiteParams, ZoneParams
from tests.conftest import site

pytestmark = pytest.mark.interpreted


@pytest.mark.parametrize(
    ("name", "value"),
    [("psu_efficiency", 0.0), ("profiles_mhz", (500.0, 400.0)), ("rated_power_w", -1.0), ("profiles_mhz", (500.0,))],
)
def test_machine_out_of_range_is_named(name: str, value: object) -> None:
    with pytest.raises(BadInputError, match=name):
        replace(catalogue.machine("s21"), **{name: value})


@pytest.mark.parametrize(
    ("name", "value"), [("boot_power_frac", 1.5), ("trip_temp_c", 60.0), ("boot_s", -1.0), ("fan_min_pu", 1.0)]
)
def test_firmware_out_of_range_is_named(name: str, value: float) -> None:
    with pytest.raises(BadInputError, match=name):
        replace(catalogue.firmware("slow_tuner"), **{name: value})


def test_zone_and_site_out_of_range_are_named() -> None:
    with pytest.raises(BadInputError, match="n_units"):
        ZoneParams(machine=catalogue.machine("s21"), firmware=catalogue.firmware("slow_tuner"), n_units=0)
    with pytest.raises(BadInputError, match="zones"):
        SiteParams(zones=())
    with pytest.raises(BadInputError, match="altitude_m"):
        site(altitude_m=9000.0)


def test_thin_air_carries_less_heat() -> None:
    high, low = site(altitude_m=2000.0).zone_record[0], site(altitude_m=0.0).zone_record[0]
    assert high["full_air_w_per_k"] < low["full_air_w_per_k"]
    assert high["sink_full_w_per_k"] < low["sink_full_w_per_k"]
