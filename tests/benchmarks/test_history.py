"""The history of speed: what an entry keeps, and that appending loses nothing."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from benchmarks import history
from hashgym.sim.foundation.errors import BadInputError

TAGS = {"git.revision": "0123456789abcdef", "git.is_changed": "False"}
AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def result(**changes: Any) -> dict[str, Any]:
    """Return a result in the form of `hashgym bench --json`."""
    rates = {name: 1000.0 * (number + 1) for number, name in enumerate(history.RATES)}
    return {
        "machine": {"processor": "x86_64", "cores": 2, "memory_gib": 8.0, "python": "3.11.7"},
        **rates,
        "bundle_p99_ms": 0.2,
        "ratios": {"single_over_pendulum": 0.7512, "batched_over_envpool_pendulum": 2.0},
        "by_env": {},
        **changes,
    }


def test_entries_are_appended_and_come_back(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    assert history.read(file) == []
    first = history.entry(result(), TAGS, AT)
    second = history.entry(result(batched_env_steps_per_s=2e6), {**TAGS, "git.is_changed": "True"}, AT)
    history.append(first, file)
    history.append(second, file)
    assert history.read(file) == [first, second]
    assert file.read_text().count("\n") == 2
    assert first["date"] == "2026-03-01T12:30Z"
    assert (first["changed"], second["changed"]) == (False, True)
    assert second["figures"]["batched_env_steps_per_s"] == 2e6


def test_the_command_appends_a_result_and_prints_ratios_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, measured = tmp_path / "history.jsonl", tmp_path / "bench.json"
    alone = {"single_over_pendulum": 0.7512, "batched_over_envpool_pendulum": None}
    for number, ratios in enumerate((result()["ratios"], alone), start=1):
        measured.write_text(json.dumps(result(ratios=ratios, envpool_pendulum_steps_per_s=None)))
        assert history.main(["--from", str(measured), "--file", str(file)]) == 0
        assert len(history.read(file)) == number
    capsys.readouterr()
    assert history.main(["--table", "--file", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert [cell.strip() for cell in lines[2].split("|")[3:6]] == ["0.75", "2.00", "1,000"]
    assert [cell.strip() for cell in lines[3].split("|")[3:6]] == ["0.75", "", "1,000"]


def test_a_result_that_lacks_a_figure_is_refused(tmp_path: Path) -> None:
    short = result()
    del short["zone_steps_per_s"], short["ratios"]["single_over_pendulum"]
    with pytest.raises(BadInputError, match=r"lacks zone_steps_per_s, single_over_pendulum; measure with"):
        history.entry(short, TAGS, AT)
