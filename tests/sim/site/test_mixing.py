"""Zones whose air reaches each other, and machines that move between them."""

import numpy as np
import pytest

from hashgym.sim.cooling.plants import ContainerParams
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.site.params import Link, SiteParams
from tests.sim.one_zone import flow, steady, zone

pytestmark = pytest.mark.interpreted


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


def test_machines_moved_out_of_a_hot_zone_leave_those_that_stay_cooler() -> None:
    tight = ContainerParams(intake_flow_frac=0.6)

    def first_inlet_c(*n_units: int) -> float:
        return flow(
            steady(SiteParams(zones=tuple(zone(plant=tight, n_units=n, n_slots=100) for n in n_units)), 36.0),
            "inlet_temp_c",
        )

    assert first_inlet_c(80, 80) < first_inlet_c(100, 60) - 1.0


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
