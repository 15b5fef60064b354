"""The generator against the statistics that it is calibrated to, pooled over seeds; docs/synthesis.md says why each tolerance."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from hashgym.sim.cooling.psychrometrics import wet_bulb_temp_c
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.history.history import History
from hashgym.sim.market.coins import coin_hashprice
from hashgym.synthesis.calibrate import calibrate, fit_returns
from hashgym.synthesis.fitting import autocorrelation
from hashgym.synthesis.generate import coin_content, regions, synthesize

SEEDS = (1, 2, 3, 4)


@pytest.fixture(scope="module")
def runs() -> list[History]:
    return [synthesize("ercot", "2024-01-01", "2026-01-01", seed) for seed in SEEDS]


def pooled(runs: list[History], name: str, stride: int) -> np.ndarray:
    return np.concatenate([run.frame[name].to_numpy()[::stride] for run in runs])


def mean_ac(runs: list[History], name: str, stride: int, lag: int) -> float:
    return float(np.mean([autocorrelation(np.arcsinh(r.frame[name].to_numpy()[::stride] / 20.0), lag) for r in runs]))


def test_same_seed_same_history_other_seed_another() -> None:
    one, same, other = (synthesize("ercot", "2024-01-01", "2024-01-05", seed) for seed in (1, 1, 2))
    assert one.hash == same.hash != other.hash
    assert one.kind == "synthetic"


def test_price_has_the_published_quantiles(runs: list[History]) -> None:
    price = pooled(runs, "market_price_usd_per_mwh", 3)
    assert np.quantile(price, [0.25, 0.5, 0.75]) == pytest.approx([15.9, 22.3, 31.1], rel=0.15)
    assert np.quantile(price, [0.95, 0.99]) == pytest.approx([71.0, 138.1], rel=0.25)
    assert 0.015 < np.mean(price < 0.0) < 0.04
    assert 0.012 < np.mean(price > 100.0) < 0.03


def test_price_has_the_published_memory(runs: list[History]) -> None:
    found = [mean_ac(runs, "market_price_usd_per_mwh", 3, lag) for lag in (1, 4, 96, 672)]
    assert found == pytest.approx([0.96, 0.84, 0.49, 0.36], abs=0.12)


def test_real_time_moves_around_the_day_ahead_price(runs: list[History]) -> None:
    bent = [
        np.arcsinh(pooled(runs, name, 3) / 20.0) for name in ("market_price_usd_per_mwh", "day_ahead_price_usd_per_mwh")
    ]
    assert np.corrcoef(*bent)[0, 1] == pytest.approx(0.81, abs=0.06)


def test_evenings_are_dear_and_middays_cheap(runs: list[History]) -> None:
    hour = np.concatenate([pd.DatetimeIndex(r.frame.index[::3]).tz_convert("America/Chicago").hour for r in runs])
    medians = pd.Series(pooled(runs, "market_price_usd_per_mwh", 3)).groupby(hour).median()
    assert medians[19] == pytest.approx(42.0, rel=0.2)
    assert medians[10] == pytest.approx(16.0, rel=0.25)


def test_heat_and_frost_make_power_dear(runs: list[History]) -> None:
    temp_c, price = (pooled(runs, name, 12) for name in ("outdoor_temp_c", "day_ahead_price_usd_per_mwh"))
    mild = np.median(price[(temp_c > 10.0) & (temp_c < 25.0)])
    assert np.median(price[temp_c > 36.0]) > 2.0 * mild
    assert np.median(price[temp_c < 0.0]) > 1.4 * mild
    assert price[temp_c > 36.0].mean() > 3.0 * mild


def test_weather_has_the_published_levels(runs: list[History]) -> None:
    temp_c, humidity = (pooled(runs, name, 12) for name in ("outdoor_temp_c", "relative_humidity_pct"))
    wet_c = wet_bulb_temp_c(temp_c, humidity)
    # Single years lie 0.85 K apart: the mean of eight has a standard error of 0.3 K.
    assert temp_c.mean() == pytest.approx(19.9, abs=0.9)
    assert np.quantile(temp_c, 0.99) == pytest.approx(38.2, abs=1.2)
    assert wet_c.mean() == pytest.approx(15.2, abs=0.9)
    assert np.quantile(wet_c, 0.99) == pytest.approx(26.2, abs=1.0)
    assert wet_c.max() < 32.0
    assert humidity.mean() == pytest.approx(65.0, abs=4.0)
    # The reanalysis of Dallas is saturated in 0.1 % of its hours.
    assert np.mean(humidity >= 99.5) < 0.005


def test_load_peaks_on_hot_afternoons(runs: list[History]) -> None:
    for run in runs:
        load = run.frame["grid_load_mw"].loc["2024-07-01":"2024-09-01"]  # type: ignore[misc]
        peak = pd.DatetimeIndex([load.idxmax()]).tz_convert("America/Chicago")[0]
        assert 14 <= peak.hour <= 18
        assert 75e3 < load.max() < 92e3


def test_coin_has_the_published_volatility_and_its_clusters(runs: list[History]) -> None:
    returns = [np.diff(np.log(r.frame["coin_price_usd"].to_numpy()[::12])) for r in runs]
    assert np.mean([r.std() for r in returns]) == pytest.approx(0.0057, rel=0.2)
    assert 6.0 < np.median([pd.Series(r).kurt() for r in returns]) < 30.0
    size = [np.mean([autocorrelation(np.abs(r), lag) for r in returns]) for lag in (1, 24, 168)]
    assert size == pytest.approx([0.27, 0.16, 0.14], abs=0.07)


def test_difficulty_changes_at_retargets_only(runs: list[History]) -> None:
    changes = []
    for run in runs:
        change = np.diff(np.log(run.frame["difficulty"].to_numpy()))
        steps = np.flatnonzero(change)
        assert np.diff(steps).mean() * 300 / 86400 == pytest.approx(13.8, abs=0.6)
        changes.append(change[steps])
    assert np.concatenate(changes).std() == pytest.approx(0.040, abs=0.01)


def test_hashprice_keeps_the_published_level_and_fees_the_halving_s_day(runs: list[History]) -> None:
    worth = np.mean([coin_hashprice(run, "btc") for run in runs], axis=0)
    series = pd.Series(worth, runs[0].frame.index)
    assert series["2025-01":"2025-03"].mean() == pytest.approx(53.6, rel=0.2)  # type: ignore[misc]
    assert runs[0].frame["fee_share"].loc["2024-04-20"].mean() > 0.4


def test_every_region_has_its_quantiles() -> None:
    published = yaml.safe_load((Path(__file__).parents[2] / "synthesis" / "published.yaml").read_text())
    for region in ("germany", "spain", "sweden_south", "ontario", "alberta", "new_south_wales"):
        price = np.concatenate(
            [
                synthesize(region, "2022-01-01", "2026-01-01", s, kind="free")
                .frame["market_price_usd_per_mwh"]
                .to_numpy()[::12]
                for s in (1, 2)
            ]
        )
        rate = {
            "germany": 1.08,
            "spain": 1.08,
            "sweden_south": 1.08,
            "ontario": 0.75,
            "alberta": 0.75,
            "new_south_wales": 0.69,
        }[region]
        quantiles = published[region]["quantiles"]
        assert np.median(price) == pytest.approx(rate * quantiles[0.5], rel=0.25), region
        assert np.quantile(price, 0.95) == pytest.approx(rate * quantiles[0.95], rel=0.3), region


def test_a_free_future_leaves_the_published_level() -> None:
    def spread(kind: str) -> float:
        runs = [synthesize("alberta", "2024-01-01", "2025-01-01", seed, kind=kind).frame for seed in range(12)]  # type: ignore[arg-type]
        return float(np.std([np.log(run["coin_price_usd"].iloc[-1] / run["coin_price_usd"].iloc[0]) for run in runs]))

    assert spread("free") > 1.2 * spread("replay")


def test_scrypt_coins_stand_beside_bitcoin() -> None:
    run = synthesize("alberta", "2025-01-01", "2025-03-01", 1, ("ltc", "doge"))
    assert 0.4e6 < coin_hashprice(run, "ltc+doge").mean() < 4e6


def test_companions_follow_bitcoin_as_published_and_scrypt_has_one_network() -> None:
    runs = [
        synthesize("alberta", "2024-09-01", "2026-01-01", s, ("ltc", "doge", "bch")).frame.iloc[::12] for s in SEEDS
    ]
    lead = np.concatenate([np.diff(np.log(run["coin_price_usd"])) for run in runs])
    for coin, published in (("doge", 0.79), ("ltc", 0.63), ("bch", 0.69)):
        own = np.concatenate([np.diff(np.log(run[f"{coin}_price_usd"])) for run in runs])
        assert np.corrcoef(lead, own)[0, 1] == pytest.approx(published, abs=0.1), coin
    for run in runs:
        network = {coin: run[f"{coin}_difficulty"] / spacing for coin, spacing in (("ltc", 150.0), ("doge", 60.0))}
        assert np.corrcoef(np.log(network["ltc"]), np.log(network["doge"]))[0, 1] > 0.8
        assert (network["doge"] / network["ltc"]).mean() == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("region", regions())
def test_every_region_is_made_and_is_physical(region: str) -> None:
    frame = synthesize(region, "2023-01-01", "2024-01-01", 0).frame.iloc[::12]
    assert frame.notna().all().all()
    temp_c, humidity = (frame[name].to_numpy(np.float64) for name in ("outdoor_temp_c", "relative_humidity_pct"))
    assert wet_bulb_temp_c(temp_c, humidity).max() < 33.0
    assert -50.0 < temp_c.min() < temp_c.max() < 46.0
    means = pd.Series(temp_c, frame.index).groupby(pd.DatetimeIndex(frame.index).month).mean()
    warmest, coldest = (1, 7) if region == "new_south_wales" else (7, 1)
    assert means[warmest] > means[coldest] + 8.0


@pytest.mark.parametrize(("region", "zone"), [("ercot", "America/Chicago"), ("sweden_north", "Europe/Stockholm")])
def test_no_month_begins_with_a_step(region: str, zone: str) -> None:
    runs = [synthesize(region, "2021-06-01", "2023-12-01", seed).frame.iloc[::12] for seed in (1, 2)]
    for name in ("outdoor_temp_c", "market_price_usd_per_mwh"):
        first, other = [], []
        for frame in runs:
            local = pd.DatetimeIndex(frame.index[1:]).tz_convert(zone)
            moved = np.abs(np.diff(np.arcsinh(frame[name].to_numpy() / 20.0)))
            first.append(moved[(local.hour == 0) & (local.day == 1)])
            other.append(moved[(local.hour == 0) & (local.day != 1)])
        assert np.mean(np.concatenate(first)) < 1.6 * np.mean(np.concatenate(other)), name


def test_a_few_days_of_a_replay_vary_as_days_do() -> None:
    means = [synthesize("germany", "2023-01-10", "2023-01-13", s).frame["outdoor_temp_c"].mean() for s in range(16)]
    assert 1.5 < np.std(means) < 5.0


def test_a_month_is_drawn_as_one_whatever_part_is_asked_for() -> None:
    whole, part = (
        synthesize("alberta", a, b, 3).frame for a, b in (("2023-05-02", "2023-05-30"), ("2023-05-10", "2023-05-20"))
    )
    pd.testing.assert_frame_equal(whole.loc[part.index], part)


def test_calls_are_as_rare_and_as_long_as_those_of_the_programme() -> None:
    deployed, tested = [], []
    for seed in range(12):
        called = synthesize("ercot", "2024-01-01", "2026-01-01", seed).frame["curtailment_call"].to_numpy()
        begins, ends = (
            np.flatnonzero(np.diff(called, prepend=0.0) > 0.0),
            np.flatnonzero(np.diff(called, append=0.0) < 0.0),
        )
        lengths_h = (ends - begins + 1) / 12.0
        deployed += list(lengths_h[lengths_h > 0.75])
        tested += list(lengths_h[lengths_h <= 0.75])
    # 24 years: half a deployment and a test a year in the mean.
    assert 4 <= len(deployed) <= 22
    assert 12 <= len(tested) <= 38
    assert all(1.0 <= hours <= 3.8 for hours in deployed)


def test_a_named_year_is_about_as_dear_as_it_was() -> None:
    # Published means: ERCOT 66 and 32 USD/MWh in 2023 and 2025, Sweden's north 40 and 17 EUR.
    for region, years in (
        ("ercot", {2023: 66.0, 2025: 32.0}),
        ("sweden_north", {2023: 40.0 * 1.08, 2025: 17.0 * 1.08}),
    ):
        for year, published in years.items():
            means = [
                synthesize(region, f"{year}-01-01", f"{year + 1}-01-01", seed).frame["market_price_usd_per_mwh"].mean()
                for seed in range(4)
            ]
            assert np.mean(means) == pytest.approx(published, rel=0.25), (region, year)


def test_a_hash_of_bitcoin_cash_is_worth_one_of_bitcoin_within_days() -> None:
    run = synthesize("alberta", "2023-01-01", "2026-01-01", 3, ("bch",))
    ratio = (
        pd.Series(np.log(coin_hashprice(run, "bch") / coin_hashprice(run, "btc")), run.frame.index).resample("D").mean()
    )
    yearly = ratio.groupby(ratio.index.year).mean()  # type: ignore[attr-defined]
    assert (
        np.abs(yearly).max() < 0.02
    )  # no coin is the better one for a year, as at 1.18, 0.71 and 0.64 of Bitcoin's before
    assert 0.02 < ratio.std() < 0.12  # but one is for a day or two
    assert abs(ratio.autocorr(7)) < 0.3


def test_a_long_replay_keeps_to_the_published_network_and_price() -> None:
    run = synthesize("alberta", "2016-01-02", "2026-01-01", 1).frame
    for day, difficulty in (("2018-02-15", 2.74e12), ("2021-08-15", 1.6e13), ("2025-08-15", 1.282e14)):
        assert run["difficulty"].loc[day].mean() == pytest.approx(difficulty, rel=0.3), day
    # Published medians of 2017 and 2025, USD.
    assert run["coin_price_usd"].loc["2025"].median() == pytest.approx(101_000.0, rel=0.35)
    assert run["fee_share"].loc["2016-07-10":"2016-07-14"].max() < 0.15  # type: ignore[misc]
    with pytest.raises(BadInputError, match="a replay cannot go on to 2027-01-01: kind 'free' can"):
        synthesize("alberta", "2026-01-01", "2027-01-01", 1)


def test_a_hash_is_worth_something_after_ten_free_years() -> None:
    worth = [
        coin_hashprice(synthesize("alberta", "2024-01-01", "2034-01-01", s, kind="free"), "btc")[-8640:].mean()
        for s in range(4)
    ]
    # Two halvings and the network's growth: a fifth to a half of the start's 85 USD/(PH/s)/day.
    assert 10.0 < np.median(worth) < 60.0


def test_calibration_finds_the_generator_again() -> None:
    run = synthesize("ercot", "2023-01-01", "2025-01-01", 5)
    content = calibrate(run, coin_content(), "mine")
    drawn = np.diff(np.log(run.frame["coin_price_usd"].to_numpy()[::12]))
    assert content["coin"]["hourly_vol"] == pytest.approx(drawn.std(), rel=0.01)
    called = run.frame["curtailment_call"].to_numpy()
    assert content["power"]["deployments_per_year"] == pytest.approx(
        (np.diff(called, prepend=0.0) > 0.0).sum() / 2.0, abs=0.1
    )
    assert content["power"]["load"]["heat_pu_per_k"] == pytest.approx(0.03, rel=0.2)
    with pytest.raises(BadInputError, match="90 days or more"):
        calibrate(synthesize("ercot", "2024-01-01", "2024-02-01", 5), coin_content(), "mine")


def test_a_calibrated_region_makes_histories_like_its_own(tmp_path: Path) -> None:
    run = synthesize("alberta", "2023-01-01", "2025-01-01", 5)
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(calibrate(run, coin_content(), "mine")))
    again = synthesize(str(path), "2023-01-01", "2025-01-01", 6)
    before, after = (np.quantile(h.frame["market_price_usd_per_mwh"], [0.25, 0.5, 0.75]) for h in (run, again))
    assert after == pytest.approx(before, rel=0.3)
    assert again.frame["outdoor_temp_c"].mean() == pytest.approx(run.frame["outdoor_temp_c"].mean(), abs=1.0)


def test_returns_of_a_random_walk_have_no_clusters() -> None:
    stamps = pd.date_range("2023-01-01", periods=20000, freq="h", tz="UTC")
    found = fit_returns(np.random.default_rng(0).standard_t(8, 20000) * 0.005, stamps)
    assert sum(variance for variance, _ in found["vol_parts"]) < 0.05
    assert found["jumps_per_day"] < 0.1


def test_unknown_region_coin_and_short_span_are_named() -> None:
    with pytest.raises(BadInputError, match="no region 'mars'; there are alberta"):
        synthesize("mars", "2024-01-01", "2024-02-01", 0)
    with pytest.raises(BadInputError, match="shorter than two days"):
        synthesize("ercot", "2024-01-01", "2024-01-02", 0)
    with pytest.raises(BadInputError, match="coin 'xmr' is unknown"):
        synthesize("ercot", "2024-01-01", "2024-01-05", 0, ("xmr",))
    with pytest.raises(BadInputError, match="seed is -1"):
        synthesize("ercot", "2024-01-01", "2024-01-05", -1)
    with pytest.raises(BadInputError, match="begins with a whole hour"):
        synthesize("ercot", "2024-01-01T00:05", "2024-01-05", 0)
