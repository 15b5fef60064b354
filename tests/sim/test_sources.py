"""Every constant of the simulator names its source or says that it is assumed."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import hashgym.sim

SIM = Path(next(iter(hashgym.sim.__path__)))
TELLS = re.compile(r"source|assumed|measured|chosen|by definition|exact|sec\. |none by default|not said", re.IGNORECASE)
PUBLISHED = ("hardware/machines.yaml", "hardware/firmware.yaml", "reliability/parts.yaml")


def is_number(node: ast.expr | None) -> bool:
    """Tell whether an expression is a physical number: not 0 or 1, not an integer code, not a computed value."""
    if isinstance(node, ast.UnaryOp):
        node = node.operand
    return isinstance(node, ast.Constant) and isinstance(node.value, float) and node.value not in (0.0, 1.0)


def unsourced(path: Path) -> list[str]:
    """Return the numbers of a module, its constants and its classes' defaults, whose text beside them tells no origin."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    lines = path.read_text(encoding="utf-8").splitlines()
    bodies = [tree.body] + [node.body for node in tree.body if isinstance(node, ast.ClassDef)]
    found = []
    for body in bodies:
        for index, node in enumerate(body):
            if not isinstance(node, ast.AnnAssign | ast.Assign) or not is_number(node.value):
                continue
            after = body[index + 1] if index + 1 < len(body) else None
            text = lines[node.lineno - 1].partition("#")[2]
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                text += str(after.value.value)
            if not TELLS.search(text):
                found.append(f"{path.name}:{node.lineno} {lines[node.lineno - 1].strip()}")
    return found


def test_every_number_in_the_code_has_an_origin() -> None:
    assert [line for path in sorted(SIM.rglob("*.py")) for line in unsourced(path)] == []


def quantities(node: Any, at: str) -> list[tuple[str, Any]]:
    """Return every leaf of a catalogue with its path."""
    if isinstance(node, dict):
        return [pair for key, value in node.items() for pair in quantities(value, f"{at}.{key}")]
    return [(at, node)]


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_quantity_of_a_catalogue_has_a_source_that_is_listed_or_says_assumed(name: str) -> None:
    content = yaml.safe_load((SIM / name).read_text(encoding="utf-8"))
    sources = content.pop("sources")
    bare = []
    for path, leaf in quantities(content, name):
        if path.endswith(("points", "profiles_mhz")) or isinstance(leaf, str | bool):
            continue
        pair = leaf if isinstance(leaf, list) and len(leaf) == 2 else [leaf, ""]
        key = str(pair[1]).partition(":")[0]
        if key not in sources and key != "assumed":
            bare.append(f"{path}: {leaf}")
        if key == "assumed" and not str(pair[1]).partition(":")[2].strip():
            bare.append(f"{path}: assumed without a reason")
    assert bare == []


def test_every_curve_names_a_listed_source_and_what_is_not_fitted_says_why() -> None:
    content = yaml.safe_load((SIM / "hardware" / "machines.yaml").read_text(encoding="utf-8"))
    for key, entry in content["machines"].items():
        for name, curve in entry.get("curves", {}).items():
            assert curve["source"] in content["sources"], f"{key}/{name}"
            assert curve.get("fitted", True) or curve["reason"], f"{key}/{name}"


def test_the_models_of_history_say_where_they_come_from() -> None:
    folder = SIM.parent / "synthesis"
    for path in (folder / "coin.yaml", folder / "published.yaml", *sorted((folder / "regions").glob("*.yaml"))):
        head = path.read_text(encoding="utf-8")[:400]
        assert "omputed from" in head, path.name


def test_steady_points_name_their_sources() -> None:
    content = yaml.safe_load((SIM / "hardware" / "steady.yaml").read_text(encoding="utf-8"))
    assert all(point["source"] for point in content["points"])
