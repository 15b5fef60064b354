"""What `_target_` of a configuration makes: classes of ours, and of the user's what an allow-list names.

A configuration that is composed for this call is the user's own word. That of a run folder may come from a stranger: there a name resolves
among hashgym's own classes and those of hashgym_targets.txt in the working folder, one dotted name a line, and is refused before anything of it is
imported.
"""

from collections.abc import Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from stable_baselines3.common import vec_env

from hashgym.envs.batch import rewards
from hashgym.envs.batch.config import UserCost
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.foundation.renamed import new_target

ALLOWED: Final = "hashgym_targets.txt"
"""File of the working folder that names what else a run folder's `_target_` may be."""

_OWN: Final[dict[str, Any]] = {
    **{
        f"{cls.__module__}.{cls.__qualname__}": cls
        for cls in (
            UserCost,
            rewards.Cvar,
            rewards.CarbonAdjusted,
            rewards.CoolingEnergy,
            rewards.ProfitEfficiencyStability,
        )
    },
    **{
        f"{vec_env.__name__}.{cls.__name__}": cls
        for cls in (vec_env.VecNormalize, vec_env.VecMonitor, vec_env.VecCheckNan)
    },
}
"""What a run folder may name: our own classes, and wrappers of stable-baselines3 that change neither observations nor actions."""
_GETTERS: Final = ("hydra.utils.get_method", "hydra.utils.get_class", "hydra.utils.get_object")


def made(where: str, value: Any, *, is_trusted: bool) -> Any:
    """Return a value of a configuration with every `_target_` in it made.

    Keys are Hydra's: `_target_`, `_args_`, `_partial_`; of hydra.utils.get_method and its like, `path`.

    Args:
        where: Key of the value, for messages.
        value: What stands there.
        is_trusted: Whether the user has written it for this call.

    Raises:
        BadInputError: A name is not allowed, is not there, or makes nothing of its arguments.
    """
    if isinstance(value, list | tuple):
        return [made(where, entry, is_trusted=is_trusted) for entry in value]
    if not isinstance(value, Mapping):
        return value
    rest = {
        key: made(where, entry, is_trusted=is_trusted) for key, entry in value.items() if not str(key).startswith("_")
    }
    if "_target_" not in value:
        return rest
    target = new_target(str(value["_target_"]))
    if target in _GETTERS:
        return resolve(where, str(value.get("path")), is_trusted=is_trusted)
    args = made(where, value.get("_args_", []), is_trusted=is_trusted)
    kind = resolve(where, target, is_trusted=is_trusted)
    try:
        return partial(kind, *args, **rest) if value.get("_partial_") else kind(*args, **rest)
    except Exception as error:  # what a class of the user's raises is the user's
        raise BadInputError(f"{where}: {target!r} could not be made ({error})") from error


def resolve(where: str, name: str, *, is_trusted: bool) -> Any:
    """Return the object of a dotted name; raises BadInputError if it is not allowed or not there."""
    if name in _OWN:
        return _OWN[name]
    if not is_trusted and name not in _listed():
        raise BadInputError(
            f"{where}: {name!r} is none of hashgym's own; if you trust it, add the line {name} to {ALLOWED} in this folder"
        )
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise BadInputError(f"{where}: {name!r} could not be found ({error})") from error


def _listed() -> frozenset[str]:
    try:
        lines = Path(ALLOWED).read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))
