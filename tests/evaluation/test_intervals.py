"""The one bootstrap: intervals cover, resamples are paired, blocks are drawn whole."""

import numpy as np
import pytest

from hashgym.evaluation.intervals import block_interval, interval, over_seeds


def test_interval_covers_and_is_paired() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(5.0, 2.0, 200)
    found = interval(values, np.random.default_rng(1))
    assert found["lo"] < 5.0 < found["hi"]
    assert found["hi"] - found["lo"] == pytest.approx(4 * 2.0 / np.sqrt(200), rel=0.15)
    scaled = interval(values, np.random.default_rng(1), 2.0)
    assert scaled == pytest.approx({key: value / 2.0 for key, value in found.items()})


def test_values_that_hang_together_are_drawn_in_blocks() -> None:
    rng = np.random.default_rng(0)
    weeks = np.repeat(np.arange(40), 20)
    values = rng.normal(0.0, 1.0, 40)[weeks] + 0.01 * rng.normal(0.0, 1.0, 800)
    blocks, alone = block_interval(values, weeks, np.random.default_rng(1)), interval(values, np.random.default_rng(1))
    assert blocks["mean"] == alone["mean"]
    assert blocks["lo"] is not None
    assert blocks["hi"] is not None
    # Forty weeks, not eight hundred values, are what is known.
    assert blocks["hi"] - blocks["lo"] == pytest.approx(np.sqrt(20.0) * (alone["hi"] - alone["lo"]), rel=0.2)
    assert block_interval(values, np.zeros(800, np.int64), np.random.default_rng(1))["lo"] is None


def test_over_runs_the_middle_half_counts_and_years_are_drawn() -> None:
    years = np.repeat([0, 1, 2], 4)
    values = np.tile(np.array([1.0, 2.0, 3.0])[years], (5, 1))
    values[4] += 1000.0  # one run that is out of all bounds
    found = over_seeds(values, years, 2.0)
    assert found["iqm"] == 1.0
    assert found["lo"] < 1.0 < found["hi"]
    same = over_seeds(np.full((3, 12), 7.0), years, 1.0)
    assert same == {"iqm": 7.0, "lo": 7.0, "hi": 7.0}
