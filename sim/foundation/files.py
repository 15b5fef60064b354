"""Write files and folders whole or not at all: aside first, then renamed."""

import fcntl
import glob
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .errors import BadInputError


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_left(path)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.aside.")
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


_LEFT_S: Final = 3600.0
"""Age from which a file that was written aside counts as left by a killed process. [s] chosen: writing takes seconds."""


def _remove_left(path: Path) -> None:
    for left in path.parent.glob(f".{glob.escape(path.name)}.aside.*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _LEFT_S:
                left.unlink()


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

    An older folder there is moved aside until the new one stands. Of processes that write the same folder the last one's stands; what one that
    was killed has left is put right by the next.

    Args:
        folder: Where the result goes.
        marker: Name of a file that an older folder must hold to be replaced.

    Raises:
        BadInputError: There is something at `folder` that is not of our kind.
    """
    require_free(folder, marker)
    folder.parent.mkdir(parents=True, exist_ok=True)
    old = folder.with_name(f".{folder.name}.old")
    with _held(folder.parent):
        if old.exists() and not folder.exists():  # killed between the two renames below
            old.rename(folder)
        for left in folder.parent.glob(f".{glob.escape(folder.name)}.aside.*"):
            with suppress(BlockingIOError), _held(left, waits=False):
                shutil.rmtree(left, ignore_errors=True)
        aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.aside."))
        alive = os.open(aside, os.O_RDONLY)
        fcntl.flock(alive, fcntl.LOCK_EX)
    try:
        yield aside
        aside.chmod(0o755)
        _settle(aside)
        with _held(folder.parent):
            shutil.rmtree(old, ignore_errors=True)
            if folder.exists():
                folder.rename(old)
            aside.rename(folder)
            shutil.rmtree(old, ignore_errors=True)
        _sync(folder.parent)
    except BaseException:
        with _held(folder.parent):
            if old.exists() and not folder.exists():
                old.rename(folder)
        shutil.rmtree(aside, ignore_errors=True)
        raise
    finally:
        os.close(alive)


@contextmanager
def _held(folder: Path, *, waits: bool = True) -> Iterator[None]:
    """Hold a folder against other processes that ask for it; the system frees it however this one ends."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _settle(folder: Path) -> None:
    """Have the disk hold every file of a folder before the folder gets its name."""
    for path in folder.rglob("*"):
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def keep_arrays(path: Path, most: int, **arrays: npt.ArrayLike) -> None:
    """Write arrays into a folder of a cache, whole or not at all, and remove the oldest files of it beyond a number; where nothing can be written, nothing is.

    Args:
        path: File, `.npz`.
        most: Files that the folder keeps.
        arrays: Arrays by name.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as aside:
            np.savez(aside, allow_pickle=False, **arrays)
        Path(aside.name).replace(path)
        for old in sorted(path.parent.glob("*.npz"), key=lambda file: file.stat().st_mtime)[:-most]:
            old.unlink(missing_ok=True)
    except OSError:
        return  # a cache that cannot be written costs time, nothing else
