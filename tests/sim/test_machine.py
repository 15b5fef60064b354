import numpy as np
import pytest

from hashgym.sim import cooling, machine, models, wear
from hashgym.sim.errors import BadInputError
from hashgym.sim.fitting import fit

pytestmark = pytest.mark.interpreted


@pytest.mark.parametrize("key", models.machine_names())
def test_fit_reproduces_the_published_watts(key: str) -> None:
    published = models.published()
    coefficients, error = fit(published["machines"][key], published["common"])
    assert np.median(np.abs(error)) <= 0.03
    assert np.max(np.abs(error)) <= 0.08
    stored = models._read("fitted.yaml")[key]["coefficients"]
    assert stored == pytest.approx(coefficients, rel=1e-6)


@pytest.mark.parametrize("key", models.machine_names())
def test_modelled_hashrate_is_within_four_percent_of_the_published(key: str) -> None:
    params, points = models.machine(key), np.array(models.published()["machines"][key]["points"], dtype=np.float64)
    assert points[:, 0] * params.ths_per_mhz == pytest.approx(points[:, 3], rel=0.04)


def test_efficiency_has_its_optimum_inside_the_published_range() -> None:
    params = models.machine("s19j_pro")
    freq = np.arange(145.0, 646.0, 5.0)
    joules = np.array([params.power_w(f, 65.0, 0.6) / (f * params.ths_per_mhz) for f in freq])
    best = freq[np.argmin(joules)]
    assert params.power_w(float(best), 65.0, 0.6) / params.rated_power_w == pytest.approx(0.55, abs=0.10)


@pytest.mark.parametrize("key", models.machine_names())
def test_ladder_stays_within_half_and_whole_of_rated_power(key: str) -> None:
    params = models.machine(key)
    share = params.profile_power_w / params.rated_power_w
    assert share[-1] < 1.03
    assert share[0] > 0.42
    assert np.all(np.diff(params.profile_power_w) > 0.0)


def test_hot_chips_leak_more_and_err_more() -> None:
    assert machine.leakage_w(13.0, 80.0, 1.0, 65.0, 0.02) > machine.leakage_w(13.0, 60.0, 1.0, 65.0, 0.02)
    assert machine.error_frac(90.0, 0.001, 70.0, 0.1) > machine.error_frac(60.0, 0.001, 70.0, 0.1)
    assert machine.error_frac(500.0, 0.001, 70.0, 0.1) == 1.0


def test_fan_power_is_cubic_in_speed() -> None:
    assert cooling.fan_power_w(0.5, 80.0) == 10.0


def test_pad_cools_towards_the_wet_bulb_and_takes_water() -> None:
    supply_c = cooling.supply_temp_c(38.0, 22.0, 0.8)
    assert 22.0 < supply_c < 38.0
    assert cooling.pad_water_kg_per_s(200.0, 38.0, supply_c, 0.25) == pytest.approx(200.0 * 12.8 / 2.43e6 * 1.25)
    assert cooling.pad_water_kg_per_s(200.0, 38.0, 38.0, 0.25) == 0.0


def test_no_flow_holds_a_target_below_the_air() -> None:
    assert cooling.holding_sink_pu(3000.0, 40.0, 45.0, 0.005, 100.0) == np.inf


def test_ageing_doubles_within_ten_to_thirteen_kelvin() -> None:
    assert wear.ageing_factor(70.0) == 1.0
    assert wear.ageing_factor(80.0) < 2.0 < wear.ageing_factor(83.0)


def test_unknown_keys_list_what_there_is() -> None:
    with pytest.raises(BadInputError, match="s19j_pro"):
        models.machine("s99")
    with pytest.raises(BadInputError, match="slow_tuner"):
        models.firmware("none")
