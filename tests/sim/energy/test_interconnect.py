"""The interconnect: energy closes, no command breaks a limit, and what does not fit is shed in the order that is declared."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashgym.sim.energy.battery import BatteryParams
from hashgym.sim.energy.interconnect import InterconnectParams, balance
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.site.params import SiteParams
from hashgym.sim.site.state import SITE_STATE, State
from hashgym.sim.site.step import Site
from hashgym.sim.site.world import Exogenous
from tests.conftest import site
from tests.sim.one_zone import TOP, events, zone

pytestmark = pytest.mark.interpreted

TIGHT = InterconnectParams(import_limit_w=1.0e6, export_limit_w=1.0e6)
BATTERY = BatteryParams(power_w=1.5e6, energy_wh=3.0e6)
STEP_H = 1.0 / 12.0


def settled(
    load_kw: float,
    sun_kw: float = 0.0,
    wind_kw: float = 0.0,
    command: float = 0.0,
    charge_pu: float = 0.5,
    curtailed: float = 0.0,
):  # type: ignore[no-untyped-def]
    state = np.zeros(1, SITE_STATE)
    state["battery_kwh"], state["battery_command"], state["curtailed_frac"] = 3000.0 * charge_pu, command, curtailed
    params = site(battery=BATTERY, interconnect=TIGHT)
    return balance(state[0], params.site_record[0], load_kw * STEP_H, sun_kw * STEP_H, wind_kw * STEP_H, 1.0)


@settings(deadline=None)
@given(
    load_kw=st.floats(0.0, 950.0),
    sun_kw=st.floats(0.0, 3000.0),
    wind_kw=st.floats(0.0, 3000.0),
    command=st.floats(-1.0, 1.0),
    charge_pu=st.floats(0.0, 1.0),
    curtailed=st.floats(0.0, 1.0),
)
def test_energy_closes_and_no_command_breaks_a_limit(
    load_kw: float, sun_kw: float, wind_kw: float, command: float, charge_pu: float, curtailed: float
) -> None:
    flows = settled(load_kw, sun_kw, wind_kw, command, charge_pu, curtailed)
    drawn = load_kw * STEP_H + flows.battery_kwh
    assert flows.net_kwh == pytest.approx(drawn - flows.sun_kwh - flows.wind_kwh, abs=1e-9)
    assert flows.sun_kwh + flows.wind_kwh + flows.curtailed_kwh == pytest.approx((sun_kw + wind_kw) * STEP_H, abs=1e-9)
    assert -1000.0 * STEP_H - 1e-9 <= flows.net_kwh <= 1000.0 * STEP_H + 1e-9
    assert flows.breach_kwh == 0.0
    assert 0.0 <= flows.sun_kwh <= sun_kw * STEP_H + 1e-9


def test_charging_gives_way_to_the_machines_then_the_battery_gives_then_curtailed_sun_comes_back() -> None:
    assert settled(900.0, command=-1.0).net_kwh == pytest.approx(1000.0 * STEP_H)  # charges with what is left
    assert settled(1400.0).net_kwh == pytest.approx(1000.0 * STEP_H)  # gives what is missing
    empty = settled(1400.0, sun_kw=600.0, charge_pu=0.0, curtailed=1.0)
    assert empty.net_kwh == pytest.approx(1000.0 * STEP_H)
    assert empty.sun_kwh == pytest.approx((1400.0 + 4.5 - 1000.0) * STEP_H)  # auxiliaries of 0.3 %
    breach = settled(1400.0, charge_pu=0.0)
    assert breach.breach_kwh == pytest.approx((1400.0 + 4.5 - 1000.0) * STEP_H)


def test_discharging_gives_way_to_the_sun_and_then_wind_and_sun_are_left() -> None:
    flows = settled(100.0, sun_kw=900.0, command=1.0)
    assert flows.net_kwh == pytest.approx(-1000.0 * STEP_H)
    assert flows.sun_kwh == pytest.approx(900.0 * STEP_H)
    spilled = settled(100.0, sun_kw=900.0, wind_kw=900.0)
    assert spilled.sun_kwh == pytest.approx(900.0 * STEP_H)
    assert spilled.curtailed_kwh == pytest.approx((1800.0 - 1100.0 - 4.5) * STEP_H, rel=1e-6)


def test_machines_that_would_not_fit_are_shed_before_the_step_the_least_efficient_first() -> None:
    zones = (zone("s19j_pro", n_units=100), zone("s21", n_units=100))
    params = SiteParams(zones=zones, interconnect=InterconnectParams(import_limit_w=500e3))
    run = Site(params, Exogenous.plain(np.full((1, 40), 25.0), 18.0, 30.0, 50.0))
    for _ in range(30):
        flow = run.step(np.full((1, 2), TOP))
    assert float(flow["interconnect_breach_kwh"][0]) == 0.0
    assert float(flow["energy_kwh"][0]) <= 500.0 * STEP_H
    hashes = run.zone_flow["hash_th"][0]
    assert hashes[1] > 0.0  # the S21 run at their top
    assert run.state.zone["target_mhz"][0, 1] == zones[1].max_mhz
    assert run.state.zone["target_mhz"][0, 0] < zones[0].max_mhz


def test_without_grid_power_battery_and_sun_stand_still() -> None:
    params = SiteParams(zones=(zone(),), battery=BATTERY, interconnect=TIGHT)
    run = Site(
        params, Exogenous.plain(np.full((1, 4), 20.0), 15.0, 30.0, 50.0), events=events(4, grid_on=(slice(1, 3), 0.0))
    )
    run.state.site["battery_command"] = 1.0
    flows = [run.step(np.full((1, 1), TOP))[0].copy() for _ in range(3)]
    assert flows[0]["battery_drawn_kwh"] < 0.0
    assert flows[1]["energy_kwh"] == flows[1]["battery_drawn_kwh"] == 0.0


def test_a_site_begins_with_its_battery_half_full() -> None:
    assert State.hashing(2, site(battery=BATTERY)).site["battery_kwh"].tolist() == [1500.0, 1500.0]


def test_limits_that_cannot_be_are_refused() -> None:
    with pytest.raises(BadInputError, match="InterconnectParams.import_limit_w is 0.0; it must be above 0"):
        InterconnectParams(import_limit_w=0.0)
    with pytest.raises(BadInputError, match="export_limit_w is -1.0; it must be 0 or more"):
        InterconnectParams(import_limit_w=1e6, export_limit_w=-1.0)
