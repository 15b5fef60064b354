"""The page of results is the one that its rows make."""

import json
from pathlib import Path
from typing import Any

import pytest

from hashgym.sim.foundation.errors import BadInputError
from tools import results_page
from tools.results_page import Figure, Results, read

ROW: dict[str, Any] = {
    "scenario": "s",
    "env": "e",
    "policy": "always_on",
    "metric": results_page.PROFIT,
    "mean": 5.0,
    "lo": 4.0,
    "hi": 6.5,
    "seeds": 1,
}


def written(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "results.json"
    path.write_text(json.dumps(rows))
    return path


def test_the_page_is_the_one_that_its_rows_make() -> None:
    rows = read(results_page.DOCS / "results.json")
    assert (results_page.DOCS / "results.md").read_text(encoding="utf-8") == results_page.page(rows)


def test_every_row_with_an_interval_is_on_the_page() -> None:
    rows = read(results_page.DOCS / "results.json")
    text = results_page.page(rows)
    for row in rows:
        if row["lo"] is not None and row["metric"] != results_page.OVER_RULE and row["policy"] != "always_on":
            assert (
                Figure(row.get("iqm", row.get("mean")), row["lo"], row["hi"]).text(0 if row["mean"] is None else 1)
                in text
            )


def test_figures_are_written_with_their_intervals() -> None:
    assert Figure(-1234.56, -2000.0, 3.04).text() == "−1,234.6 (−2,000.0 … 3.0)"
    assert Figure(2.0, None, None).text(2) == "2.00"
    assert Figure(None, 86000.0, 98000.0).text(0) == "86,000 to 98,000"
    assert Figure(-0.1, -0.28, 0.07).percent() == "−0.10 % (−0.28 … +0.07)"


def test_policies_stand_with_their_notes_and_without_what_is_not_there(tmp_path: Path) -> None:
    best = {**ROW, "policy": "rule", "mean": 7.0, "hi": 8.0, "note": "off above 2"}
    gain = {**ROW, "policy": "rule", "metric": results_page.GAIN, "iqm": 40.0, "lo": 30.0, "hi": 50.0}
    del gain["mean"]
    lines = results_page.policies(Results(read(written(tmp_path, best, ROW, gain))), "s").splitlines()
    assert lines[2] == "| rule (off above 2) | 7.0 (4.0 … 8.0) | 40.0 (30.0 … 50.0) |  |"
    assert lines[3] == "| always_on | 5.0 (4.0 … 6.5) | 0 |  |"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"iqm": 5.0}, "row 1: keys are .*either iqm or mean"),
        ({"speed": 5.0}, "row 1: keys are .*speed"),
        ({"mean": 9.0}, r"row 1: 9.0 is not in its interval 4.0…6.5"),
        ({"mean": None, "lo": None}, "row 1: it has neither a value nor both ends"),
    ],
)
def test_a_row_that_is_not_of_the_schema_is_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=message):
        read(written(tmp_path, ROW, {**ROW, **change}))
