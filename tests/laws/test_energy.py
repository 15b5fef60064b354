"""Energy in equals energy out, and nothing unphysical happens, whatever the actions and the weather."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashgym.sim.hardware.firmware import HASHING, TRIPPED
from hashgym.sim.site.step import Site
from tests.conftest import site, weather
from tests.sim.one_zone import events

pytestmark = [pytest.mark.interpreted, pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")]


def balance_error(run: Site) -> float:
    flow = run.zone_flow
    lost = flow["it_energy_kwh"] - flow["heat_rejected_kwh"] - flow["stored_kwh"]
    return float(np.max(np.abs(lost) / flow["it_energy_kwh"]))


@settings(max_examples=25, deadline=None)
@given(
    machine=st.sampled_from(["s19j_pro", "s19k_pro", "s19_xp", "s21"]),
    firmware=st.sampled_from(["slow_tuner", "fast_curtail"]),
    temps=st.lists(st.floats(-40.0, 50.0), min_size=12, max_size=12),
    actions=st.lists(st.sampled_from([0.0, 1.0, 300.0, 400.0, 1e6]), min_size=12, max_size=12),
)
def test_energy_in_equals_energy_out(machine: str, firmware: str, temps: list[float], actions: list[float]) -> None:
    run = Site(site(machine, firmware), weather(12, np.array(temps)))
    for action in actions:
        flow = run.step(np.array([[action]]))
        assert balance_error(run) < 1e-6
        assert all(np.isfinite(flow[name]).all() for name in flow.dtype.names or ())
        assert -45.0 < float(run.state.zone["chip_temp_c"][0, 0]) < 130.0
        assert flow["energy_kwh"][0] > 0.0


def test_profit_is_revenue_less_energy_water_and_wear() -> None:
    run = Site(site(), weather(3, 35.0, 100.0))
    for _ in range(3):
        flow = run.step(np.array([[545.0]]))[0]
        spent = flow["energy_usd"] + flow["water_usd"] + flow["wear_usd"]
        assert flow["profit_usd"] == pytest.approx(flow["revenue_usd"] - spent, rel=1e-12)
        assert flow["energy_usd"] == pytest.approx(flow["energy_kwh"] * 0.1)
        assert flow["pue"] > 1.0


def test_hotter_air_never_means_a_cooler_chip() -> None:
    hottest = []
    for temp_c in (-10.0, 10.0, 24.0, 35.0, 45.0):
        run = Site(site(), weather(12, temp_c))
        for _ in range(12):
            run.step(np.array([[545.0]]))
        hottest.append(float(run.state.zone["hot_temp_c"][0, 0]))
    assert np.all(np.diff(hottest) > -0.05)


def hot_run(temp_c: float) -> tuple[list[float], set[float], float]:
    run, caps, modes, trips = Site(site("s21"), weather(60, temp_c)), [], set(), 0.0
    for _ in range(60):
        trips += float(run.step(np.array([[525.0]]))["trips"][0])
        caps.append(float(run.state.zone["cap_mhz"][0, 0]))
        modes.add(float(run.state.zone["mode"][0, 0]))
    return caps, modes, trips


def test_hot_air_makes_the_firmware_throttle_without_a_trip() -> None:
    caps, modes, trips = hot_run(47.0)
    assert min(caps) < 525.0
    assert modes == {HASHING}
    assert trips == 0.0


def test_air_that_no_fan_can_cool_with_trips_the_machines_and_they_come_back_when_cool() -> None:
    _, modes, trips = hot_run(60.0)
    assert trips > 0.0
    assert TRIPPED in modes


def test_a_start_waits_for_boot_and_wears_every_machine() -> None:
    run = Site(site(), weather(10))
    top = np.array([[545.0]])
    run.step(np.array([[0.0]]))
    asleep = run.step(np.array([[0.0]]))[0]
    assert asleep["hash_th"] == 0.0
    first = run.step(top).copy()[0]
    assert first["starts"] == 10.0
    assert first["wear_usd"] >= 10 * 0.5
    second = run.step(top).copy()[0]
    third = run.step(top).copy()[0]
    assert first["hash_th"] == second["hash_th"] == 0.0
    assert third["hash_th"] > 0.0


def test_a_change_of_profile_costs_hashes_once() -> None:
    run = Site(site(), weather(10))
    steady = [float(run.step(np.array([[320.0]]))["hash_th"][0]) for _ in range(4)][-1]
    changed = float(run.step(np.array([[345.0]]))["hash_th"][0])
    after = float(run.step(np.array([[345.0]]))["hash_th"][0])
    assert changed < after
    assert steady < after


def test_cold_machines_do_not_start() -> None:
    # Without grid power nothing keeps a container warm; with it, sleeping machines do, and may start after some hours.
    outage = events(400, grid_on=(slice(0, 300), 0.0))
    run = Site(site(), weather(400, -30.0), events=outage)
    for _ in range(300):
        run.step(np.array([[0.0]]))
    starts = [float(run.step(np.array([[545.0]]))["starts"][0]) for _ in range(99)]
    assert starts[0] == 0.0 < sum(starts)


def test_the_damper_keeps_the_inlet_above_its_limit() -> None:
    run = Site(site(), weather(24, -25.0))
    for _ in range(24):
        run.step(np.array([[545.0]]))
    assert float(run.zone_flow["inlet_temp_c"][0, 0]) > 3.0


@pytest.mark.slow
def test_ten_million_random_steps_stay_finite(request: pytest.FixtureRequest) -> None:
    from hashgym.sim.foundation import jit

    if jit.numba.config.DISABLE_JIT:
        pytest.skip("ten million steps need compiled physics")
    n_envs, n_steps = 4096, 2442
    rng = np.random.default_rng(0)
    temps = np.cumsum(rng.normal(0.0, 3.0, n_steps)) % 90.0 - 40.0
    run = Site(site(), weather(n_steps, temps, rng.normal(50.0, 500.0, n_steps)), n_envs, n_threads=2)
    choices = np.array([0.0, 295.0, 345.0, 420.0, 495.0, 545.0])
    worst = 0.0
    for _ in range(n_steps):
        flow = run.step(rng.choice(choices, (n_envs, 1)))
        assert np.isfinite(flow.view(np.float64)).all()
        worst = max(worst, balance_error(run))
    assert np.isfinite(run.state.zone.view(np.float64)).all()
    assert run.state.zone["chip_temp_c"].max() < 110.0
    assert worst < 1e-6


def test_stepping_past_the_end_of_the_series_is_refused() -> None:
    run = Site(site(), weather(1))
    run.step(np.array([[0.0]]))
    with pytest.raises(ValueError, match="ends after 1 steps"):
        run.step(np.array([[0.0]]))
