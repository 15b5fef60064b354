"""Print the lowest versions of our dependencies that pyproject.toml allows, as constraints for pip.

    python -m tools.lower_bounds > lowest.txt && pip install -c lowest.txt -e '.[dev]'
    python -m tools.lower_bounds torch    # the version alone

Each `name>=version` of the dependencies and of the extras that users install becomes `name==version`. What those need in
turn is left to pip, and so are the tools of the extras `dev` and `docs`, which no user installs.
"""

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"

TOOLS = ("dev", "docs")
"""Extras that nothing of ours needs when it runs."""

REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[[\w,.-]*\])?\s*>=\s*(?P<version>[\w.]+)(?:,.*)?")


def lower_bounds(project: dict[str, Any]) -> dict[str, str]:
    """Return the lowest version of each requirement, by its name.

    Args:
        project: The table `project` of a pyproject.toml.

    Raises:
        ValueError: A requirement has no lower bound.
    """
    needed = list(project["dependencies"])
    needed += [
        line
        for extra, lines in project["optional-dependencies"].items()
        if extra not in TOOLS
        for line in lines
        if not line.startswith("hashgym[")
    ]
    versions = {}
    for line in needed:
        match = REQUIREMENT.fullmatch(line)
        if match is None:
            raise ValueError(f"{line!r} has no lower bound; write it as name>=version")
        versions[match["name"]] = match["version"]
    return versions


def main() -> None:
    """Print all constraints, or the version of the one that is named."""
    versions = lower_bounds(tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"])
    lines = [versions[name] for name in sys.argv[1:]] or [f"{name}=={versions[name]}" for name in sorted(versions)]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
