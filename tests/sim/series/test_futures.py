"""Futures begin where a history stands: what is known in them follows from the path as it does from a history."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hashgym.sim.contract.contract import Contract, RealTimeTariff, TimeOfUseTariff
from hashgym.sim.history.history import History
from hashgym.sim.market.pools import Market
from hashgym.sim.series import exogenous, futures
from hashgym.sim.site.params import SiteParams
from hashgym.synthesis.generate import synthesize
from tests.conftest import site

TARIFFS = [RealTimeTariff(), TimeOfUseTariff(weekday_usd_per_mwh=tuple(range(24)), weekend_usd_per_mwh=(5.0,) * 24)]


def under(tariff: RealTimeTariff | TimeOfUseTariff) -> SiteParams:
    return site(contract=Contract(energy=tariff), altitude_m=0.0)


@pytest.fixture(scope="module")
def history() -> History:
    return synthesize("ercot", "2024-03-05", "2024-03-15", 2)


def paths_of(history: History, origin: int, n_steps: int = 288) -> dict[str, np.ndarray]:
    span = slice(origin, origin + n_steps)
    return {
        "market_price_usd_per_mwh": history.frame["market_price_usd_per_mwh"].to_numpy()[span][None],
        "outdoor_temp_c": history.frame["outdoor_temp_c"].to_numpy()[span][None],
        "expected_hashprice_usd_per_ph_day": exogenous.hashprice(history, Market())[span][None],
    }


@pytest.mark.parametrize("tariff", TARIFFS, ids=["real_time", "time_of_use"])
@pytest.mark.parametrize("forecast", exogenous.PUBLISHED)
@pytest.mark.parametrize("origin", [1001, 1200, 1334])
def test_the_path_that_came_is_the_history(
    history: History, tariff: RealTimeTariff | TimeOfUseTariff, forecast: str, origin: int
) -> None:
    whole = exogenous.build(history, under(tariff), forecast)
    found = futures.build(history, origin, under(tariff), forecast, paths_of(history, origin))
    span = slice(origin, origin + 288)
    for column in (0, 2, 3):
        assert found.values[0, :, column] == pytest.approx(whole.values[0, span, column])
    # What an operator knows at the origin itself is the same to the bit; wet bulb follows from yesterday's humidity.
    same = [k for k, name in enumerate(whole.channels) if name != "wet_bulb_temp_c"]
    assert found.known[0, 0, same] == pytest.approx(whole.known[0, origin, same], rel=1e-5, abs=1e-4)
    names = ("known_energy_price", "energy_price_mean_1h", "energy_price_mean_24h")
    priced = [whole.column(f"{name}_usd_per_mwh") for name in names]
    assert found.known[0][:, priced] == pytest.approx(whole.known[0, span][:, priced], rel=1e-4, abs=1e-3)


def test_futures_do_not_read_the_history_beyond_their_origin(history: History) -> None:
    origin = 1200
    paths = paths_of(history, origin)
    frame = history.frame.copy()
    for name in frame:
        frame.iloc[origin + 1 :, list(frame.columns).index(name)] *= 0.5
    frame["day_ahead_price_usd_per_mwh"] = history.frame["day_ahead_price_usd_per_mwh"]
    local = frame.index[origin].tz_convert(history.timezone)
    days = 2 if local.hour * 60 + local.minute >= 13 * 60 + 30 else 1
    border = (local.normalize() + pd.Timedelta(days=days)).tz_convert("UTC")
    frame.loc[frame.index >= border, "day_ahead_price_usd_per_mwh"] = 777.0
    one, other = (
        futures.build(h, origin, under(TARIFFS[0]), "day_ahead", paths)
        for h in (history, replace(history, frame=frame))
    )
    assert np.array_equal(one.values, other.values)
    assert np.array_equal(one.known, other.known)
    ended = replace(history, frame=history.frame.iloc[: origin + 1])
    assert np.array_equal(
        futures.build(ended, origin, under(TARIFFS[0]), "none", paths).known,
        futures.build(history, origin, under(TARIFFS[0]), "none", paths).known,
    )


def test_paths_differ_where_they_differ(history: History) -> None:
    origin = 1200
    paths = {name: np.repeat(value, 2, axis=0) for name, value in paths_of(history, origin).items()}
    paths["market_price_usd_per_mwh"][1, 100:] += 50.0
    found = futures.build(history, origin, under(TARIFFS[0]), "day_ahead", paths)
    assert np.array_equal(found.known[0, :100], found.known[1, :100])
    assert (found.known[1, 110:, 0] > found.known[0, 110:, 0] + 49.0).all()


def test_too_little_past_and_too_long_paths_are_refused(history: History) -> None:
    with pytest.raises(ValueError, match="there must be 576 before it"):
        futures.build(history, 100, under(TARIFFS[0]), "none", paths_of(history, 100))
    with pytest.raises(ValueError, match="288 at most"):
        futures.build(history, 1000, under(TARIFFS[0]), "none", paths_of(history, 1000, 400))
