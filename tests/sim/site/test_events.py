"""Outages of the grid and the pool, curtailment calls, failed machines and dust, as the kernel takes them."""

import numpy as np
import pytest

from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.hardware.firmware import ASLEEP, HASHING, TRIPPED
from hashgym.sim.site.params import SiteParams
from hashgym.sim.site.step import Site
from hashgym.sim.site.world import Events
from tests.conftest import weather
from tests.sim.one_zone import PLANTS, TOP, events, flow, steady, zone

pytestmark = pytest.mark.interpreted


@pytest.mark.parametrize("kind", PLANTS)
@pytest.mark.parametrize("mode", [HASHING, TRIPPED])
def test_without_grid_power_nothing_draws_and_the_machines_start_again(kind: str, mode: float) -> None:
    machine = "s21_hyd" if PLANTS[kind].cooling == "liquid" else "s19j_pro"
    site = SiteParams(zones=(zone(machine, plant=PLANTS[kind]),))
    run = Site(site, weather(20, 30.0), events=events(20, grid_on=(slice(2, 4), 0.0)))
    flows = [run.step(np.array([[TOP]])).copy() for _ in range(2)]
    run.state.zone["mode"], run.state.zone["timer_s"] = mode, 600.0 if mode == TRIPPED else 0.0
    flows += [run.step(np.array([[TOP]])).copy() for _ in range(6)]
    assert [float(f["energy_kwh"][0]) for f in flows[2:4]] == [0.0, 0.0]
    assert [float(f["water_l"][0]) for f in flows[2:4]] == [0.0, 0.0]
    assert float(flows[2]["pue"][0]) == 0.0
    assert float(flows[4]["starts"][0]) == 10.0
    assert float(run.state.zone["mode"][0, 0]) == HASHING


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
    with pytest.raises(BadInputError, match="has 1 zones; the site has 2"):
        Site(SiteParams(zones=(zone(), zone())), weather(2), events=Events.none(1))
