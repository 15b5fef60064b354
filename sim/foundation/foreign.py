"""Files that come from elsewhere: no device, no pipe, no link that leads out, no more bytes than are good."""

import os
import stat
from pathlib import Path

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
