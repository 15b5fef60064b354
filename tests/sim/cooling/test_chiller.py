"""The chiller's coefficient of performance and the economizer's share of outdoor air."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashgym.sim.cooling import chiller
from hashgym.sim.cooling.plants import RoomParams

pytestmark = pytest.mark.interpreted


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


@given(
    load_pu=st.floats(0.1, 1.0),
    chilled_c=st.floats(4.0, 15.0),
    lift_k=st.floats(8.0, 45.0),
    warmer_k=st.floats(0.0, 10.0),
)
def test_a_chiller_stays_below_carnot_and_warmer_condensers_never_help(
    load_pu: float, chilled_c: float, lift_k: float, warmer_k: float
) -> None:
    p = RoomParams()
    fit = (p.chiller_entropy_per_k, p.chiller_loss, p.chiller_resistance_k)
    performance = chiller.cop(load_pu, chilled_c, chilled_c + lift_k, *fit)
    assert 0.0 < performance < (chilled_c + 273.15) / lift_k
    assert chiller.cop(load_pu, chilled_c, chilled_c + lift_k + warmer_k, *fit) <= performance


@given(
    outdoor_c=st.floats(-40.0, 50.0),
    return_c=st.floats(15.0, 50.0),
    target_c=st.floats(10.0, 30.0),
    least=st.floats(0.0, 0.5),
)
def test_an_economizer_mixes_to_its_target_or_takes_an_end(
    outdoor_c: float, return_c: float, target_c: float, least: float
) -> None:
    share = chiller.outdoor_frac(outdoor_c, return_c, target_c, least)
    assert least <= share <= 1.0
    if least < share < 1.0:
        assert share * outdoor_c + (1.0 - share) * return_c == pytest.approx(target_c, abs=1e-6)
