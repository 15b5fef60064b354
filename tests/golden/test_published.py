"""Numbers that others have published, with their origin."""

import numpy as np
import pytest

from hashgym.sim.market.coins import COINS, hashprice_usd_per_ph_day, retarget


@pytest.mark.parametrize(
    ("last_before", "first_after", "subsidy"),
    [
        ("2012-11-28T15:24:37", "2012-11-28T15:24:38", 25.0),
        ("2016-07-09T16:46:12", "2016-07-09T16:46:13", 12.5),
        ("2020-05-11T19:23:42", "2020-05-11T19:23:43", 6.25),
        ("2024-04-20T00:09:26", "2024-04-20T00:09:27", 3.125),
    ],
)
def test_subsidy_halves_at_blocks_210000_420000_630000_and_840000(
    last_before: str, first_after: str, subsidy: float
) -> None:
    times = np.array([last_before, first_after], "datetime64[s]")
    assert COINS["btc"].subsidy_at(times).tolist() == [2.0 * subsidy, subsidy]


def test_hashprice_of_the_end_of_2023() -> None:
    # 31 December 2023: 42,265 USD, difficulty 72.0e12, fees about 17 % of the block: the quarter's mean was 81.9 USD/PH/day,
    # its last days near 90 (blockchain.com statistics).
    value = hashprice_usd_per_ph_day(np.array([42_265.0]), np.array([72.0e12]), np.array([6.25]), np.array([0.17]))
    assert value[0] == pytest.approx(89.0, abs=3.0)


def test_retarget_keeps_difficulty_after_two_weeks_and_clamps() -> None:
    two_weeks_s = 14 * 86400.0
    assert retarget(100.0, two_weeks_s) == 100.0
    assert retarget(100.0, two_weeks_s / 10.0) == 400.0
    assert retarget(100.0, two_weeks_s * 10.0) == 25.0
