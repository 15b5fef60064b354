"""The table of learners: what it says of runs that are done."""

from typing import Any

import pytest

from tools import learning


def one(gain: float) -> dict[str, Any]:
    rule = [100.0, 120.0, 90.0, 110.0]
    costs = {"chip_over_temp": 0.01}
    told = {"years": [0, 0, 1, 1], "costs": costs, "trips": 0.0}
    return {
        "seconds": 60.0,
        "rule": {**told, "usd_per_day": rule},
        "policy": {**told, "usd_per_day": [value + gain for value in rule]},
    }


def test_gains_are_over_the_rules_mean_and_stand_beside_the_planners() -> None:
    rows = learning.rows_of("west_texas_air", "ppo", [one(10.5), one(10.5)])
    gain = next(row for row in rows if row["metric"] == "gain_over_best_rule_pct")
    assert (gain["iqm"], gain["lo"], gain["hi"], gain["seeds"]) == pytest.approx((10.0, 10.0, 10.0, 2))
    headroom = [{"scenario": "west_texas_air", "policy": "planner_day_ahead", "gain_over_best_rule_pct": {"mean": 0.5}}]
    text = learning.table(rows, headroom)
    assert "| west_texas_air | ppo | 2 | 105.0 | 115.5 " in text
    assert "**+10.0** (+10.0 … +10.0) | +0.5 | 60 |" in text


@pytest.mark.parametrize(("scenario", "learners"), learning.SCENARIOS.items())
def test_every_run_of_the_table_can_be_composed(scenario: str, learners: tuple[str, ...]) -> None:
    for learner in learners:
        settings = learning.settings_of(scenario, learner, 0)
        assert settings.env.action == "residual"
        assert settings.agent.name == learner
