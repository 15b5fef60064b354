"""Many environments in one call: what `gym.make_vec` returns."""

from typing import Any, ClassVar, Generic

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from ..batch.config import EnvConfig
from ..batch.core import Batch
from ..batch.like import ActionArray, FloatArray
from ..batch.seeding import fresh_seed
from .single import B, ObsType, starts_of


class BatchVectorEnv(gym.vector.VectorEnv[ObsType, ActionArray, npt.NDArray[Any]], Generic[B]):
    """A batch as a vector environment; an ended environment is reset in the same step.

    `info` carries arrays of shape (num_envs,): every key of the single environment's, `costs` of shape (num_envs,
    n_costs) in the order of `cost_names`, and, where an episode ended, `final_obs` and
    `final_info` with one mask each, `_final_obs` and `_final_info`. Arrays are new at every step.
    """

    def __init__(
        self, batch: B, render_mode: str | None = None, autoreset_mode: str | AutoresetMode = AutoresetMode.SAME_STEP
    ) -> None:
        """Take the batch; raises ValueError for a render mode, since a vector renders nothing."""
        if render_mode is not None:
            raise ValueError(f"render_mode is {render_mode!r}; a vector renders nothing: render one environment")
        self.batch, self.num_envs = batch, batch.n_envs
        num_envs = batch.n_envs
        self.metadata = {"autoreset_mode": _mode(autoreset_mode), "render_modes": []}
        self.table, self.actions, self.cost_names = batch.table, batch.actions, batch.cost_names
        self.single_observation_space = self.batch.observation_space()
        self.single_action_space = self.batch.action_space()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._is_seeded = False
        self._ended = np.zeros(num_envs, np.bool_)
        """Environments that the next step begins anew, where it is the next one that does."""

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """Begin an episode in every environment; environment i gets seed + i, or its own from a list."""
        super().reset(seed=int(seed) if isinstance(seed, int | np.integer) else None)
        if isinstance(seed, int | np.integer):
            self.batch.seed(np.uint64(seed) + np.arange(self.num_envs, dtype=np.uint64))
        elif seed is not None:
            if len(seed) != self.num_envs:
                raise ValueError(
                    f"seed has {len(seed)} entries; it must have one for each of {self.num_envs} environments"
                )
            self.batch.seed([fresh_seed() if entry is None else entry for entry in seed])
        elif not self._is_seeded:
            self.batch.seed([fresh_seed() for _ in range(self.num_envs)])
        self._is_seeded = True
        self.batch.reset(starts=starts_of(self.batch, options))
        self._ended[:] = False
        return self.batch.obs.copy(), {}

    def step(
        self, actions: ActionArray
    ) -> tuple[ObsType, FloatArray, npt.NDArray[np.bool_], npt.NDArray[np.bool_], dict[str, Any]]:
        """Advance every environment by five minutes."""
        batch = self.batch
        if not self._is_seeded:
            raise gym.error.ResetNeeded("no episode has begun; call reset() before step()")
        batch.step(actions)
        if self._ended.any():
            self._begin_anew(np.flatnonzero(self._ended))
        info = self._info()
        reward, truncated = batch.reward.copy(), batch.truncated.copy()
        ended = np.flatnonzero(truncated)
        if self.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP:
            self._ended = truncated.copy()
        elif ended.size:
            final_obs = np.full(self.num_envs, None, dtype=object)
            for i in ended:
                final_obs[i] = batch.obs[i].copy()
            final_info = {
                key: np.where(truncated.reshape((-1,) + (1,) * (value.ndim - 1)), value, 0.0)
                for key, value in info.items()
            }
            info.update({"final_obs": final_obs, "_final_obs": truncated.copy()})
            info.update({"final_info": final_info, "_final_info": truncated.copy()})
            batch.reset(ended)
        return batch.obs.copy(), reward, np.zeros(self.num_envs, np.bool_), truncated, info

    def _begin_anew(self, ended: npt.NDArray[np.int64]) -> None:
        """Begin the next episode of environments that had ended: their step counts nothing, as Gymnasium has it."""
        batch = self.batch
        batch.reset(ended)
        batch.reward[ended], batch.truncated[ended], batch.costs[ended], batch.flow_table[ended] = 0.0, False, 0.0, 0.0

    def _info(self) -> dict[str, Any]:
        flows = self.batch.flow_table.copy()
        info: dict[str, Any] = {key: flows[:, column] for column, key in enumerate(self.batch.info_keys)}
        info["costs"] = self.batch.costs.copy()
        info["cost"] = info["costs"] @ np.ones(len(self.cost_names))
        return info


class SiteVectorEnv(BatchVectorEnv[Batch]):
    """What the vector environments over a site have in common."""

    task: ClassVar[str]

    def __init__(
        self,
        num_envs: int = 1,
        render_mode: str | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.SAME_STEP,
        **options: object,
    ) -> None:
        """Build the environments; `options` are those of `EnvConfig`."""
        super().__init__(Batch(EnvConfig.of(**{"task": self.task, **options}), num_envs), render_mode, autoreset_mode)

    def _info(self) -> dict[str, Any]:
        return super()._info() | self.batch.shield_info()


def _mode(given: str | AutoresetMode) -> AutoresetMode:
    """Return a mode by its name, `next_step` or `same_step`, or as Gymnasium has it."""
    for mode in (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP):
        if given in (mode, mode.value, mode.name.lower()):
            return mode
    raise ValueError(f"autoreset_mode is {given!r}; it must be next_step or same_step")
