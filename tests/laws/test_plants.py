"""Laws that hold for every plant, machine, mixing of air and event, whatever the actions and the weather."""

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashgym.sim.cooling.plants import ContainerParams, LoopParams, RoomParams
from hashgym.sim.foundation import jit
from hashgym.sim.hardware import catalogue, fans, thermal
from hashgym.sim.site.params import Link, SiteParams, ZoneParams
from hashgym.sim.site.step import Site
from hashgym.sim.site.world import Events, Exogenous
from tests.conftest import weather

pytestmark = [pytest.mark.interpreted, pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")]

AIR = [key for key in catalogue.machine_names() if catalogue.machine(key).cooling == "air"]
LIQUID = [key for key in catalogue.machine_names() if catalogue.machine(key).cooling == "liquid"]
N_STEPS = 24
RUNS = 60 if not jit.numba.config.DISABLE_JIT else 5


def plants(draw: Any, kind: str) -> Any:
    fraction = st.floats(0.3, 1.5)
    if kind == "loop":
        return LoopParams(
            pad_effectiveness=draw(st.sampled_from([0.0, 0.8])), coolant_j_per_k=draw(st.floats(2e4, 1e5))
        )
    air = {
        "intake_flow_frac": draw(fraction),
        "exhaust_flow_frac": draw(fraction),
        "leak_frac": draw(st.floats(0.0, 0.3)),
    }
    return RoomParams(**air) if kind == "room" else ContainerParams(**air)


@st.composite
def sites(draw: Any) -> SiteParams:
    """Sites of one to three zones of any kind, their air mixing in any declared way."""
    zones = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["container", "room", "loop"]))
        zones.append(
            ZoneParams(
                machine=catalogue.machine(draw(st.sampled_from(LIQUID if kind == "loop" else AIR))),
                firmware=catalogue.firmware(draw(st.sampled_from(catalogue.firmware_names()))),
                plant=plants(draw, kind),
                n_units=draw(st.integers(1, 300)),
            )
        )
    airy = [k for k, z in enumerate(zones) if z.plant.cooling == "air"]
    links = tuple(
        Link(zone=a, source=b, share=draw(st.floats(0.0, 0.45)))
        for a in airy
        for b in airy
        if a != b and draw(st.booleans())
    )
    return SiteParams(zones=tuple(zones), links=links, altitude_m=draw(st.floats(0.0, 3000.0)))


def happening(draw: Any, n_zones: int) -> Events:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    on = (rng.random((1, N_STEPS, 3)) < 0.8).astype(np.float64)
    zones = np.stack([rng.random((1, N_STEPS, n_zones)) ** 0.3, 0.6 * rng.random((1, N_STEPS, n_zones))], axis=-1)
    return Events(on, zones)


def world(draw: Any) -> Exogenous:
    temps = np.array(draw(st.lists(st.floats(-40.0, 50.0), min_size=N_STEPS, max_size=N_STEPS)))
    return weather(N_STEPS, temps)


def imbalance(run: Site) -> float:
    flow = run.zone_flow
    gap = flow["it_energy_kwh"] + flow["received_kwh"] - flow["heat_rejected_kwh"] - flow["stored_kwh"]
    return float(np.max(np.abs(gap) / np.maximum(flow["it_energy_kwh"] + np.abs(flow["heat_rejected_kwh"]), 1e-3)))


@settings(max_examples=RUNS, deadline=None)
@given(data=st.data())
def test_energy_closes_and_nothing_is_unphysical(data: Any) -> None:
    params = data.draw(sites())
    run = Site(params, world(data.draw), events=happening(data.draw, len(params.zones)))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    for _ in range(N_STEPS):
        flow = run.step(rng.choice([0.0, 1.0, 300.0, 500.0, 1e6], (1, len(params.zones))))
        assert imbalance(run) < 1e-6
        for array in (flow, run.zone_flow, run.state.zone):
            assert all(np.isfinite(array[name]).all() for name in array.dtype.names or ())
        assert -45.0 < run.state.zone["chip_temp_c"].min() <= run.state.zone["chip_temp_c"].max() < 130.0
        exhaust_c, chip_c = run.state.zone["exhaust_temp_c"], run.state.zone["hot_temp_c"]
        assert (exhaust_c < np.maximum(chip_c, run.zone_flow["supply_temp_c"]) + 15.0).all()
        assert flow["energy_kwh"][0] >= 0.0
        assert flow["water_l"][0] >= 0.0
        assert flow["hash_th"][0] >= 0.0
        assert (run.zone_flow["ageing_h"] >= 0.0).all()


