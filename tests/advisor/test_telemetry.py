"""Bad rows are set aside with row, column and reason; sound ones pass unchanged; nothing is filled in."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashgym.advisor import fleet, telemetry
from hashgym.advisor.wording import grouped
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.envs.scenario.scenario import Scenario
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.site.params import SiteParams
from hashgym.sim.site.state import State
from hashgym.sim.telemetry.columns import COLUMNS, fleet_rows
from tests.conftest import site

NOW = pd.Timestamp("2024-06-05T12:00", tz="UTC")


def rows(n: int = 10, **changes: Any) -> pd.DataFrame:
    params = site()
    frame = fleet_rows(params, State.hashing(1, params).zone[0], NOW, 1)
    frame = frame.astype(dict.fromkeys(("status_s", "freq_mhz", "zone"), float))
    frame["status_s"] = 3600.0
    for column, values in changes.items():
        frame[column] = frame[column].astype(object)
        for row, value in values.items():
            frame.loc[row, column] = value
    return frame.iloc[:n]


def check(frame: pd.DataFrame, params: SiteParams | None = None) -> tuple[pd.DataFrame, list[telemetry.Rejected]]:
    given = telemetry.complete(telemetry.of_frame(frame), params or site(), 20.0)
    return telemetry.check(given, params or site(), NOW, 600.0)


def test_sound_rows_pass_unchanged() -> None:
    frame = rows()
    accepted, rejected = check(frame)
    assert rejected == []
    assert accepted["power_w"].tolist() == frame["power_w"].tolist()


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("time_utc", "2024-06-05T12:10:00Z", "600 s in the future of 2024-06-05T12:00:00Z"),
        ("time_utc", "2024-06-05T11:49:00Z", "stale: 660 s old, 600 s at most"),
        ("time_utc", "yesterday", "missing or not readable"),
        ("time_utc", "now", "missing or not readable"),
        ("time_utc", "2024-06-05", "missing or not readable"),
        ("hashrate_ths", 0.0, "a fault, not a set-point"),
        ("hashrate_ths", 1e-9, "a fault, not a set-point"),
        ("hashrate_ths", np.nan, "missing or not a number"),
        ("hashrate_ths", "fast", "missing or not a number"),
        ("hashrate_ths", 900.0, "is above 2 times the rated"),
        ("hashrate_ths", np.inf, "missing or not a number"),
        ("hot_temp_c", 200.0, "200 °C is not in -40…130"),
        ("power_w", 3.0, "3 W while hashing, the profile draws"),
        ("hashrate_ths", -0.003, "missing or not a number"),
        ("hot_temp_c", -1.0, "missing or not a number"),
        (
            "hashrate_ths",
            104_000.0,
            "104000 TH/s is not in 0…2000; as GH/s it would be 104 TH/s, which fits: divide by 1000",
        ),
        ("hashrate_ths", 104e6, "as MH/s it would be 104 TH/s, which fits: divide by 1e+06"),
        ("hashrate_ths", 69.3, "while hashing, the profile makes 106 at 3112: 1 of 3 boards stand still"),
        ("hashrate_ths", 34.6, "2 of 3 boards stand still"),
        ("hot_temp_c", 11.0, "11 °C is below the inlet of"),
        ("fan_pu", 73.4, "73.4 is not in 0…1"),
        ("model", "M61 VK10", "'M61 VK10' is not in the catalogue; there are s9"),
        (
            "model",
            "S19 Pro+ Hyd.",
            "not in the catalogue; the nearest are Antminer S19 XP Hyd (s19_xp_hyd), Antminer S19j Pro+",
        ),
        ("model", "s21", "'s21' stands in no zone that the policy was made for; its zones are of Antminer S19j Pro"),
        ("model", "", "missing or not readable"),
        ("zone", 1.0, "1 is no zone of this site; it has 0…0"),
        ("zone", 0.5, "0.5 is no zone of this site"),
        ("status", "mining", "'mining' is none of asleep, starting, hashing, tripped"),
        ("status", "asleep", "TH/s while asleep: the status is wrong"),
        ("freq_mhz", 3.0, "3 MHz while hashing is no profile; there are 295, 320"),
        ("freq_mhz", 900.0, "900 MHz while hashing is no profile; there are 295, 320"),
    ],
)
def test_a_bad_row_is_set_aside_with_its_reason(column: str, value: Any, reason: str) -> None:
    power = {"power_w": {4: value * 3112.0 / 106.0}} if "boards" in reason else {}
    accepted, rejected = check(rows(**{column: {4: value}}, **power))
    assert len(accepted) == 9
    ((entry),) = rejected
    assert entry.row == 5
    assert reason in entry.reason
    assert entry.column == ("hashrate_ths" if value == "asleep" else column)


@pytest.mark.parametrize("power_w", [2140.0, 3112.0])
def test_boards_that_stand_still_are_seen_without_a_clock(power_w: float) -> None:
    frame = rows(hashrate_ths={4: 69.3}, power_w={4: power_w}).drop(columns="freq_mhz")
    accepted, ((entry),) = check(frame)
    assert len(accepted) == 9
    assert "the profile makes 106 at 3112: 1 of 3 boards stand still" in entry.reason


def test_a_lower_profile_is_no_lost_board() -> None:
    power_w, hashrate_ths = site().zones[0].ladder.between(370.0)
    frame = rows(hashrate_ths={4: hashrate_ths}, power_w={4: power_w}).drop(columns="freq_mhz")
    accepted, rejected = check(frame)
    assert rejected == []
    assert accepted["freq_mhz"][4] == 370.0


@pytest.mark.parametrize(
    ("model", "zone", "column", "reason"),
    [
        ("Antminer S19k Prro", None, "model", "'Antminer S19k Prro' is not in the catalogue; the nearest are Antminer S19k Pro"),
        ("s21", None, "model", "stands in no zone that the policy was made for; its zones are of Antminer S19j Pro"),
        ("s21", 0.0, "model", "stands in no zone that the policy was made for"),
        ("Antminer S19j Pro", 1.0, "zone", "1 is no zone of this site; it has 0…0"),
    ],
)  # fmt: skip
def test_a_machine_of_another_kind_is_named_whatever_else_is_missing(
    model: str, zone: float | None, column: str, reason: str
) -> None:
    frame = rows(model={3: model})[["time_utc", "machine_id", "zone", "model", "hashrate_ths"]]
    frame = frame.drop(columns="zone") if zone is None else frame.assign(zone=zone)
    entry = next(entry for entry in check(frame)[1] if entry.machine_id == "z0-0003")
    assert entry.column == column
    assert reason in entry.reason


def test_a_zone_that_several_share_must_be_named() -> None:
    zone = site().zones[0]
    (*_, entry) = check(rows().drop(columns="zone"), replace(site(), zones=(zone, zone)))[1]
    assert entry.reason == "Antminer S19j Pro stands in zones 0 and 1: zone must say in which"


def test_a_table_is_judged_without_its_site() -> None:
    changes: dict[str, Any] = {
        "model": {2: "S19j Prro"},
        "hashrate_ths": {4: 104_000.0, 5: 69.3},
        "power_w": {5: 2140.0, 6: None},
    }
    frame = rows(**changes).drop(columns=["zone", "inlet_temp_c", "freq_mhz"])
    notes, rejected = telemetry.without_site(telemetry.of_frame(frame))
    assert [entry.row for entry in rejected] == [3, 5, 6]
    assert "the nearest are" in rejected[0].reason
    assert "as GH/s it would be 104 TH/s" in rejected[1].reason
    assert "1 of 3 boards stand still" in rejected[2].reason
    assert any(note.startswith("1 reading holds no power") for note in notes)


def test_a_machine_that_has_just_begun_may_have_hashed_nothing_yet() -> None:
    accepted, rejected = check(rows(hashrate_ths={0: 0.0}, status_s={0: 120.0}))
    assert rejected == []
    assert len(accepted) == 10


def test_a_tripped_zone_keeps_its_set_point() -> None:
    frame = rows()
    frame["status"], frame["hashrate_ths"], frame["power_w"], frame["status_s"] = "tripped", 0.0, 95.0, 300.0
    accepted, rejected = check(frame)
    assert rejected == []
    found = fleet.assess(accepted, site(), 20.0, 1e6).zones[0]
    assert found["target_mhz"] == 545.0
    assert found["freq_mhz"] == 0.0
    assert found["timer_s"] == 300.0


def test_a_frequency_near_a_profile_is_the_profile_s() -> None:
    accepted, _ = check(rows(freq_mhz=dict.fromkeys(range(10), 544.7)))
    assert fleet.assess(accepted, site(), 20.0, 1e6).zones[0]["target_mhz"] == 545.0


def test_a_duplicated_machine_is_not_used_at_all() -> None:
    accepted, rejected = check(rows(machine_id={3: "z0-0001"}))
    assert {entry.row for entry in rejected} == {2, 4}
    assert "reported more than once" in rejected[0].reason
    assert "z0-0001" not in set(accepted["machine_id"])


def test_an_older_good_reading_does_not_stand_for_a_newer_bad_one() -> None:
    old = rows(time_utc=dict.fromkeys(range(10), "2024-06-05T11:55:00Z"))
    accepted, rejected = check(pd.concat([rows(hashrate_ths={2: 0.0}), old], ignore_index=True))
    assert [(entry.row, entry.machine_id) for entry in rejected] == [(3, "z0-0002")]
    assert "z0-0002" not in set(accepted["machine_id"])


def test_a_reading_without_a_time_leaves_its_machine_out() -> None:
    again = rows(1, time_utc={0: "soon"})
    accepted, rejected = check(pd.concat([rows(), again], ignore_index=True))
    assert {entry.row for entry in rejected} == {1, 11}
    assert len(accepted) == 9


def assess(frame: pd.DataFrame) -> fleet.Fleet:
    given = telemetry.complete(telemetry.of_frame(frame), site(), 20.0)
    accepted, _ = telemetry.check(given, site(), NOW, 600.0)
    return fleet.assess(accepted, site(), 20.0, 1e6, given.frame)


def test_a_site_of_another_size_is_seen_by_the_machine() -> None:
    more = rows()
    more["machine_id"] = "new" + more["machine_id"]
    found = assess(pd.concat([rows(), more], ignore_index=True))
    assert found.silent == {}
    assert found.site.zones[0].n_units == found.whole.zones[0].n_units == 20
    assert found.zones[0]["power_w"] == pytest.approx(assess(rows()).zones[0]["power_w"])
    assert "names 20 machines, the policy was made on 10" in " ".join(found.notes)


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"status": dict.fromkeys(range(4), "starting")}, "4 starting at 545 MHz: set aside; advice is for the 6"),
        ({"freq_mhz": dict.fromkeys(range(3), 295.0), "hashrate_ths": dict.fromkeys(range(3), 56.2)},
         "3 hashing at 295 MHz: set aside; advice is for the 7 that are hashing at 545 MHz"),
        ({"hot_temp_c": dict.fromkeys(range(6), np.nan)}, "4 of 10 machines have sound telemetry"),
        ({"status": dict.fromkeys(range(3), "asleep"), "hashrate_ths": dict.fromkeys(range(3), 0.0),
          "power_w": dict.fromkeys(range(3), 25.0)}, "3 asleep: set aside; advice is for the 7"),
    ],
)  # fmt: skip
def test_machines_that_do_otherwise_are_set_aside_and_counted(changes: dict[str, Any], note: str) -> None:
    found = assess(rows(**changes))
    assert found.silent == {}
    assert note in " ".join(found.notes)
    assert found.site.zones[0].n_units == 10 - max(len(rows) for name, rows in changes.items() if name != "power_w")
    assert found.whole.zones[0].n_units == 10


def test_clocks_between_profiles_are_interpolated_and_kept() -> None:
    clocks = {k: 407.4 + 0.9 * (k - 4.5) for k in range(10)}  # tuned machine by machine
    power_w, hashrate_ths = site().zones[0].ladder.between(407.4)
    found = assess(
        rows(
            freq_mhz=clocks,
            hashrate_ths=dict.fromkeys(range(10), hashrate_ths),
            power_w=dict.fromkeys(range(10), power_w),
        )
    )
    assert found.zones[0]["target_mhz"] == found.zones[0]["freq_mhz"] == pytest.approx(407.4)
    assert 407.4 in found.site.zones[0].machine.profiles_mhz
    assert "10 machines are tuned to 407.4 MHz, between profiles; interpolated on the ladder" in " ".join(found.notes)
    low, high = (site().zones[0].ladder.between(f)[0] for f in (395.0, 420.0))
    assert power_w == pytest.approx(low + (407.4 - 395.0) / 25.0 * (high - low))


def test_a_mean_of_a_day_after_a_restart_is_told_from_a_fault() -> None:
    _, ((entry),) = check(rows(hashrate_ths={2: 8.7}, status_s={2: 7200.0}))
    assert "8.7 TH/s at" in entry.reason
    assert "it runs for 2.0 h: looks like a mean of 24 hours after a restart" in entry.reason


def test_a_reading_that_repeats_for_half_an_hour_stands_still() -> None:
    times = [NOW - pd.Timedelta(minutes=m) for m in (35, 30, 20, 10, 0)]
    parts = []
    for k, time in enumerate(times):
        part = rows(time_utc=dict.fromkeys(range(10), time.strftime("%Y-%m-%dT%H:%M:%SZ")))
        part["hashrate_ths"] = part["hashrate_ths"].astype(float) + 0.01 * k
        part.loc[3, "hashrate_ths"] = 103.42
        part["hot_temp_c"], part["inlet_temp_c"] = 70.0, 25.0  # whole degrees repeat by themselves
        part.loc[4, "hot_temp_c"] = 71.3 if k else 70.9
        parts.append(part)
    accepted, rejected = check(pd.concat(parts, ignore_index=True))
    assert len(accepted) == 8
    assert [entry.reason for entry in rejected] == [
        "103.42 TH/s to the last digit for 35 min in 5 readings: a reading that stands still",
        "71.3 °C to the last digit for 30 min in 4 readings: a reading that stands still",
    ]


@pytest.mark.parametrize("column", [name for name, column in COLUMNS.items() if not column.is_required])
@pytest.mark.parametrize("is_there", [False, True])
def test_a_column_that_no_machine_fills_is_modelled_and_told(column: str, is_there: bool) -> None:
    full, frame = assess(rows()), rows()
    frame = frame.assign(**{column: None}) if is_there else frame.drop(columns=column)
    given = telemetry.complete(telemetry.of_frame(frame), site(), 25.0)
    assert any(column in note or (column == "power_w" and "no power" in note) for note in given.notes)
    found = assess(frame)
    assert found.silent == {}
    assert found.site.zones[0].n_units == 10
    for name in ("mode", "target_mhz", "hashrate_ths"):
        assert found.zones[0][name] == full.zones[0][name], name
    assert found.zones[0]["power_w"] == pytest.approx(full.zones[0]["power_w"], rel=0.05)


@pytest.mark.parametrize("none", [-1.0, None, float("nan")])
def test_power_is_modelled_machine_by_machine(none: Any) -> None:
    accepted, rejected = check(rows(power_w={2: none, 5: none}))
    assert rejected == []
    assert accepted["power_w"][2] == pytest.approx(site().zones[0].ladder.between(545.0)[0], rel=0.01)


def test_a_clock_must_be_stated(tmp_path: Path) -> None:
    rows(time_utc=dict.fromkeys(range(10), "2024-06-05T07:00:00")).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(
        BadInputError, match="10 stamps state no offset, the first is '2024-06-05T07:00:00'; write them with Z"
    ):
        telemetry.read(tmp_path / "t.csv")
    assert telemetry.read(tmp_path / "t.csv", "America/Chicago").reported == NOW
    with pytest.raises(BadInputError, match="timezone 'Chicgo' is none"):
        telemetry.read(tmp_path / "t.csv", "Chicgo")
    rows(time_utc=dict.fromkeys(range(10), "2024-06-05T07:00:00-05:00")).to_csv(tmp_path / "t.csv", index=False)
    assert telemetry.read(tmp_path / "t.csv").reported == NOW
    frame = rows()
    frame["time_utc"] = pd.to_datetime(frame["time_utc"]).dt.tz_localize(None)
    frame.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(BadInputError, match="10 stamps state no offset"):
        telemetry.read(tmp_path / "t.parquet")


def test_rows_are_counted_as_imports_count(tmp_path: Path) -> None:
    frame = rows(hashrate_ths={4: 0.0})
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.astype({"hashrate_ths": float}).to_parquet(tmp_path / "t.parquet")
    for name, row in (("t.csv", 6), ("t.parquet", 5)):
        _, ((entry),) = telemetry.check(telemetry.read(tmp_path / name), site(), NOW, 600.0)
        assert entry.row == row


def test_refusals_are_grouped(tmp_path: Path) -> None:
    _, rejected = check(rows(hot_temp_c=dict.fromkeys(range(5), 200.0), model={7: "s21"}))
    assert grouped(rejected) == [
        "5 rows, hot_temp_c: outside -40…130 °C; as row 1 (z0-0000): 200 °C is not in -40…130",
        "row 8 (z0-0007), model: 's21' stands in no zone that the policy was made for; its zones are of Antminer S19j Pro",
    ]


def test_tripped_and_absent_machines_are_told_of() -> None:
    changes = {"status": {0: "tripped"}, "hashrate_ths": {0: 0.0}, "power_w": {0: 95.0}, "hot_temp_c": {1: np.nan}}
    notes = " ".join(assess(rows(**changes)).notes)
    assert "1 machines are tripped (z0-0000)" in notes
    assert "9 of 10 machines have sound telemetry" in notes


def test_of_several_readings_the_newest_counts() -> None:
    old = rows(time_utc=dict.fromkeys(range(10), "2024-06-05T10:00:00Z"))
    accepted, rejected = check(pd.concat([rows(), old], ignore_index=True))
    assert rejected == []
    assert len(accepted) == 10
    assert (accepted["time_utc"] == NOW).all()


def test_models_are_known_by_name_and_by_key() -> None:
    _, rejected = check(rows(model={0: "S19J_PRO", 1: "antminer s19j pro"}))
    assert rejected == []


def test_files_are_read_alike_as_csv_and_parquet(tmp_path: Path) -> None:
    frame = rows()
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    one, other = telemetry.read(tmp_path / "t.csv"), telemetry.read(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(one.frame, other.frame)
    assert one.reported == NOW


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="absent.csv: not readable"):
        telemetry.read(tmp_path / "absent.csv")
    (tmp_path / "t.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(BadInputError, match="not a readable CSV or Parquet table"):
        telemetry.read(tmp_path / "t.parquet")
    for text, message in (
        ("a,b\n1,2,3\n", "line 2: 3 fields, the header has 2"),
        ('a,b\n1,"2\n3,4"\n', "line 3: a line break inside a field"),
        ("zone,zone\n1,2\n", "column 'zone' stands twice"),
        ("", "columns 'time_utc', 'machine_id', 'model', 'hashrate_ths' are missing"),
    ):
        (tmp_path / "t.csv").write_text(text)
        with pytest.raises(BadInputError, match=message):
            telemetry.read(tmp_path / "t.csv")
    rows().assign(time_utc=range(10)).to_parquet(tmp_path / "n.parquet")
    with pytest.raises(BadInputError, match="column 'time_utc' has type int64; it must hold time stamps"):
        telemetry.read(tmp_path / "n.parquet")
    rows().drop(columns="hashrate_ths").to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(BadInputError, match="t.csv: column 'hashrate_ths' is missing; telemetry needs time_utc"):
        telemetry.read(tmp_path / "t.csv")
    rows().rename(columns={"hot_temp_c": "chip_temp_c"}).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(BadInputError, match="a column has an old name; 'chip_temp_c' is now 'hot_temp_c'"):
        telemetry.read(tmp_path / "t.csv")


CELLS = st.one_of(st.text(max_size=6), st.floats(), st.none(), st.integers(-(10**12), 10**12))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(list(COLUMNS)), CELLS), max_size=8))
def test_no_row_is_lost_and_nothing_is_filled_in(changes: list[tuple[int, str, Any]]) -> None:
    frame = rows().astype(object)
    for row, column, value in changes:
        frame.loc[row, column] = value
    accepted, rejected = check(frame)
    assert len(accepted) + len({entry.row for entry in rejected}) == len(frame)
    assert set(accepted.index).isdisjoint({entry.row - 1 for entry in rejected})
    numbers = [name for name, column in COLUMNS.items() if column.is_number]
    assert np.isfinite(accepted[numbers].to_numpy(float)).all()
    for row in accepted.index:
        for column in numbers:
            if column != "power_w":  # which is modelled where a machine reports none
                assert float(frame.loc[row, column]) == accepted.loc[row, column]


def test_the_fleet_s_state_is_what_the_simulator_reported(small: Scenario) -> None:
    batch = Batch(EnvConfig(scenario=small, action="profile", n_threads=1), 1)
    batch.seed([1])
    batch.reset()
    for profile in (9, 9, 6, 6, 6, 6):
        batch.step(np.array([[profile]]))
    truth = batch.state.zone[0]
    found = fleet.assess(telemetry.typed(fleet_rows(small.site, truth, NOW, 5)), small.site, 20.0, 1e6)
    assert found.silent == {}
    assert found.site.zones[0].n_units == 280
    for name, tolerance in (
        ("power_w", 10.0),
        ("hashrate_ths", 0.3),
        ("hot_temp_c", 0.5),
        ("inlet_temp_c", 0.3),
        ("chip_temp_c", 1.0),
        ("sink_temp_c", 1.5),
    ):
        assert found.zones[0][name] == pytest.approx(truth[0][name], abs=tolerance), name
    for name in ("mode", "target_mhz", "freq_mhz"):
        assert found.zones[0][name] == truth[0][name]


def test_a_zone_of_which_nothing_can_be_said_is_silent() -> None:
    found = assess(rows(zone=dict.fromkeys(range(10), 7.0)))
    assert "no sound telemetry of zone 0" in found.silent[0]


def test_only_machines_that_were_heard_of_are_counted_on() -> None:
    accepted, _ = check(rows(hashrate_ths={0: 0.0, 1: np.nan}))
    assert fleet.assess(accepted, site(), 20.0, 1e6).site.zones[0].n_units == 8
