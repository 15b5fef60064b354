"""Parts of a power contract: what each refuses, and what tariffs and calendars say."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashgym.sim.contract.contract import (
    Block,
    CoincidentPeakCharge,
    Contract,
    CurtailmentProgramme,
    DemandCharge,
    FlatTariff,
    RealTimeTariff,
    TimeOfUseTariff,
    known_price_usd_per_mwh,
)
from hashgym.sim.foundation.errors import BadInputError

DAY = tuple(float(hour) for hour in range(24))


@pytest.mark.parametrize(
    ("part", "options", "message"),
    [
        (RealTimeTariff, {"adder_usd_per_mwh": float("nan")}, "RealTimeTariff.adder_usd_per_mwh is nan; it must be finite"),
        (FlatTariff, {"energy_price_usd_per_mwh": float("inf")}, "energy_price_usd_per_mwh is inf; it must be in ±20,000 USD/MWh"),
        (TimeOfUseTariff, {"weekday_usd_per_mwh": (1.0,), "weekend_usd_per_mwh": DAY}, "weekday_usd_per_mwh is .*24 prices"),
        (TimeOfUseTariff, {"weekday_usd_per_mwh": DAY, "weekend_usd_per_mwh": DAY[:23]}, "weekend_usd_per_mwh is .*24 prices"),
        (
            TimeOfUseTariff,
            {"weekday_usd_per_mwh": DAY, "weekend_usd_per_mwh": DAY, "summer_months": (13,)},
            r"summer_months is \(13,\); it must be months from 1 to 12, each once",
        ),
        (Block, {"power_w": 0.0}, "Block.power_w is 0.0; it must be above 0"),
        (Block, {"power_w": 1e6, "strike_usd_per_mwh": float("nan")}, "strike_usd_per_mwh is nan; it must be finite, or null"),
        (Block, {"power_w": 1e6, "resale_fee_usd_per_mwh": -1.0}, "resale_fee_usd_per_mwh is -1.0; it must be 0 or more"),
        (DemandCharge, {"usd_per_kw": -1.0}, "DemandCharge.usd_per_kw is -1.0; it must be 0 or more"),
        (DemandCharge, {"usd_per_kw": 1.0, "hours": (24,)}, r"hours is \(24,\); it must be local hours from 0 to 23"),
        (DemandCharge, {"usd_per_kw": 1.0, "hours": ()}, r"hours is \(\); it must be local hours"),
        (DemandCharge, {"usd_per_kw": 1.0, "months": (6, 6)}, r"months is \(6, 6\); it must be months from 1 to 12, each once"),
        (CoincidentPeakCharge, {"usd_per_kw_year": -5.0}, "usd_per_kw_year is -5.0; it must be 0 or more"),
        (CoincidentPeakCharge, {"months": ()}, r"CoincidentPeakCharge.months is \(\)"),
        (CurtailmentProgramme, {"committed_pu": 0.0}, "committed_pu is 0.0; it must be above 0, baseline_pu at most"),
        (CurtailmentProgramme, {"committed_pu": 0.1, "baseline_pu": 1.2}, "a call leaves less than rated power"),
        (CurtailmentProgramme, {"notice_s": -1.0}, "CurtailmentProgramme.notice_s is -1.0; it must be 0 or more"),
        (Contract, {"demand": (DemandCharge(usd_per_kw=1.0),) * 3}, "Contract.demand is 3; it must be two charges at most"),
        (Contract, {"interval_s": 600}, r"interval_s is 600; it must be one of \(300, 900, 1800, 3600\)"),
        (Contract, {"heat_usd_per_mwh": (1.0,)}, r"heat_usd_per_mwh is \(1.0,\); it must be 12 prices"),
        (Contract, {"heat_min_temp_c": float("nan")}, "heat_min_temp_c is nan; it must be finite"),
        (Contract, {"carbon_usd_per_t": -1.0}, "Contract.carbon_usd_per_t is -1.0; it must be 0 or more"),
        (
            Contract,
            {"energy": FlatTariff(energy_price_usd_per_mwh=50.0), "block": Block(power_w=1e6)},
            "with the energy tariff real_time; others have no price to resell at",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named(part: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        part(**options)


def week(start: str = "2024-07-01", days: int = 7) -> pd.DatetimeIndex:
    return pd.date_range(start, periods=24 * days, freq="h", tz="America/Chicago")


def test_a_time_of_use_price_is_that_of_the_local_hour_day_and_season() -> None:
    tariff = TimeOfUseTariff(
        weekday_usd_per_mwh=DAY, weekend_usd_per_mwh=(5.0,) * 24, summer_factor=2.0, summer_months=(7,)
    )
    for start, factor in (("2024-07-01", 2.0), ("2024-09-02", 1.0)):  # both are Mondays
        local = week(start)
        price = tariff.settlement_usd_per_mwh(np.zeros((1, len(local))), local)[0]
        assert price[: 5 * 24] == pytest.approx(factor * np.tile(DAY, 5))
        assert price[5 * 24 :] == pytest.approx(factor * np.full(48, 5.0))


def test_tariffs_price_every_series_of_the_market_alike() -> None:
    local, market = week(), np.random.default_rng(0).normal(30.0, 20.0, (3, 168))
    assert np.array_equal(RealTimeTariff(adder_usd_per_mwh=12.0).settlement_usd_per_mwh(market, local), market + 12.0)
    flat = FlatTariff(energy_price_usd_per_mwh=60.0).settlement_usd_per_mwh(market, local)
    assert flat.shape == market.shape
    assert np.all(flat == 60.0)


def test_a_demand_charge_counts_within_its_hours_months_and_weekdays() -> None:
    local = week("2024-06-24", 14)
    counts = DemandCharge(usd_per_kw=1.0, hours=(15, 16), months=(7,), weekdays_only=True).counts(local)
    counted = local[counts]
    assert set(counted.hour) == {15, 16}
    assert set(counted.month) == {7}
    assert counted.dayofweek.max() == 4
    assert counts.sum() == 2 * 5  # 1 to 5 July 2024
    assert DemandCharge(usd_per_kw=1.0).counts(local).all()


def test_a_year_of_coincident_peaks_is_spread_over_its_months() -> None:
    assert CoincidentPeakCharge(usd_per_kw_year=60.0, months=(6, 7, 8, 9)).usd_per_kw == 15.0


def test_a_call_leaves_what_is_not_committed() -> None:
    programme = CurtailmentProgramme(committed_pu=0.7, baseline_pu=0.95)
    assert programme.allowed_pu == pytest.approx(0.25)
    assert Contract(curtailment=programme).numbers["committed_pu"] == 0.7
    assert Contract().numbers["committed_pu"] == 0.0


@given(
    prices=st.lists(st.floats(-100.0, 5000.0), min_size=2, max_size=50),
    lags=st.lists(st.integers(0, 20), min_size=2, max_size=50),
)
def test_a_known_price_is_one_that_is_published(prices: list[float], lags: list[int]) -> None:
    n_steps = min(len(prices), len(lags))
    settlement, until = np.array(prices[:n_steps]), np.maximum(np.arange(n_steps) - np.array(lags[:n_steps]), 0)
    known = known_price_usd_per_mwh(settlement, until)
    changed = settlement.copy()
    for step in range(n_steps):
        assert known[step] == settlement[max(until[step] - 1, 0)]
        changed[max(until[step], 1) :] += 1.0
        assert known_price_usd_per_mwh(changed, until)[step] == known[step]
        changed[:] = settlement
    assert np.array_equal(known_price_usd_per_mwh(settlement, None), settlement)
