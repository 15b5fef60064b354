"""A battery: what goes in comes out less its losses, never more than it holds, and deep cycles age it more."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashgym.sim.energy import battery
from hashgym.sim.energy.battery import BatteryParams
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.site.state import SITE_STATE
from tests.conftest import site

pytestmark = pytest.mark.interpreted

PARAMS = BatteryParams(power_w=1.5e6, energy_wh=3.0e6)
STEP_KWH = 1500.0 / 12.0


def record(params: BatteryParams = PARAMS) -> np.void:
    return site(battery=params).site_record[0]


def state(charge_pu: float = 0.5, aged_frac: float = 0.0) -> np.void:
    found = np.zeros(1, SITE_STATE)
    found["battery_kwh"], found["battery_aged_frac"] = 3000.0 * charge_pu, aged_frac
    return found[0]


@settings(deadline=None)
@given(charge_pu=st.floats(0.0, 1.0), wanted_pu=st.floats(-1.5, 1.5), aged=st.floats(0.0, 1.0))
def test_what_is_drawn_is_stored_or_lost(charge_pu: float, wanted_pu: float, aged: float) -> None:
    now = state(charge_pu * (1.0 - 0.3 * aged), aged)
    before = float(now["battery_kwh"])
    moved = battery.move(now, record(), wanted_pu * STEP_KWH)
    assert moved.drawn_kwh == pytest.approx(float(now["battery_kwh"]) - before + moved.lost_kwh, abs=1e-9)
    assert moved.lost_kwh >= -1e-12
    assert moved.wear_usd >= 0.0
    assert -1e-9 <= now["battery_kwh"] <= battery.capacity_kwh(state(0.0, aged), record()) + 1e-9
    assert abs(moved.drawn_kwh) <= STEP_KWH + 1e-9


@settings(deadline=None)
@given(charge_pu=st.floats(0.0, 1.0), share=st.floats(0.0, 1.0))
def test_what_it_says_it_can_give_it_gives(charge_pu: float, share: float) -> None:
    now = state(charge_pu)
    wanted = battery.most_given_kwh(now, record()) * share
    assert battery.move(now, record(), -wanted).drawn_kwh == pytest.approx(-wanted, abs=1e-6)


def test_a_round_trip_at_full_power_keeps_eighty_eight_hundredths() -> None:
    now = state(0.2)
    drawn_kwh = sum(battery.move(now, record(), STEP_KWH).drawn_kwh for _ in range(12))
    gained_kwh = now["battery_kwh"] - 600.0
    given_kwh = -sum(battery.move(now, record(), -STEP_KWH).drawn_kwh for _ in range(10))
    taken_kwh = 600.0 + gained_kwh - now["battery_kwh"]
    # One way 0.96 by the inverter and 0.98 by the cells, and a little of self-discharge.
    assert gained_kwh / drawn_kwh * given_kwh / taken_kwh == pytest.approx(0.885, abs=0.003)


def test_its_inverter_is_worst_at_a_twentieth_of_its_power() -> None:
    # PVWatts' curve at 5, 20, 50 and 100 % of rated power.
    found = [1.0 - battery.inverter_loss_pu(pu, record()) / pu for pu in (0.05, 0.2, 0.5, 1.0)]
    assert found == pytest.approx([0.864, 0.949, 0.962, 0.960], abs=0.002)


def test_a_deep_cycle_ages_it_more_than_two_half_ones() -> None:
    deep = battery.depth_usd(1.0, record())
    assert deep == pytest.approx(70.0 * 3000.0 / 8000.0)  # a cycle's share of its modules
    assert 2.0 * battery.depth_usd(0.5, record()) < 0.75 * deep


def test_it_ages_by_the_calendar_and_holds_less() -> None:
    now = state(0.5)
    for _ in range(288 * 30):
        battery.move(now, record(), 0.0)
    assert now["battery_aged_frac"] == pytest.approx(30.0 / (15.0 * 365.25), rel=1e-3)
    assert now["battery_kwh"] == pytest.approx(1500.0 * 0.98, rel=1e-3)  # a fiftieth is lost in a month
    assert battery.capacity_kwh(state(0.0, 1.0), record()) == pytest.approx(0.7 * 3000.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"power_w": 0.0}, "BatteryParams.power_w is 0.0; it must be above 0"),
        ({"cell_efficiency": 1.2}, "BatteryParams.cell_efficiency is 1.2; it must be between 0 and 1"),
        ({"inverter_square_frac": 0.6}, "such that half is lost at most"),
        ({"depth_exponent": 0.5}, "BatteryParams.depth_exponent is 0.5; it must be 1 or more"),
    ],
)
def test_a_battery_that_cannot_be_is_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        BatteryParams(**{"power_w": 1e6, "energy_wh": 2e6, **options})
