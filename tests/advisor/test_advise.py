"""Advice is given where it is clear and withheld, with the reason, where it is not; it sees nothing of the future."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hashgym.advisor import telemetry, wording
from hashgym.advisor.advise import Advisor, moment
from hashgym.advisor.backtest import stock_states
from hashgym.advisor.bundle import Bundle
from hashgym.advisor.observing import observe
from hashgym.advisor.records import AdviceReport
from hashgym.advisor.telemetry import Telemetry
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.hardware.firmware import ASLEEP, TRIPPED
from hashgym.sim.history.history import STEP, History
from hashgym.sim.history.publication import until
from hashgym.sim.telemetry.columns import fleet_rows
from tests.advisor.conftest import Workshop, rewritten

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dear(workshop: Workshop) -> int:
    """An hour in which energy costs more than it earns, and will go on to."""
    return workshop.step("2024-06-20T22:00")


def fleet(workshop: Workshop, step: int, **changes: Any) -> Telemetry:
    truth = workshop.scenario.exogenous("day_ahead")
    ((_, zones),) = stock_states(workshop.scenario, truth, range(step, step + 1))
    for name, value in changes.items():
        zones[name] = value
    return telemetry.of_frame(fleet_rows(workshop.scenario.site, zones, when(workshop, step), 1))


def when(workshop: Workshop, step: int) -> pd.Timestamp:
    return workshop.scenario.history.start + STEP * step


def advise(
    workshop: Workshop, step: int, given: Telemetry | None = None, history: History | None = None, **settings: Any
) -> AdviceReport:
    given = given or fleet(workshop, step)
    return workshop.advisor(**settings).advise(
        given, history or workshop.scenario.history, when(workshop, step), "given"
    )


def test_dear_energy_brings_advice_with_every_key_of_its_schema(workshop: Workshop, dear: int) -> None:
    report = advise(workshop, dear)
    assert {entry.kind for entry in report.advice} >= {"dynamic_hashrate"}
    content = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert {"schema_version", "advice", "abstentions", "rejected_rows"} <= set(content)
    for entry in content["advice"]:
        assert set(entry) == {
            "kind",
            "target",
            "current",
            "recommended",
            "effect",
            "confidence",
            "reasons",
            "steps",
            "undo_steps",
            "risk",
            "horizon_h",
            "expires_utc",
            "automation",
            "evidence",
            "excludes",
        }
        profit = entry["effect"]["profit_usd"]
        assert profit["lo"] <= profit["mean"] <= profit["hi"]
        assert profit["mean"] > entry["evidence"]["switching_cost_usd"]
        assert 0.75 <= entry["confidence"] <= 1.0
        assert entry["current"]["setpoint_mhz" if entry["kind"] == "dynamic_hashrate" else "power_limit_w"] > 0.0
        assert entry["steps"]
        assert entry["undo_steps"]
    text = wording.as_text(report)
    assert "DO    now: " in text
    assert "UNDO" in text


def test_confidence_and_effect_are_those_of_the_paired_runs(workshop: Workshop, dear: int) -> None:
    for entry in advise(workshop, dear).advice:
        gains = entry.tried.gains_usd
        assert entry.confidence == np.mean(gains > 0.0)
        assert entry.effect["profit_usd"].mean == pytest.approx(gains.mean())
        assert entry.risk["loss_probability"] == np.mean(gains < 0.0)


def test_the_same_input_gives_the_same_advice(workshop: Workshop, dear: int) -> None:
    assert advise(workshop, dear).as_dict() == advise(workshop, dear).as_dict()


def test_advice_does_not_see_the_future(workshop: Workshop, dear: int) -> None:
    history = workshop.scenario.history
    frame = history.frame.copy()
    later = frame.index > when(workshop, dear)
    for name in ("outdoor_temp_c", "coin_price_usd", "difficulty", "fee_share"):
        frame.loc[later, name] *= 0.7
    unpublished = dear // 3 * 3  # the settlement interval that is still running
    frame.iloc[unpublished:, list(frame.columns).index("market_price_usd_per_mwh")] = 5.0
    published_ahead = frame.index >= when(workshop, dear) + pd.Timedelta(days=2)
    frame.loc[published_ahead, "day_ahead_price_usd_per_mwh"] = 5.0
    before, after = advise(workshop, dear), advise(workshop, dear, history=replace(history, frame=frame))

    def told(report: AdviceReport) -> list[Any]:
        return [{**entry, "evidence": None} for entry in report.as_dict()["advice"]]

    assert told(before) == told(after)


def test_a_day_ahead_market_is_known_ahead_and_live_as_well(day_ahead_workshop: Workshop, dear: int) -> None:
    workshop = day_ahead_workshop
    whole = advise(workshop, dear)
    assert whole.situation is not None
    ahead = 288 - 22 * 12 + 5 * 12  # until midnight in Texas, the day after being out since half past one
    price = workshop.scenario.history.frame["market_price_usd_per_mwh"].to_numpy()[dear : dear + ahead]
    assert (whole.situation.paths.values["market_price_usd_per_mwh"][:, :ahead] == price).all()
    live = advise(workshop, dear, history=until(workshop.scenario.history, dear))
    told = [[{**entry, "evidence": None} for entry in report.as_dict()["advice"]] for report in (whole, live)]
    assert told[0] == told[1] != []


def test_each_zone_of_several_is_advised(two_zone_workshop: Workshop) -> None:
    workshop = two_zone_workshop
    report = advise(workshop, workshop.step("2024-06-20T22:00"))
    kinds = [(entry.kind, entry.target) for entry in report.advice] + [(e.kind, e.target) for e in report.abstentions]
    assert sorted(kinds) == [("dynamic_hashrate", "zone 0"), ("dynamic_hashrate", "zone 1"), ("power_limit", "site")]
    for entry in report.advice:
        keep, change = (plan.setpoint_mhz for plan in entry.tried.plans)
        if entry.kind == "dynamic_hashrate":
            zone = int(entry.target.removeprefix("zone "))
            assert np.flatnonzero(keep != change).tolist() == [zone]
            assert all(f"of zone {zone}" in step for step in entry.steps if "machines" in step)


@pytest.mark.parametrize("ends", [0, -1])
def test_a_history_that_ends_now_gives_the_same_advice(workshop: Workshop, dear: int, ends: int) -> None:
    """Live there are no rows beyond now, and prices that are out for tomorrow."""
    whole = advise(workshop, dear).as_dict()["advice"]
    live = until(workshop.scenario.history, dear + ends)
    assert live.ahead is not None
    report = advise(workshop, dear, history=live)
    told = report.as_dict()["advice"]
    assert len(told) == len(whole) > 0
    if ends == 0:
        assert [{**entry, "evidence": None} for entry in told] == [{**entry, "evidence": None} for entry in whole]
    assert told[0]["evidence"]["history"]["hash"] == live.hash


def test_published_prices_that_are_not_given_are_asked_for(workshop: Workshop, dear: int) -> None:
    bare = replace(until(workshop.scenario.history, dear), ahead=None)
    text = reasons(advise(workshop, dear, history=bare))
    assert (
        "day_ahead_price_usd_per_mwh until 2024-06-20T22:05:00Z, published are those until 2024-06-22T05:00:00Z" in text
    )


def test_the_site_s_cap_holds(workshop: Workshop, tmp_path: Path) -> None:
    step = workshop.step("2024-06-22T15:00")
    power_w, hashrate_ths = workshop.scenario.site.zones[0].ladder.between(395.0)
    state = {"target_mhz": 395.0, "freq_mhz": 395.0, "hashrate_ths": hashrate_ths, "power_w": power_w, "mode_s": 7200.0}
    given = fleet(workshop, step, **state)
    free = advise(workshop, step, given=given)
    assert any(entry.tried.plans[1].setpoint_mhz[0] > 395.0 for entry in free.advice)

    def cap(manifest: dict[str, Any]) -> None:
        manifest["envelope"]["site_cap_w"] = 700e3

    advisor = Advisor.of(Bundle(rewritten(workshop.seasoned, tmp_path / "b", cap)), workshop.advisor().settings)
    report = advisor.advise(given, workshop.scenario.history, when(workshop, step), "given")
    assert any("its cap is 700 kW" in entry.reason for entry in report.abstentions)
    for entry in report.advice:
        assert report.situation is not None
        assert report.situation.meter_w(entry.tried.plans[1].setpoint_mhz) <= 700e3


def test_leaving_a_tripped_zone_to_its_firmware_is_keep(workshop: Workshop) -> None:
    step = workshop.step("2024-06-22T15:00")
    given = fleet(workshop, step, mode=TRIPPED, freq_mhz=0.0, hashrate_ths=0.0, power_w=95.0, mode_s=600.0)
    report = advise(workshop, step, given=given)
    assert ("dynamic_hashrate", "the policy keeps the present profile") in {
        (e.kind, e.reason) for e in report.abstentions
    }


def test_kinds_that_set_the_same_machines_exclude_each_other(workshop: Workshop, dear: int) -> None:
    report = advise(workshop, dear)
    assert [entry.kind for entry in report.advice] == ["dynamic_hashrate", "power_limit"]
    assert [entry.excludes for entry in report.advice] == [("power_limit",), ("dynamic_hashrate",)]
    assert "not both" in wording.as_text(report)


def reasons(report: AdviceReport) -> str:
    assert report.advice == ()
    assert {entry.kind for entry in report.abstentions} == {"dynamic_hashrate", "power_limit"}
    return " | ".join(entry.reason for entry in report.abstentions)


def test_a_history_that_ends_before_the_telemetry_is_named(workshop: Workshop, dear: int) -> None:
    short = replace(workshop.scenario.history, frame=workshop.scenario.history.frame.iloc[: dear - 12])
    assert "1.0 h before" in reasons(advise(workshop, dear, history=short))


def test_a_history_that_begins_too_late_is_named(workshop: Workshop, dear: int) -> None:
    late = replace(workshop.scenario.history, frame=workshop.scenario.history.frame.iloc[dear - 100 :])
    assert "needs two days of it before" in reasons(advise(workshop, dear, history=late))


def test_too_few_past_forecasts_are_named(workshop: Workshop) -> None:
    step = workshop.step("2024-05-25")
    assert "paths need 30" in reasons(advise(workshop, step))


def test_an_empty_fleet_is_named(workshop: Workshop, dear: int) -> None:
    empty = Telemetry(fleet(workshop, dear).frame.iloc[:0], "")
    assert "the telemetry holds no machine" in reasons(advise(workshop, dear, given=empty))


def test_stale_telemetry_brings_no_advice(workshop: Workshop, dear: int) -> None:
    report = workshop.advisor().advise(
        fleet(workshop, dear - 3), workshop.scenario.history, when(workshop, dear), "given"
    )
    assert "of 280 machines none can be used" in reasons(report)
    assert "No advice can be given." in wording.as_text(report)
    assert len(report.rejected_rows) == 280
    assert "stale: 900 s old" in report.rejected_rows[0].reason


def test_telemetry_from_the_future_brings_no_advice(workshop: Workshop, dear: int) -> None:
    report = workshop.advisor().advise(
        fleet(workshop, dear + 3), workshop.scenario.history, when(workshop, dear), "given"
    )
    assert "none can be used" in reasons(report)
    assert "900 s in the future" in report.rejected_rows[0].reason


def narrowed(workshop: Workshop, folder: Path, name: str, low: float, high: float) -> Advisor:
    """Return an advisor whose policy was trained on another range of an observation."""

    def change(manifest: dict[str, Any]) -> None:
        entry = next(entry for entry in manifest["observations"] if entry["name"] == name)
        entry["trained_low"], entry["trained_high"] = low, high

    return Advisor.of(Bundle(rewritten(workshop.bundle, folder, change)))


def test_a_market_outside_the_trained_range_widens_and_does_not_silence(
    workshop: Workshop, dear: int, tmp_path: Path
) -> None:
    usual = advise(workshop, dear)
    advisor = narrowed(workshop, tmp_path / "b", "known_energy_price_usd_per_mwh", 0.0, 100.0)
    report = advisor.advise(fleet(workshop, dear), workshop.scenario.history, when(workshop, dear), "given")
    price = usual.situation.known_price_usd_per_mwh if usual.situation else 0.0
    widening = 1.0 + min(1.0, (price - 100.0) / 100.0)
    assert f"known_energy_price_usd_per_mwh is {price:.4g} USD/MWh, trained on 0…100" in " ".join(report.notes)
    assert f"intervals are drawn {100 * (widening - 1):.0f} % wider" in " ".join(report.notes)
    (one,), (other,) = ([a for a in r.advice if a.kind == "power_limit"] for r in (usual, report))
    was, now = one.effect["profit_usd"], other.effect["profit_usd"]
    assert now.mean == was.mean
    assert now.hi - now.mean == pytest.approx(widening * (was.hi - was.mean))
    assert all(entry.automation == "needs_approval" for entry in report.advice)


@pytest.mark.parametrize(("width", "speaks"), [(20.0, True), (2.0, False)])
def test_weather_a_little_outside_is_told_and_far_outside_refused(
    workshop: Workshop, dear: int, tmp_path: Path, width: float, speaks: bool
) -> None:
    usual = advise(workshop, dear)
    assert usual.situation is not None
    names = [entry["name"] for entry in usual.situation.bundle.observations]
    outdoor_c = float(usual.situation.observation[names.index("outdoor_temp_c")])
    advisor = narrowed(workshop, tmp_path / "b", "outdoor_temp_c", outdoor_c - 2.0 - width, outdoor_c - 2.0)
    report = advisor.advise(fleet(workshop, dear), workshop.scenario.history, when(workshop, dear), "given")
    if speaks:
        assert report.advice
        assert "outdoor_temp_c is" in " ".join(report.notes)
    else:
        assert "far outside what the policy was trained on: outdoor_temp_c is" in reasons(report)


def test_most_of_a_fleet_is_advised_though_a_third_does_otherwise(workshop: Workshop, dear: int) -> None:
    given = fleet(workshop, dear)
    some = given.frame.index < 90
    given.frame.loc[some, "status"] = "asleep"
    given.frame.loc[some, ["hashrate_ths", "power_w", "freq_mhz"]] = [0.0, 25.0, 0.0]
    report = workshop.advisor().advise(given, workshop.scenario.history, when(workshop, dear), "given")
    assert report.advice
    assert "90 asleep: set aside; advice is for the 190" in " ".join(report.notes)
    assert any("the 190 of 280 machines" in step for entry in report.advice for step in entry.steps)


def test_tuned_clocks_are_what_keep_holds(workshop: Workshop, dear: int) -> None:
    given = fleet(workshop, dear, target_mhz=532.0, freq_mhz=532.0)
    report = workshop.advisor().advise(given, workshop.scenario.history, when(workshop, dear), "given")
    assert "280 machines are tuned to 532.0 MHz, between profiles" in " ".join(report.notes)
    held = {entry.current.get("setpoint_mhz", entry.current.get("zone0_setpoint_mhz")) for entry in report.advice}
    assert held == {532.0}


def test_a_gain_that_is_not_clear_is_not_advised(workshop: Workshop, dear: int) -> None:
    report = advise(workshop, dear, min_confidence=1.01)
    assert "of the paths only, 101% are asked for" in reasons(report)


def test_a_sleeping_site_is_not_limited(workshop: Workshop) -> None:
    step = workshop.step("2024-06-20T10:00")
    given = fleet(
        workshop, step, mode=ASLEEP, target_mhz=0.0, hashrate_ths=0.0, power_w=24.0, fan_pu=0.0, mode_s=7200.0
    )
    report = advise(workshop, step, given=given)
    assert "no zone is hashing; there is nothing to limit" in {entry.reason for entry in report.abstentions}
    for entry in report.advice:
        assert entry.current["setpoint_mhz"] == 0.0
        assert "put the 280 machines" in entry.undo_steps[0]


def test_the_moment_is_given_or_reported_or_the_system_s(workshop: Workshop, dear: int) -> None:
    given, history = fleet(workshop, dear), workshop.scenario.history
    stamp = pd.Timestamp("2024-01-01", tz="UTC")
    assert moment(given, history, stamp) == (stamp, "given")
    assert moment(given, history, None) == (when(workshop, dear), "telemetry")
    imported = replace(history, kind="imported")
    now, clock = moment(given, imported, None)
    assert clock == "system"
    assert abs((pd.Timestamp.now(tz="UTC") - now).total_seconds()) < 60


def test_one_clock_that_runs_ahead_does_not_move_the_moment(workshop: Workshop, dear: int) -> None:
    given = fleet(workshop, dear)
    given.frame.loc[0, "time_utc"] = pd.Timestamp("2099-01-01", tz="UTC")
    now, _ = moment(given, workshop.scenario.history, None)
    report = workshop.advisor().advise(given, workshop.scenario.history, now, "telemetry")
    assert "in the future" in report.rejected_rows[0].reason
    assert len(report.rejected_rows) == 1


def test_a_bundle_without_a_forecast_cannot_advise(workshop: Workshop, tmp_path: Path) -> None:
    folder = rewritten(workshop.bundle, tmp_path / "b", lambda manifest: None)
    sums = [line for line in (folder / "SHA256SUMS").read_text().splitlines() if "forecast" not in line]
    (folder / "SHA256SUMS").write_text("\n".join(sums) + "\n")
    with pytest.raises(BadInputError, match=r"holds no forecast\.json; export the policy with a forecast"):
        Advisor.of(Bundle(folder))


def test_a_controller_makes_the_observation_itself(workshop: Workshop, dear: int) -> None:
    report = advise(workshop, dear)
    assert report.situation is not None
    bundle, now = report.situation.bundle, when(workshop, dear)
    seen = observe(bundle, fleet(workshop, dear), workshop.scenario.history, now)
    assert seen.names == bundle.names
    assert seen.values == pytest.approx(report.situation.observation, rel=1e-6)
    assert bundle.decide(seen.values).setpoint_mhz.shape == (1, 1)
    until_now = replace(workshop.scenario.history, frame=workshop.scenario.history.frame.iloc[: dear + 1])
    with pytest.raises(BadInputError, match="needs two days before it, up to now"):
        observe(bundle, fleet(workshop, dear), until_now, now + pd.Timedelta(hours=3))
