from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hashgym.sim.contract.channels import ENERGY_PRICE, N_CHANNELS, WET_BULB_TEMP_C
from hashgym.sim.contract.contract import Contract, RealTimeTariff, Tariff, TimeOfUseTariff, known_price_usd_per_mwh
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.history.history import History
from hashgym.sim.history.publication import day_ahead_until, settled_until
from hashgym.sim.series import exogenous
from hashgym.sim.site.params import SiteParams
from hashgym.sim.site.world import Exogenous
from hashgym.synthesis.generate import synthesize
from tests.conftest import site

TARIFF = RealTimeTariff(adder_usd_per_mwh=15.0)
CALENDAR = TimeOfUseTariff(weekday_usd_per_mwh=tuple(range(24)), weekend_usd_per_mwh=(5.0,) * 24)


def settlement(tariff: Tariff, history: History) -> np.ndarray:
    local = pd.DatetimeIndex(history.frame.index).tz_convert(history.timezone)
    return tariff.settlement_usd_per_mwh(history.frame["market_price_usd_per_mwh"].to_numpy(), local)


def under(tariff: Tariff) -> SiteParams:
    return site(contract=Contract(energy=tariff), altitude_m=0.0)


@pytest.fixture(scope="module")
def history() -> History:
    return synthesize("ercot", "2024-03-05", "2024-03-15", 2)


def test_a_real_time_price_is_known_after_its_interval(history: History) -> None:
    price = settlement(TARIFF, history)
    known = known_price_usd_per_mwh(price, settled_until(history))
    assert known[3:6].tolist() == [price[2]] * 3
    assert known[6] == price[5]
    assert np.array_equal(known_price_usd_per_mwh(price, None), price)