@pytest.mark.parametrize(
    "plant", [ContainerParams(pad_effectiveness=0.0), RoomParams(), LoopParams(pad_effectiveness=0.0)]
)
def test_hotter_air_never_means_a_cooler_chip(plant: Any) -> None:
    machine = catalogue.machine("s21_hyd" if plant.cooling == "liquid" else "s19j_pro")
    params = SiteParams(
        zones=(ZoneParams(machine=machine, firmware=catalogue.firmware("slow_tuner"), plant=plant, n_units=10),)
    )
    hottest = []
    for temp_c in (-30.0, -10.0, 10.0, 20.0, 30.0, 38.0):
        run = Site(params, weather(72, temp_c))
        for _ in range(72):
            run.step(np.array([[1e6]]))
        hottest.append(float(run.state.zone["hot_temp_c"][0, 0]))
    assert np.all(np.diff(hottest) > -0.05)


@settings(max_examples=RUNS, deadline=None)
@given(
    slow=st.floats(0.05, 1.0),
    faster=st.floats(1.0, 3.0),
    heat_w=st.floats(0.0, 5000.0),
    above_k=st.floats(0.0, 80.0),
    air_c=st.floats(-40.0, 60.0),
)
def test_more_flow_never_means_a_hotter_chip(
    slow: float, faster: float, heat_w: float, above_k: float, air_c: float
) -> None:
    def after(flow_pu: float) -> float:
        sink = 117.0 * flow_pu**thermal.CONVECTION_EXPONENT
        return float(
            thermal.two_lumps(
                air_c + above_k, air_c + 0.8 * above_k, heat_w, 0.0, air_c, 660.0, sink, 600.0, 6000.0, 60.0
            )[0]
        )

    assert after(slow * faster) <= after(slow) + 1e-9


@given(speed=st.floats(0.0, 1.0), factor=st.floats(0.0, 1.0))
def test_fan_power_goes_with_the_cube_of_speed(speed: float, factor: float) -> None:
    assert fans.fan_power_w(speed * factor, 80.0) == pytest.approx(fans.fan_power_w(speed, 80.0) * factor**3)


def final_temps(n_sub: int, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Run half an hour of a site with sub-steps of 300 s / n_sub, interpreted, and return its temperatures."""
    for name, module in list(sys.modules.items()):
        if name.startswith("hashgym.sim."):
            for constant, value in (("N_SUB_STEPS", n_sub), ("SUB_STEP_S", 300.0 / n_sub)):
                if hasattr(module, constant):
                    monkeypatch.setattr(module, constant, value)
    zones = (
        ZoneParams(machine=catalogue.machine("s19j_pro"), firmware=catalogue.firmware("fast_curtail"), n_units=10),
        ZoneParams(
            machine=catalogue.machine("s21_hyd"),
            firmware=catalogue.firmware("fast_curtail"),
            plant=LoopParams(),
            n_units=10,
        ),
    )
    run = Site(SiteParams(zones=zones), weather(8, 18.0))
    for name in ("chip_temp_c", "sink_temp_c"):
        run.state.zone[name] -= 10.0
    for _ in range(2):
        run.step(np.full((1, 2), 1e6))
    state = run.state.zone[0]
    return np.concatenate([state[name] for name in ("chip_temp_c", "sink_temp_c", "inlet_temp_c")])


@pytest.mark.skipif(not jit.numba.config.DISABLE_JIT, reason="the sub-step is a constant of the compiled kernel")
def test_the_kernel_converges_at_first_order(monkeypatch: pytest.MonkeyPatch) -> None:
    fine = final_temps(640, monkeypatch)
    errors = [float(np.abs(final_temps(n, monkeypatch) - fine).max()) for n in (5, 10, 20, 40)]
    ratios = np.array(errors[:-1]) / np.array(errors[1:])
    assert errors[0] < 1.0
    assert 1.6 < float(np.exp(np.mean(np.log(ratios)))) < 2.6
