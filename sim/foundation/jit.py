"""Compile scalar physics with numba, from a cache that can never be stale.

numba's own cache looks only at the file that holds the compiled function; an edit in a file that it calls
goes unnoticed. The cache folder is therefore named by a hash of every source file of the simulator and of
the packages beside it that compile kernels, of numba's version and of the processor.
"""

import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import llvmlite.binding
import numba

Function = TypeVar("Function", bound=Callable[..., object])

_ROOT = Path(__file__).resolve().parents[2]
_KERNEL_FOLDERS = ("sim", "envs", "agents", "evaluation")


def source_hash(root: Path = _ROOT) -> str:
    """Return the hash that names the compiled cache: sources, numba's version, processor."""
    digest = hashlib.sha256(f"{numba.__version__}|{llvmlite.binding.get_host_cpu_name()}".encode())
    for folder in _KERNEL_FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(f"{path.relative_to(root).as_posix()}|".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """Return the folder of compiled kernels: `$HASHGYM_CACHE_DIR`, else the user's cache, else a temporary one of the user's own.

    Raises:
        RuntimeError: None of them can be written.
    """
    for base in _bases():
        folder = base / "numba" / source_hash()
        try:
            base.mkdir(mode=0o700, parents=True, exist_ok=True)
            if base.parent == Path(tempfile.gettempdir()) and not _is_own(base):
                continue  # a name that others can guess: what is loaded from it would be theirs
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    raise RuntimeError("no folder for compiled kernels can be written; name one by HASHGYM_CACHE_DIR")


def kept_folder(name: str) -> Path:
    """Return the folder of the user's cache in which something else than kernels is kept; it may not be there yet."""
    return cache_folder().parents[1] / name


def _bases() -> Iterator[Path]:
    if given := os.environ.get("HASHGYM_CACHE_DIR"):
        yield Path(given)
    if cache := os.environ.get("XDG_CACHE_HOME"):
        yield Path(cache) / "hashgym"
    with suppress(RuntimeError):  # neither HOME nor an entry of the user's
        yield Path.home() / ".cache" / "hashgym"
    yield Path(tempfile.gettempdir()) / f"hashgym-{os.getuid()}"


def _is_own(folder: Path) -> bool:
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022


numba.config.CACHE_DIR = str(cache_folder())  # type: ignore[attr-defined]


def kernel(function: Function) -> Function:
    """Compile `function` without the interpreter lock and without reordering of floating-point arithmetic.

    Arrays are borrowed from the caller and none is made: nothing counts references, which took a third of a step, since
    every view of an array and every call that takes a struct of arrays would count. Kernels that call each other become
    one: a fifth of a step went into handing over structs.
    """
    return _compiled(function, _nrt=False, forceinline=True)


def allocating_kernel(function: Function) -> Function:
    """Compile a function that makes arrays of its own, as `kernel` does else."""
    return _compiled(function, _nrt=True)


def _compiled(function: Function, **options: bool) -> Function:
    compiled: Any = numba.njit(nogil=True, cache=True, error_model="numpy", **options)(function)  # type: ignore[call-overload]
    # Two processes that add to a cache at once would both take the next free name: one's index would lead to the other's kernel.
    kept = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if kept is not None:
        kept.save = _alone(kept.save)
    return compiled


def _alone(save: Callable[..., None]) -> Callable[..., None]:
    def saved(*args: object) -> None:
        handle = os.open(numba.config.CACHE_DIR, os.O_RDONLY)  # type: ignore[attr-defined]
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            save(*args)
        finally:
            os.close(handle)

    return saved
