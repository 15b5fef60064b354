"""Technicians who are called: what they mend and clean lasts until the crew's own turn, and their hours are paid."""

import numpy as np
import pytest

from hashgym.sim.site.params import SiteParams
from hashgym.sim.site.step import Site
from tests.conftest import weather
from tests.sim.one_zone import TOP, events, zone

pytestmark = pytest.mark.interpreted


def test_a_technician_mends_a_machine_an_hour_and_then_cleans() -> None:
    happening = events(60, online_frac=(slice(None), 0.8), fouling_frac=(slice(None), 0.3))
    run = Site(SiteParams(zones=(zone(n_units=10),)), weather(60), events=happening)
    run.state.zone["service"] = 1.0
    paid = [float(run.step(np.full((1, 1), TOP))["service_usd"][0]) for _ in range(48)]
    assert paid[0] == pytest.approx(70.0 / 12.0)
    assert run.state.zone["online_frac"][0, 0] == pytest.approx(1.0)
    assert run.state.zone["fouling_frac"][0, 0] == pytest.approx(0.0, abs=1e-9)
    assert sum(paid) == pytest.approx(70.0 * (2.0 + 0.5))  # two machines, and ten to clean
    assert paid[-1] == 0.0


def test_what_fails_after_a_visit_is_new_and_the_crews_own_turn_ends_the_credit() -> None:
    happening = events(40, online_frac=(slice(0, 20), 0.9))
    happening = type(happening)(
        happening.site, np.where(np.arange(40)[None, :, None, None] >= 30, [0.95, 0.0], happening.zone)
    )
    run = Site(SiteParams(zones=(zone(n_units=10),)), weather(40), events=happening)
    online = []
    for step in range(40):
        run.state.zone["service"] = 1.0 if step < 15 else 0.0
        run.step(np.full((1, 1), TOP))
        online.append(float(run.state.zone["online_frac"][0, 0]))
    assert online[19] == online[25] == pytest.approx(1.0)
    assert online[35] == pytest.approx(0.95)


def test_nobody_works_in_the_dark() -> None:
    happening = events(4, online_frac=(slice(None), 0.5), grid_on=(slice(None), 0.0))
    run = Site(SiteParams(zones=(zone(n_units=10),)), weather(4), events=happening)
    run.state.zone["service"] = 1.0
    assert float(run.step(np.full((1, 1), TOP))["service_usd"][0]) == 0.0
