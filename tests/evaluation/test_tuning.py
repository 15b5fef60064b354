"""Tuning finds the best thresholds inside its grid, or says that there are none."""

import numpy as np
import pytest

from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.scenario.scenario import Scenario
from hashgym.evaluation.tuning import tune, tune_hysteresis


def test_tuning_widens_the_grid_until_the_best_point_is_inside() -> None:
    def profit(points: list[tuple[float, float]]) -> np.ndarray:
        return np.array([-((np.log(off) - np.log(60.0)) ** 2) - (np.log(on) - np.log(0.3)) ** 2 for off, on in points])

    tuned = tune_hysteresis(profit)
    offs, ons = ({point[k] for point in tuned.grid} for k in (0, 1))
    assert min(offs) < tuned.off_ratio < max(offs)
    assert min(ons) < tuned.on_ratio < max(ons)
    assert tuned.off_ratio == pytest.approx(60.0, rel=0.3)
    assert tuned.profit_usd == max(tuned.grid.values())


def test_tuning_without_an_inner_optimum_says_so() -> None:
    with pytest.raises(RuntimeError, match="still on the grid's edge"):
        tune_hysteresis(lambda points: np.array([off for off, _ in points]))


def test_tuning_shows_a_bar_only_where_progress_is_on(small: Scenario, capsys: pytest.CaptureFixture[str]) -> None:
    config = EnvConfig(scenario=small, task="operation", reward="cvar", episode_steps=24, split="test")
    shown = tune(config, 0, progress=True)
    assert "tuning hysteresis" in capsys.readouterr().err
    assert tune(config, 0) == shown
    assert capsys.readouterr().err == ""
    assert shown.profit_usd == shown.grid[shown.off_ratio, shown.on_ratio] == max(shown.grid.values())
