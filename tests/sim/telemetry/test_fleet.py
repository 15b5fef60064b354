"""A fleet unit by unit, what it reports, and what the site's own sensors read."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hashgym.advisor import telemetry as adapter
from hashgym.sim.cooling.plants import LoopParams, RoomParams
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.hardware import catalogue
from hashgym.sim.site.params import SiteParams, ZoneParams
from hashgym.sim.site.step import Site
from hashgym.sim.telemetry import reported
from hashgym.sim.telemetry.fleet import FAULTS, Fault, UnitFleet
from hashgym.sim.telemetry.reported import Reporter
from hashgym.sim.telemetry.sensors import SiteReporter
from tests.conftest import weather

NOW = pd.Timestamp("2026-07-01T12:00:00Z")
TOP = np.array([1e6])


def fleet(n_units: int = 60, faults: tuple[Fault, ...] = (), n_steps: int = 60, **options: Any) -> UnitFleet:
    zone = ZoneParams(machine=catalogue.machine("s19j_pro"), firmware=catalogue.firmware("slow_tuner"), n_units=n_units)
    world = weather(n_steps, options.get("temp_c", 30.0))
    return UnitFleet(SiteParams(zones=(zone,)), world, options.get("seed", 5), faults)


def run(units: UnitFleet, n_steps: int = 36) -> pd.DataFrame:
    reporter = Reporter(units, 1)
    for k in range(n_steps):
        units.step(TOP)
        rows = reporter.read(NOW + k * pd.Timedelta(minutes=5))
    return rows.set_index("unit")


def test_a_unit_without_spread_is_the_zone() -> None:
    units = fleet(1)
    units._sound[:] = units.site.zone_record
    units._sound["n_units"] = 1.0
    zone = Site(replace(units.site), weather(60, 30.0))
    for _ in range(12):
        units.step(TOP)
        zone.step(TOP[None])
    assert np.array_equal(units.state, zone.state.zone[0])


def test_units_differ_as_silicon_and_places_do() -> None:
    rows = run(fleet(400))
    spread = rows["metered_w"].std() / rows["metered_w"].mean()
    assert 0.01 < spread < 0.06
    assert 0.03 < (rows["power_w"] / rows["metered_w"] - 1.0).std() < 0.08
    assert rows["inlet_temp_c"].std() > 0.4
    assert rows["hashrate_ths"].mean() == pytest.approx(104.0, rel=0.05)
    assert rows.index.size < 400


def test_the_same_seed_reports_the_same_and_another_one_does_not() -> None:
    one, same, other = (run(fleet(20, seed=s), 3) for s in (5, 5, 6))
    pd.testing.assert_frame_equal(one, same)
    assert not np.array_equal(one["metered_w"], other["metered_w"].reindex(one.index))


@pytest.mark.parametrize(
    ("kind", "column", "direction"),
    [
        ("fan_slow", "fan_duty_pct", 1.0),
        ("dust", "fan_duty_pct", 1.0),
        ("board_lost", "hashrate_ths", -1.0),
        ("hardware_errors", "hw_errors_pct", 1.0),
        ("psu_inefficient", "metered_w", 1.0),
        ("weak_silicon", "metered_w", 1.0),
        ("no_hashes", "hashrate_ths", -1.0),
        ("power_sensor_drift", "power_w", 1.0),
    ],
)
def test_a_fault_shows_where_it_does_in_the_field(kind: str, column: str, direction: float) -> None:
    sound, ill = run(fleet()), run(fleet(faults=(Fault(kind=kind, unit=7, first=4, growth=6),)))
    assert 7 in ill.index
    assert direction * (ill.loc[7, column] - sound.loc[7, column]) > 0.02 * abs(sound.loc[7, column])
    assert ill.loc[7, "fault"] == kind
    assert (ill.drop(index=7)["fault"] == "").all()
    others = [unit for unit in sound.index if unit != 7]
    pd.testing.assert_frame_equal(sound.loc[others], ill.loc[others])


def test_a_stuck_sensor_repeats_itself_and_a_silent_unit_says_nothing() -> None:
    faults = (Fault(kind="temp_sensor_stuck", unit=3, first=5), Fault(kind="silent", unit=4, first=5))
    units = fleet(n_units=10, faults=faults)
    reporter = Reporter(units, 1)
    seen = []
    for k in range(20):
        units.step(TOP if k < 12 else np.array([0.0]))
        rows = reporter.read(NOW).set_index("unit")
        seen.append(rows["hot_temp_c"].get(3, np.nan))
        assert 4 not in rows.index or k < 5
    late = [value for value in seen[5:] if not np.isnan(value)]
    assert len(set(late)) == 1


def test_a_label_begins_with_its_effect() -> None:
    sound, ill = fleet(n_units=3), fleet(n_units=3, faults=(Fault(kind="psu_inefficient", unit=1, first=10),))
    for step in range(14):
        sound.step(TOP)
        ill.step(TOP)
        differs = ill.state["power_w"][1] - sound.state["power_w"][1] > 50.0
        assert differs == (ill.labels()[1] == "psu_inefficient") == (step >= 10)


def test_faults_leave_their_marks_in_the_heat() -> None:
    def unit(kind: str | None) -> pd.Series:
        faults = (
            () if kind is None else (Fault(kind=kind, unit=0, first=0, severity=0.7 if kind == "fan_slow" else 1.0),)
        )
        units = fleet(n_units=1, faults=faults, temp_c=34.0)
        reporter = Reporter(units, 1)
        for _ in range(36):
            units.step(TOP)
            rows = reporter.read(NOW)
        return rows.iloc[0]

    sound = unit(None)
    assert unit("fan_slow")["outlet_temp_c"] > sound["outlet_temp_c"] + 2.0
    assert abs(unit("board_lost")["fan_duty_pct"] - sound["fan_duty_pct"]) < 15.0
    assert 18.0 < unit("hardware_errors")["hw_errors_pct"] < 24.0


def test_air_leaves_a_unit_no_hotter_than_its_heatsinks_make_it() -> None:
    zone = ZoneParams(machine=catalogue.machine("s19_xp"), firmware=catalogue.firmware("slow_tuner"), n_units=100)
    units = UnitFleet(SiteParams(zones=(zone,)), weather(40, 10.0), 5, (Fault(kind="fan_slow", unit=3, first=0),))
    for _ in range(36):
        units.step(np.array([zone.min_mhz]))
    record = units._last
    flow_pu = np.maximum(units.state["fan_pu"], 1e-9)
    conductance = record["sink_full_w_per_k"] * np.minimum(flow_pu**0.8, flow_pu / record["sink_per_air"])
    assert (conductance <= record["full_air_w_per_k"] * flow_pu * (1.0 + 1e-9)).all()
    assert (units.exhaust_temp_c == units.state["exhaust_temp_c"]).all()


def test_reading_twice_counts_once() -> None:
    units = fleet(n_units=5)
    reporter = Reporter(units, 1)
    units.step(TOP)
    first, second = (reporter.read(NOW) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


def test_scrypt_and_liquid_machines_report_as_they_are() -> None:
    firmware = catalogue.firmware("slow_tuner")
    scrypt = ZoneParams(machine=catalogue.machine("l9"), firmware=firmware, n_units=5)
    liquid = ZoneParams(machine=catalogue.machine("s21_hyd"), firmware=firmware, n_units=5, plant=LoopParams())
    units = UnitFleet(SiteParams(zones=(scrypt, liquid)), weather(20, 20.0), 5)
    for _ in range(12):
        units.step(np.array([1e6, 1e6]))
    rows = Reporter(units, 1).read(NOW)
    record = reported.pyasic(rows.iloc[0])
    assert record["device_info"]["algo"] == "SCRYPT"
    assert record["hashrate"]["rate"] == pytest.approx(0.016, rel=0.1)
    assert reported.table(rows)["hashrate_ths"].iloc[0] == pytest.approx(0.016, rel=0.1)
    assert reported.pyasic(rows.iloc[-1])["fans"] == []
    assert rows["fan_rpm"].iloc[-1] == 0.0


def test_faults_that_cannot_be_are_refused() -> None:
    with pytest.raises(BadInputError, match="Fault.kind is 'rust'"):
        Fault(kind="rust", unit=0, first=0)
    with pytest.raises(BadInputError, match="severity is 2.0"):
        Fault(kind="dust", unit=0, first=0, severity=2.0)
    liquid = ZoneParams(
        machine=catalogue.machine("s21_hyd"), firmware=catalogue.firmware("slow_tuner"), n_units=2, plant=LoopParams()
    )
    with pytest.raises(BadInputError, match="has no fans"):
        UnitFleet(SiteParams(zones=(liquid,)), weather(2), 1, (Fault(kind="fan_slow", unit=1, first=0),))
    with pytest.raises(BadInputError, match="growth -3"):
        Fault(kind="dust", unit=0, first=0, growth=-3)
    with pytest.raises(BadInputError, match="setpoint_mhz of unit 0 is not a number"):
        fleet().step(np.array([np.nan]))
    with pytest.raises(BadInputError, match="units 0 to 59"):
        fleet(faults=(Fault(kind="dust", unit=60, first=0),))
    with pytest.raises(BadInputError, match=r"shape \(2,\)"):
        fleet().step(np.zeros(2))
    with pytest.raises(BadInputError, match="ends after 1"):
        run(fleet(n_steps=1), 2)
    assert len(FAULTS) == 10


def test_readings_have_the_fields_of_pyasic_and_vnish() -> None:
    faults = (Fault(kind="board_lost", unit=2, first=0), Fault(kind="no_hashes", unit=5, first=0))
    rows = run(fleet(n_units=10, faults=faults), 4)
    record = reported.pyasic(rows.reset_index().set_index("unit", drop=False).loc[2])
    assert {"ip", "hashrate", "hashboards", "wattage", "fans", "is_mining", "pools", "env_temp"} <= set(record)
    boards = [board["hashrate"]["rate"] for board in record["hashboards"]]
    assert boards[2] == 0.0 < boards[0]
    miner = reported.vnish(rows.reset_index().set_index("unit", drop=False).loc[2])["miner"]
    assert miner["miner_status"]["miner_state"] == "mining"
    assert miner["chains"][0]["voltage"] > 12000
    assert miner["hr_realtime"] == pytest.approx(1000.0 * sum(boards), rel=0.01)
    mute = rows.reset_index().set_index("unit", drop=False).loc[5]
    assert reported.pyasic(mute)["efficiency_fract"] is None


def test_the_advisor_reads_the_table() -> None:
    rows = reported.table(run(fleet(n_units=30), 3).reset_index())
    typed = adapter.typed(rows)
    assert len(typed) == len(rows)


def site(**options: Any) -> Site:
    air = ZoneParams(machine=catalogue.machine("s19j_pro"), firmware=catalogue.firmware("slow_tuner"), n_units=10)
    room = replace(air, plant=RoomParams())
    loop = replace(air, machine=catalogue.machine("s21_hyd"), plant=LoopParams())
    return Site(SiteParams(zones=(air, room, loop), **options), weather(400, 36.0))


def test_the_sites_sensors_read_what_is_there_with_noise_drift_and_silence() -> None:
    watched = site()
    reporter = SiteReporter(watched, 3)
    errors, silent = [], 0
    for k in range(300):
        watched.step(np.full((1, 3), 1e6))
        true, seen = reporter.true(), reporter.read(NOW + k * pd.Timedelta(minutes=5))
        for name, value in true.items():
            reading = float(seen[name])
            silent += np.isnan(reading)
            if not np.isnan(reading) and name.endswith("_c"):
                errors.append(reading - value)
    assert 0.2 < float(np.std(errors)) < 0.5
    assert 0.005 < silent / (300 * len(true)) < 0.05
    assert true["zone1_chiller_kw"] > 0.0 == true["zone0_chiller_kw"]
    assert true["zone2_pumps_kw"] > 0.0
    assert true["zone0_inlet_humidity_pct"] > true["outdoor_humidity_pct"]  # behind wet pads
    assert "zone2_inlet_humidity_pct" not in true
    plant = sum(true[f"zone{z}_{name}_kw"] for z in range(3) for name in ("machines", "plant_fans", "pumps", "chiller"))
    assert true["site_meter_kw"] == pytest.approx((plant + 0.003 * 30) * 1.015)


def test_the_sites_set_points_are_those_that_are_commanded() -> None:
    watched = site()
    zones = watched.state.zone[0]
    stock = SiteReporter(watched, 3).set_points()
    assert stock == {
        "zone0_chip_target_c": 74.0,
        "zone0_pads_target_c": 28.0,
        "zone1_chip_target_c": 74.0,
        "zone1_supply_target_c": 24.0,
        "zone2_coolant_target_c": 38.0,
        "zone2_pump_target_pu": 1.0,
    }
    zones["fan_shift_k"], zones["plant_shift_k"], zones["pump_shift_pu"] = (
        [-4.0, 2.0, 0.0],
        [1.0, -3.0, 5.0],
        [0.0, 0.0, -0.3],
    )
    watched.step(np.full((1, 3), 1e6))
    seen = SiteReporter(watched, 3).read(NOW)
    assert {name: seen[name] for name in stock} == {
        "zone0_chip_target_c": 70.0,
        "zone0_pads_target_c": 29.0,
        "zone1_chip_target_c": 76.0,
        "zone1_supply_target_c": 21.0,
        "zone2_coolant_target_c": 43.0,
        "zone2_pump_target_pu": 0.7,
    }


def test_a_site_reads_the_same_for_a_seed() -> None:
    with pytest.raises(BadInputError, match="has done no step"):
        SiteReporter(site(), 1).read(NOW)
    readings = []
    for seed in (1, 1, 2):
        watched = site()
        watched.step(np.full((1, 3), 1e6))
        readings.append(SiteReporter(watched, seed).read(NOW))
    assert readings[0] == readings[1] != readings[2]
