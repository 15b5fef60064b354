"""Every tutorial runs, block by block, in an empty folder."""

import sys
from pathlib import Path

import pytest

from tests.docs import tutorial

PAGES = sorted((Path(__file__).parents[2] / "docs" / "tutorials").glob("*.md"))


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_tutorial_runs(page, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    assert tutorial.blocks(page)
    tutorial.run(page, tmp_path)
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_a_cost_an_observation_and_a_rule_take_fifteen_lines_each():
    page = next(page for page in PAGES if page.stem == "own_cost_and_observation_and_rule")
    code = [block.code.splitlines() for block in tutorial.blocks(page)]
    for what in ("UserCost(", "Channel(", "(Rule):"):
        (lines,) = [lines for lines in code if any(what in line for line in lines)]
        assert len([line for line in lines if line.strip()]) <= 15, what
