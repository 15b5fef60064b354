"""A liquid loop with its pump and cooler: what an engineer would check by hand."""

import numpy as np
import pytest

from hashgym.sim.contract.channels import HEAT_PRICE
from hashgym.sim.contract.contract import Contract
from hashgym.sim.cooling.plants import LoopParams
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.hardware.firmware import HASHING
from hashgym.sim.site.params import SiteParams
from hashgym.sim.site.step import Site
from hashgym.sim.site.world import Exogenous
from tests.conftest import weather
from tests.sim.one_zone import TOP, events, flow, steady, zone

pytestmark = pytest.mark.interpreted


def test_a_loop_holds_its_coolant_and_gives_way_slowly() -> None:
    loop = LoopParams(pad_effectiveness=0.0)
    site = SiteParams(zones=(zone("s21_hyd", plant=loop),))
    mild = steady(site, 15.0)
    assert float(mild.state.zone["sink_temp_c"][0, 0]) == pytest.approx(loop.coolant_target_c, abs=1.0)
    hot = Site(site, weather(1, 36.0))
    hot.state.zone[...] = mild.state.zone
    hot.step(np.full((1, 1), TOP))
    risen = float(hot.state.zone["sink_temp_c"][0, 0] - mild.state.zone["sink_temp_c"][0, 0])
    final = float(steady(site, 36.0).state.zone["sink_temp_c"][0, 0] - mild.state.zone["sink_temp_c"][0, 0])
    assert 0.0 < risen < 0.9 * final
    assert flow(mild, "approach_k") == pytest.approx(loop.coolant_target_c - 15.0, abs=1.0)


def test_wet_pads_before_the_cooler_take_water_and_save_heat_days() -> None:
    wet = steady(SiteParams(zones=(zone("s21_hyd", plant=LoopParams()),)), 38.0)
    dry = steady(SiteParams(zones=(zone("s21_hyd", plant=LoopParams(pad_effectiveness=0.0)),)), 38.0)
    assert flow(wet, "water_l") > 0.0 == flow(dry, "water_l")
    assert wet.state.zone["sink_temp_c"][0, 0] < dry.state.zone["sink_temp_c"][0, 0]


def test_immersion_meets_the_published_container() -> None:
    # 720 kW rejected at 28 °C wet bulb with ≤ 25 kW of fans and pumps and ≤ 8 t of water a day (minerbase.com).
    units = 130
    site = SiteParams(zones=(zone("m66s", n_units=units, plant=LoopParams(coolant_j_per_k=80000.0)),))
    run = steady(site, 33.0)
    heat_kw = flow(run, "heat_rejected_kwh") * 12.0
    assert heat_kw > 690.0
    assert flow(run, "cooling_energy_kwh") * 12.0 < 25.0 * heat_kw / 720.0 * 1.2
    assert flow(run, "water_l") * 144.0 < 8000.0 * heat_kw / 720.0 * 1.2  # the pads run half of a hot day
    assert float(run.state.zone["mode"][0, 0]) == HASHING


def test_thin_air_and_dust_weaken_the_cooler_of_a_loop() -> None:
    loop = LoopParams(pad_effectiveness=0.0)

    def coolant(altitude_m: float, fouling: float) -> float:
        site = SiteParams(zones=(zone("s21_hyd", plant=loop),), altitude_m=altitude_m)
        happening = events(1, fouling_frac=(slice(None), fouling))
        return float(steady(site, 33.0, events=happening).state.zone["sink_temp_c"][0, 0])

    assert coolant(2500.0, 0.0) > coolant(0.0, 0.0) + 0.5
    assert coolant(0.0, 0.3) > coolant(0.0, 0.0) + 0.5


def test_the_coolant_rises_over_the_machines_by_their_heat_over_its_flow() -> None:
    loop = LoopParams(pad_effectiveness=0.0)
    run = steady(SiteParams(zones=(zone("s21_hyd", plant=loop),)), 20.0, hours=12)
    mean_c = float(run.state.zone["sink_temp_c"][0, 0])
    machine_w = flow(run, "it_energy_kwh") * 12.0 * 1000.0 / 10.0
    assert 2.0 * (mean_c - flow(run, "supply_temp_c")) == pytest.approx(machine_w / loop.coolant_w_per_k, rel=0.02)


