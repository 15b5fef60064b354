"""Runs the code of a page: blocks in order, in one folder, as a reader would.

A ```python block runs in one namespace with those before it; a ```bash block runs in a shell. A block with a title is a file: it
is written under that name. Output blocks and indented code are left alone.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(
    r'^```(?P<language>python|bash|yaml|text)(?: title="(?P<title>[^"]+)")?\n(?P<code>.*?)^```$', re.M | re.S
)


@dataclass(frozen=True)
class Block:
    """A block of code of a page: its language, the file that it is, if it is one, and its first line in the page."""

    language: str
    title: str | None
    code: str
    line: int


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(found["language"], found["title"], found["code"], text.count("\n", 0, found.start()) + 2)
        for found in _BLOCK.finditer(text)
    ]


def run(page: Path, folder: Path) -> None:
    """Run a page in a folder that is the working directory and on the path of Python."""
    namespace: dict[str, object] = {"__name__": "tutorial"}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for block in blocks(page):
        if block.title is not None:
            file = folder / block.title
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.code, encoding="utf-8")
        elif block.language == "python":
            exec(compile("\n" * (block.line - 1) + block.code, str(page), "exec"), namespace)
        elif block.language == "bash":
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block.code],
                cwd=folder,
                env={**os.environ, "PATH": path},
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            assert done.returncode == 0, f"{page}:{block.line}: {block.code}\n{done.stdout}\n{done.stderr}"
