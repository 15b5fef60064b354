"""The firmware's state machine: boot, restart, ramp, tuning, throttle, trip and hold, sleep."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashgym.sim.cooling.plants import ContainerParams
from hashgym.sim.hardware import catalogue, firmware
from hashgym.sim.hardware.firmware import ASLEEP, HASHING, STARTING, TRIPPED
from hashgym.sim.hardware.params import FirmwareParams
from hashgym.sim.site.params import SiteParams
from hashgym.sim.site.step import Site
from tests.conftest import weather
from tests.sim.one_zone import TOP, flow, zone

pytestmark = pytest.mark.interpreted


def quick(**options: float) -> FirmwareParams:
    """Return firmware without staggered starts and boot times of its own, so that seconds can be counted."""
    return replace(catalogue.firmware("fast_curtail"), **{"stagger_s": 0.0, "boot_s": 0.0, **options})


def one(kind: FirmwareParams, temp_c: float = 15.0, n_steps: int = 20) -> Site:
    return Site(SiteParams(zones=(zone(firmware=kind),)), weather(n_steps, temp_c))


def state(run: Site, name: str) -> float:
    return float(run.state.zone[name][0, 0])


def modes(run: Site, setpoint: float, n_steps: int) -> tuple[list[float], list[float], list[float]]:
    mode, ths, watts = [], [], []
    for _ in range(n_steps):
        run.step(np.array([[setpoint]]))
        mode.append(state(run, "mode"))
        ths.append(state(run, "hashrate_ths"))
        watts.append(state(run, "power_w"))
    return mode, ths, watts


@pytest.mark.parametrize("boot_s", [0.0, 30.0, 90.0, 150.0, 240.0])
def test_a_start_hashes_from_the_second_at_which_the_boot_ends(boot_s: float) -> None:
    run = one(quick(boot_s=boot_s))
    modes(run, 0.0, 1)
    mode, ths, _ = modes(run, 545.0, 5)
    assert mode[0] == HASHING
    assert ths[0] / ths[-1] == pytest.approx(1.0 - boot_s / 300.0, rel=1e-3)


def test_a_boot_draws_its_share_of_the_boards_power() -> None:
    def first_w(boot_power_frac: float) -> float:
        run = one(quick(boot_s=600.0, boot_power_frac=boot_power_frac))
        modes(run, 0.0, 1)
        return modes(run, 545.0, 1)[2][0]

    none_w, half_w, all_w = (first_w(share) for share in (0.0, 0.5, 1.0))
    assert none_w < 0.1 * all_w
    assert half_w == pytest.approx(0.5 * (none_w + all_w), rel=0.02)


def test_a_sleeping_machine_draws_what_its_firmware_says() -> None:
    _, ths, watts = modes(one(quick(sleep_w=25.0)), 0.0, 2)
    assert ths[-1] == 0.0
    assert watts[-1] == pytest.approx(25.0)


def test_a_change_of_profile_loses_the_restart_and_nothing_else() -> None:
    run = one(quick(restart_s=17.5, ramp_s=1e9))
    _, ths, _ = modes(run, 545.0, 3)
    changed, after = modes(run, 520.0, 2)[1]
    assert changed / ths[-1] == pytest.approx(1.0 - 17.5 / 300.0, rel=1e-4)
    assert after == pytest.approx(ths[-1], rel=1e-4)


def test_a_ramp_crosses_the_ladder_in_its_time() -> None:
    run = one(quick(restart_s=20.0, ramp_s=1500.0))
    low, high = (float(run.params.zone_record[name][0]) for name in ("min_mhz", "max_mhz"))
    seen = []
    for _ in range(7):
        modes(run, low, 1)
        seen.append(high - state(run, "freq_mhz"))
    slew = (high - low) / 1500.0
    assert seen == pytest.approx([min(high - low, slew * (300.0 * k - 20.0)) for k in range(1, 8)])


@pytest.mark.parametrize(("hot_c", "steps"), [(84.0, -1), (83.9, 0), (76.1, 0), (76.0, 1)])
def test_the_throttle_moves_the_cap_by_a_profile_at_its_temperatures(hot_c: float, steps: int) -> None:
    run = one(catalogue.firmware("fast_curtail"))
    p = run.params.zone_record[0]
    before = float(p["max_mhz"] - 3.0 * p["step_mhz"])
    run.state.zone["cap_mhz"] = run.state.zone["freq_mhz"] = run.state.zone["target_mhz"] = before
    run.state.zone["hot_temp_c"] = hot_c
    modes(run, TOP, 1)
    assert state(run, "cap_mhz") == pytest.approx(before + steps * float(p["step_mhz"]))


def test_a_cap_stays_within_the_ladder() -> None:
    run = one(catalogue.firmware("fast_curtail"))
    p = run.params.zone_record[0]
    for hot_c, end in ((86.0, "min_mhz"), (60.0, "max_mhz")):
        for _ in range(2 * len(run.params.zones[0].machine.profiles_mhz)):
            run.state.zone["hot_temp_c"] = hot_c
            firmware.throttle(run.state.zone[0, 0], p)
        assert state(run, "cap_mhz") == p[end]


@pytest.mark.parametrize("mode", [ASLEEP, STARTING, HASHING, TRIPPED])
@pytest.mark.parametrize("hot_c", [89.9, 90.0])
def test_hot_chips_trip_machines_that_run_and_cost_them_a_profile(mode: float, hot_c: float) -> None:
    run = one(catalogue.firmware("fast_curtail"))
    p = run.params.zone_record[0]
    run.state.zone["mode"], run.state.zone["hot_temp_c"] = mode, hot_c
    firmware.trip_if_hot(run.state.zone[0, 0], p, run.zone_flow[0, 0])
    trips = mode in (STARTING, HASHING) and hot_c >= 90.0
    assert flow(run, "trips") == (10.0 if trips else 0.0)
    assert state(run, "mode") == (TRIPPED if trips else mode)
    if trips:
        assert state(run, "timer_s") == p["trip_hold_s"] == 600.0
        assert state(run, "freq_mhz") == 0.0
        assert state(run, "cap_mhz") == p["max_mhz"] - p["step_mhz"]


def tripped(temp_c: float) -> Site:
    run = one(catalogue.firmware("fast_curtail"), temp_c, 60)
    firmware.enter(run.state.zone[0, 0], TRIPPED, 600.0)
    run.state.zone["chip_temp_c"] = run.state.zone["sink_temp_c"] = run.state.zone["hot_temp_c"] = 90.0
    return run


def test_tripped_machines_wait_for_their_hold_and_start_when_cool() -> None:
    mode, ths, _ = modes(tripped(15.0), TOP, 4)
    assert mode == [TRIPPED, TRIPPED, HASHING, HASHING]
    assert ths[:2] == [0.0, 0.0]
    assert ths[3] > 0.0


def test_tripped_machines_do_not_start_while_their_chips_are_hot() -> None:
    run = tripped(65.0)  # 60 °C behind the pads' wet bulb; the firmware waits for 55
    assert set(modes(run, TOP, 40)[0]) == {TRIPPED}
    assert modes(run, 0.0, 1)[0] == [ASLEEP]  # who sends them to sleep needs not wait


@given(setpoint=st.floats(-100.0, 2000.0), cap_steps=st.integers(0, 8), failed=st.booleans())
def test_a_command_is_a_frequency_that_the_firmware_allows(setpoint: float, cap_steps: int, failed: bool) -> None:
    run = one(tuner())
    p, record = run.params.zone_record[0], run.state.zone[0, 0]
    record["cap_mhz"] = p["max_mhz"] - cap_steps * p["step_mhz"]
    record["failed_mhz"] = record["tuned_high_mhz"] + 1.0 if failed else 1e9
    command = firmware.commanded_mhz(record, p, setpoint)
    if setpoint <= 0.0:
        assert command == 0.0
        return
    assert p["min_mhz"] <= command <= min(p["max_mhz"], max(record["cap_mhz"], record["tuned_high_mhz"]))
    assert command < record["failed_mhz"]
    if not failed and p["min_mhz"] <= setpoint <= record["cap_mhz"]:
        assert command == setpoint


@given(time_s=st.floats(-100.0, 1000.0), later_s=st.floats(0.0, 500.0), stagger_s=st.floats(0.0, 400.0))
def test_staggered_starts_lose_half_their_span_and_never_go_back(
    time_s: float, later_s: float, stagger_s: float
) -> None:
    now, later = firmware.started_s(time_s, stagger_s), firmware.started_s(time_s + later_s, stagger_s)
    assert 0.0 <= later - now <= later_s + 1e-9
    if time_s >= max(stagger_s, 0.0):
        assert now == pytest.approx(time_s - 0.5 * stagger_s)


@pytest.mark.parametrize("name", catalogue.firmware_names())
def test_a_set_point_stands_for_the_power_of_the_machine_at_its_reference_temperature(name: str) -> None:
    run = one(catalogue.firmware(name))
    params, p = run.params.zones[0].machine, run.params.zone_record[0]
    for mhz in params.profiles_mhz:
        expected = params.power_w(mhz, params.leak_ref_temp_c, 0.0)
        assert firmware.setpoint_power_w(mhz, p) == pytest.approx(expected, rel=1e-9)


def tuner(**options: Any) -> FirmwareParams:
    return replace(catalogue.firmware("slow_tuner"), tuned_high_pu=0.5, tune_s=3000.0, **options)


def test_an_unknown_preset_is_tuned_for_long_without_hashing_and_known_from_then_on() -> None:
    run = Site(SiteParams(zones=(zone(firmware=tuner()),)), weather(60))
    modes(run, 395.0, 3)
    mode, ths, watts = modes(run, 545.0, 14)
    assert mode[:9] == [STARTING] * 9
    assert mode[-1] == HASHING
    assert max(ths[1:9]) == 0.0
    assert min(watts[1:9]) > 2500.0
    modes(run, 395.0, 2)
    again, ths, _ = modes(run, 545.0, 2)
    assert again == [HASHING, HASHING]
    assert min(ths) > 60.0
    assert float(run.zone_flow["starts"][0, 0]) == 0.0


def test_poor_silicon_falls_back_to_the_highest_known_preset_and_stays_there() -> None:
    run = Site(SiteParams(zones=(zone(firmware=tuner(ceiling_pu=0.5)),)), weather(120))
    modes(run, 395.0, 3)
    modes(run, 545.0, 12)
    mode, ths, _ = modes(run, 545.0, 60)
    assert set(mode) == {HASHING}
    assert min(ths[1:]) > 70.0
    assert float(run.state.zone["freq_mhz"][0, 0]) == 420.0


def test_the_ceiling_holds_for_firmware_that_tunes_at_once() -> None:
    kind = replace(catalogue.firmware("fast_curtail"), tuned_high_pu=0.5, ceiling_pu=0.7)
    run = Site(SiteParams(zones=(zone(firmware=kind),)), weather(20))
    mode, _, _ = modes(run, 545.0, 6)
    assert mode[-1] == HASHING
    assert float(run.state.zone["freq_mhz"][0, 0]) == 420.0


def test_a_trip_brings_machines_back_a_profile_lower_until_they_can_hold() -> None:
    tough = replace(catalogue.machine("s19j_pro"), inlet_off_temp_c=90.0, outlet_off_temp_c=120.0)
    plant = ContainerParams(intake_flow_frac=0.45, pad_effectiveness=0.0)
    run = Site(SiteParams(zones=(replace(zone(plant=plant), machine=tough),)), weather(500, 42.0))
    mode, ths, _ = modes(run, TOP, 400)
    assert TRIPPED in mode
    assert np.mean([value > 0.0 for value in ths[200:]]) > 0.8


def test_tuning_cannot_be_had_for_free_by_a_change_of_mind() -> None:
    run = Site(SiteParams(zones=(zone(firmware=tuner()),)), weather(60))
    modes(run, 0.0, 1)
    modes(run, 395.0, 1)
    mode, ths, _ = modes(run, 545.0, 10)
    assert set(mode) == {STARTING}
    assert max(ths) == 0.0


def test_a_tuning_can_be_left_for_a_known_preset() -> None:
    run = Site(SiteParams(zones=(zone(firmware=tuner()),)), weather(60))
    modes(run, 395.0, 3)
    modes(run, 545.0, 2)
    mode, ths, _ = modes(run, 395.0, 2)
    assert mode[-1] == HASHING
    assert ths[-1] > 70.0


def test_a_fleet_begins_at_a_preset_that_it_knows() -> None:
    run = Site(SiteParams(zones=(zone(firmware=tuner()),)), weather(2))
    assert float(run.state.zone["freq_mhz"][0, 0]) == 420.0


def test_staggered_machines_start_one_after_the_other() -> None:
    assert firmware.started_s(-5.0, 60.0) == 0.0
    assert firmware.started_s(60.0, 60.0) == 30.0
    assert firmware.started_s(10.0, 0.0) == 10.0
    kind = replace(catalogue.firmware("fast_curtail"), stagger_s=240.0)
    run = Site(SiteParams(zones=(zone(firmware=kind),)), weather(20))
    modes(run, 0.0, 1)
    _, ths, _ = modes(run, 545.0, 3)
    assert 0.3 < ths[0] / ths[-1] < 0.7
