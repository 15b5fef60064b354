"""Write files whole or not at all: aside first, then renamed."""

import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from hashgym.sim.errors import BadInputError


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(aside).chmod(0o666 & ~umask)
        Path(aside).replace(path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise


def write_text(path: Path, content: str) -> None:
    """Write a text file whole or not at all, in UTF-8."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file whole or not at all; raises ValueError on NaN or infinity, which JSON does not have."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def png(figure: Figure, dpi: int) -> bytes:
    """Return a figure as a PNG that does not change with the version of what drew it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def require_place(path: Path | None, *inputs: Path) -> None:
    """Refuse a place for a result before the work begins.

    Args:
        path: Where the result is to go; None is nowhere.
        inputs: Files and folders that are read: nothing is written over or into them.

    Raises:
        BadInputError: The place is a folder, lies in an input, or cannot be made.
    """
    if path is None:
        return
    if not path.name or path.is_dir():
        raise BadInputError(f"{str(path)!r} is a folder; name a file for the result")
    place = path.resolve()
    for entry in inputs:
        if place == entry.resolve() or place.is_relative_to(entry.resolve()):
            raise BadInputError(f"{path} lies in {entry}, which is read; name another file for the result")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise BadInputError(f"{path}: no file can be made there ({error.strerror})") from error
