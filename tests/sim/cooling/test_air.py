"""Air around machines: wetted pads, towers and recirculation."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashgym.sim.cooling import air

pytestmark = pytest.mark.interpreted


def test_pad_cools_towards_the_wet_bulb_and_takes_water() -> None:
    supply_c = air.supply_temp_c(38.0, 22.0, 0.8)
    assert 22.0 < supply_c < 38.0
    assert air.pad_water_kg_per_s(200.0, 38.0, supply_c, 0.25) == pytest.approx(200.0 * 12.8 / 2.43e6 * 1.25)
    assert air.pad_water_kg_per_s(200.0, 38.0, 38.0, 0.25) == 0.0


def test_a_tower_evaporates_about_a_kilogram_and_a_half_a_kilowatt_hour() -> None:
    assert air.evaporated_kg_per_s(1000.0, 0.0) * 3600.0 == pytest.approx(1.48, abs=0.01)
    assert air.evaporated_kg_per_s(1000.0, 0.25) == pytest.approx(1.25 * air.evaporated_kg_per_s(1000.0, 0.0))


def ratio(machine_flow: float = 1.0, supply_flow: float = 2.0, leak: float = 0.0, supply_c: float = 20.0) -> float:
    return air.recirculation_ratio(machine_flow, supply_flow, leak, 5.0, supply_c, 60.0, 0.3, 1.0, 4.0)


def test_machines_take_from_their_exhaust_what_the_supply_does_not_deliver() -> None:
    assert ratio() == 0.0
    assert ratio(supply_flow=0.5) == pytest.approx(1.0)  # half of the air is fresh
    assert ratio(leak=0.2) == pytest.approx(0.25)
    assert ratio(supply_flow=0.5, leak=0.2) == pytest.approx(1.0)  # the leak is part of what is missing


@given(supply_c=st.floats(-40.0, 40.0), leak=st.floats(0.0, 0.5), supply_flow=st.floats(0.1, 2.0))
def test_colder_air_is_never_mixed_less_and_the_damper_ends_at_a_fifth(
    supply_c: float, leak: float, supply_flow: float
) -> None:
    found = ratio(supply_flow=supply_flow, leak=leak, supply_c=supply_c)
    assert 0.0 <= found <= 4.0
    assert ratio(supply_flow=supply_flow, leak=leak, supply_c=supply_c - 5.0) >= found


@given(supply_c=st.floats(-30.0, 4.9))
def test_the_damper_mixes_until_the_inlet_is_at_its_limit(supply_c: float) -> None:
    back = ratio(supply_c=supply_c)
    # Exhaust is warmer than the inlet by what heatsinks and fans give to the air, here at an inlet of 5 °C.
    exhaust_c = 5.0 + 0.3 * (60.0 - 5.0) + 1.0
    inlet_c = (supply_c + back * exhaust_c) / (1.0 + back)
    assert inlet_c == pytest.approx(5.0) or back == 4.0


def test_the_damper_closes_when_machines_are_cold_as_long_as_their_exhaust_is_the_warmer_air() -> None:
    def back(supply_c: float, sink_c: float) -> float:
        return air.recirculation_ratio(0.05, 1.0, 0.02, 5.0, supply_c, sink_c, 0.5, 1.0, 15.0)

    assert back(-10.5, 4.0) == pytest.approx(
        15.0
    )  # cold machines, colder air: all that there is of warmth stays inside
    assert back(-10.5, 0.0) == back(-10.5, 4.0)
    assert back(-1.0, -20.0) == pytest.approx(0.02 / 0.98)  # outdoor air is the warmer one: it comes in


@settings(deadline=None)
@given(flow_pu=st.floats(0.0, 1.0), stages=st.integers(1, 20))
def test_a_staged_bank_never_draws_less_than_one_whose_speed_is_controlled(flow_pu: float, stages: int) -> None:
    staged = air.bank_power_w(flow_pu, float(stages), 80.0)
    assert air.bank_power_w(flow_pu, 0.0, 80.0) <= staged + 1e-6
    assert staged <= 80.0
    assert staged == pytest.approx(80.0 * round(staged / 80.0 * stages) / stages)
