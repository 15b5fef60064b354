"""Real files in: each mistake ends in one message that names file, row, column or key."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from hashgym.experiments.reports import quality_report
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sources.assembly import import_history

HOURS = pd.date_range("2024-01-01", periods=72, freq="h", tz="UTC")


def tables() -> dict[str, pd.DataFrame]:
    stamps = HOURS.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "price": pd.DataFrame({"when": stamps, "price": np.linspace(20.0, 90.0, 72)}),
        "weather": pd.DataFrame({"when": stamps, "temp": np.linspace(-5.0, 15.0, 72), "rh": 50.0}),
        "coin": pd.DataFrame({"when": stamps, "close": np.linspace(42e3, 44e3, 72)}),
        "network": pd.DataFrame(
            {"when": ["2023-12-23T00:00:00Z", "2024-01-02T12:00:00Z"], "difficulty": [72e12, 73.2e12]}
        ),
    }


def mapping() -> dict[str, Any]:
    def series(column: str, file: str, value: str, unit: str, **more: Any) -> dict[str, Any]:
        return {"column": column, "files": [f"{file}.csv"], "time": "when", "value": value, "unit": unit, **more}

    return {
        "start": "2024-01-01T06:00:00",
        "end": "2024-01-03T00:00:00",
        "timezone": "America/Chicago",
        "price": {"publication": "day_ahead", "interval_s": 3600},
        "series": [
            series("market_price_usd_per_mwh", "price", "price", "usd/mwh"),
            series("outdoor_temp_c", "weather", "temp", "c"),
            series("relative_humidity_pct", "weather", "rh", "percent"),
            series("coin_price_usd", "coin", "close", "usd", delay_s=3600),
            series("difficulty", "network", "difficulty", "1", max_age_h=480),
            {"column": "fee_share", "constant": 0.02},
        ],
    }


Write = Callable[[dict[str, pd.DataFrame], dict[str, Any]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def run(frames: dict[str, pd.DataFrame], content: dict[str, Any]) -> Path:
        for name, frame in frames.items():
            frame.to_csv(tmp_path / f"{name}.csv", index=False)
        (tmp_path / "mapping.yaml").write_text(yaml.safe_dump(content))
        return tmp_path / "mapping.yaml"

    return run


def test_values_hold_from_when_they_are_in_force(write: Write) -> None:
    history = import_history(write(tables(), mapping())).history
    frame = history.frame
    assert history.kind == "imported"
    assert len(frame) == 42 * 12
    at = pd.Timestamp("2024-01-01T10:25:00Z")
    assert frame.loc[at, "market_price_usd_per_mwh"] == pytest.approx(np.linspace(20.0, 90.0, 72)[10])
    # The close of the hour from 09:00 on is known at 10:00.
    assert frame.loc[at, "coin_price_usd"] == pytest.approx(np.linspace(42e3, 44e3, 72)[9])
    assert frame.loc[pd.Timestamp("2024-01-02T12:00:00Z"), "difficulty"] == 73.2e12
    assert frame.loc[pd.Timestamp("2024-01-02T11:55:00Z"), "difficulty"] == 72e12


def test_the_past_does_not_depend_on_the_future(write: Write) -> None:
    before = import_history(write(tables(), mapping())).history.frame
    changed = tables()
    for name in ("price", "weather", "coin"):
        numbers = changed[name].columns[1]
        changed[name].loc[40:, numbers] *= 0.5
    after = import_history(write(changed, mapping())).history.frame
    cut = pd.Timestamp("2024-01-02T15:55:00Z")
    pd.testing.assert_frame_equal(before[:cut], after[:cut])
    assert not before.equals(after)


def test_units_are_converted(write: Write) -> None:
    frames, content = tables(), mapping()
    frames["price"]["price"] /= 1000.0
    frames["weather"]["temp"] = frames["weather"]["temp"] * 1.8 + 32.0
    content["series"][0]["unit"], content["series"][1]["unit"] = "usd/kwh", "f"
    pd.testing.assert_frame_equal(
        import_history(write(frames, content)).history.frame, import_history(write(tables(), mapping())).history.frame
    )


def test_parquet_and_json_read_like_csv(write: Write, tmp_path: Path) -> None:
    expected = import_history(write(tables(), mapping())).history.frame
    tables()["price"].to_parquet(tmp_path / "price.parquet")
    weather = tables()["weather"]
    weather["when"] = (HOURS - pd.Timedelta(hours=5)).strftime("%Y-%m-%dT%H:%M")
    (tmp_path / "weather.json").write_text(json.dumps({"hourly": weather.to_dict("list")}))
    content = mapping()
    content["series"][0] |= {"files": ["price.parquet"], "format": "parquet"}
    for entry in content["series"][1:3]:
        entry |= {"files": ["weather.json"], "format": "json", "records": "hourly", "timezone": "Etc/GMT+5"}
    pd.testing.assert_frame_equal(import_history(write(tables(), content)).history.frame, expected)


def test_daily_fees_become_a_share_of_the_reward(write: Write) -> None:
    frames, content = tables(), mapping()
    frames["fees"] = pd.DataFrame(
        {"day": ["2023-12-30", "2023-12-31", "2024-01-01", "2024-01-02"], "usd": [5e6, 6e6, 7e6, 8e6]}
    )
    content["series"][-1] = {
        "column": "fees_usd_per_day",
        "files": ["fees.csv"],
        "time": "day",
        "value": "usd",
        "unit": "usd",
        "timezone": "UTC",
        "delay_s": 86400,
    }
    share = import_history(write(frames, content)).history.frame["fee_share"]
    assert share.iloc[0] == pytest.approx(6e6 / (6e6 + 144 * 6.25 * 42_000.0), rel=0.01)


Break = Callable[[dict[str, pd.DataFrame], dict[str, Any]], None]


def _text(frames: dict[str, pd.DataFrame], _: dict[str, Any]) -> None:
    frames["price"] = frames["price"].astype({"price": object})
    frames["price"].loc[5, "price"] = "n/a?"


def _gap(frames: dict[str, pd.DataFrame], _: dict[str, Any]) -> None:
    frames["weather"] = frames["weather"].drop(range(20, 30))


def _twice(frames: dict[str, pd.DataFrame], _: dict[str, Any]) -> None:
    frames["coin"].loc[9, "when"] = frames["coin"].loc[8, "when"]


def _disorder(frames: dict[str, pd.DataFrame], _: dict[str, Any]) -> None:
    frames["coin"].loc[9, "when"] = frames["coin"].loc[3, "when"]


def _no_stamp(frames: dict[str, pd.DataFrame], _: dict[str, Any]) -> None:
    frames["coin"].loc[9, "when"] = "yesterday"


def _negative(frames: dict[str, pd.DataFrame], _: dict[str, Any]) -> None:
    frames["network"].loc[1, "difficulty"] = -5.0


def _kwh(frames: dict[str, pd.DataFrame], _: dict[str, Any]) -> None:
    frames["price"]["price"] /= 1000.0


def _no_column(frames: dict[str, pd.DataFrame], _: dict[str, Any]) -> None:
    frames["price"] = frames["price"].rename(columns={"price": "cost"})


def _unit(_: dict[str, pd.DataFrame], content: dict[str, Any]) -> None:
    content["series"][0]["unit"] = "eur/mwh"


def _key(_: dict[str, pd.DataFrame], content: dict[str, Any]) -> None:
    content["series"][0]["colour"] = "blue"


def _series(_: dict[str, pd.DataFrame], content: dict[str, Any]) -> None:
    del content["series"][4]


def _column(_: dict[str, pd.DataFrame], content: dict[str, Any]) -> None:
    content["series"][0]["column"] = "prices"


def _format(_: dict[str, pd.DataFrame], content: dict[str, Any]) -> None:
    content["series"][0]["format"] = "xls"


def _top_key(_: dict[str, pd.DataFrame], content: dict[str, Any]) -> None:
    del content["price"]


def _span(_: dict[str, pd.DataFrame], content: dict[str, Any]) -> None:
    content["end"] = "2023-01-01"


def _missing_file(_: dict[str, pd.DataFrame], content: dict[str, Any]) -> None:
    content["series"][0]["files"] = ["absent.csv"]


def _offset(_: dict[str, pd.DataFrame], content: dict[str, Any]) -> None:
    content["series"][0]["timezone"] = "UTC"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_text, r"price\.csv, row 7, column 'price': 'n/a\?' is not a number"),
        (_gap, r"weather\.csv: no value of 'outdoor_temp_c' for 2024-01-01 22:00.*max_age_h"),
        (_twice, r"coin\.csv, row 11, column 'when': .* stands twice"),
        (_disorder, r"coin\.csv, row 11, column 'when': .* stands twice \(also row 5\) with different values"),
        (_no_stamp, r"coin\.csv, row 11, column 'when': 'yesterday' is no unambiguous time stamp"),
        (_negative, r"network\.csv, row 3, column 'difficulty': .*-5\.0"),
        (_kwh, r"price\.csv, column 'price': .*looks like USD/kWh; declare unit: usd/kwh"),
        (_no_column, r"price\.csv: no column 'price'; there are 'when', 'cost'"),
        (_unit, r"unit 'eur/mwh' needs 'series\[market_price_usd_per_mwh\].usd_per_unit'"),
        (_key, r"mapping\.yaml: unknown key 'series\[market_price_usd_per_mwh\]\.colour'"),
        (_series, r"mapping\.yaml: 'series' lacks difficulty"),
        (_column, r"mapping\.yaml: unknown column 'prices'"),
        (_format, r"format' is 'xls'"),
        (_top_key, r"mapping\.yaml: key 'price' is missing"),
        (_span, r"'end' 2023-01-01 must lie after 'start'"),
        (_missing_file, r"absent\.csv: there is no such file"),
        (_offset, r"stamps carry an offset; remove 'timezone'"),
    ],
)
def test_each_mistake_is_named(write: Write, damage: Break, message: str) -> None:
    frames, content = tables(), mapping()
    damage(frames, content)
    with pytest.raises(BadInputError, match=message):
        import_history(write(frames, content))


def test_a_mapping_that_is_no_yaml_dictionary_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("- a list")
    with pytest.raises(BadInputError, match="YAML dictionary"):
        import_history(path)
    with pytest.raises(BadInputError, match="absent.yaml: not readable"):
        import_history(tmp_path / "absent.yaml")


def test_the_quality_report_is_a_page_with_a_plot_and_a_json(write: Write, tmp_path: Path) -> None:
    frames = tables()
    frames["weather"] = frames["weather"].drop([20, 21])
    imported = import_history(write(frames, mapping()))
    imported.history.save(tmp_path / "h", beside=quality_report.files(imported))
    page = (tmp_path / "h" / quality_report.NAME).read_text(encoding="utf-8")
    assert "data:image/png;base64" in page
    assert "outdoor_temp_c" in page
    content = json.loads((tmp_path / "h" / "quality.json").read_text(encoding="utf-8"))
    entry = next(entry for entry in content["columns"] if entry["column"] == "outdoor_temp_c")
    assert entry["n_gaps"] == 1
    assert entry["stale_days"] == ["2024-01-01"]
    assert content["history"] == imported.history.hash
