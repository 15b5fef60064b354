"""Write a folder whole or not at all: aside first, then renamed into its place."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import BadInputError


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
