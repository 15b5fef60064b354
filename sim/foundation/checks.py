"""Checks of parameters, each with an error that names the owner, the parameter, its value and what is allowed."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

from .errors import BadInputError
from .renamed import renamed_hint


def require(ok: bool, owner: str, name: str, value: object, allowed: str) -> None:
    """Raise a BadInputError that names the parameter, its value and the allowed range, unless `ok`."""
    if not ok:
        raise BadInputError(f"{owner}.{name} is {value!r}; it must be {allowed}")


def require_positive(params: object, *names: str) -> None:
    """Raise a BadInputError for the first of some parameters that is not above 0."""
    for name in names:
        value = getattr(params, name)
        require(bool(value > 0.0), type(params).__name__, name, value, "above 0")


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