def test_pumps_turn_at_their_idle_speed_while_the_machines_sleep() -> None:
    loop = LoopParams(pump_idle_pu=0.5)
    site = SiteParams(zones=(zone("s21_hyd", plant=loop),))
    awake, asleep = (flow(steady(site, 10.0, setpoint=value), "pump_energy_kwh") for value in (TOP, 0.0))
    assert awake == pytest.approx(10 * loop.pump_w_per_unit / 12.0 / 1000.0)
    assert asleep == pytest.approx(awake * 0.5**3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cooler_w_per_k": 1500.0}, "cooler_air_w_per_k at most: air cannot carry more"),
        ({"pad_off_temp_c": 50.0}, "LoopParams.pad_off_temp_c is 50.0; it must be below pad_on_temp_c"),
        ({"pump_share": -0.1}, "LoopParams.pump_share is -0.1; it must be between 0 and 1"),
        ({"coolant_j_per_k": 0.0}, "LoopParams.coolant_j_per_k is 0.0; it must be above 0"),
    ],
)
def test_a_loop_that_cannot_be_is_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        LoopParams(**options)


def test_a_loop_takes_machines_that_are_cooled_by_liquid_alone() -> None:
    with pytest.raises(BadInputError, match="one for machines that are cooled by air"):
        zone("s19j_pro", plant=LoopParams())


def test_a_sleeping_loop_is_kept_warm_enough_for_a_start() -> None:
    # Stock firmware of the S19 XP Hyd turns off below a coolant of 20 °C.
    site = SiteParams(zones=(zone("s21_hyd", plant=LoopParams(pad_effectiveness=0.0)),))
    asleep = steady(site, -30.0, hours=24, setpoint=0.0)
    assert 20.0 < float(asleep.state.zone["sink_temp_c"][0, 0]) < 22.1
    heater_w = flow(asleep, "cooling_energy_kwh") * 12.0 * 1000.0 / 10.0
    assert 150.0 < heater_w < 300.0  # five watts a kelvin through the still cooler
    woken = Site(site, weather(12, -30.0))
    woken.state.zone[...] = asleep.state.zone
    for _ in range(12):
        woken.step(np.full((1, 1), TOP))
    assert float(woken.state.zone["mode"][0, 0]) == HASHING


def test_a_loop_below_twenty_degrees_does_not_start() -> None:
    site = SiteParams(zones=(zone("s21_hyd", plant=LoopParams(pad_effectiveness=0.0, heater_w_per_unit=0.0)),))
    cold = steady(site, 0.0, hours=48, setpoint=0.0)
    assert float(cold.state.zone["sink_temp_c"][0, 0]) < 20.0
    woken = Site(site, weather(12, 0.0))
    woken.state.zone[...] = cold.state.zone
    for _ in range(12):
        woken.step(np.full((1, 1), TOP))
    assert flow(woken, "starts") == flow(woken, "hash_th") == 0.0


def test_coolant_at_its_limit_shuts_the_machines_down_and_no_command_asks_for_it() -> None:
    loop = LoopParams(pad_effectiveness=0.0)
    made = zone("s19_xp_hyd", plant=loop)
    run = steady(SiteParams(zones=(made,)), 43.0, hours=12)
    assert flow(run, "inlet_temp_c") <= 45.0
    told = loop.commands(made)[1]
    half_rise_k = 0.5 * made.machine.rated_power_w / loop.coolant_w_per_k
    assert told.neutral + told.high - half_rise_k == pytest.approx(43.0, abs=0.1)


def test_a_wet_cooler_evaporates_no_more_than_it_rejects() -> None:
    # All heat by evaporation, with its bleed-off: 1.85 L/kWh; the coil's air alone would take 4.4 at 45/22 °C.
    site = SiteParams(zones=(zone("s21_hyd", plant=LoopParams()),))
    run = Site(site, Exogenous.plain(np.full((1, 73), 45.0), 22.0, 0.0, 0.0))
    for _ in range(72):
        run.step(np.full((1, 1), TOP))
    assert flow(run, "water_l") / flow(run, "heat_rejected_kwh") == pytest.approx(1.85, abs=0.01)


def test_heat_is_sold_from_the_return_not_from_the_supply() -> None:
    contract = Contract(heat_usd_per_mwh=(20.0,) * 12, heat_min_temp_c=40.0)
    site = SiteParams(zones=(zone("s21_hyd", plant=LoopParams(pad_effectiveness=0.0)),), contract=contract)
    world = weather(24, 5.0)
    values = world.values.copy()
    values[:, :, HEAT_PRICE] = 20.0
    run = Site(site, Exogenous(values, world.known, world.channels))
    for _ in range(23):
        run.step(np.full((1, 1), TOP))
    assert flow(run, "supply_temp_c") == pytest.approx(34.3, abs=0.3)
    assert flow(run, "return_temp_c") == pytest.approx(41.7, abs=0.3)
    assert float(run.site_flow["heat_usd"][0]) == pytest.approx(flow(run, "heat_rejected_kwh") * 0.02)
