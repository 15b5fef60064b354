"""Reserve: a load must draw what it sells, shed it when it is called, and pays where it does not."""

import numpy as np
import pytest

from hashgym.sim.contract.channels import BEGINS_DAY, CHANNELS, CLOCK, HOUR_TIMES, RESERVE_CALL, RESERVE_PRICE
from hashgym.sim.contract.contract import Contract, ReserveProgramme
from hashgym.sim.contract.reserve import settle_reserve
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.site.state import SITE_STATE
from tests.conftest import site

pytestmark = pytest.mark.interpreted

RATED_KWH = 1000.0 / 12.0
SOLD_MW = 0.8


def play(loads_kw: list[float], called: list[int], price: float = 12.0, floor: float = 0.0) -> list[float]:
    params = site(contract=Contract(reserve=ReserveProgramme())).site_record[0]
    state = np.zeros(1, SITE_STATE)
    state["reserve_floor"] = floor
    state["reserve_next"] = np.inf
    paid = []
    for load_kw, call in zip(loads_kw, called, strict=True):
        row = np.zeros(len(CHANNELS))
        row[CLOCK], row[RESERVE_PRICE], row[RESERVE_CALL] = 9 * HOUR_TIMES, price, call
        paid.append(settle_reserve(load_kw / 12.0, row, params, RATED_KWH, state[0]))
    return paid


def test_what_is_sold_is_paid_and_what_is_missing_is_bought_back() -> None:
    full = 12.0 * SOLD_MW / 12.0
    assert play([900.0, 800.0, 400.0, 0.0], [0, 0, 0, 0]) == pytest.approx([full, full, 0.0, -full])


def test_an_hour_below_the_offer_is_not_sold() -> None:
    assert play([0.0], [0], price=12.0, floor=12.5) == [0.0]
    assert play([900.0], [0], price=12.5, floor=12.5)[0] > 0.0


def test_a_deployment_gives_ten_minutes_and_then_counts() -> None:
    pay = 12.0 * SOLD_MW / 12.0
    kept = play([900.0, 900.0, 900.0, 50.0, 50.0, 50.0], [0, 1, 1, 1, 1, 0])
    assert kept[:5] == pytest.approx([pay] * 5)
    assert kept[5] == pytest.approx(pay)  # the load may come back within three hours
    failed = play([900.0, 900.0, 900.0, 900.0, 900.0], [0, 1, 1, 1, 0])
    assert failed[-1] == pytest.approx(pay - 60.0 * 24.0 * 9.6 * SOLD_MW)


def test_offers_for_the_next_day_stand_from_midnight() -> None:
    params = site(contract=Contract(reserve=ReserveProgramme())).site_record[0]
    state = np.zeros(1, SITE_STATE)
    state["reserve_floor"], state["reserve_next"] = np.inf, 0.0
    row = np.zeros(len(CHANNELS))
    row[CLOCK], row[RESERVE_PRICE] = 23 * HOUR_TIMES, 10.0
    assert settle_reserve(RATED_KWH, row, params, RATED_KWH, state[0]) == 0.0
    row[CLOCK] = BEGINS_DAY
    assert settle_reserve(RATED_KWH, row, params, RATED_KWH, state[0]) > 0.0


def test_a_programme_that_cannot_be_is_refused() -> None:
    with pytest.raises(BadInputError, match="ReserveProgramme.capacity_pu is 0.0; it must be above 0"):
        ReserveProgramme(capacity_pu=0.0)
    with pytest.raises(BadInputError, match="offers_due_h is 24"):
        ReserveProgramme(offers_due_h=24)
