"""Seeds of environments, and checks of states that are put back."""

import numpy as np
import numpy.typing as npt

from ...sim.foundation.errors import BadInputError
from ...sim.site.state import State
from ...sim.site.world import Exogenous


def take(action: npt.ArrayLike, into: npt.NDArray[np.float64]) -> None:
    """Copy actions into a batch's own array.

    Args:
        action: (n_envs, n_actions), or (n_envs,) where an action is one number; of a batch of one also (n_actions,).
        into: (n_envs, n_actions).

    Raises:
        BadInputError: The shape is another one, or a value is not a number.
    """
    given = np.asarray(action)
    if given.shape != into.shape:
        n_envs, n_actions = into.shape
        fits = (n_actions == 1 and given.shape == (n_envs,)) or (n_envs == 1 and given.shape == (n_actions,))
        if not fits and not (given.shape == () and into.size == 1):
            raise BadInputError(f"action has shape {given.shape}; it must be {into.shape}")
        given = given.reshape(into.shape)
    np.copyto(into, given, casting="unsafe")
    total = into.sum()
    if total != total:
        raise BadInputError(
            f"action of environment {int(np.argwhere(np.isnan(into))[0][0])} holds what is not a number"
        )


def draw_seeds(run_seed: int, role: int, n_envs: int) -> npt.NDArray[np.uint64]:
    """Return the seeds of a run's environments, (n_envs,): unrelated between runs and between roles in a run."""
    return np.random.SeedSequence([run_seed, role]).generate_state(n_envs, np.uint64).astype(np.uint64)


def fresh_seed() -> int:
    """Return a seed from the operating system, for a reset without one."""
    return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])


def check_saved(saved: dict[str, np.ndarray], state: State, exogenous: Exogenous, n_markets: int) -> None:
    """Refuse a saved state of another shape, or one that stands outside a world; raises BadInputError."""
    for name, array in (("zone", state.zone), ("site", state.site)):
        if saved[name].shape != array.shape or saved[name].dtype != array.dtype:
            raise BadInputError(f"saved state {name!r} has shape {saved[name].shape}; this batch has {array.shape}")
    sites = saved["site"]
    if sites["step"].max() >= exogenous.n_steps or sites["series"].max() >= exogenous.values.shape[0]:
        raise BadInputError(f"saved state is at step {sites['step'].max()}; this history ends at {exogenous.n_steps}")
    if sites["market"].min() < 0 or sites["market"].max() >= n_markets:
        raise BadInputError(f"saved state sells at market {sites['market'].max()}; there are {n_markets}")
