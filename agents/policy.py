"""What every rule, planner and trained network is to those who run it: a named policy over a batch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np

from ..envs.batch import tables
from ..envs.batch.core import Batch
from ..envs.batch.like import ActionArray
from ..sim.foundation.errors import BadInputError


class Policy(Protocol):
    """A named policy: the form of action that it needs, and what it does with a batch."""

    @property
    def name(self) -> str:
        """Name in tables and results."""

    @property
    def action(self) -> str:
        """Form of action, as `EnvConfig.action` has it."""

    def act(self, batch: Batch) -> ActionArray:
        """Return the actions, (n_envs, n_actions)."""


@dataclass(frozen=True, slots=True)
class FunctionPolicy:
    """A plain function as a policy: `function(batch)` returns the actions, (n_envs, n_actions), of the form `action`."""

    name: str
    action: str
    function: Callable[[Batch], ActionArray]

    def act(self, batch: Batch) -> ActionArray:
        """Return the actions, (n_envs, n_actions); raises BadInputError if they are of another shape."""
        actions = np.asarray(self.function(batch))
        wanted = (batch.n_envs, *(batch.action_space().shape or ()))
        if actions.shape != wanted:
            raise BadInputError(f"policy {self.name}: actions have shape {actions.shape}; they must have {wanted}")
        return cast(ActionArray, actions)


class RandomPolicy:
    """Draw each zone's choice evenly among the discrete ones."""

    name = "random"
    action = "discrete"

    def __init__(self, seed: int) -> None:
        """Take the seed of the draws."""
        self._rng = np.random.default_rng(seed)

    def act(self, batch: Batch) -> ActionArray:
        """Return the actions, (n_envs, n_zones)."""
        return self._rng.integers(0, len(tables.DISCRETE_OFFSETS) + 1, (batch.n_envs, batch.n_zones))
