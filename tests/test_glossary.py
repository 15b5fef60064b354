"""The glossary names what there is, all of it, once, and with the units that the code states."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from hashgym.envs.batch import tables
from hashgym.sim.contract.channels import CHANNELS
from hashgym.sim.contract.settlement import Bill
from hashgym.sim.foundation.renamed import RENAMED
from hashgym.sim.history import history
from hashgym.sim.series.price_features import SEEN, TODAY
from hashgym.sim.site import state, world
from hashgym.sim.telemetry import columns

TEXT = (Path(__file__).resolve().parent.parent / "docs" / "glossary.md").read_text(encoding="utf-8")


class Entry(NamedTuple):
    name: str
    unit: str
    where: frozenset[str]


def rows(heading: str) -> Iterator[list[str]]:
    """Yield the cells of each row of the tables under a heading, their heads left out."""
    part = TEXT.split(f"\n{heading}\n")[1]
    part = re.split(rf"\n#{{2,{heading.index(' ')}}} ", part)[0]
    for line in part.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            yield cells


def codes(text: str) -> list[str]:
    """Return what stands in backticks."""
    return re.findall(r"`([^`]+)`", text)


QUANTITIES = [
    Entry(codes(cells[0])[0], cells[1], frozenset(cells[3].split(", ")))
    for cells in rows("## Quantities")
    if len(cells) == 4
]
COSTS = {codes(cells[0])[0]: cells[1] for cells in rows("### Costs")}
ENDINGS = {
    ending: unit
    for cells in rows("## How names are made")
    for ending, unit in zip(codes(cells[0]), cells[1].split(", "), strict=False)
    if len(codes(cells[0])) == len(cells[1].split(", "))
}


def observed() -> dict[str, str]:
    """Return every observation without its zone's or market's number, with its unit."""
    form = tables.Form(
        n_zones=1,
        forecast="day_ahead_curve",
        known=tuple(tables.CONTRACT_OBSERVATIONS),
        has_demand=True,
        n_markets=2,
        has_offer=True,
        has_cooling=True,
        energy=("battery", "sun", "wind", "net", "reserve"),
        has_events=True,
        seen=(*SEEN, *TODAY),
    )
    return {
        re.sub(
            r"^(zone|market)\d_",
            "",
            re.sub(r"^at_market\d$", "at_market", re.sub(r"^(day_ahead|curve)_\d+h", r"\1", entry.name)),
        ): entry.unit
        for entry in tables.observation_table(form)
    }


UNITS = {
    "history": {name: column.unit for name, column in history.COLUMNS.items()},
    "observation": observed(),
    "telemetry": {name: column.unit for name, column in columns.COLUMNS.items()},
}
"""Names whose unit the code states, by where they stand."""

NAMES = {
    **{where: set(units) for where, units in UNITS.items()},
    "in force": set(CHANNELS),
    "event": {*world.SITE_EVENTS, *world.ZONE_EVENTS},
    "info": set(tables.INFO_KEYS),
    "zone flow": set(state.ZONE_FLOW.names or ()),
    "zone state": set(state.ZONE_STATE.names or ()),
    "site state": set(state.SITE_STATE.names or ()),
    "bill": set(Bill._fields),
}
"""Every name, by where it stands."""


@pytest.mark.parametrize("where", NAMES)
def test_every_name_is_explained_and_no_other(where: str) -> None:
    assert {entry.name for entry in QUANTITIES if where in entry.where} == NAMES[where]


def test_a_name_is_explained_once_and_says_where_it_stands() -> None:
    names = [entry.name for entry in QUANTITIES]
    assert [name for name in names if names.count(name) > 1] == []
    assert {where for entry in QUANTITIES for where in entry.where} == set(NAMES)


def test_units_are_those_of_the_code() -> None:
    for entry in QUANTITIES:
        for where in entry.where & set(UNITS):
            assert entry.unit == UNITS[where][entry.name], f"{entry.name} ({where})"


def test_a_unit_is_what_the_name_ends_in() -> None:
    assert len(ENDINGS) > 15
    for entry in QUANTITIES:
        fitting = [ending for ending in ENDINGS if entry.name.endswith(ending) and ending != "_pu"]
        if fitting:
            assert entry.unit == ENDINGS[max(fitting, key=len)], entry.name


def test_costs_are_those_of_the_table() -> None:
    assert {cost.name: cost.unit for cost in tables.COSTS} == COSTS


def test_every_old_name_is_listed_with_its_new_one() -> None:
    listed = {codes(old)[0]: codes(new) for old, new in rows("## Formerly")}
    assert set(listed) == set(RENAMED)
    for old, new in RENAMED.items():
        assert new in listed[old], old
