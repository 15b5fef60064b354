"""What every rule, planner and trained network is to those who run it: a named policy over a batch."""

from typing import Protocol

import numpy as np

from ..envs.batch import tables
from ..envs.batch.core import Batch
from ..envs.batch.like import ActionArray


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
