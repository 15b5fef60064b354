"""Moist air against psychrolib, tables and its own inverses."""

import numpy as np
import psychrolib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashgym.sim.cooling import psychrometrics as moist

ALTITUDES_M = (-100.0, 0.0, 900.0, 2000.0, 4500.0)
DRY_C = (-40.0, -15.0, -0.5, 0.0, 0.005, 5.0, 20.0, 35.0, 50.0)


@pytest.fixture(scope="module", autouse=True)
def si_units() -> None:
    psychrolib.SetUnitSystem(psychrolib.SI)


@pytest.mark.parametrize("altitude_m", ALTITUDES_M)
def test_pressure_falls_with_height_as_the_standard_atmosphere(altitude_m: float) -> None:
    assert moist.pressure_pa(altitude_m) == pytest.approx(psychrolib.GetStandardAtmPressure(altitude_m), rel=1e-6)


@pytest.mark.parametrize(
    ("temp_c", "table_pa"), [(-40.0, 12.84), (-10.0, 259.9), (0.01, 611.7), (20.0, 2338.8), (50.0, 12349.9)]
)
def test_saturation_pressure_is_that_of_the_tables(temp_c: float, table_pa: float) -> None:
    # ASHRAE Handbook Fundamentals 2017, ch. 1, table 3.
    assert moist.saturation_pa(temp_c) == pytest.approx(table_pa, rel=1e-3)
    assert moist.saturation_pa(temp_c) == pytest.approx(psychrolib.GetSatVapPres(temp_c), rel=1e-6)


@pytest.mark.parametrize("altitude_m", ALTITUDES_M)
@pytest.mark.parametrize("dry_c", DRY_C)
def test_the_wet_bulb_is_psychrolib_s(dry_c: float, altitude_m: float) -> None:
    pressure = psychrolib.GetStandardAtmPressure(altitude_m)
    for share in (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0):
        theirs = psychrolib.GetTWetBulbFromRelHum(dry_c, share, pressure)
        ours = moist.wet_bulb_temp_c(np.array([dry_c]), np.array([100.0 * share]), altitude_m)[0]
        assert ours == pytest.approx(theirs, abs=0.02)


@pytest.mark.parametrize("dry_c", DRY_C)
def test_humidity_ratio_of_a_wet_bulb_is_psychrolib_s(dry_c: float) -> None:
    pressure = psychrolib.GetStandardAtmPressure(900.0)
    for depression_k in (0.0, 1.0, 4.0):
        wet_c = dry_c - depression_k
        theirs = max(0.0, psychrolib.GetHumRatioFromTWetBulb(dry_c, wet_c, pressure))
        # psychrolib has a floor of 1e-7 under its ratios.
        assert moist.humidity_of_wet_bulb(dry_c, wet_c, 900.0) == pytest.approx(theirs, rel=1e-3, abs=2e-7)


@pytest.mark.parametrize("dry_c", [-20.0, 0.0, 15.0, 40.0])
def test_dew_point_and_humidity_are_near_psychrolib_s(dry_c: float) -> None:
    # The Magnus formula is over water: below freezing psychrolib's dew point, over ice, is higher.
    for share in (0.2, 0.6, 0.95):
        theirs = psychrolib.GetTDewPointFromRelHum(dry_c, share)
        ours = moist.dew_point_temp_c(np.array([dry_c]), np.array([100.0 * share]))[0]
        assert ours == pytest.approx(theirs, abs=0.1 if theirs > 0.0 else 4.0)


@given(dry_c=st.floats(-40.0, 55.0), humidity_pct=st.floats(1.0, 100.0))
def test_dew_point_and_relative_humidity_are_inverses(dry_c: float, humidity_pct: float) -> None:
    dry, humidity = np.array([dry_c]), np.array([humidity_pct])
    dew = moist.dew_point_temp_c(dry, humidity)
    assert dew[0] <= dry_c + 1e-9
    assert moist.relative_humidity_pct(dry, dew)[0] == pytest.approx(humidity_pct)


@given(dry_c=st.floats(-40.0, 55.0), humidity_pct=st.floats(1.0, 100.0), altitude_m=st.floats(0.0, 4000.0))
def test_the_humidity_of_a_wet_bulb_is_that_it_came_from(dry_c: float, humidity_pct: float, altitude_m: float) -> None:
    wet_c = float(moist.wet_bulb_temp_c(np.array([dry_c]), np.array([humidity_pct]), altitude_m)[0])
    ratio = moist.humidity_of_wet_bulb(dry_c, wet_c, altitude_m)
    assert moist.humidity_after_pct(np.array([dry_c]), np.array([ratio]), altitude_m)[0] == pytest.approx(
        humidity_pct, rel=2e-3
    )


@given(dry_c=st.floats(-40.0, 55.0), low=st.floats(1.0, 100.0), high=st.floats(1.0, 100.0))
def test_wetter_air_has_the_higher_wet_bulb_and_none_is_above_the_dry_bulb(
    dry_c: float, low: float, high: float
) -> None:
    dry, humidity = np.full(2, dry_c), np.array(sorted((low, high)))
    wet = moist.wet_bulb_temp_c(dry, humidity)
    assert wet[0] <= wet[1] + 1e-9
    assert wet[1] <= dry_c


def test_air_is_at_most_saturated() -> None:
    assert moist.relative_humidity_pct(np.array([15.0]), np.array([25.0]))[0] == 100.0
    assert moist.humidity_after_pct(np.array([10.0]), np.array([0.05]))[0] == 100.0
    assert moist.wet_bulb_temp_c(np.array([20.0]), np.array([150.0]))[0] == pytest.approx(20.0)


def test_shapes_are_broadcast() -> None:
    wet = moist.wet_bulb_temp_c(np.array([[10.0], [30.0]]), np.array([20.0, 50.0, 90.0]), 900.0)
    assert wet.shape == (2, 3)
    assert wet[1, 0] == moist.wet_bulb_temp_c(np.array([30.0]), np.array([20.0]), 900.0)[0]
