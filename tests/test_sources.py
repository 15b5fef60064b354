"""Every constant of the library names its source or says that it is assumed or chosen, and why."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import hashgym.sim

SIM = Path(next(iter(hashgym.sim.__path__)))
ROOT = SIM.parent
FOLDERS = ("sim", "envs", "agents", "evaluation", "advisor", "forecast", "synthesis", "sources")
TELLS = re.compile(r"source|assumed|measured|chosen|by definition|exact|sec\. |none by default|not said", re.IGNORECASE)
PUBLISHED = ("hardware/machines.yaml", "hardware/firmware.yaml", "reliability/parts.yaml")


def has_number(node: ast.expr | None) -> bool:
    """Tell whether a value is a physical number or a table of such: floats but 0 and 1; no integer code, no computed value."""
    if isinstance(node, ast.UnaryOp):
        return has_number(node.operand)
    if isinstance(node, ast.Tuple | ast.List):
        return any(has_number(entry) for entry in node.elts)
    if isinstance(node, ast.Dict):
        return any(has_number(entry) for entry in node.values)
    if isinstance(node, ast.Call):
        return any(has_number(entry) for entry in [*node.args, *(keyword.value for keyword in node.keywords)])
    return isinstance(node, ast.Constant) and isinstance(node.value, float) and node.value not in (0.0, 1.0)


def docstring_of(body: list[ast.stmt], index: int) -> str:
    """Return the string that stands below an assignment, or below the unbroken block of assignments that it is in."""
    last = index
    while (
        last + 1 < len(body)
        and isinstance(body[last + 1], ast.Assign | ast.AnnAssign)
        and (body[last + 1].lineno == (body[last].end_lineno or 0) + 1)
    ):
        last += 1
    after = body[last + 1] if last + 1 < len(body) else None
    is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
    return str(after.value.value) if is_text else ""  # type: ignore[union-attr]


def bodies(tree: ast.Module) -> Iterator[tuple[list[ast.stmt], str]]:
    """Yield the bodies of a module and of its classes, each with what a class says of its defaults."""
    yield tree.body, ""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield node.body, (ast.get_docstring(node) or "").partition("Defaults")[2]


def unsourced(path: Path) -> list[str]:
    """Return the numbers of a module, its constants and its classes' defaults, whose text beside them tells no origin."""
    text = path.read_text(encoding="utf-8")
    lines, found = text.splitlines(), []
    for body, defaults in bodies(ast.parse(text)):
        for index, node in enumerate(body):
            if not isinstance(node, ast.AnnAssign | ast.Assign) or not has_number(node.value):
                continue
            comment = lines[(node.end_lineno or node.lineno) - 1].partition("#")[2]
            if not TELLS.search(comment + docstring_of(body, index) + defaults):
                found.append(f"{path.parent.name}/{path.name}:{node.lineno} {lines[node.lineno - 1].strip()}")
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_number_in_the_code_has_an_origin(folder: str) -> None:
    paths = sorted((ROOT / folder).rglob("*.py"))
    assert paths
    assert [line for path in paths for line in unsourced(path)] == []


@pytest.mark.parametrize(
    ("code", "is_told"),
    [
        ("A = 2.5", False),
        ("A = 2.5  # assumed: a guess", True),
        ('A = 2.5\n"""Source: a book."""', True),
        ('A = 2.5\nB = -3.5\n"""chosen."""', True),
        ('A = 2.5\n\nB = 3.5\n"""chosen."""', False),
        ('A = (row("x", 2.5),)', False),
        ('A = {"x": 2.5}', False),
        ("class C:\n    a: float = 2.5", False),
        ('class C:\n    """Of c. Defaults: chosen."""\n    a: float = 2.5', True),
        ('class C:\n    """Chosen of c."""\n    a: float = 2.5', False),
        ("A = 3\nB = 1.0\nC = 2.5 * B", True),
    ],
)
def test_a_number_without_an_origin_is_found(code: str, is_told: bool, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(code)
    assert (unsourced(tmp_path / "a.py") == []) == is_told


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
    for place, leaf in quantities(content, name):
        if place.endswith(("points", "profiles_mhz")) or isinstance(leaf, str | bool):
            continue
        pair = leaf if isinstance(leaf, list) and len(leaf) == 2 else [leaf, ""]
        key = str(pair[1]).partition(":")[0]
        if key not in sources and key != "assumed":
            bare.append(f"{place}: {leaf}")
        if key == "assumed" and not str(pair[1]).partition(":")[2].strip():
            bare.append(f"{place}: assumed without a reason")
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
