"""One machine on the bench: laws of voltage, heat and silicon, in compiled form and as plain Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashgym.sim.hardware import bench, catalogue, machine
from hashgym.sim.site.params import SiteParams, ZoneParams

pytestmark = pytest.mark.interpreted

ZONE = ZoneParams(machine=catalogue.machine("s19j_pro"), firmware=catalogue.firmware("slow_tuner"), n_units=1)
P = SiteParams(zones=(ZONE,)).zone_record[0]


def stock_v(freq_mhz: float) -> float:
    return float(machine.rail_voltage_v(freq_mhz, P["ref_mhz"], P["ref_v"], P["slope_v_per_mhz"], P["floor_v"]))


def test_the_mean_unit_at_stock_is_the_model() -> None:
    freq = ZONE.max_mhz
    power_w, ths, hot_c, error, fan_pu = bench.steady_state(P, freq, stock_v(freq), 25.0, 0.0, 0.0)
    assert power_w == pytest.approx(ZONE.ladder.listed_power_w[-1], rel=0.03)
    assert ths == pytest.approx(ZONE.ladder.listed_hashrate_ths[-1], rel=0.01)
    assert hot_c == pytest.approx(ZONE.firmware.fan_target_temp_c, abs=1.0)
    assert error < 0.005
    assert 0.0 < fan_pu < 1.0


def test_chips_fail_as_their_needs_are_spread() -> None:
    need = 1.0 - bench.STOCK_MARGIN_FRAC
    # At exactly what the mean chip needs half of them fail; one spread above it a sixth.
    assert bench.failing_frac(need, 1.0, 0.0, 70.0) == pytest.approx(0.5)
    assert bench.failing_frac(need + bench.CHIP_SPREAD_FRAC, 1.0, 0.0, 70.0) == pytest.approx(0.1587, abs=1e-3)
    assert bench.failing_frac(1.0, 1.0, 0.0, 70.0) < 0.002
    assert bench.failing_frac(1.0, 1.0, bench.STOCK_MARGIN_FRAC, 70.0) == pytest.approx(0.5)
    assert bench.failing_frac(1.0, 1.0, 0.0, 95.0) > bench.failing_frac(1.0, 1.0, 0.0, 70.0)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0.6, 1.1),
    st.floats(0.9, 1.04),
    st.floats(-10.0, 45.0),
    st.floats(-0.03, 0.03),
    st.floats(-0.4, 0.4),
)
def test_laws_hold_everywhere(freq_pu: float, volt_pu: float, inlet_c: float, silicon: float, leak: float) -> None:
    freq = freq_pu * ZONE.max_mhz
    rail = volt_pu * stock_v(freq)
    power_w, ths, hot_c, error, fan_pu = bench.steady_state(P, freq, rail, inlet_c, silicon, leak)
    assert all(np.isfinite((power_w, ths, hot_c, error, fan_pu)))
    assert 0.0 <= error <= 1.0
    assert 0.0 <= fan_pu <= 1.0
    assert inlet_c < hot_c <= 150.0
    more = bench.steady_state(P, freq, 1.01 * rail, inlet_c, silicon, leak)
    assert more[0] > power_w
    warmer = bench.steady_state(P, freq, rail, inlet_c + 5.0, silicon, leak)
    assert warmer[2] >= hot_c - 1e-9
    poorer = bench.steady_state(P, freq, rail, inlet_c, silicon + 0.01, leak)
    assert poorer[1] <= ths
