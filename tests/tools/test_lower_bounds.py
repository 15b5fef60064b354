"""The lowest versions that pyproject.toml allows."""

import tomllib

import pytest

from tools import lower_bounds


def test_every_dependency_of_ours_has_a_lowest_version() -> None:
    project = tomllib.loads(lower_bounds.PYPROJECT.read_text(encoding="utf-8"))["project"]
    versions = lower_bounds.lower_bounds(project)
    assert {"numpy", "numba", "torch", "gymnasium", "minari", "envpool"} <= set(versions)
    assert "ruff" not in versions
    for name, version in versions.items():
        assert any(line.startswith((f"{name}>={version}", f"{name}[")) for line in _lines(project)), name


def _lines(project: dict[str, object]) -> list[str]:
    extras: dict[str, list[str]] = project["optional-dependencies"]  # type: ignore[assignment]
    return [*project["dependencies"], *(line for lines in extras.values() for line in lines)]  # type: ignore[misc]


def test_extras_and_upper_bounds_are_left_out() -> None:
    project = {
        "dependencies": ["a>=1.2,<2", "b-c[x,y]>=0.5.3"],
        "optional-dependencies": {"dev": ["d"], "e": ["f>=17"]},
    }
    assert lower_bounds.lower_bounds(project) == {"a": "1.2", "b-c": "0.5.3", "f": "17"}


@pytest.mark.parametrize("line", ["numpy", "numpy<3", "numpy==2.0"])
def test_a_dependency_without_a_lower_bound_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="has no lower bound; write it as name>=version"):
        lower_bounds.lower_bounds({"dependencies": [line], "optional-dependencies": {}})
