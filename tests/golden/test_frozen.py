"""The simulator and the environments do to the last bit what they did when they were frozen; see `frozen.py`."""

import json

import pytest

from tests.golden import frozen

FROZEN = json.loads(frozen.FILE.read_text(encoding="utf-8"))


def test_every_case_is_frozen() -> None:
    assert set(FROZEN["cases"]) == set(frozen.CASES)


@pytest.mark.skipif(
    frozen.platform() != FROZEN["platform"], reason="this machine's mathematical functions round otherwise"
)
@pytest.mark.parametrize("case", frozen.CASES)
def test_every_quantity_is_what_it_was(case: str) -> None:
    assert frozen.CASES[case]() == FROZEN["cases"][case]
