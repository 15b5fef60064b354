"""Write files and folders whole or not at all: aside first, then renamed."""

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import BadInputError


def read_file(path: Path, most: int, folder: Path | None = None) -> bytes:
    """Return the content of a file that comes from elsewhere.

    Args:
        path: The file; neither a device nor a pipe.
        most: Most bytes that it may have.
        folder: Folder that the file, or what a link there leads to, must lie in; None is anywhere.

    Raises:
        BadInputError: It is absent, no plain file, larger, or lies elsewhere.
    """
    try:
        if folder is not None and not path.resolve().is_relative_to(folder.resolve()):
            raise BadInputError(f"{path}: leads out of {folder}")
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe does not block
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise BadInputError(f"{path}: not readable (it is no file)")
            content = file.read(most + 1)
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, BadInputError):
            raise
        raise BadInputError(f"{path}: not readable ({getattr(error, 'strerror', None) or error})") from error
    if len(content) > most:
        raise BadInputError(f"{path}: larger than {most >> 20} MiB, which is the most that is read")
    return content


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


def require_writable(path: Path | None, *inputs: Path) -> None:
    """Refuse a path for a result before the work begins.

    Args:
        path: Where the result is to go; None is nowhere.
        inputs: Files and folders that are read: nothing is written over or into them.

    Raises:
        BadInputError: The path is a folder, lies in an input, or cannot be made.
    """
    if path is None:
        return
    if not path.name or path.is_dir():
        raise BadInputError(f"{str(path)!r} is a folder; name a file for the result")
    target = path.resolve()
    for entry in inputs:
        if target == entry.resolve() or target.is_relative_to(entry.resolve()):
            raise BadInputError(f"{path} lies in {entry}, which is read; name another file for the result")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise BadInputError(f"{path}: no file can be made there ({error.strerror})") from error


def require_free(folder: Path, marker: str) -> None:
    """Raise a BadInputError if there is something at `folder` that is not a folder with a file named `marker`."""
    if folder.exists() and not (folder / marker).is_file():
        raise BadInputError(f"{folder} exists and holds no {marker}; name another folder")


@contextmanager
def whole_folder(folder: Path, marker: str) -> Iterator[Path]:
    """Give a folder to write into, which takes the place of `folder` when the block ends without an error.

    An older folder there is moved aside until the new one stands.

    Args:
        folder: Where the result goes.
        marker: Name of a file that an older folder must hold to be replaced.

    Raises:
        BadInputError: There is something at `folder` that is not of our kind.
    """
    require_free(folder, marker)
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    old = folder.with_name(f".{folder.name}.old")
    try:
        yield aside
        aside.chmod(0o755)
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        aside.rename(folder)
    except BaseException:
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(aside, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)
