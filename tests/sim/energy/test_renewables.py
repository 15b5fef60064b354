"""Sun and wind: what pvlib and a turbine's curve make of the weather, and measured series in their place."""

from dataclasses import replace

import numpy as np
import pytest

from hashgym.sim.energy.renewables import SunParams, WindParams
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.history.history import History
from hashgym.synthesis.generate import synthesize

SUN = SunParams(power_w=1.0e6, latitude_deg=32.8, longitude_deg=-96.8)


@pytest.fixture(scope="module")
def world() -> History:
    return synthesize("ercot", "2024-06-01", "2024-06-15", 3, weather=("sun", "wind"))


def test_the_sun_shines_by_day_and_never_above_rated_power(world: History) -> None:
    power = SUN.power_w_of(world)
    hour = world.frame.index.tz_convert(world.timezone).hour  # type: ignore[attr-defined]
    assert power[(hour < 5) | (hour > 21)].max() == 0.0
    assert 0.5e6 < power[(hour >= 12) & (hour < 15)].mean() < 0.95e6
    assert power.max() <= 1.0e6
    assert 0.2 < power.mean() / 1.0e6 < 0.35  # June in Texas


def test_modules_lose_a_third_of_a_percent_a_kelvin(world: History) -> None:
    def mean(temp_c: float) -> float:
        return float(SUN.power_w_of(replace(world, frame=world.frame.assign(outdoor_temp_c=temp_c))).mean())

    assert mean(40.0) / mean(20.0) == pytest.approx(1.0 - 20.0 * 0.0035 / (1.0 - 0.0035 * 15.0), abs=0.02)


def test_a_turbine_stands_in_a_breeze_and_in_a_storm(world: History) -> None:
    def power(wind_m_per_s: float) -> float:
        frame = world.frame.assign(wind_speed_m_per_s=wind_m_per_s)
        return float(
            WindParams(power_w=1e6, hub_height_m=10.0, losses_frac=0.0).power_w_of(replace(world, frame=frame))[0]
        )

    assert [power(v) for v in (2.0, 8.0, 16.0, 26.0)] == pytest.approx([0.0, 0.362e6, 1e6, 0.0])
    assert WindParams(power_w=1e6).power_w_of(world).mean() > 0.2e6


def test_measured_series_stand_in_the_place_of_models(world: History) -> None:
    frame = world.frame.assign(sun_power_pu=0.25, wind_power_pu=0.5)
    measured = replace(world, frame=frame)
    assert SUN.power_w_of(measured) == pytest.approx(np.full(len(frame), 0.25e6))
    assert WindParams(power_w=2e6).power_w_of(measured) == pytest.approx(np.full(len(frame), 1e6))


def test_a_history_without_sun_or_wind_is_refused_with_the_remedy() -> None:
    bare = synthesize("ercot", "2024-06-01", "2024-06-03", 3)
    with pytest.raises(BadInputError, match=r"needs the column 'ghi_w_per_m2' .*history.weather: \[sun\]"):
        SUN.power_w_of(bare)
    with pytest.raises(BadInputError, match="wind_speed_m_per_s"):
        WindParams(power_w=1e6).power_w_of(bare)
    with pytest.raises(BadInputError, match="latitude_deg is 95.0"):
        SunParams(power_w=1e6, latitude_deg=95.0, longitude_deg=0.0)
