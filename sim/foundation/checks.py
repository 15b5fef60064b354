"""Checks of parameters, each with an error that names the owner, the parameter, its value and what is allowed."""

from .errors import BadInputError


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