@pytest.mark.parametrize("tariff", [TARIFF, CALENDAR], ids=["real_time", "time_of_use"])
@pytest.mark.parametrize("forecast", exogenous.PUBLISHED)
def test_known_channels_do_not_see_the_future(
    history: History, forecast: str, tariff: RealTimeTariff | TimeOfUseTariff
) -> None:
    cut = 1500
    changed = history.frame.copy()
    rng = np.random.default_rng(0)
    # Prices of the interval that contains the cut are not published at the cut; day-ahead prices are known until the
    # end of the next local day at most.
    begin = cut // 3 * 3
    changed.loc[changed.index[begin:], "market_price_usd_per_mwh"] = np.repeat(
        rng.uniform(0.0, 900.0, len(changed) // 3 + 1), 3
    )[: len(changed) - begin]
    local = changed.index[cut].tz_convert("America/Chicago")
    end = (
        local.normalize() + pd.Timedelta(days=2 if local.hour * 60 + local.minute >= 13 * 60 + 30 else 1)
    ).tz_convert("UTC")
    changed.loc[changed.index >= end, "day_ahead_price_usd_per_mwh"] = 777.0
    for name in ("coin_price_usd", "outdoor_temp_c", "difficulty", "fee_share"):
        changed.loc[changed.index[cut + 1 :], name] *= 0.9
    before = exogenous.build(history, under(tariff), forecast).known[0, : cut + 1]
    after = exogenous.build(replace(history, frame=changed), under(tariff), forecast).known[0, : cut + 1]
    assert np.array_equal(before, after)


def test_day_ahead_forecast_is_the_mean_of_published_prices(history: History) -> None:
    built = exogenous.build(history, under(TARIFF), "day_ahead")
    day_ahead = history.frame["day_ahead_price_usd_per_mwh"].to_numpy() + 15.0
    step = 1000
    expected = day_ahead[step + 12 : step + 36].mean()
    assert built.known[0, step, built.column("energy_price_forecast_1_3h_usd_per_mwh")] == pytest.approx(
        expected, rel=1e-5
    )


def test_persistence_forecast_is_the_day_before(history: History) -> None:
    built = exogenous.build(history, under(TARIFF), "persistence")
    price = settlement(TARIFF, history)
    step = 1000
    expected = price[step - 291 : step - 279].mean()
    assert built.known[0, step, built.column("energy_price_forecast_0_1h_usd_per_mwh")] == pytest.approx(
        expected, rel=1e-5
    )


def test_unknown_forecast_and_missing_day_ahead_are_named(history: History) -> None:
    with pytest.raises(BadInputError, match="forecast is 'crystal'"):
        exogenous.build(history, under(TARIFF), "crystal")
    bare = replace(history, frame=history.frame.drop(columns="day_ahead_price_usd_per_mwh"))
    with pytest.raises(BadInputError, match="day_ahead_price_usd_per_mwh"):
        exogenous.build(bare, under(TARIFF), "day_ahead")
    exogenous.build(replace(bare, publication="day_ahead"), under(TARIFF), "day_ahead")


def test_time_of_use_follows_the_local_calendar(history: History) -> None:
    weekday = tuple(float(hour) for hour in range(24))
    tariff = TimeOfUseTariff(weekday_usd_per_mwh=weekday, weekend_usd_per_mwh=(99.0,) * 24, summer_months=(7,))
    price = pd.Series(settlement(tariff, history), history.frame.index).tz_convert("America/Chicago")
    assert price["2024-03-08 14:05"] == 14.0
    assert price["2024-03-09 14:05"] == 99.0
    # Clocks change on 10 March: 3 a.m. follows 1:55 a.m.
    assert price["2024-03-11 02:30"] == 2.0
    assert tariff.is_known_ahead(history)


def test_exogenous_refuses_wrong_shapes_and_values() -> None:
    good = np.zeros((1, 5, N_CHANNELS)), np.zeros((1, 5, 1), np.float32)
    with pytest.raises(BadInputError, match="shape"):
        Exogenous(good[0][:, :, :2], good[1], ("a",))
    with pytest.raises(BadInputError, match="known has"):
        Exogenous(good[0].copy(), np.zeros((1, 4, 1), np.float32), ("a",))
    bad = good[0].copy()
    bad[0, 3, ENERGY_PRICE] = np.nan
    with pytest.raises(BadInputError, match="step 3, channel 'energy_price_usd_per_mwh'"):
        Exogenous(bad, good[1], ("a",))
    with pytest.raises(BadInputError, match="no channel 'b'"):
        Exogenous(good[0], good[1], ("a",)).column("b")


def test_a_calendar_is_its_own_forecast(history: History) -> None:
    built = exogenous.build(history, under(CALENDAR), "day_ahead")
    price = settlement(CALENDAR, history)
    ahead = built.known[0, :, built.column("energy_price_forecast_1_3h_usd_per_mwh")]
    assert ahead[700] == pytest.approx(price[712:736].mean())


def test_the_border_of_published_days_follows_the_local_calendar() -> None:
    autumn = synthesize("ercot", "2024-11-01", "2024-11-06", 0)
    until = pd.Series(day_ahead_until(autumn), autumn.frame.index).tz_convert("America/Chicago")
    stamps = autumn.start + pd.Timedelta(minutes=5) * until.to_numpy()
    border = pd.Series(pd.DatetimeIndex(stamps).tz_convert("America/Chicago"), until.index)
    assert str(border["2024-11-02 14:00"]) == "2024-11-04 00:00:00-06:00"
    assert str(border["2024-11-03 12:00"]) == "2024-11-04 00:00:00-06:00"
    assert str(border["2024-11-02 12:00"]) == "2024-11-03 00:00:00-05:00"


def test_hourly_prices_follow_the_market_s_local_clock(history: History) -> None:
    india = replace(history, price_interval_s=3600, timezone="Asia/Kolkata")
    price = np.arange(len(history.frame), dtype=np.float64)
    known = known_price_usd_per_mwh(price, settled_until(india))
    # Midnight UTC is half past five there: hours end at half past of UTC, and the price of one is known from then on.
    assert np.flatnonzero(np.diff(known[288:312])).tolist() == [5, 17]


def test_a_wet_bulb_above_the_dry_bulb_is_refused() -> None:
    values = np.zeros((1, 5, N_CHANNELS))
    values[0, 2, WET_BULB_TEMP_C] = 1.0
    with pytest.raises(BadInputError, match="wet bulb is above the dry bulb at step 2"):
        Exogenous(values, np.zeros((1, 5, 1), np.float32), ("a",))
