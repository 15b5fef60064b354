"""Records that kernels read: float64 fields by name, made of the numbers of parameter classes."""

from dataclasses import fields
from typing import Final

import numpy as np

_NUMBERS: Final = ("float", "int", "bool")
_NOT_NUMBERS: Final = ("str", "tuple[float, ...]", "int | None")


def number_fields(cls: type, parts: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the names of a parameter class's numbers, in its order.

    Args:
        cls: A dataclass.
        parts: Fields that are parameter classes of their own, and not numbers.

    Raises:
        TypeError: A field is neither a number nor of a kind that kernels never read.
    """
    names = []
    for entry in fields(cls):
        if entry.name in parts:
            continue
        kind = entry.type.__name__ if isinstance(entry.type, type) else str(entry.type)
        if kind in _NUMBERS:
            names.append(entry.name)
        elif kind not in _NOT_NUMBERS:
            raise TypeError(f"{cls.__name__}.{entry.name} is {kind}; a record holds {', '.join(_NUMBERS)}")
    return tuple(names)


def float_record(*names: str) -> np.dtype:
    """Return a record of float64 fields; a name that comes twice is one field."""
    return np.dtype([(name, np.float64) for name in dict.fromkeys(names)])
