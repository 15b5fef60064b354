"""Pages say what is so: the quick start runs, files and names that pages point to are there."""

import ast
import re
from pathlib import Path

import pytest

from tests.docs import tutorial
from tests.test_architecture import MAY_IMPORT

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
ARCHITECTURE = (DOCS / "architecture.md").read_text(encoding="utf-8")
WAYS = re.split(r"^### ", ARCHITECTURE.split("## Four ways")[1].split("\n## ")[0], flags=re.MULTILINE)[1:]


@pytest.mark.parametrize("name", ["index.md", "site.md"])
def test_the_code_of_a_page_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tutorial.run(DOCS / name, tmp_path)


def names_in(path):
    """Return functions, classes and methods of a module, methods as Class.method."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.ClassDef)
    methods = {
        f"{outer.name}.{inner.name}"
        for outer in tree.body
        if isinstance(outer, ast.ClassDef)
        for inner in outer.body
        if isinstance(inner, kinds)
    }
    return methods | {node.name for node in tree.body if isinstance(node, kinds)}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.splitlines()[0])
def test_a_way_through_the_code_is_there_and_short(way):
    steps = re.findall(r"^\d+\. `([\w/]+\.py):([\w.]+)`((?:, `[\w.]+`)*):", way, re.MULTILINE)
    assert len(steps) == len(re.findall(r"^\d+\. ", way, re.MULTILINE))
    for file, first, more in steps:
        assert {first, *re.findall(r"`([\w.]+)`", more)} <= names_in(ROOT / file), file
    assert len({file for file, _, _ in steps}) <= 8


def test_the_table_of_rooms_is_what_the_architecture_test_holds():
    rows = re.findall(r"^\| `(\w+)/` \|[^|]*\| ([^|]+) \|$", ARCHITECTURE, re.MULTILINE)
    told: dict[str, set[str]] = {}
    for room, names in rows:
        told[room] = set(told) if names == "every room above" else set(re.findall(r"`(\w+)`", names))
    assert told == MAY_IMPORT


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))], ids=str)
def test_files_that_a_page_names_are_there(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target
    for file in re.findall(
        r"`((?:sim|envs|agents|advisor|forecast|evaluation|experiments|tests|sources|synthesis)/[\w/]+\.\w+)", text
    ):
        assert (ROOT / file).is_file(), file
