"""Failures, repairs and disturbances: the field's rates, the books, and what the kernel makes of the traces."""

from dataclasses import replace

import numpy as np
import pytest
import simpy

from hashgym.sim.cooling.plants import LoopParams
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.hardware import catalogue, wear
from hashgym.sim.reliability import events, lives, maintenance
from hashgym.sim.reliability.crew import PREDICTIVE, RUN_TO_FAILURE, Crew, MaintenanceReport, MaintenanceRule
from hashgym.sim.reliability.maintenance import simulate
from hashgym.sim.reliability.shop import Process
from hashgym.sim.site.params import SiteParams, ZoneParams
from hashgym.sim.site.step import Site
from tests.conftest import weather

YEAR = 8760
TEMPS = 18.5 + 9.0 * np.sin(np.arange(YEAR) / YEAR * 2.0 * np.pi) + 6.0 * np.sin(np.arange(YEAR) / 24.0 * 2.0 * np.pi)
"""A year like that of Dallas: mean 18.5 °C."""


@pytest.fixture(scope="module")
def fleet() -> SiteParams:
    zone = ZoneParams(machine=catalogue.machine("s19j_pro"), firmware=catalogue.firmware("slow_tuner"), n_units=200)
    return SiteParams(zones=(zone, zone))


def failed_pct(site: SiteParams, *, bad_batch: bool, age_years: float) -> float:
    runs = [simulate(site, TEMPS, seed=seed, bad_batch=bad_batch, age_years=age_years) for seed in range(6)]
    return float(np.mean([100.0 * run.machines_failed / run.machine_years for run in runs]))


def test_a_fleet_in_its_third_year_fails_as_the_field_does_and_ages(fleet: SiteParams) -> None:
    assert 4.0 < failed_pct(fleet, bad_batch=False, age_years=2.0) < 6.0
    assert 20.0 < failed_pct(fleet, bad_batch=True, age_years=2.0) < 32.0
    assert failed_pct(fleet, bad_batch=False, age_years=0.0) < failed_pct(fleet, bad_batch=False, age_years=4.0)


def world(site: SiteParams, rule: MaintenanceRule, n_hours: int = YEAR, **crew: float) -> maintenance.MaintenanceRun:
    """Return a world that has not begun, with its parts in."""
    made = maintenance.MaintenanceRun(
        simpy.Environment(), site, TEMPS[:n_hours], np.ones((n_hours, len(site.zones))), rule, Crew.default(**crew), 1
    )
    kinds = [lives.parts(zone) for zone in site.zones]
    made.store(kinds)
    for number, several in enumerate(kinds):
        made.install(number, several, 0.0)
    return made


def test_two_rules_under_one_seed_meet_the_same_lives(fleet: SiteParams) -> None:
    lives = []
    for rule in (RUN_TO_FAILURE, PREDICTIVE):
        failing = [[entry for entry in heap if entry[1] > 0] for heap in world(fleet, rule).due]
        lives.append([sorted((unit, slot, age) for age, _, unit, slot in heap) for heap in failing])
    assert lives[0] == lives[1]


def test_standstill_that_goes_on_at_the_end_is_booked(fleet: SiteParams) -> None:
    made = world(fleet, RUN_TO_FAILURE, 100, detect_h=1e6)
    made.env.process(made.mend(0, (3, 0)))
    made.env.run(until=100)
    assert made.finish().unplanned_down_h == 100.0


def test_a_machine_stands_until_its_last_failure_is_mended(fleet: SiteParams) -> None:
    made = world(fleet, RUN_TO_FAILURE, 200, detect_h=0.001)
    made.env.process(made.mend(0, (3, 0)))

    def later() -> Process:
        yield made.env.timeout(7.5)
        made.env.process(made.mend(0, (3, 8)))

    made.env.process(later())
    made.env.run(until=200)
    # The first repair is done at 7:48, the second one takes its hour in the shift that began at 7:00.
    assert made.report.failures == 2
    assert made.finish().unplanned_down_h == pytest.approx(8.5, abs=0.1)
    assert not made.broken_since[0]


def test_a_round_leaves_parts_alone_that_failed_and_were_replaced_meanwhile(fleet: SiteParams) -> None:
    made = world(fleet, PREDICTIVE, 400)
    made.warned[0][3, 0] = made.fitted[0][3, 0]
    made.env.process(made.mend(0, (3, 0)))
    made.env.process(made.go_round(0))
    made.env.run(until=400)
    assert made.report.planned_swaps == 0
    assert made.report.removed == {"fan": 1}


def test_rounds_come_every_week_and_wait_for_spares(fleet: SiteParams) -> None:
    made = world(fleet, replace(PREDICTIVE, spares_days=0.001), 400)
    made.warned[0][3, 0] = made.fitted[0][3, 0]
    made.shop.stock["fan"] = simpy.Container(made.env, init=1)
    made.env.process(made.go_round(0))
    level = made.shop.stock["fan"].level
    made.env.run(until=400)
    assert (level, made.report.planned_swaps, len(made.warned[0])) == (1, 0, 1)
    made = world(fleet, PREDICTIVE, 400)
    made.warned[0][3, 0] = made.fitted[0][3, 0]
    made.env.process(made.go_round(0))
    made.env.run(until=400)
    assert (made.report.planned_swaps, len(made.warned[0])) == (1, 0)
    assert made.report.planned_down_h == pytest.approx(made.parts[0][0].swap_h)


