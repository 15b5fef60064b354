"""Nothing that is observed, forecast from or earned by a step depends on what comes after it: each channel's future is altered in turn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.envs.scenario import published
from hashgym.envs.scenario.published import published_series
from hashgym.envs.scenario.scenario import Scenario, from_mapping
from hashgym.forecast.features import REGISTRY, matrix, of_channel
from hashgym.sim.contract.channels import COINCIDENT_PRICE
from hashgym.sim.history.history import Channel, History
from hashgym.sim.history.publication import day_ahead_until, settled_until
from hashgym.sim.series import exogenous
from hashgym.synthesis.generate import synthesize
from tests.conftest import SMALL

CUTS = (2222, 3001, 4567)
"""Steps at which the future begins: none at an hour's, a day's or an interval's border."""

CONTRACT = {
    "kind": "real_time",
    "adder_usd_per_mwh": 5.0,
    "coincident_peak": {},
    "curtailment": {"notice_s": 1800.0},
    "demand": [{"usd_per_kw": 5.0}],
    "block": {"power_w": 300_000.0},
}
MARKETS = [
    {"coins": ["btc"]},
    {"coins": ["btc"], "pool": {"name": "lucky", "scheme": "pplns"}},
    {"coins": ["bch", "btc"], "pool": {"name": "switching", "scheme": "pps+"}},
]


@pytest.fixture(scope="module")
def world() -> Scenario:
    history = synthesize("ercot", "2024-06-01", "2024-07-16", 3, ("bch",))
    mood = np.sin(np.arange(len(history.frame)) / 700.0)
    channel = Channel(unit="1", low=-1.0, high=1.0)
    history = replace(history, frame=history.frame.assign(mood=mood), channels={"mood": channel})
    return from_mapping({**SMALL, "tariff": CONTRACT, "markets": MARKETS}, history)


def first_unknown(history: History, column: str, cut: int) -> int:
    """Return the first step of a column that an operator cannot know when step `cut` begins."""
    if column == "market_price_usd_per_mwh":
        return int(settled_until(history)[cut])
    if column == "day_ahead_price_usd_per_mwh":
        return int(day_ahead_until(history)[cut])
    if column == "grid_load_mw":
        return cut  # a step's load is measured when it has ended
    if column == "curtailment_call":
        return cut + 1 + 1800 // 300
    return cut + 1


def altered(history: History, column: str, first: int) -> History:
    frame = history.frame.copy()
    values = frame[column].to_numpy(np.float64).copy()
    rng = np.random.default_rng(first)
    if column == "curtailment_call":
        values[first:] = 1.0 - values[first:]
    else:
        values[first:] = 0.9 * np.quantile(values, rng.random(len(values) - first))
    frame[column] = values
    return replace(history, frame=frame)


COLUMNS = (
    "outdoor_temp_c",
    "relative_humidity_pct",
    "market_price_usd_per_mwh",
    "day_ahead_price_usd_per_mwh",
    "coin_price_usd",
    "difficulty",
    "fee_share",
    "grid_load_mw",
    "carbon_g_per_kwh",
    "curtailment_call",
    "bch_price_usd",
    "bch_difficulty",
    "bch_fee_share",
    "mood",
)


def test_every_column_is_altered(world: Scenario) -> None:
    assert set(COLUMNS) == set(world.history.frame)


@pytest.mark.parametrize("column", COLUMNS)
def test_the_past_does_not_see_the_future_of(column: str, world: Scenario) -> None:
    features = (*REGISTRY, *of_channel("mood"))
    for cut in CUTS:
        other = altered(world.history, column, first_unknown(world.history, column, cut))
        assert not other.frame[column].equals(world.history.frame[column])
        for forecast in exogenous.PUBLISHED:
            before, after = (exogenous.build(h, world.site, forecast) for h in (world.history, other))
            assert np.array_equal(before.known[:, : cut + 1], after.known[:, : cut + 1]), forecast
            # A coincident peak is booked where it turned out to be: that alone waits for the month's end.
            settled = [k for k in range(before.values.shape[2]) if k != COINCIDENT_PRICE]
            if column not in ("market_price_usd_per_mwh", "grid_load_mw", "day_ahead_price_usd_per_mwh"):
                assert np.array_equal(before.values[:, : cut + 1, settled], after.values[:, : cut + 1, settled])
        origins = np.array([cut])
        seen = [matrix(published_series(h, world.site.markets[0]), features, origins) for h in (world.history, other)]
        assert np.array_equal(seen[0], seen[1], equal_nan=True)


@pytest.mark.parametrize("column", ["market_price_usd_per_mwh", "day_ahead_price_usd_per_mwh", "outdoor_temp_c"])
def test_models_do_not_see_the_future_of(
    column: str, world: Scenario, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HASHGYM_CACHE_DIR", str(tmp_path))
    quick = replace(published.WALK, n_trees=8, stopping_days=4, vintage_days=9, origin_spacing_steps=150)
    monkeypatch.setattr(published, "WALK", quick)
    cut = 9001
    other = altered(world.history, column, first_unknown(world.history, column, cut))
    seen = []
    for history in (world.history, other):
        said = published.price_quantiles(history, world.site.markets[0])
        assert np.isnan(said.usd_per_mwh[0]).all()
        assert np.isfinite(said.usd_per_mwh[cut // 12]).all()
        seen.append(exogenous.build(history, world.site, exogenous.MODEL, quantiles=said))
    before, after = (part.known[0] for part in seen)
    assert np.array_equal(before[: cut + 1], after[: cut + 1])
    assert not np.array_equal(before, after)
    low, middle, high = (
        seen[0].known[0, cut, [seen[0].column(name) for name in names]]
        for names in (exogenous.LOW_CHANNELS, exogenous.FORECAST_CHANNELS, exogenous.HIGH_CHANNELS)
    )
    assert (low <= middle).all()
    assert (middle <= high).all()
    assert (low < high).any()
    again = published.price_quantiles(world.history, world.site.markets[0])  # from the cache
    assert np.array_equal(
        again.usd_per_mwh, published._made(world.history, world.site.markets[0]).usd_per_mwh, equal_nan=True
    )


@pytest.mark.parametrize("column", ["market_price_usd_per_mwh", "grid_load_mw", "curtailment_call", "bch_price_usd"])
def test_an_episode_does_not_see_the_future_of(column: str, world: Scenario) -> None:
    cut, length = 3001, 40
    other = altered(world.history, column, first_unknown(world.history, column, cut))
    seen = []
    for history in (world.history, other):
        batch = Batch(EnvConfig(scenario=replace_history(world, history), split="train", episode_steps=length), 4)
        batch.seed(range(4))
        batch.reset(starts=np.full(4, cut - length))
        actions = np.random.default_rng(5).integers(0, 6, (length, 4, 1))
        observed = [batch.obs.copy()]
        for action in actions:
            batch.step(action)
            observed.append(batch.obs.copy())
        seen.append(np.array(observed))
    assert np.array_equal(seen[0], seen[1])


def replace_history(world: Scenario, history: History) -> Scenario:
    return from_mapping({**SMALL, "tariff": CONTRACT, "markets": MARKETS}, history)


def test_the_alteration_itself_is_seen_later(world: Scenario) -> None:
    column, cut = "grid_load_mw", 3001
    other = altered(world.history, column, cut)
    before, after = (exogenous.build(h, world.site).known for h in (world.history, other))
    assert not np.array_equal(before[:, cut + 1 :], after[:, cut + 1 :])
