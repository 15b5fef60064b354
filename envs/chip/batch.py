"""The batch behind ChipTuning: units with silicon of their own, measured with noise."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from ...sim.foundation.checks import require_known
from ...sim.foundation.constants import usd_per_th
from ...sim.foundation.errors import BadInputError
from ...sim.hardware import catalogue
from ...sim.market.coins import REFERENCE_HASHPRICE
from ...sim.site.params import SiteParams, ZoneParams
from ..batch import tables
from ..batch.like import ActionArray
from ..batch.seeding import take
from . import kernels


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipConfig:
    """Options of `hashgym/ChipTuning-v0`. machine: an air-cooled model of the catalogue; firmware: what it runs."""

    machine: str = "s19j_pro"
    firmware: str = "slow_tuner"
    episode_steps: int = 24

    @classmethod
    def of(cls, **options: object) -> Self:
        """Return options by name; raises BadInputError for a name that there is not."""
        require_known("unknown option", options, (entry.name for entry in fields(cls)))
        return cls(**options)  # type: ignore[arg-type]

    def __post_init__(self) -> None:
        """Check the options; raises BadInputError."""
        if catalogue.machine(self.machine).cooling != "air":
            raise BadInputError(f"machine is {self.machine!r}, which liquid cools; the bench has air")
        if not isinstance(self.episode_steps, int) or self.episode_steps < 1:
            raise BadInputError(f"episode_steps is {self.episode_steps!r}; it must be a whole number, 1 or more")


class ChipBatch:
    """`n_envs` units on the bench; attributes as those of `core.Batch`."""

    info_keys: ClassVar[tuple[str, ...]] = tuple(kernels.FLOW.names or ())
    cost_names: ClassVar[tuple[str, ...]] = tuple(cost.name for cost in kernels.COSTS)

    def __init__(self, config: ChipConfig, n_envs: int = 1) -> None:
        """Build the arrays; no episode has begun yet."""
        self.config, self.n_envs, self.episode_steps = config, n_envs, config.episode_steps
        self.machine = catalogue.machine(config.machine)
        zone = ZoneParams(machine=self.machine, firmware=catalogue.firmware(config.firmware), n_units=1)
        self.table, self.actions = kernels.OBSERVATIONS, kernels.ACTIONS
        self.low, self.high = tables.bounds(self.table)
        env = np.zeros(1, kernels.ENV)
        env["episode_steps"], env["rated_hashrate_ths"] = config.episode_steps, self.machine.rated_hashrate_ths
        env["usd_per_terahash"] = usd_per_th(REFERENCE_HASHPRICE[self.machine.algorithm])
        self.world = kernels.ChipWorld(
            machine=SiteParams(zones=(zone,)).zone_record,
            env=env,
            reach=np.array([[entry.low, entry.high] for entry in self.actions]),
            thresholds=np.array([cost.threshold for cost in kernels.COSTS]),
            bounds=np.stack([self.low, self.high]),
        )
        self.state = np.zeros(n_envs, kernels.STATE)
        self.obs = np.zeros((n_envs, len(self.table)), np.float32)
        self.reward, self.truncated = np.zeros(n_envs), np.zeros(n_envs, np.bool_)
        self.costs = np.zeros((n_envs, len(kernels.COSTS)))
        self.flow_table = np.zeros((n_envs, len(self.info_keys)))
        self._action = np.zeros((n_envs, len(self.actions)))

    @property
    def arrays(self) -> kernels.ChipArrays:
        """What kernels change."""
        flow = self.flow_table.view(kernels.FLOW)[:, 0]
        return kernels.ChipArrays(self.state, self._action, self.obs, flow, self.costs, self.reward, self.truncated)

    def observation_space(self) -> spaces.Space[Any]:
        """Return the space of one observation."""
        return spaces.Box(self.low, self.high, dtype=np.float32)

    def action_space(self) -> spaces.Space[Any]:
        """Return the space of one action."""
        return spaces.Box(-1.0, 1.0, (len(self.actions),), np.float32)

    def seed(self, seeds: Sequence[int] | npt.NDArray[np.uint64]) -> None:
        """Give each unit its seed and begin to count its episodes anew."""
        self.state["seed"] = np.asarray(seeds, dtype=np.uint64)
        self.state["episode"] = 0

    def start_step(self, start: object) -> int:
        """Refuse: a unit on the bench has no time."""
        raise BadInputError(f"options['start'] is {start!r}; a unit on the bench has no time to start at")

    def reset(self, index: npt.NDArray[np.int64] | None = None, starts: npt.NDArray[np.int64] | None = None) -> None:
        """Put other units on the bench, in the slots of `index` (default all)."""
        if starts is not None:
            self.start_step(starts)
        index = np.arange(self.n_envs) if index is None else index
        kernels.reset(index, self.world, self.arrays)
        self.state["episode"][index] += np.uint64(1)

    def step(self, action: ActionArray) -> None:
        """Set and measure every unit; results are in the attributes."""
        take(action, self._action)
        kernels.step(0, self.n_envs, self.world, self.arrays)

    def save(self) -> dict[str, np.ndarray]:
        """Return a copy of everything that is needed to go on from here."""
        return {"state": self.state.copy(), "obs": self.obs.copy()}

    def restore(self, saved: dict[str, np.ndarray]) -> None:
        """Go back to a saved state; raises BadInputError if it is of another shape."""
        if saved["state"].shape != self.state.shape or saved["state"].dtype != self.state.dtype:
            raise BadInputError(f"saved state has shape {saved['state'].shape}; this batch has {self.state.shape}")
        self.state[...], self.obs[...] = saved["state"], saved["obs"]