def test_the_books_add_up(fleet: SiteParams) -> None:
    run = simulate(fleet, TEMPS, PREDICTIVE, seed=1, bad_batch=True, age_years=2.0)
    assert run.machine_years == 400.0
    swaps = run.failures + run.planned_swaps
    assert swaps - 5 <= sum(run.removed.values()) <= swaps
    assert 0.99 < run.availability < 1.0
    standing_h = float(((1.0 - run.online) * 200.0).sum())
    assert standing_h == pytest.approx(run.unplanned_down_h + run.planned_down_h, rel=0.1)
    calendar = simulate(fleet, TEMPS, seed=1, bad_batch=True, age_years=2.0)
    standing_h = float(((1.0 - calendar.online) * 200.0).sum())
    assert standing_h == pytest.approx(calendar.unplanned_down_h + calendar.planned_down_h, rel=0.1)
    assert run.technician_h > run.cleaning_h > 0.0
    assert run.wages_usd == pytest.approx(35.0 * run.technician_h)
    assert run.slots["fan"] == 1600


def test_heeding_warnings_saves_standstill(fleet: SiteParams) -> None:
    runs = {
        rule: [simulate(fleet, TEMPS, rule, seed=s, bad_batch=True) for s in range(4)]
        for rule in (RUN_TO_FAILURE, PREDICTIVE)
    }
    standstill = {rule: sum(run.unplanned_down_h for run in several) for rule, several in runs.items()}
    assert standstill[PREDICTIVE] < 0.7 * standstill[RUN_TO_FAILURE]


def test_a_seed_gives_the_same_year_and_another_one_another(fleet: SiteParams) -> None:
    one, same, other = (simulate(fleet, TEMPS[:2000], seed=s, bad_batch=True) for s in (3, 3, 4))
    assert np.array_equal(one.online, same.online)
    assert one.unplanned_down_h == same.unplanned_down_h
    assert not np.array_equal(one.online, other.online)


def test_a_gentle_policy_and_a_larger_crew_help(fleet: SiteParams) -> None:
    gentle = np.full((YEAR, 2), 0.3)
    assert (
        simulate(fleet, TEMPS, seed=0, bad_batch=True, ageing=gentle).failures
        < simulate(fleet, TEMPS, seed=0, bad_batch=True).failures
    )
    slow = simulate(fleet, TEMPS, seed=0, bad_batch=True, crew=Crew.default(detect_h=24.0))
    assert slow.unplanned_down_h > simulate(fleet, TEMPS, seed=0, bad_batch=True).unplanned_down_h


def test_without_a_spare_a_failed_machine_waits_until_one_is_mended(fleet: SiteParams) -> None:
    made = world(fleet, RUN_TO_FAILURE, 300, detect_h=0.001)
    made.shop.stock["psu"] = simpy.Container(made.env, init=1)
    psu = next(index for index, part in enumerate(made.parts[0]) if part.name == "psu") * lives.MOST_SLOTS
    for unit in (3, 4, 5):
        made.env.process(made.mend(0, (unit, psu)))
    made.env.run(until=300)
    report = made.finish()
    # The first has the spare in the shift at 7:00; the others wait for what the bench makes of what was taken out.
    assert report.removed == {"psu": 3}
    assert report.queue_h > 7.0 + 8.0 + 9.0
    assert report.spares_usd == 3 * 30.0


def test_immersed_machines_have_no_fans() -> None:
    zone = ZoneParams(
        machine=catalogue.machine("s21_hyd"), firmware=catalogue.firmware("slow_tuner"), plant=LoopParams(), n_units=100
    )
    assert "fan" not in {part.name for part in lives.parts(zone)}
    run = simulate(SiteParams(zones=(zone,)), TEMPS, seed=0)
    assert "fan" not in run.slots
    assert run.part_life_h() > 1e5


def test_wrong_input_is_named(fleet: SiteParams) -> None:
    with pytest.raises(BadInputError, match=r"ageing has shape \(3,\); it must be \(8760, 2\)"):
        simulate(fleet, TEMPS, seed=0, ageing=np.ones(3))
    with pytest.raises(BadInputError, match="numbers 0 or more"):
        simulate(fleet, TEMPS, seed=0, ageing=np.full((YEAR, 2), np.nan))
    with pytest.raises(BadInputError, match="outdoor_temp_c has shape"):
        simulate(fleet, np.array([20.0, np.nan]), seed=0)
    with pytest.raises(BadInputError, match="outdoor_temp_c has shape"):
        simulate(fleet, np.array([]), seed=0)
    with pytest.raises(BadInputError, match="age_years is -1"):
        simulate(fleet, TEMPS, seed=0, age_years=-1.0)
    with pytest.raises(BadInputError, match="n_hours is 0"):
        events.disturb(0, events.Disturbances.default(), 0)
    with pytest.raises(BadInputError, match="there must be as many"):
        events.traces([MaintenanceReport(1.0, online=np.ones((2, 1)), fouling=np.zeros((2, 1)))], [np.ones((36, 3))])
    for wrong in ({"diagnose_h": -5.0}, {"wage_usd_per_h": float("nan")}, {"n_general": 0.5}, {"detect_h": 0.0}):
        with pytest.raises(BadInputError, match=next(iter(wrong))):
            Crew.default(**wrong)
    with pytest.raises(BadInputError, match="shift_end_h"):
        Crew.default(shift_end_h=5.0)
    with pytest.raises(BadInputError, match="clean_days"):
        MaintenanceRule(clean_days=0.0)
    with pytest.raises(BadInputError, match="call_pu"):
        events.Disturbances.default(call_pu=2.0)


