"""The generator against the statistics that it is calibrated to; tolerances leave room for one seed's spread."""

import numpy as np
import pandas as pd
import pytest

from hashgym.sim.errors import BadInputError
from hashgym.sim.history import History
from hashgym.sim.market import coin_hashprice
from hashgym.synthesis.generate import synthesize


@pytest.fixture(scope="module")
def years() -> History:
    return synthesize("ercot", "2023-07-01", "2026-01-01", 11)


def quarter_hours(history: History, name: str) -> np.ndarray:
    return history.frame[name].to_numpy()[::3]


def autocorrelation(values: np.ndarray, lag: int) -> float:
    return float(np.corrcoef(values[:-lag], values[lag:])[0, 1])


def test_same_seed_same_history_other_seed_another() -> None:
    one, same, other = (synthesize("ercot", "2024-01-01", "2024-01-05", seed) for seed in (1, 1, 2))
    assert one.hash == same.hash != other.hash
    assert one.kind == "synthetic"


def test_price_has_the_published_quantiles(years: History) -> None:
    price = quarter_hours(years, "price_usd_per_mwh")
    assert np.quantile(price, [0.25, 0.5, 0.75]) == pytest.approx([15.9, 22.3, 31.1], rel=0.15)
    assert np.quantile(price, 0.95) == pytest.approx(71.0, rel=0.25)
    assert np.quantile(price, 0.99) == pytest.approx(138.1, rel=0.4)
    assert 0.008 < np.mean(price < 0.0) < 0.04
    assert 0.012 < np.mean(price > 100.0) < 0.035
    assert price.min() >= -35.0
    assert price.max() <= 5000.0


def test_price_has_the_published_memory(years: History) -> None:
    bent = np.arcsinh(quarter_hours(years, "price_usd_per_mwh") / 20.0)
    measured = [autocorrelation(bent, lag) for lag in (1, 4, 96, 672)]
    assert measured == pytest.approx([0.96, 0.84, 0.49, 0.36], abs=0.10)


def test_day_ahead_correlates_with_real_time(years: History) -> None:
    bent = [
        np.arcsinh(quarter_hours(years, name) / 20.0) for name in ("price_usd_per_mwh", "day_ahead_price_usd_per_mwh")
    ]
    assert np.corrcoef(*bent)[0, 1] == pytest.approx(0.81, abs=0.06)


def test_evenings_are_dear_and_middays_cheap(years: History) -> None:
    hour = pd.DatetimeIndex(years.frame.index).tz_convert("America/Chicago").hour
    medians = years.frame["price_usd_per_mwh"].groupby(hour).median()
    assert medians[19] == pytest.approx(42.0, rel=0.2)
    assert medians[10] == pytest.approx(16.0, rel=0.2)


def test_heat_makes_power_dear(years: History) -> None:
    frame = years.frame
    hot = frame[frame["outdoor_temp_c"] > 36.0]["price_usd_per_mwh"].mean()
    mild = frame[frame["outdoor_temp_c"].between(15.0, 25.0)]["price_usd_per_mwh"].mean()
    assert hot > 1.5 * mild


def test_weather_has_the_published_levels(years: History) -> None:
    temp = years.frame["outdoor_temp_c"]
    monthly = temp.groupby(temp.index.month).mean()
    expected = [8.4, 9.4, 16.1, 19.0, 23.5, 28.4, 30.7, 30.6, 26.8, 20.8, 14.4, 9.0]
    # A month's mean over two or three years has a standard error of 1.6 K: weather systems last for days.
    assert monthly.to_numpy() == pytest.approx(expected, abs=4.0)
    assert monthly.mean() == pytest.approx(np.mean(expected), abs=1.0)
    assert temp.std() == pytest.approx(9.6, abs=1.0)
    assert temp.min() > -20.0
    assert temp.max() < 46.0
    assert years.frame["relative_humidity_pct"].mean() == pytest.approx(61.0, abs=5.0)


def test_coin_has_the_published_volatility_and_its_clusters(years: History) -> None:
    returns = np.diff(np.log(years.frame["coin_price_usd"].to_numpy()[::12]))
    assert returns.std() * np.sqrt(8760) == pytest.approx(0.50, abs=0.12)
    assert pd.Series(returns).kurt() > 5.0
    assert autocorrelation(np.abs(returns), 1) > 0.1


def test_difficulty_changes_at_retargets_only(years: History) -> None:
    change = np.diff(np.log(years.frame["difficulty"].to_numpy()))
    steps = np.flatnonzero(change)
    assert np.diff(steps).mean() * 300 / 86400 == pytest.approx(13.8, abs=0.6)
    assert change[steps].std() == pytest.approx(0.05, abs=0.02)


def test_hashprice_keeps_the_published_level(years: History) -> None:
    daily = pd.Series(coin_hashprice(years, "btc"), years.frame.index)
    assert daily["2025-01":"2025-03"].mean() == pytest.approx(53.6, rel=0.35)  # type: ignore[misc]


def test_unknown_region_and_short_span_are_named() -> None:
    with pytest.raises(BadInputError, match="no region .mars.; there are alberta"):
        synthesize("mars", "2024-01-01", "2024-02-01", 0)
    with pytest.raises(BadInputError, match="shorter than two days"):
        synthesize("ercot", "2024-01-01", "2024-01-02", 0)
