"""Drawn years: a synthetic scenario is judged on many, and intervals draw years before episodes."""

import numpy as np
import pytest

from hashgym.agents.rules import AlwaysOn, Menu
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.envs.scenario.scenario import Scenario, from_mapping
from hashgym.evaluation import paired
from hashgym.evaluation.intervals import interval
from hashgym.evaluation.years import drawn_years
from tests.conftest import SMALL


def test_years_differ_and_episodes_are_spread_over_all(small: Scenario) -> None:
    config = drawn_years(EnvConfig(scenario=small, split="test"), 3)
    batch = Batch(paired.judged(config))
    prices = batch.exogenous.in_force("energy_price_usd_per_mwh")
    assert len(prices) == 3
    assert not np.array_equal(prices[0], prices[1])
    series, starts = paired.episodes(config, batch, 4)
    assert np.bincount(series).tolist() == [4, 4, 4]
    first, last = batch.scenario.rows("test")
    assert first <= starts.min() < starts.max() <= last - 288
    trace = paired.run(AlwaysOn(Menu.of(small.site)), config, 0, most_a_year=4)
    assert trace.years.tolist() == series.tolist()
    again = paired.run(AlwaysOn(Menu.of(small.site)), config, 0, most_a_year=4)
    assert np.array_equal(trace.profit_usd, again.profit_usd)


def test_a_history_that_was_given_is_one_year(small: Scenario) -> None:
    given = from_mapping(SMALL, small.history)
    config = EnvConfig(scenario=given, split="test")
    assert drawn_years(config, 20) is config
    assert set(paired.run(AlwaysOn(Menu.of(given.site)), config, 0).years) == {0}


def test_an_interval_over_years_is_as_wide_as_years_differ() -> None:
    rng = np.random.default_rng(0)
    years = np.repeat(np.arange(20), 8)
    values = rng.normal(0.0, 1.0, 20)[years] * 10.0 + rng.normal(0.0, 1.0, 160)
    flat = interval(values, np.random.default_rng(1))
    nested = interval(values, np.random.default_rng(1), 1.0, years)
    assert nested["mean"] == flat["mean"]
    assert nested["hi"] - nested["lo"] == pytest.approx(
        2.0 * 1.96 * 10.0 * np.std(rng.normal(0.0, 1.0, 100_000)) / np.sqrt(20), rel=0.5
    )
    assert nested["hi"] - nested["lo"] > 2.0 * (flat["hi"] - flat["lo"])
