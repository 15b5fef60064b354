"""A price below zero pays for energy: every rule, plan, bound, forecast and text has it with its sign."""

from dataclasses import replace

import numpy as np
import pytest

from hashgym.agents.planners.foresight import Foresight
from hashgym.agents.rules import PARAMETER_FREE, Hysteresis, Menu
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.envs.scenario.scenario import Scenario, from_mapping
from hashgym.evaluation.bound import upper_bound
from hashgym.evaluation.intervals import interval
from hashgym.evaluation.paired import Trace
from hashgym.evaluation.summary import summarize
from hashgym.experiments.reports.report import summary_table
from hashgym.experiments.reports.table import policy_table
from hashgym.forecast.targets import TARGETS
from hashgym.sim.history.history import month_range
from tests.conftest import SMALL

HOURS = ("2024-07-03T10:00", "2024-07-03T13:55")


@pytest.fixture(scope="module", params=[-462.33, -1000.0])
def paid(request: pytest.FixtureRequest) -> Scenario:
    """A scenario with four hours of negative prices, which the day-ahead market had seen coming."""
    history = from_mapping(SMALL).history
    frame = history.frame.copy()
    for name in ("market_price_usd_per_mwh", "day_ahead_price_usd_per_mwh"):
        frame.loc[slice(*HOURS), name] = request.param
    return from_mapping(SMALL, replace(history, frame=frame))


def played(scenario: Scenario, policy: object, steps: int = 120) -> Batch:
    """Play up to the third of the four hours."""
    batch = Batch(EnvConfig(scenario=scenario, action="profile", split="test"), 1)
    batch.seed([1])
    batch.reset(starts=np.array([month_range(scenario.history, "2024-07-03", "2024-07-04")[0]]))
    for _ in range(12 * 12 + 6):
        batch.step(policy.act(batch))  # type: ignore[attr-defined]
    return batch


def test_every_rule_runs_full_while_energy_is_paid_for(paid: Scenario) -> None:
    menu = Menu.of(paid.site)
    for rule in (*(kind(menu) for kind in PARAMETER_FREE), Hysteresis(menu, 1.5, 0.9)):
        batch = played(paid, rule)
        if rule.name != "best_efficiency":  # which looks at no price
            assert rule.act(batch)[0, 0] == menu.n_profiles[0], rule.name
        assert batch.flow("energy_usd")[0] < 0.0
        assert batch.flow("profit_usd")[0] > batch.flow("revenue_usd")[0]


def test_the_plan_uses_them_and_the_bound_holds(paid: Scenario) -> None:
    probe = Batch(EnvConfig(scenario=paid, action="profile", split="test"), 1)
    plan = Foresight(probe.site, probe.profiles[0], probe.exogenous, 6.0)
    first = month_range(paid.history, "2024-07-03", "2024-07-04")[0]
    bound_usd = upper_bound(probe.site, probe.exogenous, range(first, first + 288)).episode_usd(0, 288)
    totals = {}
    for policy in (plan, *(kind(Menu.of(paid.site)) for kind in PARAMETER_FREE)):
        batch = Batch(EnvConfig(scenario=paid, action="profile", split="test"), 1)
        batch.seed([1])
        batch.reset(starts=np.array([first]))
        total = 0.0
        for _ in range(288):
            batch.step(policy.act(batch))
            total += float(batch.flow("profit_usd")[0])
        totals[policy.name] = total
    assert max(totals.values()) <= bound_usd
    assert totals[plan.name] >= totals["best_efficiency"]
    assert bound_usd > 0.0


def test_a_forecasts_scale_keeps_the_sign() -> None:
    target = TARGETS["market_price_usd_per_mwh"]
    values = np.array([-1000.0, -462.33, -0.79, 0.0, 50.0, 9000.0])
    assert (np.diff(target.transform(values)) > 0.0).all()
    back = target.inverse(target.transform(values)) if hasattr(target, "inverse") else values
    assert back == pytest.approx(values, rel=1e-6, abs=1e-6)


def trace(name: str, usd: list[float]) -> Trace:
    n = len(usd)
    zero = np.zeros(n)
    return Trace(
        name,
        np.array(usd),
        np.full(n, 10.0),
        np.ones(n),
        zero,
        zero,
        zero,
        np.zeros((n, 2)),
        ("starts", "chip_over_temp"),
        288,
        np.zeros(n, np.int64),
        np.zeros((n, 1)),
        np.zeros(5),
    )


def test_no_percentage_of_a_negative_base_is_printed() -> None:
    traces = [trace("always_on", [-100.0, -80.0]), trace("hysteresis", [-10.0, -5.0]), trace("ppo", [5.0, 6.0])]
    bound = np.array([20.0, 30.0])
    summary = {**summarize(traces, bound, 0, {"ppo"}), "history": {"kind": "synthetic", "hash": "x"}}
    assert summary["policies"]["ppo"]["gain_over_always_on_pct"] == {"mean": None, "lo": None, "hi": None}
    assert summary["policies"]["ppo"]["gain_over_best_rule_pct"]["mean"] is None
    assert summary["policies"]["ppo"]["usd_per_day_over_best_rule"]["mean"] == pytest.approx(13.0)
    assert summary["policies"]["ppo"]["usd_per_day_over_always_on"] == interval(
        np.array([105.0, 86.0]), np.random.default_rng(0)
    )
    table = policy_table(summary)
    assert "ppo over hysteresis: +13.00 USD a day (the rule earns nothing)" in table
    assert "–" in table
    assert "nan" not in table
    page = summary_table(summary)
    assert "None" not in page
    assert "–" in page
