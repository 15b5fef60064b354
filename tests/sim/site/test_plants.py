"""Cooling plants, firmware and coupling of zones: what an engineer would check by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hashgym.sim.cooling import chiller
from hashgym.sim.cooling.plants import ContainerParams, LoopParams, RoomParams
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.hardware import catalogue, firmware
from hashgym.sim.hardware.firmware import ASLEEP, HASHING, STARTING, TRIPPED
from hashgym.sim.site.params import Link, SiteParams, ZoneParams
from hashgym.sim.site.step import Site
from hashgym.sim.site.world import Events
from tests.conftest import weather

pytestmark = pytest.mark.interpreted

TOP = 1e6


def zone(machine: str = "s19j_pro", **options: Any) -> ZoneParams:
    kind = options.pop("firmware", catalogue.firmware("slow_tuner"))
    return ZoneParams(machine=catalogue.machine(machine), firmware=kind, n_units=options.pop("n_units", 10), **options)


def steady(site: SiteParams, temp_c: float, hours: int = 6, setpoint: float = TOP, **world: Any) -> Site:
    run = Site(site, weather(12 * hours, temp_c), **world)
    for _ in range(12 * hours):
        run.step(np.full((1, len(site.zones)), setpoint))
    return run


def flow(run: Site, name: str, zone: int = 0) -> float:
    return float(run.zone_flow[name][0, zone])


def test_a_chiller_works_harder_in_hot_weather_and_at_part_load() -> None:
    p = RoomParams()
    fit = (p.chiller_entropy_per_k, p.chiller_loss, p.chiller_resistance_k)
    assert chiller.cop(0.5, 7.0, 20.0, *fit) > chiller.cop(0.5, 7.0, 35.0, *fit) > 3.0
    assert chiller.cop(0.5, 7.0, 25.0, *fit) > chiller.cop(0.05, 7.0, 25.0, *fit) > 0.5
    # Below the least lift the coldest condenser helps no further.
    assert chiller.cop(0.5, 7.0, -30.0, *fit) == chiller.cop(0.5, 7.0, 10.0, *fit)


@pytest.mark.parametrize(
    ("outdoor_c", "return_c", "share"), [(35.0, 30.0, 0.05), (26.0, 35.0, 1.0), (14.0, 34.0, 0.5), (-40.0, 24.0, 0.05)]
)
def test_an_economizer_takes_outdoor_air_as_long_as_it_helps(outdoor_c: float, return_c: float, share: float) -> None:
    assert chiller.outdoor_frac(outdoor_c, return_c, 24.0, 0.05) == pytest.approx(share)


def test_a_room_holds_its_supply_with_outdoor_air_first_and_its_chiller_then() -> None:
    site = SiteParams(zones=(zone(plant=RoomParams()),))
    cool, mild, hot = (steady(site, temp_c) for temp_c in (0.0, 22.0, 38.0))
    for run in (cool, mild, hot):
        assert flow(run, "supply_temp_c") == pytest.approx(24.0, abs=0.3)
    assert flow(cool, "chiller_heat_kwh") == flow(cool, "water_l") == 0.0
    assert flow(hot, "chiller_heat_kwh") > 0.0
    assert float(hot.site_flow["pue"][0]) > float(cool.site_flow["pue"][0]) > 1.0
    assert 0.5 < float(hot.site_flow["wue_l_per_kwh"][0]) < 3.0


def test_a_chiller_too_small_lets_the_room_warm_up() -> None:
    site = SiteParams(zones=(zone(plant=RoomParams(chiller_w_per_unit=500.0)),))
    assert flow(steady(site, 38.0), "supply_temp_c") > 28.0


def test_a_loop_holds_its_coolant_and_gives_way_slowly() -> None:
    loop = LoopParams(pad_effectiveness=0.0)
    site = SiteParams(zones=(zone("s21_hyd", plant=loop),))
    mild = steady(site, 15.0)
    assert float(mild.state.zone["sink_temp_c"][0, 0]) == pytest.approx(loop.coolant_target_c, abs=1.0)
    hot = Site(site, weather(1, 45.0))
    hot.state.zone[...] = mild.state.zone
    hot.step(np.full((1, 1), TOP))
    risen = float(hot.state.zone["sink_temp_c"][0, 0] - mild.state.zone["sink_temp_c"][0, 0])
    final = float(steady(site, 45.0).state.zone["sink_temp_c"][0, 0] - mild.state.zone["sink_temp_c"][0, 0])
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


def test_intake_or_exhaust_fans_too_small_push_hot_air_back() -> None:
    def inlet(**options: float) -> float:
        return flow(steady(SiteParams(zones=(zone(plant=ContainerParams(**options)),)), 24.0), "inlet_temp_c")

    full = inlet(intake_flow_frac=1.2)
    assert inlet(intake_flow_frac=0.5) > full + 3.0
    assert inlet(intake_flow_frac=1.2, exhaust_flow_frac=0.5) == pytest.approx(inlet(intake_flow_frac=0.5), abs=0.2)


def test_exhaust_fans_of_their_own_draw_power() -> None:
    plain = steady(SiteParams(zones=(zone(),)), 30.0)
    both = steady(
        SiteParams(zones=(zone(plant=ContainerParams(exhaust_flow_frac=1.0, exhaust_fan_w_per_m3_per_s=200.0)),)), 30.0
    )
    assert flow(both, "cooling_energy_kwh") > flow(plain, "cooling_energy_kwh")


def coupled(share: float) -> SiteParams:
    return SiteParams(zones=(zone(), zone()), links=(Link(zone=1, source=0, share=share),))


def test_links_of_nothing_are_no_links() -> None:
    apart, none = steady(SiteParams(zones=(zone(), zone())), 30.0), steady(coupled(0.0), 30.0)
    assert np.array_equal(apart.state.zone, none.state.zone)


def test_exhaust_that_reaches_a_neighbour_makes_a_hot_spot_and_the_heat_is_booked() -> None:
    run = steady(coupled(0.3), 24.0)
    assert flow(run, "inlet_temp_c", 1) > flow(run, "inlet_temp_c", 0) + 2.0
    assert 0.2 < flow(run, "mixed_frac", 1) < 0.3  # the hot zone's fans draw more air than the other gives off
    sent = 0.3 * flow(run, "heat_rejected_kwh", 0)
    assert flow(run, "received_kwh", 1) == pytest.approx(sent, rel=0.02)
    lost = run.zone_flow["it_energy_kwh"] + run.zone_flow["received_kwh"]
    lost -= run.zone_flow["heat_rejected_kwh"] + run.zone_flow["stored_kwh"]
    assert np.abs(lost).max() < 1e-9


def test_zones_do_not_depend_on_their_order() -> None:
    one = steady(coupled(0.3), 24.0).state.zone[0]
    other = SiteParams(zones=(zone(), zone()), links=(Link(zone=0, source=1, share=0.3),))
    assert np.array_equal(one[::-1], steady(other, 24.0).state.zone[0])


def test_moving_machines_out_of_a_hot_zone_cools_those_that_stay() -> None:
    tight = ContainerParams(intake_flow_frac=0.6)
    full, half = zone(plant=tight, n_units=100), zone(plant=tight, n_units=60, n_slots=100)
    moved = (replace(full, n_units=80, n_slots=100), replace(half, n_units=80))
    cooler, hotter = (flow(steady(SiteParams(zones=zones), 36.0), "inlet_temp_c") for zones in (moved, (full, half)))
    assert cooler < hotter
    with pytest.raises(BadInputError, match="n_slots"):
        replace(half, n_units=110)


@pytest.mark.parametrize(
    ("links", "message"),
    [
        ((Link(zone=2, source=0, share=0.1),), r"links\[0\].zone is 2"),
        ((Link(zone=0, source=0, share=0.1),), "its own is leak_frac"),
        ((Link(zone=0, source=1, share=1.1),), "share is 1.1"),
        ((Link(zone=0, source=1, share=0.6),) * 2, "1 at most in all from zone 1"),
    ],
)
def test_impossible_links_are_refused(links: tuple[Link, ...], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        SiteParams(zones=(zone(), zone()), links=links)


def test_a_plant_that_does_not_fit_the_machine_is_refused() -> None:
    with pytest.raises(BadInputError, match="cooled by liquid"):
        zone("s21_hyd")
    with pytest.raises(BadInputError, match="chilled_water_c"):
        RoomParams(chilled_water_c=30.0)
    with pytest.raises(BadInputError, match="pad_off_temp_c"):
        LoopParams(pad_off_temp_c=50.0)
    with pytest.raises(BadInputError, match="leak_frac"):
        ContainerParams(leak_frac=1.0)


def tuner(**options: float) -> Any:
    return replace(catalogue.firmware("slow_tuner"), tuned_high_pu=0.5, tune_s=3000.0, **options)


def modes(run: Site, setpoint: float, n_steps: int) -> tuple[list[float], list[float], list[float]]:
    mode, ths, watts = [], [], []
    for _ in range(n_steps):
        run.step(np.array([[setpoint]]))
        mode.append(float(run.state.zone["mode"][0, 0]))
        ths.append(float(run.state.zone["hashrate_ths"][0, 0]))
        watts.append(float(run.state.zone["power_w"][0, 0]))
    return mode, ths, watts


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
    site = SiteParams(zones=(zone(plant=ContainerParams(intake_flow_frac=0.45, pad_effectiveness=0.0)),))
    run = Site(site, weather(500, 42.0))
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


def events(n_steps: int, **changes: tuple[slice, float]) -> Events:
    site, zones = np.ones((1, n_steps, 3)), np.tile(np.array([1.0, 0.0]), (1, n_steps, 1, 1))
    for name, (span, value) in changes.items():
        if name in ("grid_on", "pool_frac", "call_pu"):
            site[0, span, ("grid_on", "pool_frac", "call_pu").index(name)] = value
        else:
            zones[0, span, 0, ("online_frac", "fouling_frac").index(name)] = value
    return Events(site, zones)


PLANTS = {"container": ContainerParams(), "room": RoomParams(), "loop": LoopParams()}


@pytest.mark.parametrize("kind", PLANTS)
@pytest.mark.parametrize("mode", [HASHING, TRIPPED])
def test_without_grid_power_nothing_draws_and_the_machines_start_again(kind: str, mode: float) -> None:
    machine = "s21_hyd" if kind == "loop" else "s19j_pro"
    site = SiteParams(zones=(zone(machine, plant=PLANTS[kind]),))
    run = Site(site, weather(20, 40.0), events=events(20, grid_on=(slice(2, 4), 0.0)))
    flows = [run.step(np.array([[TOP]])).copy() for _ in range(2)]
    run.state.zone["mode"], run.state.zone["timer_s"] = mode, 600.0 if mode == TRIPPED else 0.0
    flows += [run.step(np.array([[TOP]])).copy() for _ in range(6)]
    assert [float(f["energy_kwh"][0]) for f in flows[2:4]] == [0.0, 0.0]
    assert [float(f["water_l"][0]) for f in flows[2:4]] == [0.0, 0.0]
    assert float(flows[2]["pue"][0]) == 0.0
    assert float(flows[4]["starts"][0]) == 10.0
    assert float(run.state.zone["mode"][0, 0]) == HASHING


def test_a_sleeping_room_does_not_run_its_chiller() -> None:
    run = steady(SiteParams(zones=(zone(plant=RoomParams()),)), 38.0, setpoint=0.0)
    assert flow(run, "chiller_heat_kwh") == flow(run, "cooling_energy_kwh") == 0.0


def test_a_dry_condenser_costs_more_power_and_no_water() -> None:
    wet, dry = (steady(SiteParams(zones=(zone(plant=RoomParams(condenser_is_wet=w)),)), 35.0) for w in (1.0, 0.0))
    assert flow(dry, "chiller_energy_kwh") > 1.2 * flow(wet, "chiller_energy_kwh")
    assert flow(wet, "water_l") > 0.0 == flow(dry, "water_l")


def test_thin_air_and_dust_weaken_the_cooler_of_a_loop() -> None:
    loop = LoopParams(pad_effectiveness=0.0)

    def coolant(altitude_m: float, fouling: float) -> float:
        site = SiteParams(zones=(zone("s21_hyd", plant=loop),), altitude_m=altitude_m)
        happening = events(1, fouling_frac=(slice(None), fouling))
        return float(steady(site, 38.0, events=happening).state.zone["sink_temp_c"][0, 0])

    assert coolant(2500.0, 0.0) > coolant(0.0, 0.0) + 0.5
    assert coolant(0.0, 0.3) > coolant(0.0, 0.0) + 0.5


def test_machines_that_work_have_the_air_of_those_that_do_not() -> None:
    site = SiteParams(zones=(zone(plant=ContainerParams(intake_flow_frac=0.5)),))
    full = steady(site, 24.0)
    half = steady(site, 24.0, events=events(1, online_frac=(slice(None), 0.5)))
    assert flow(half, "inlet_temp_c") < flow(full, "inlet_temp_c") - 2.0


def test_a_pool_outage_costs_revenue_and_no_energy() -> None:
    run = Site(SiteParams(zones=(zone(),)), weather(4), events=events(4, pool_frac=(slice(1, 2), 0.25)))
    flows = [run.step(np.array([[TOP]]))[0].copy() for _ in range(2)]
    assert flows[1]["revenue_usd"] == pytest.approx(0.25 * flows[0]["revenue_usd"], rel=1e-3)
    assert flows[1]["energy_kwh"] == pytest.approx(flows[0]["energy_kwh"], rel=1e-2)


def test_a_call_counts_what_is_drawn_beyond_it() -> None:
    run = Site(SiteParams(zones=(zone(),)), weather(4), events=events(4, call_pu=(slice(1, 3), 0.1)))
    flows = [run.step(np.array([[s]]))[0].copy() for s in (TOP, TOP, 0.0)]
    assert flows[0]["call_excess_kwh"] == 0.0
    allowed_kwh = 0.1 * 10 * 3068.0 / 12.0 / 1000.0
    assert flows[1]["call_excess_kwh"] == pytest.approx(flows[1]["energy_kwh"] - allowed_kwh)
    assert flows[2]["call_excess_kwh"] == 0.0
    assert float(run.state.zone["mode"][0, 0]) == ASLEEP


def test_failed_machines_hash_no_more_and_dust_heats() -> None:
    site = SiteParams(zones=(zone(),))
    clean, half = steady(site, 30.0), steady(site, 30.0, events=events(1, online_frac=(slice(None), 0.5)))
    assert flow(half, "hash_th") == pytest.approx(0.5 * flow(clean, "hash_th"))
    dusty = steady(site, 30.0, events=events(1, fouling_frac=(slice(None), 0.3)))
    assert dusty.state.zone["fan_pu"][0, 0] > clean.state.zone["fan_pu"][0, 0]


def test_events_out_of_range_or_of_another_site_are_refused() -> None:
    with pytest.raises(BadInputError, match=r"Events.site is 2.0 at step 1, 'pool_frac'"):
        events(4, pool_frac=(slice(1, 2), 2.0))
    with pytest.raises(BadInputError, match=r"'fouling_frac'; it must be in \[0, 0.6\]"):
        events(4, fouling_frac=(slice(1, 2), 0.9))
    with pytest.raises(BadInputError, match="0 or 1 in each step"):
        events(4, grid_on=(slice(1, 2), 0.5))
    with pytest.raises(BadInputError, match="air cannot carry more"):
        LoopParams(cooler_w_per_k=1500.0)
    with pytest.raises(BadInputError, match="has 1 zones; the site has 2"):
        Site(SiteParams(zones=(zone(), zone())), weather(2), events=Events.none(1))
