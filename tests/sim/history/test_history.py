import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.history.history import Channel, History, month_range
from hashgym.synthesis.generate import synthesize


@pytest.fixture(scope="module")
def history() -> History:
    return synthesize("ercot", "2024-02-01", "2024-02-10", 1)


def test_saved_history_comes_back_the_same(history: History, tmp_path: Path) -> None:
    history.save(tmp_path / "h")
    back = History.load(tmp_path / "h")
    assert back.hash == history.hash
    assert back.kind == "synthetic"
    pd.testing.assert_frame_equal(back.frame, history.frame, check_freq=False)
    history.save(tmp_path / "h")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["h"]


def test_a_declared_channel_comes_back_and_a_delay_in_an_older_file_is_in_its_rows(
    history: History, tmp_path: Path
) -> None:
    channel = Channel(unit="1", low=0.0, high=9.0)
    with_mood = replace(history, frame=history.frame.assign(mood=3.0), channels={"mood": channel})
    with_mood.save(tmp_path / "h")
    path = tmp_path / "h" / "history.json"
    meta = json.loads(path.read_text())
    meta["channels"]["mood"]["delay_s"] = 3600.0
    path.write_text(json.dumps(meta))
    back = History.load(tmp_path / "h")
    assert back.channels == {"mood": channel}
    assert (back.frame["mood"] == 3.0).all()


def test_a_folder_that_is_no_history_is_not_overwritten(history: History, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BadInputError, match="holds no history.json; name another folder"):
        history.save(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_changed_values_are_refused(history: History, tmp_path: Path) -> None:
    history.save(tmp_path / "h")
    frame = pd.read_parquet(tmp_path / "h" / "history.parquet")
    frame.loc[frame.index[5], "market_price_usd_per_mwh"] += 1.0
    frame.to_parquet(tmp_path / "h" / "history.parquet")
    with pytest.raises(BadInputError, match="content hash"):
        History.load(tmp_path / "h")


def test_truncated_and_missing_files_are_refused(history: History, tmp_path: Path) -> None:
    history.save(tmp_path / "h")
    table = tmp_path / "h" / "history.parquet"
    table.write_bytes(table.read_bytes()[:1000])
    with pytest.raises(BadInputError, match="not a readable history"):
        History.load(tmp_path / "h")
    table.unlink()
    with pytest.raises(BadInputError, match="no history.parquet"):
        History.load(tmp_path / "h")


def test_unknown_meta_is_refused(history: History, tmp_path: Path) -> None:
    history.save(tmp_path / "h")
    path = tmp_path / "h" / "history.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "publication": "yesterday"}))
    with pytest.raises(BadInputError, match="publication"):
        History.load(tmp_path / "h")


@pytest.mark.parametrize(
    ("column", "value"), [("difficulty", -1.0), ("relative_humidity_pct", 120.0), ("coin_price_usd", np.nan)]
)
def test_value_out_of_range_is_named_with_its_row(history: History, column: str, value: float) -> None:
    frame = history.frame.copy()
    frame.loc[frame.index[7], column] = value
    with pytest.raises(BadInputError, match=f"history row 8 .*{column}"):
        History(frame=frame, kind="imported", publication="day_ahead", price_interval_s=3600, timezone="UTC")


def test_gap_and_missing_column_are_named(history: History) -> None:
    form = {"kind": "imported", "publication": "day_ahead", "price_interval_s": 3600, "timezone": "UTC"}
    with pytest.raises(BadInputError, match="row 11 "):
        History(frame=history.frame.drop(history.frame.index[10]), **form)  # type: ignore[arg-type]
    with pytest.raises(BadInputError, match="fee_share"):
        History(frame=history.frame.drop(columns="fee_share"), **form)  # type: ignore[arg-type]


def test_month_range_is_inside_the_history(history: History) -> None:
    assert month_range(history, "2024-02-02", "2024-02-03") == (288, 576)
    with pytest.raises(BadInputError, match="not inside"):
        month_range(history, "2024-02-02", "2024-03-01")
