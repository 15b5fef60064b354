"""Failures, repairs and disturbances: the field's rates, the books, and what the kernel makes of the traces."""

from dataclasses import replace

import numpy as np
import pytest

from hashgym.sim import events, maintenance, models, reliability, wear
from hashgym.sim.errors import BadInputError
from hashgym.sim.maintenance import PREDICTIVE, RUN_TO_FAILURE, Crew, Rule, simulate
from hashgym.sim.params import SiteParams, ZoneParams
from hashgym.sim.plants import LoopParams
from hashgym.sim.site import Site
from tests.conftest import weather

YEAR = 8760
TEMPS = 18.5 + 9.0 * np.sin(np.arange(YEAR) / YEAR * 2.0 * np.pi) + 6.0 * np.sin(np.arange(YEAR) / 24.0 * 2.0 * np.pi)
"""A year like that of Dallas: mean 18.5 °C."""


@pytest.fixture(scope="module")
def fleet() -> SiteParams:
    zone = ZoneParams(machine=models.machine("s19j_pro"), firmware=models.firmware("slow_tuner"), n_units=200)
    return SiteParams(zones=(zone, zone))


def failed_pct(site: SiteParams, *, bad_batch: bool) -> float:
    runs = [simulate(site, TEMPS, seed=seed, bad_batch=bad_batch) for seed in range(5)]
    return float(np.mean([100.0 * run.machines_failed / run.machine_years for run in runs]))


def test_a_year_reproduces_the_failures_of_the_field(fleet: SiteParams) -> None:
    assert 4.0 < failed_pct(fleet, bad_batch=False) < 6.0
    assert 20.0 < failed_pct(fleet, bad_batch=True) < 30.0


def test_the_books_add_up(fleet: SiteParams) -> None:
    run = simulate(fleet, TEMPS, PREDICTIVE, seed=1, bad_batch=True)
    assert run.machine_years == 400.0
    swaps = run.failures + run.planned_swaps
    assert 0.9 * swaps <= sum(run.removed.values()) <= swaps
    assert run.mtbf_h == pytest.approx(400.0 * YEAR / run.failures)
    assert 0.99 < run.availability < 1.0
    down_h = float(((1.0 - run.online) * 200.0).sum())
    assert down_h == pytest.approx(run.unplanned_down_h, rel=0.3)
    assert run.cost_usd == run.wages_usd + run.spares_usd > 0.0
    assert run.technician_h > run.cleaning_h > 0.0


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


def test_without_spares_failed_machines_wait() -> None:
    zone = ZoneParams(machine=models.machine("s19j_pro"), firmware=models.firmware("slow_tuner"), n_units=200)
    run = simulate(SiteParams(zones=(zone,)), TEMPS, replace(RUN_TO_FAILURE, spares_days=0.01), seed=0, bad_batch=True)
    assert run.queue_h > 1000.0


def test_immersed_machines_have_no_fans() -> None:
    zone = ZoneParams(
        machine=models.machine("s21_hyd"), firmware=models.firmware("slow_tuner"), plant=LoopParams(), n_units=100
    )
    assert "fan" not in {part.name for part in reliability.parts(zone)}
    run = simulate(SiteParams(zones=(zone,)), TEMPS, seed=0)
    assert "fan" not in run.per_machine


def test_wrong_input_is_named(fleet: SiteParams) -> None:
    with pytest.raises(BadInputError, match=r"ageing has shape \(3,\); it must be \(8760, 2\)"):
        simulate(fleet, TEMPS, seed=0, ageing=np.ones(3))
    with pytest.raises(BadInputError, match="shift_end_h"):
        Crew.default(shift_end_h=5.0)
    with pytest.raises(BadInputError, match="clean_days"):
        Rule(clean_days=0.0)
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
    hazard = np.array([wear.weibull_hazard_per_h(age, shape, scale_h) for age in ages])
    failed = 1.0 - np.exp(-np.trapezoid(hazard, ages))
    part = reliability.Part(
        name="x", per_machine=1, shape=shape, scale_h=scale_h, ages_like_fan=0, warning_h=0.0, warned_frac=0.0,
        swap_h=0.0, bench_h=0.0, spare_usd=0.0, lead_days=0.0, electronics=0,
    )  # fmt: skip
    assert reliability.lives_h(part, np.array([failed]))[0] == pytest.approx(900.0, rel=1e-3)


def test_wear_follows_heat_voltage_cycles_and_speed() -> None:
    assert wear.ageing_factor(70.0, 1.1) == pytest.approx(np.exp(0.6))
    assert wear.cycle_ageing_h(50.0) == wear.CYCLE_HOURS
    assert wear.cycle_ageing_h(-5.0) == 0.0
    assert wear.fan_ageing_factor(0.6, 25.0) == 1.0
    assert wear.fan_ageing_factor(1.0, 40.0) == pytest.approx(1.0 / 0.6 * 2.0)


def test_dust_ages_fans_before_it_ages_chips(fleet: SiteParams) -> None:
    table = maintenance.ageing_table(fleet, 0)
    mild, dirty = reliability.TABLE_TEMPS_C.index(20.0), reliability.TABLE_FOULING.index(0.2)
    assert table[mild, dirty, 1] > 1.1 * table[mild, 0, 1]
    assert table[mild, dirty, 0] == pytest.approx(table[mild, 0, 0], rel=0.02)
    assert reliability.ageing_at(table, np.array([20.0]), 0.1)[0] == pytest.approx(table[mild, 1])
