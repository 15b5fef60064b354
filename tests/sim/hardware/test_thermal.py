import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from hashgym.sim.hardware import thermal

pytestmark = pytest.mark.interpreted

POWERS = st.floats(0.0, 4000.0)
TEMPS = st.floats(-40.0, 110.0)
FLOWS = st.floats(8.0, 200.0)


def advance(
    chip_c: float, sink_c: float, heat_w: float, slope: float, air_c: float, air_w_per_k: float, dt_s: float = 60.0
) -> tuple[float, ...]:
    return thermal.two_lumps(chip_c, sink_c, heat_w, slope, air_c, 660.0, air_w_per_k, 600.0, 6000.0, dt_s)


@given(chip_c=TEMPS, sink_c=TEMPS, heat_w=POWERS, air_c=st.floats(-40.0, 60.0), air_w_per_k=FLOWS)
def test_heat_stored_is_heat_given_less_heat_taken(
    chip_c: float, sink_c: float, heat_w: float, air_c: float, air_w_per_k: float
) -> None:
    slope = 3.0
    end_c, end_s, mean_c, mean_s = advance(chip_c, sink_c, heat_w, slope, air_c, air_w_per_k)
    given_j = (heat_w + slope * (mean_c - chip_c)) * 60.0
    taken_j = air_w_per_k * (mean_s - air_c) * 60.0
    stored_j = 600.0 * (end_c - chip_c) + 6000.0 * (end_s - sink_c)
    assert stored_j == pytest.approx(given_j - taken_j, abs=1e-6 * (abs(given_j) + abs(taken_j) + 1.0))


@given(chip_c=TEMPS, sink_c=TEMPS, heat_w=POWERS, air_c=st.floats(-40.0, 60.0), air_w_per_k=FLOWS)
def test_cutting_a_span_changes_nothing(
    chip_c: float, sink_c: float, heat_w: float, air_c: float, air_w_per_k: float
) -> None:
    whole = advance(chip_c, sink_c, heat_w, 0.0, air_c, air_w_per_k, 60.0)
    half = advance(chip_c, sink_c, heat_w, 0.0, air_c, air_w_per_k, 30.0)
    again = advance(half[0], half[1], heat_w, 0.0, air_c, air_w_per_k, 30.0)
    assert again[:2] == pytest.approx(whole[:2], abs=1e-8)


@given(heat_w=POWERS, low=FLOWS, more=st.floats(0.1, 100.0))
def test_more_flow_is_never_hotter(heat_w: float, low: float, more: float) -> None:
    assert (
        advance(50.0, 50.0, heat_w, 0.0, 20.0, low + more)[0] <= advance(50.0, 50.0, heat_w, 0.0, 20.0, low)[0] + 1e-9
    )


def test_closed_form_agrees_with_a_numerical_solution() -> None:
    def slopes(_: float, temps: np.ndarray) -> list[float]:
        chip, sink = temps
        heat = 2800.0 + 5.0 * (chip - 40.0)
        return [(heat - 660.0 * (chip - sink)) / 600.0, (660.0 * (chip - sink) - 90.0 * (sink - 25.0)) / 6000.0]

    solved = solve_ivp(slopes, (0.0, 60.0), [40.0, 35.0], rtol=1e-11, atol=1e-11, method="LSODA")
    end = advance(40.0, 35.0, 2800.0, 5.0, 25.0, 90.0)
    assert end[:2] == pytest.approx(solved.y[:, -1], abs=1e-6)


@given(slope=st.floats(0.0, 1e4), air_w_per_k=FLOWS)
def test_limited_slope_keeps_a_stable_balance(slope: float, air_w_per_k: float) -> None:
    limited = thermal.stable_slope_w_per_k(slope, 660.0, air_w_per_k)
    assert limited <= slope
    assert limited < 660.0 * air_w_per_k / (660.0 + air_w_per_k)


@given(flow=st.floats(0.05, 1.0))
def test_flow_inverts_the_convection_law(flow: float) -> None:
    assert thermal.flow_pu(flow**thermal.CONVECTION_EXPONENT, 0.0) == pytest.approx(flow)
