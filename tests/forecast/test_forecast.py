"""Forecasts use what is published and nothing else, are saved as JSON without loss, and their paths cover what comes."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashgym.advisor.outlook import read_forecaster
from hashgym.envs.scenario.published import published_series
from hashgym.forecast.features import LEADS_H, REGISTRY, matrix
from hashgym.forecast.fitting import FitConfig, fit
from hashgym.forecast.model import Forecaster
from hashgym.forecast.paths import interval, joint_paths, past_origins
from hashgym.forecast.scores import naive, rows
from hashgym.forecast.series import Published, PublishedSeries
from hashgym.forecast.targets import TARGETS, actual
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.history.history import STEP, History
from hashgym.sim.market.pools import Market
from hashgym.synthesis.generate import synthesize

CONFIG = FitConfig(
    n_trees=30,
    learning_rate=0.15,
    min_child_weight=20,
    n_vintages=2,
    vintage_days=10,
    stopping_days=6,
    early_stopping=5,
)
UNTIL = pd.Timestamp("2024-04-20", tz="UTC")


@pytest.fixture(scope="module")
def history() -> History:
    return synthesize("ercot", "2024-03-01", "2024-07-01", 5)


@pytest.fixture(scope="module")
def world(history: History) -> PublishedSeries:
    return published_series(history, Market())


@pytest.fixture(scope="module")
def forecaster(world: PublishedSeries) -> Forecaster:
    return fit(world, UNTIL, CONFIG)


def step(history: History, stamp: str) -> int:
    return int((pd.Timestamp(stamp, tz="UTC") - history.start) / STEP)


def disturbed(history: History, origin: int) -> History:
    """Return the history with everything changed that is not published at a step."""
    frame, rng = history.frame.copy(), np.random.default_rng(0)
    n = len(frame)
    for name in ("outdoor_temp_c", "coin_price_usd", "difficulty", "fee_share", "relative_humidity_pct"):
        frame.iloc[origin + 1 :, list(frame.columns).index(name)] *= 0.8
    running = origin // 3 * 3
    frame.iloc[running:, list(frame.columns).index("market_price_usd_per_mwh")] = rng.uniform(0.0, 900.0, n - running)
    local = frame.index[origin].tz_convert(history.timezone)
    days = 2 if local.hour * 60 + local.minute >= 13 * 60 + 30 else 1
    border = (local.normalize() + pd.Timedelta(days=days)).tz_convert("UTC")
    frame.loc[frame.index >= border, "day_ahead_price_usd_per_mwh"] = 777.0
    return replace(history, frame=frame)


@pytest.mark.parametrize("stamp", ["2024-06-10T12:05", "2024-06-10T18:25", "2024-06-10T18:30", "2024-06-11T00:00"])
def test_no_feature_and_no_forecast_sees_what_is_not_published(
    history: History, world: PublishedSeries, forecaster: Forecaster, stamp: str
) -> None:
    origin = step(history, stamp)
    other = published_series(disturbed(history, origin), Market())
    origins = np.array([origin])
    for name in REGISTRY:
        before, after = (matrix(part, (name,), origins) for part in (world, other))
        assert np.array_equal(before, after, equal_nan=True), name
    for target in TARGETS:
        assert np.array_equal(
            forecaster.quantiles(world, target, origins), forecaster.quantiles(other, target, origins)
        )
    before_paths, after_paths = (joint_paths(forecaster, part, origin, 40) for part in (world, other))
    for target in TARGETS:
        assert np.array_equal(before_paths.values[target], after_paths.values[target]), target


def test_a_model_is_not_moved_by_what_came_after_its_cut_off(history: History, forecaster: Forecaster) -> None:
    again = fit(published_series(disturbed(history, step(history, "2024-04-20")), Market()), UNTIL, CONFIG)
    assert again.dump() == forecaster.dump()


def test_an_origin_is_answered_by_what_was_fitted_before_it(
    history: History, world: PublishedSeries, forecaster: Forecaster
) -> None:
    first = forecaster.vintages["market_price_usd_per_mwh"][0].until
    assert first == UNTIL - pd.Timedelta(days=10)
    early, late = step(history, "2024-04-12"), step(history, "2024-04-22")
    only_first = Forecaster({k: v[:1] for k, v in forecaster.vintages.items()}, forecaster.features)
    both = np.array([early, late])
    whole, part = (f.quantiles(world, "market_price_usd_per_mwh", both) for f in (forecaster, only_first))
    assert np.array_equal(whole[0], part[0])
    assert not np.array_equal(whole[1], part[1])
    with pytest.raises(ValueError, match="is before the first model"):
        forecaster.quantiles(world, "market_price_usd_per_mwh", np.array([early - 600]))


def test_json_holds_the_whole_forecaster(world: PublishedSeries, forecaster: Forecaster, history: History) -> None:
    text = forecaster.dump()
    again = Forecaster.parse(text)
    origins = np.arange(step(history, "2024-05-01"), step(history, "2024-05-03"), 50)
    for target in TARGETS:
        assert np.array_equal(again.quantiles(world, target, origins), forecaster.quantiles(world, target, origins))
    assert again.dump() == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Expecting property name"),
        ("[]", "not a forecaster"),
        ('{"schema_version": 9, "targets": {}}', "schema version is 9; this version reads 1"),
        ('{"schema_version": 1, "about": {}, "targets": {"p": {"features": [], "vintages": [{"until": "2024-01-01"}]}}}', "not a forecaster"),
    ],
)  # fmt: skip
def test_what_is_no_forecaster_is_refused(text: str, message: str) -> None:
    with pytest.raises(BadInputError, match=message) as caught:
        read_forecaster(text.encode(), "forecast.json")
    assert str(caught.value).startswith("forecast.json: ")


def test_a_forecaster_with_other_features_is_refused(world: PublishedSeries, forecaster: Forecaster) -> None:
    content = json.loads(forecaster.dump())
    content["targets"]["market_price_usd_per_mwh"]["features"][0] = "crystal_ball"
    with pytest.raises(ValueError, match="no feature 'crystal_ball'; there are lead_h"):
        Forecaster.parse(json.dumps(content)).quantiles(world, "market_price_usd_per_mwh", np.array([20000]))


def test_too_little_history_is_named(world: PublishedSeries) -> None:
    with pytest.raises(ValueError, match="not enough history before 2024-03-14.*: 23 days are needed"):
        fit(world, pd.Timestamp("2024-03-14", tz="UTC"), CONFIG)


def test_cut_offs_without_enough_before_them_are_left_out(world: PublishedSeries) -> None:
    found = fit(
        world,
        pd.Timestamp("2024-04-01", tz="UTC"),
        replace(CONFIG, n_vintages=3),
        ("expected_hashprice_usd_per_ph_day",),
    )
    assert [str(v.until.date()) for v in found.vintages["expected_hashprice_usd_per_ph_day"]] == ["2024-04-01"]


def test_a_history_without_a_day_ahead_market_is_forecast_too(history: History) -> None:
    bare = published_series(replace(history, frame=history.frame.drop(columns="day_ahead_price_usd_per_mwh")), Market())
    found = fit(bare, UNTIL, CONFIG, ("market_price_usd_per_mwh",))
    assert "day_ahead" not in found.features["market_price_usd_per_mwh"]
    assert np.isfinite(found.quantiles(bare, "market_price_usd_per_mwh", np.array([step(history, "2024-05-01")]))).all()


def test_what_is_published_ahead_is_not_forecast(history: History) -> None:
    frame = history.frame.drop(columns="market_price_usd_per_mwh").rename(
        columns={"day_ahead_price_usd_per_mwh": "market_price_usd_per_mwh"}
    )
    market = published_series(replace(history, frame=frame, publication="day_ahead", price_interval_s=3600), Market())
    found = fit(market, UNTIL, CONFIG)
    origins = np.array([step(history, "2024-06-10T20:00")])  # 15 o'clock in Texas: tomorrow's prices are out
    quantiles = found.quantiles(market, "market_price_usd_per_mwh", origins)
    came = actual(market, "market_price_usd_per_mwh", origins)
    assert quantiles == pytest.approx(np.repeat(came[:, :, None], 3, axis=2))
    origins = np.array([step(history, "2024-06-10T14:00")])  # 9 o'clock: they are out until midnight
    quantiles = found.quantiles(market, "market_price_usd_per_mwh", origins)
    assert (quantiles[0, :15, 0] == quantiles[0, :15, 2]).all()
    assert (quantiles[0, 15:, 0] < quantiles[0, 15:, 2]).all()
    table = rows(found, market, np.arange(step(history, "2024-06-01"), step(history, "2024-06-26"), 289), 40, "abc")
    value = {(r["target"], r["hours"], r["model"], r["metric"]): r["value"] for r in table}
    assert value["market_price_usd_per_mwh", "1", "paths", "coverage_80_pct"] == 100.0


def test_quantiles_do_not_cross_and_beat_the_naive(
    history: History, world: PublishedSeries, forecaster: Forecaster
) -> None:
    origins = np.arange(step(history, "2024-05-01"), step(history, "2024-06-28"), 41)
    quantiles = forecaster.quantiles(world, "market_price_usd_per_mwh", origins)
    assert (np.diff(quantiles, axis=2) >= 0.0).all()
    came = actual(world, "market_price_usd_per_mwh", origins)
    error = np.abs(quantiles[:, :, 1] - came).mean()
    for name, value in naive(world, "market_price_usd_per_mwh", origins).items():
        if name != "day_ahead":
            assert error < np.abs(value - came).mean(), name


def test_paths_start_with_what_is_known_and_hold_their_share(
    history: History, world: PublishedSeries, forecaster: Forecaster
) -> None:
    inside = []
    for origin in range(step(history, "2024-06-01"), step(history, "2024-06-29"), 97):
        paths = joint_paths(forecaster, world, origin, 40)
        for name in ("outdoor_temp_c", "expected_hashprice_usd_per_ph_day"):
            assert (paths.values[name][:, 0] == world.series[name].values[origin]).all()
        low, high = interval(paths.hourly("market_price_usd_per_mwh"), 0.8)
        came = actual(world, "market_price_usd_per_mwh", np.array([origin]))[0]
        inside.append(((came >= low) & (came <= high)).mean())
        assert (
            paths.values["market_price_usd_per_mwh"].max()
            <= world.series["market_price_usd_per_mwh"].values[: origin + 1].max()
        )
    assert 0.65 < np.mean(inside) < 0.93


def test_paths_go_together_as_the_past_did(history: History, world: PublishedSeries, forecaster: Forecaster) -> None:
    """A path that is dear in one hour is dear in the next: the misses of a day stay together."""
    paths = joint_paths(forecaster, world, step(history, "2024-06-20T20:00"), 40).hourly("market_price_usd_per_mwh")
    assert np.corrcoef(np.argsort(np.argsort(paths[:, 2])), np.argsort(np.argsort(paths[:, 3])))[0, 1] > 0.4


def test_past_origins_are_whole_days_before_and_out(
    history: History, world: PublishedSeries, forecaster: Forecaster
) -> None:
    origin = step(history, "2024-06-10T09:35")
    past = past_origins(forecaster, world, origin, 1000)
    assert ((origin - past) % 288 == 0).all()
    assert past.max() + LEADS_H * 12 <= world.series["market_price_usd_per_mwh"].known_until[origin]
    assert world.local(past[-1:])[0] >= forecaster.first
    with pytest.raises(ValueError, match="only 9 past forecasts"):
        joint_paths(forecaster, world, step(history, "2024-04-20T00:00"), 40)


def test_scores_have_the_form_of_their_page(history: History, world: PublishedSeries, forecaster: Forecaster) -> None:
    origins = np.arange(step(history, "2024-06-01"), step(history, "2024-06-26"), 289)
    result = rows(forecaster, world, origins, 40, "abc")
    assert {"target", "horizon_h", "hours", "model", "metric", "value", "lo", "hi", "history"} == set(result[0])
    assert {row["metric"] for row in result} == {"mae", "mae_skill_pct", "pinball", "mape_pct", "coverage_80_pct"}
    for row in result:
        assert row["lo"] <= row["value"] <= row["hi"]
    value = {(r["target"], r["hours"], r["model"], r["metric"]): r["value"] for r in result}
    for target in TARGETS:
        for hours in ("1", "24", "1-24"):
            best = min(value[target, hours, model, "mae"] for model in ("persistence", "lag_24h", "lag_168h"))
            expected = 100.0 * (1.0 - value[target, hours, "xgboost", "mae"] / best)
            assert value[target, hours, "xgboost", "mae_skill_pct"] == pytest.approx(expected)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-100.0, 100.0), min_size=5, max_size=30), st.integers(0, 4), st.data())
def test_means_are_over_what_is_published(values: list[float], delay: int, data: st.DataObject) -> None:
    n = len(values)
    series = Published(np.array(values), np.maximum(np.arange(n) - delay, 0))
    origin, first = data.draw(st.integers(0, n - 1)), data.draw(st.integers(-3, n))
    last = data.draw(st.integers(first, n + 3))
    seen = values[max(first, 0) : min(last, max(origin - delay, 0))] if last > 0 else []
    mean = series.mean(np.array([origin]), np.array([first]), np.array([last]))[0]
    if seen:
        assert mean == pytest.approx(np.mean(seen), abs=1e-9)
    else:
        assert np.isnan(mean)


def test_series_that_withdraw_what_was_published_are_refused() -> None:
    with pytest.raises(ValueError, match="must not fall"):
        Published(np.zeros(3), np.array([1, 3, 2]))
    with pytest.raises(ValueError, match="step 1 is not finite"):
        Published(np.array([0.0, np.nan]), np.array([1, 2]))
    with pytest.raises(ValueError, match="same number of steps"):
        PublishedSeries(
            {"a": Published(np.zeros(2), np.array([1, 2])), "b": Published(np.zeros(1), np.array([1]))},
            UNTIL,
            300,
            "UTC",
        )
