"""The structure of the house: who imports whom, and what is packaged."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import hashgym

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "sim": set(),
    "synthesis": {"sim"},
    "sources": {"sim"},
    "forecast": set(),
    "envs": {"sim", "synthesis", "sources", "forecast"},
    "agents": {"sim", "envs"},
    "evaluation": {"sim", "envs", "agents", "forecast"},
    "advisor": {"sim", "envs", "agents", "forecast", "evaluation"},
    "experiments": {"sim", "synthesis", "sources", "envs", "agents", "forecast", "evaluation", "advisor"},
    "tools": {"sim", "synthesis", "sources", "envs", "agents", "forecast", "evaluation", "advisor", "experiments"},
}
"""Rooms whose modules a room may import, beside its own."""

ABSOLUTE = ("experiments", "tools")
"""Rooms that import by `hashgym.…`; libraries import each other relatively."""

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for room in MAY_IMPORT
    for path in sorted((ROOT / room).rglob("*.py"))
}


def imports(module: str) -> Iterator[tuple[int, str]]:
    """Yield level and full name of each of our modules that a module imports; names within modules are cut off."""
    path = MODULES[module]
    here = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield 0, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{name}.{alias.name}"
                yield node.level, full if full.removeprefix("hashgym.") in MODULES else name


@pytest.mark.parametrize("module", MODULES)
def test_rooms_import_only_what_they_may(module: str) -> None:
    room = module.split(".")[0]
    for level, name in imports(module):
        top = name.removeprefix("hashgym.").split(".")[0]
        if level == 0 and name.split(".")[0] != "hashgym":
            assert top not in MAY_IMPORT or (room, top) == ("tools", "tools"), f"bare import of {name}"
            continue
        assert top in MAY_IMPORT[room] | {room, "conf"}, f"{room} must not import {top}"
        assert (level == 0) == (room in ABSOLUTE), f"{module} imports {name} the wrong way"


def test_no_circle_of_folders() -> None:
    arrows: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        folder = module if path.name == "__init__.py" else module.rpartition(".")[0]
        for _, name in imports(module):
            name = name.removeprefix("hashgym.")
            if name in MODULES:
                target = name if MODULES[name].name == "__init__.py" else name.rpartition(".")[0]
                # A folder's __init__ may gather what its sub-folders hold.
                if target != folder and not (path.name == "__init__.py" and target.startswith(f"{folder}.")):
                    arrows.setdefault(folder, set()).add(target)

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = list(arrows.get(start, ()))
        while waiting:
            folder = waiting.pop()
            if folder not in seen:
                seen.add(folder)
                waiting += arrows.get(folder, ())
        return seen

    assert [folder for folder in arrows if folder in reached(folder)] == []


def test_package_list_is_what_lies_on_the_disk() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {name.removeprefix("hashgym.") for name in project["tool"]["setuptools"]["packages"]} - {"hashgym"}
    rooms = set(MAY_IMPORT) - {"tools"} | {"conf"}
    on_disk = {
        ".".join(path.parent.relative_to(ROOT).parts) for room in rooms for path in (ROOT / room).rglob("__init__.py")
    }
    with_modules = {
        ".".join(path.parent.relative_to(ROOT).parts) for room in rooms for path in (ROOT / room).rglob("*.py")
    }
    assert packages == on_disk == with_modules
    # The root holds the version and nothing else: every room is imported by its own name.
    assert [path.name for path in ROOT.glob("*.py")] == ["__init__.py"]
    assert hashgym.__version__ == project["project"]["version"]


def test_every_room_of_the_wheel_says_that_it_is_typed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "py.typed" in project["tool"]["setuptools"]["package-data"]["*"]
    for package in project["tool"]["setuptools"]["packages"]:
        assert ROOT.joinpath(*package.split(".")[1:], "py.typed").exists(), package
