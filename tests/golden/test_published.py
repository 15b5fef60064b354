"""Numbers that others have published, with their origin."""

import numpy as np
import pandas as pd
import pytest

from hashgym.sim.market.coins import hashprice_usd_per_ph_day, retarget, subsidy_btc, subsidy_btc_at


@pytest.mark.parametrize(("height", "reward"), [(0, 50.0), (209_999, 50.0), (210_000, 25.0), (840_000, 3.125)])
def test_subsidy_by_height(height: int, reward: float) -> None:
    assert subsidy_btc(height) == reward


def test_subsidy_by_date_halves_in_april_2024() -> None:
    times = pd.to_datetime(["2020-05-12", "2024-04-19", "2024-04-21"]).to_numpy()
    assert subsidy_btc_at(times).tolist() == [6.25, 6.25, 3.125]


def test_negative_height_is_refused() -> None:
    with pytest.raises(ValueError, match="height is -1"):
        subsidy_btc(-1)


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
