"""The table of learners: what it says of runs that are done."""

from typing import Any

import pytest

from tools import learning, learning_page


def judged(usd_per_day: list[float], energy_kwh: float) -> dict[str, Any]:
    flows = dict.fromkeys(learning.FLOWS, 1.0) | {
        "it_energy_kwh": energy_kwh,
        "load_kwh": 1.1 * energy_kwh,
        "hash_th": 3.6e6,
        "profit_usd": 50.0,
    }
    costs = {"chip_over_temp": 0.01, "power_ramp": 0.0}
    return {
        "usd_per_day": usd_per_day,
        "years": [0, 0, 1, 1],
        "costs": costs,
        "worst": costs,
        "trips": 0.0,
        "flows": flows,
        "rated_mw": 0.5,
    }


def one(gain: float, energy_kwh: float = 20.0) -> dict[str, Any]:
    rule = [100.0, 120.0, 90.0, 110.0]
    beside = {"rule": judged(rule, 25.0), "policy": judged([value + gain for value in rule], energy_kwh)}
    return {"seconds": 60.0, **beside, "mismatch": {"warm": beside}, "firmware": {"quick": beside}}


def test_gains_are_over_the_rules_mean_and_stand_beside_the_planners() -> None:
    rows = learning_page.rows_of("west_texas_air", "ppo", [one(10.5), one(10.5)])
    gain = next(row for row in rows if row["metric"] == "gain_over_best_rule_pct")
    assert (gain["iqm"], gain["lo"], gain["hi"], gain["seeds"]) == pytest.approx((10.0, 10.0, 10.0, 2))
    headroom = [{"scenario": "west_texas_air", "policy": "planner_day_ahead", "gain_over_best_rule_pct": {"mean": 0.5}}]
    text = learning_page.gains_table(rows, headroom)
    assert "| west_texas_air | ppo | 2 | 105.0 | 115.5 " in text
    assert "**+10.0** (+10.0 … +10.0) | +0.5 | 60 |" in text
    operation = learning_page.operation_table(rows)
    assert "| west_texas_air | ppo | 100 | 25.00 → 20.00 | 1.100 |" in operation
    assert "| west_texas_air | ppo | +10.0 (+10.0 … +10.0) | +10.0 (+10.0 … +10.0) |" in learning_page.elsewhere_table(
        rows
    )


def test_forecasts_are_compared_run_by_run() -> None:
    runs = {("dry", f"ppo_forecast_{name}"): [one(gain), one(gain)] for name, gain in (("none", 2.1), ("model", 4.2))}
    rows = [
        row for (scenario, learner), found in runs.items() for row in learning_page.rows_of(scenario, learner, found)
    ]
    text = learning_page.forecasts_table(rows, runs)
    assert "| dry | none | 2 | +2.0 (+2.0 … +2.0) | +2.00 (+2.00 … +2.00) |" in text
    assert "| dry | model | 2 | +4.0 (+4.0 … +4.0) | – |" in text
    assert "dry" not in learning_page.gains_table(rows, [])


def test_a_table_goes_between_its_marks() -> None:
    page = "a\n<!-- zones -->\nold\n<!-- end of zones -->\nb"
    assert learning_page.put(page, "zones", "new") == "a\n<!-- zones -->\n\nnew\n\n<!-- end of zones -->\nb"


@pytest.mark.parametrize(("scenario", "learners"), learning.SCENARIOS.items())
def test_every_run_of_the_table_can_be_composed(scenario: str, learners: tuple[str, ...]) -> None:
    for learner in learners:
        settings = learning.settings_of(scenario, learner, 0)
        assert settings.env.action == "residual"
        assert learner.startswith(settings.agent.name)
