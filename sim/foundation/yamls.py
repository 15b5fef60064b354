"""YAML that comes from elsewhere: as plain values, with a bound on what its aliases unfold to."""

from pathlib import Path
from typing import Any, Final

import yaml

from .errors import BadInputError
from .foreign import read_file

MAX_BYTES: Final = 4 << 20
"""Largest file. chosen: a calibrated region takes some 100 kB."""
MAX_VALUES: Final = 200_000
"""Most values that a file may unfold to, each alias counted as what it stands for. chosen: a hundred times a large mapping."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path, what: str) -> Any:
    """Return the content of a YAML file.

    Args:
        path: The file.
        what: What it should be, for messages.

    Raises:
        BadInputError: It is not readable, no YAML, or unfolds to more than MAX_VALUES.
    """
    try:
        text = read_file(path, MAX_BYTES).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path}: not a readable {what} (it is not UTF-8)") from error
    return parse_yaml(text, f"{path}: not a readable {what}")


def parse_yaml(text: str, message: str) -> Any:
    """Return the content of a YAML text; raises BadInputError that begins with a message."""
    try:
        # Counted before it is made: merge keys unfold while values are made.
        node = yaml.compose(text, Loader=_LOADER)
        size = 0 if node is None else _unfolded(node, {}, set())
        if size > MAX_VALUES:
            raise ValueError(f"its aliases unfold to more than {MAX_VALUES} values")
        return yaml.load(text, Loader=_LOADER)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadInputError(f"{message} ({' '.join(str(error).split())[:200]})") from error


def _unfolded(node: Any, sizes: dict[int, int], above: set[int]) -> int:
    """Return the number of values below a node, those that stand in several places counted in each."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    key = id(node)
    if key in above:
        raise ValueError("an alias stands within what it names")
    if key not in sizes:
        above.add(key)
        parts = [part for pair in node.value for part in (pair if isinstance(pair, tuple) else (pair,))]
        sizes[key] = 1 + sum(_unfolded(part, sizes, above) for part in parts)
        above.discard(key)
    return sizes[key]
