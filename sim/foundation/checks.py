"""Checks of parameters, each with an error that names the owner, the parameter, its value and what is allowed."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, fields
from difflib import get_close_matches
from types import UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from .errors import BadInputError
from .renamed import renamed_hint


def require(ok: bool, owner: str, name: str, value: object, allowed: str) -> None:
    """Raise a BadInputError that names the parameter, its value and the allowed range, unless `ok`."""
    if not ok:
        raise BadInputError(f"{owner}.{name} is {value!r}; it must be {allowed}")


def require_rate(owner: str, learning_rate: float) -> None:
    """Raise a BadInputError for a learning rate that is not above 0 and below 1."""
    require(0.0 < learning_rate < 1.0, owner, "learning_rate", learning_rate, "above 0 and below 1")


def require_positive(params: object, *names: str) -> None:
    """Raise a BadInputError for the first of some parameters that is not above 0."""
    for name in names:
        value = getattr(params, name)
        require(bool(value > 0.0), type(params).__name__, name, value, "above 0")


def require_at_least(owner: str, values: Mapping[str, float], least: float) -> None:
    """Raise a BadInputError for the first of some values by name that is below a bound."""
    for name, value in values.items():
        require(bool(value >= least), owner, name, value, f"{least:g} or more")


def require_fraction(params: object, *names: str) -> None:
    """Raise a BadInputError for the first of some parameters that is not between 0 and 1."""
    for name in names:
        value = getattr(params, name)
        require(bool(0.0 <= value <= 1.0), type(params).__name__, name, value, "between 0 and 1")


def require_not_negative(params: object, *names: str) -> None:
    """Raise a BadInputError for the first of some parameters that is below 0."""
    for name in names:
        value = getattr(params, name)
        require(bool(value >= 0.0), type(params).__name__, name, value, "0 or more")


def require_known(what: str, names: Iterable[object], allowed: Iterable[str], prefix: str = "") -> None:
    """Raise a BadInputError for the first name that is not allowed: it says the new name of an old one, or the nearest ones.

    Args:
        what: What the names are, as "unknown option" or "scenario: unknown key".
        names: Names that were given.
        allowed: Names that there are.
        prefix: Where the names stand, put before each of them.
    """
    known = sorted(allowed)
    for name in map(str, names):
        if name not in known:
            near = get_close_matches(name, known)
            hint = renamed_hint([name], known) or (f"; did you mean {' or '.join(map(repr, near))}?" if near else "")
            raise BadInputError(
                f"{what} {f'{prefix}{name}'!r}{hint}{'' if hint.endswith('?') else ';'} there are {', '.join(known)}"
            )


_WORDS: Final = {float: "a number", int: "a whole number", bool: "true or false", str: "text", type(None): "null"}


def require_kinds(cls: type, prefix: str, values: Mapping[str, Any], apart: Collection[str] = ()) -> None:
    """Raise a BadInputError that names every value that is not of the kind of its field, and every field that is missing.

    Fields that are dataclasses or dictionaries are left to their own readers.

    Args:
        cls: A dataclass.
        prefix: Where the values stand, put before each name.
        values: Values by name of field; other names are left alone.
        apart: Fields that are not looked at.

    Examples:
        >>> from dataclasses import dataclass
        >>> @dataclass
        ... class Fan:
        ...     speed_rpm: float
        >>> require_kinds(Fan, "fans[0].", {"speed_rpm": "6000 rpm"})
        Traceback (most recent call last):
        hashgym.sim.foundation.errors.BadInputError: fans[0].speed_rpm is '6000 rpm'; it must be a number
    """
    problems, hints = Problems(), get_type_hints(cls)
    for entry in (entry for entry in fields(cls) if entry.name not in apart):
        if entry.name not in values:
            if entry.init and entry.default is MISSING and entry.default_factory is MISSING:
                problems.lines.append(f"{prefix}{entry.name} is missing; it must be {_words(hints[entry.name])}")
        elif not _is_kind(values[entry.name], hints[entry.name]):
            said = f"{values[entry.name]!r:.80}"
            problems.lines.append(f"{prefix}{entry.name} is {said}; it must be {_words(hints[entry.name])}")
    problems.raise_all()


def _is_kind(value: Any, hint: Any) -> bool:
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_is_kind(value, part) for part in parts)
    if origin is Literal:
        return value in parts
    if origin is tuple:
        return isinstance(value, list | tuple) and all(_is_kind(entry, parts[0]) for entry in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and value == value
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return not isinstance(hint, type) or hint not in _WORDS or isinstance(value, hint)


def _words(hint: Any) -> str:
    parts = get_args(hint)
    if get_origin(hint) is tuple:
        return f"a list, each entry {_words(parts[0])}"
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, parts))}"
    return " or ".join(map(_words, parts)) if parts else _WORDS.get(hint, "a dictionary of its own")


class Problems:
    """What is wrong with a file, gathered so that it is said at once, one line each.

    Examples:
        >>> problems = Problems()
        >>> for name, value in (("fans", -1.0), ("pumps", -2.0)):
        ...     with problems.noted():
        ...         require(value >= 0.0, "Site", name, value, "0 or more")
        >>> problems.raise_all()
        Traceback (most recent call last):
        hashgym.sim.foundation.errors.BadInputError: Site.fans is -1.0; it must be 0 or more
        Site.pumps is -2.0; it must be 0 or more
    """

    def __init__(self) -> None:
        """Begin with nothing noted."""
        self.lines: list[str] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note a BadInputError of the block and go on after it."""
        try:
            yield
        except BadInputError as error:
            self.lines += [line for line in str(error).splitlines() if line not in self.lines]

    def raise_all(self) -> None:
        """Raise one BadInputError that holds all that was noted, if there is any."""
        if self.lines:
            raise BadInputError("\n".join(self.lines))
