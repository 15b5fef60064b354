"""Keys of services: from the environment, a file that only its owner can read, or the system's keyring; read anew each time.

A key never stands in a URL, a message, a cache or a log that this package writes.
"""

import importlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import quote, quote_plus

import yaml

from ..sim.foundation.errors import BadInputError

ENVIRONMENT: Final = "HASHGYM_KEY_"
FILE: Final = "HASHGYM_KEYS"
KEYRING: Final = "hashgym"
HIDDEN: Final = "•••"


def key_file() -> Path:
    """Return the place of the key file: `$HASHGYM_KEYS`, else keys.yaml in the user's configuration folder."""
    named = os.environ.get(FILE)
    if named:
        return Path(named)
    configured = os.environ.get("XDG_CONFIG_HOME")
    if configured:
        return Path(configured) / "hashgym" / "keys.yaml"
    try:
        return Path.home() / ".config" / "hashgym" / "keys.yaml"
    except RuntimeError:  # neither HOME nor an entry of the user's
        return Path("keys.yaml")


def find(name: str) -> str:
    """Return a key.

    Args:
        name: Name of the service's key, for example "eia".

    Raises:
        BadInputError: There is none, or the file may be read by others than its owner.
    """
    variable = ENVIRONMENT + name.upper()
    value = os.environ.get(variable) or _from_file(name) or _from_keyring(name)
    if not value:
        raise BadInputError(
            f"no key {name!r}: set {variable}, or write '{name}: …' into {key_file()} (readable by you alone), or store it in "
            f"the keyring as service {KEYRING!r}, name {name!r}"
        )
    return value


def _from_file(name: str) -> str | None:
    path = key_file()
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
                raise BadInputError(f"{path} may be read by others; run `chmod 600 {path}`, and see that it is yours")
            content = yaml.safe_load(file.read().decode("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        # What stands in it must not come into a message.
        raise BadInputError(f"{path}: not a readable file of lines like 'name: key'") from None
    if not isinstance(content, dict):
        raise BadInputError(f"{path}: not a file of lines like 'name: key'")
    value = content.get(name)
    return None if value is None else str(value)


def _from_keyring(name: str) -> str | None:
    try:
        keyring = importlib.import_module("keyring")
    except ImportError:
        return None
    try:
        value = keyring.get_password(KEYRING, name)
    except Exception:  # a keyring without a back end raises what its back end likes
        return None
    return None if value is None else str(value)


def hide(text: str, secrets: Iterable[str]) -> str:
    """Return a text in which every secret is replaced, as it is and as addresses quote it."""
    for secret in secrets:
        for form in {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)} - {""}:
            text = text.replace(form, HIDDEN)
    return text
