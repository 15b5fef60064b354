"""The structure of the house: who imports whom, what is packaged, how long files get."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "sim": set(),
    "synthesis": {"sim"},
    "sources": {"sim"},
    "envs": {"sim", "synthesis"},
    "agents": {"sim"},
    "forecast": set(),
    "advisor": {"sim", "envs", "agents", "forecast"},
    "experiments": {"sim", "synthesis", "sources", "envs", "agents", "forecast", "advisor"},
}
FILES = [path for folder in MAY_IMPORT for path in sorted((ROOT / folder).glob("*.py"))]


def imported(path: Path) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found.append((node.level, node.module or ""))
        elif isinstance(node, ast.Import):
            found += [(0, alias.name) for alias in node.names]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_rooms_import_only_what_they_may(path: Path) -> None:
    room = path.parent.name
    for level, module in imported(path):
        parts = module.split(".")
        target = (
            parts[0] if level == 2 else parts[1] if level == 0 and parts[0] == "hashgym" and len(parts) > 1 else None
        )
        assert level <= 2, f"{module}: three dots"
        if target is not None and target != "conf":
            assert target == room or target in MAY_IMPORT[room], f"{room} must not import {target}"
        assert not (level == 0 and parts[0] in MAY_IMPORT), (
            f"bare import of {module}; use hashgym.{module} or a relative import"
        )
        if level == 0 and parts[0] == "hashgym":
            assert room == "experiments", f"{room} imports {module} absolutely; use a relative import"


def test_package_list_is_what_lies_on_the_disk() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {name.removeprefix("hashgym.") for name in project["tool"]["setuptools"]["packages"]}
    on_disk = {path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests"}
    assert packages - {"conf"} == on_disk - {"conf"}
    assert (ROOT / "conf").is_dir()
    assert not (ROOT / "__init__.py").exists()


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_files_stay_readable(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300
