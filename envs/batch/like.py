"""What every batch has, of a site or of units on the bench: what the forms of an environment are built on."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from ...sim.site.params import SiteParams
from ...sim.site.state import State
from .actions import Acted
from .tables import Observed

FloatArray = npt.NDArray[np.float64]
ActionArray = npt.NDArray[np.float32] | npt.NDArray[np.float64] | npt.NDArray[np.int64]
"""Actions: numbers of choices, or values of a Box."""
Saved = dict[str, np.ndarray]
"""Everything that is needed to go on from somewhere, by name."""


class BatchLike(Protocol):
    """`n_envs` copies of an environment, stepped in one call; arrays are views that the next step overwrites.

    obs: (n_envs, n_obs) float32. reward, truncated: (n_envs,). costs: (n_envs, n_costs) in the order of cost_names. flow_table: (n_envs,
    n_flows) in the order of info_keys. table, actions: what each entry of an observation and of an action is; low, high: ranges of
    the observations.
    """

    n_envs: int
    low: npt.NDArray[np.float32]
    high: npt.NDArray[np.float32]
    obs: npt.NDArray[np.float32]
    reward: FloatArray
    truncated: npt.NDArray[np.bool_]
    costs: FloatArray
    flow_table: FloatArray

    @property
    def table(self) -> tuple[Observed, ...]:
        """Entries of an observation."""

    @property
    def actions(self) -> tuple[Acted, ...]:
        """Entries of an action."""

    @property
    def info_keys(self) -> tuple[str, ...]:
        """Names of the flows."""

    @property
    def cost_names(self) -> tuple[str, ...]:
        """Names of the costs."""

    def observation_space(self) -> spaces.Space[Any]:
        """Return the space of one observation."""

    def action_space(self) -> spaces.Space[Any]:
        """Return the space of one action."""

    def seed(self, seeds: Sequence[int] | npt.NDArray[np.uint64]) -> None:
        """Give each environment its seed and begin to count its episodes anew."""

    def start_step(self, start: object) -> int:
        """Return the step of a start time; raises BadInputError if no episode can start there."""

    def reset(self, index: npt.NDArray[np.int64] | None = None, starts: npt.NDArray[np.int64] | None = None) -> None:
        """Begin the next episode of the environments of `index` (default all), at given steps or at drawn ones."""

    def step(self, action: ActionArray) -> None:
        """Step every environment; results are in the attributes."""

    def save(self) -> Saved:
        """Return a copy of everything that is needed to go on from here."""

    def restore(self, saved: Saved) -> None:
        """Go back to a saved state."""


class CountedBatch(Protocol):
    """What rewards and costs read of a batch of sites after a step: see `core.Batch`, which has more."""

    n_envs: int
    obs: npt.NDArray[np.float32]
    zone_flow: np.ndarray
    setpoint_mhz: FloatArray
    profiles: np.ndarray
    menus: np.ndarray
    last_energy_kwh: FloatArray
    site: SiteParams
    state: State

    @property
    def full_power_w(self) -> float:
        """Power at the meter with every zone at its top profile, at the reference temperature. [W]"""

    def flow(self, name: str) -> FloatArray:
        """Return a flow of the last step by its name in `info`, (n_envs,)."""

    def column(self, name: str) -> int:
        """Return the column of an observation; raises BadInputError if there is none of that name."""

    def reward_of_usd(self, usd: FloatArray) -> FloatArray:
        """Return dollars of a step on the scale of rewards, (n_envs,)."""