def test_outages_and_calls_come_as_often_and_last_as_long_as_said() -> None:
    kinds = events.Disturbances.default(grid_outages_per_year=50.0, pool_outages_per_year=100.0, calls_per_year=60.0)
    trace = np.concatenate([events.disturb(YEAR, kinds, seed) for seed in range(5)])
    years = len(trace) / 12.0 / YEAR
    assert (1.0 - trace[:, 0]).sum() / 12.0 / years == pytest.approx(50.0 * kinds.grid_outage_h, rel=0.25)
    assert (1.0 - trace[:, 1]).sum() / 12.0 / years == pytest.approx(100.0 * kinds.pool_outage_h, rel=0.2)
    assert (trace[:, 2] < 1.0).sum() / 12.0 / years == pytest.approx(60.0 * kinds.call_h, rel=0.25)
    assert set(np.unique(trace[:, 2])) == {kinds.call_pu, 1.0}
    quiet = events.Disturbances.default(grid_outages_per_year=0.0, pool_outages_per_year=0.0, calls_per_year=0.0)
    assert (events.disturb(100, quiet, 0) == 1.0).all()


def test_the_kernel_consumes_the_traces(fleet: SiteParams) -> None:
    hours = 48
    report = simulate(fleet, TEMPS[:hours], seed=0, bad_batch=True)
    report.online[24:, 0] = 0.5
    kinds = events.Disturbances.default(grid_outages_per_year=0.0, pool_outages_per_year=0.0, calls_per_year=0.0)
    happening = events.traces([report], [events.disturb(hours, kinds, 0)])
    run = Site(fleet, weather(hours * 12), events=happening)
    hashes = [float(run.step(np.full((1, 2), 1e6))["hash_th"][0]) for _ in range(hours * 12)]
    assert hashes[-1] == pytest.approx(0.75 * hashes[200], rel=0.01)


def test_a_weibull_life_is_the_one_that_its_hazard_gives() -> None:
    shape, scale_h = 1.7, 1000.0
    ages = np.linspace(0.0, 900.0, 9001)
    hazard = shape / scale_h * (ages / scale_h) ** (shape - 1.0)
    failed = 1.0 - np.exp(-np.trapezoid(hazard, ages))
    part = lives.Part(
        name="x",
        per_machine=1,
        shape=shape,
        scale_h=scale_h,
        ages_like_fan=0,
        warning_h=0.0,
        warned_frac=0.0,
        swap_h=0.0,
        bench_h=0.0,
        mend_usd=0.0,
        spare_usd=0.0,
        lead_days=0.0,
        electronics=0,
    )
    assert lives.lives_h(part, np.array([failed]))[0] == pytest.approx(900.0, rel=1e-3)
    # Of those that live at 500 hours, the share that fails by 900 has the rest of its life in 400 hours.
    alive = np.exp(-((500.0 / scale_h) ** shape)), np.exp(-((900.0 / scale_h) ** shape))
    assert lives.lives_h(part, np.array([1.0 - alive[1] / alive[0]]), 500.0)[0] == pytest.approx(400.0)
    assert np.isfinite(lives.lives_h(part, np.array([0.5]), 1e6)).all()


def test_wear_follows_heat_voltage_cycles_and_speed() -> None:
    assert wear.ageing_factor(70.0, 1.1) == pytest.approx(np.exp(0.6))
    assert wear.cycle_ageing_h(50.0) == wear.CYCLE_HOURS
    assert wear.cycle_ageing_h(-5.0) == 0.0
    assert wear.fan_ageing_factor(0.6, 25.0) == 1.0
    assert wear.fan_ageing_factor(1.0, 40.0) == pytest.approx(1.0 / 0.6 * 2.0)


def test_dust_ages_fans_before_it_ages_chips(fleet: SiteParams) -> None:
    table = maintenance.ageing_table(fleet, 0)
    mild, dirty = lives.TABLE_TEMPS_C.index(20.0), lives.TABLE_FOULING.index(0.2)
    assert table[mild, dirty, 1] > 1.1 * table[mild, 0, 1]
    assert table[mild, dirty, 0] == pytest.approx(table[mild, 0, 0], rel=0.02)
    assert lives.ageing_at(table, np.array([20.0]), 0.1)[0] == pytest.approx(table[mild, 1])
