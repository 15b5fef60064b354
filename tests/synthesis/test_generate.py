"""The generator against the statistics that it is calibrated to, pooled over seeds; docs/synthesis.md says why each tolerance."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from hashgym.sim.errors import BadInputError
from hashgym.sim.history import History
from hashgym.sim.market import coin_hashprice
from hashgym.sim.psychrometrics import wet_bulb_temp_c
from hashgym.synthesis.calibrate import calibrate, fit_returns
from hashgym.synthesis.generate import coin_content, regions, synthesize
from hashgym.synthesis.scores import autocorrelation

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
    price = pooled(runs, "price_usd_per_mwh", 3)
    assert np.quantile(price, [0.25, 0.5, 0.75]) == pytest.approx([15.9, 22.3, 31.1], rel=0.15)
    assert np.quantile(price, [0.95, 0.99]) == pytest.approx([71.0, 138.1], rel=0.25)
    assert 0.015 < np.mean(price < 0.0) < 0.04
    assert 0.012 < np.mean(price > 100.0) < 0.03
    assert price.min() >= -35.0
    assert price.max() <= 5000.0


def test_price_has_the_published_memory(runs: list[History]) -> None:
    found = [mean_ac(runs, "price_usd_per_mwh", 3, lag) for lag in (1, 4, 96, 672)]
    assert found == pytest.approx([0.96, 0.84, 0.49, 0.36], abs=0.15)


def test_real_time_moves_around_the_day_ahead_price(runs: list[History]) -> None:
    bent = [np.arcsinh(pooled(runs, name, 3) / 20.0) for name in ("price_usd_per_mwh", "day_ahead_price_usd_per_mwh")]
    assert np.corrcoef(*bent)[0, 1] == pytest.approx(0.81, abs=0.06)


def test_evenings_are_dear_and_middays_cheap(runs: list[History]) -> None:
    hour = np.concatenate([pd.DatetimeIndex(r.frame.index[::3]).tz_convert("America/Chicago").hour for r in runs])
    medians = pd.Series(pooled(runs, "price_usd_per_mwh", 3)).groupby(hour).median()
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
    # Eight years whose slow level has a memory of two months: the mean has a standard error of 0.7 K.
    assert temp_c.mean() == pytest.approx(19.9, abs=0.9)
    assert np.quantile(temp_c, 0.99) == pytest.approx(38.2, abs=1.2)
    assert wet_c.mean() == pytest.approx(15.2, abs=0.9)
    assert np.quantile(wet_c, 0.99) == pytest.approx(26.2, abs=1.0)
    assert wet_c.max() < 31.0
    assert humidity.mean() == pytest.approx(65.0, abs=4.0)


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
                .frame["price_usd_per_mwh"]
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
    worth = coin_hashprice(run, "ltc+doge")
    assert 0.4e6 < worth.mean() < 4e6
    assert np.array_equal(worth, coin_hashprice(run, "ltc") + coin_hashprice(run, "doge"))


@pytest.mark.parametrize("region", regions())
def test_every_region_is_made_and_is_physical(region: str) -> None:
    run = synthesize(region, "2023-12-30", "2024-01-04", 0)
    assert run.frame.notna().all().all()


def test_calibration_finds_the_generator_again() -> None:
    run = synthesize("ercot", "2023-01-01", "2025-01-01", 5)
    content = calibrate(run, coin_content(), "mine")
    drawn = np.diff(np.log(run.frame["coin_price_usd"].to_numpy()[::12]))
    assert content["coin"]["hourly_vol"] == pytest.approx(drawn.std(), rel=0.01)
    assert content["power"]["calls_h_per_year"] == pytest.approx(40.0, abs=35.0)
    assert content["power"]["load"]["heat_pu_per_k"] == pytest.approx(0.03, rel=0.2)
    with pytest.raises(BadInputError, match="90 days or more"):
        calibrate(synthesize("ercot", "2024-01-01", "2024-02-01", 5), coin_content(), "mine")


def test_a_calibrated_region_makes_histories_like_its_own(tmp_path: Path) -> None:
    run = synthesize("alberta", "2023-01-01", "2025-01-01", 5)
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(calibrate(run, coin_content(), "mine")))
    again = synthesize(str(path), "2023-01-01", "2025-01-01", 6)
    before, after = (np.quantile(h.frame["price_usd_per_mwh"], [0.25, 0.5, 0.75]) for h in (run, again))
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
