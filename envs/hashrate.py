"""`hashgym/HashrateTuning-v0`: how hard the machines of a site run, every five minutes."""

from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from . import tables
from .core import Batch, EnvConfig, fresh_seed

ObsType = npt.NDArray[np.float32]


class HashrateTuningEnv(gym.Env[ObsType, npt.NDArray[Any]]):
    """Choose the power of each zone of a mining site; its firmware does the cooling.

    ## Description
    Every five minutes the operator of a site sets the profile of each zone's machines, or lets them sleep. Electricity
    is paid at the site's tariff, hashes are paid at the hashprice of the moment. A change of profile costs a restart,
    waking up takes the firmware's boot time and wears the machines. The last published price is what is known: a
    15-minute real-time price is known only after its interval.

    ## Action Space
    `action="discrete"`: `MultiDiscrete([6] * n_zones)`; 0 is off, 1…5 the myopic profile (the one that earns most at the
    known price, never off) moved by -2, -1, 0, +1, +2 profiles. `action="box"`: `Box(-1, 1, (n_zones,))`; below -0.8 the
    zone sleeps, above -0.4 it wakes, in between it stays as it is; -0.8…1 is the power target from the lowest to the
    highest profile, snapped to the nearest. Under both a zone that falls asleep sleeps for at least an hour. `action="profile"`:
    `MultiDiscrete`; 0 is off, k is the firmware's profile k - 1. Rules and planners use it; a learner has to find out
    the arithmetic of prices by itself.

    ## Observation Space
    A flat float32 `Box` in physical units; `env.unwrapped.table` names every entry with unit, range and meaning.

    ## Reward
    Dollars of the step (`reward="profit"`), or dollars above the myopic profile's steady profit
    (`reward="profit_over_rule"`), over the site's revenue at rated hashrate and 50 USD/(PH/s)/day.

    ## Costs
    `info["cost"]` is the sum of `info["costs"]`: `chip_over_temp`, `power_ramp`, `starts`, `site_cap`; see
    `hashgym.envs.tables.COSTS`.

    ## Starting State
    Machines hash at their highest profile. The start is drawn from the split's months, or given by
    `reset(options={"start": "2025-07-01T00:00"})`.

    ## Episode End
    Truncation after the scenario's episode length (7 days). Nothing terminates an episode.

    ## Version History
    * v0: first version
    """

    metadata = {"render_modes": []}  # noqa: RUF012 (as Gymnasium has it)

    def __init__(self, render_mode: str | None = None, **options: Any) -> None:
        """Build the environment; `options` are those of `EnvConfig`."""
        if render_mode is not None:
            raise ValueError(f"render_mode is {render_mode!r}; this version renders nothing, use None")
        self.render_mode = None
        self.batch = Batch(EnvConfig(**options))
        self.table = self.batch.table
        self.observation_space = self.batch.observation_space()
        self.action_space = self.batch.action_space()
        self._is_seeded = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """Begin an episode; the same seed gives the same trajectory, whatever came before."""
        super().reset(seed=seed)
        if seed is not None or not self._is_seeded:
            self.batch.seed([fresh_seed() if seed is None else seed])
            self._is_seeded = True
        self.batch.reset(starts=_starts(self.batch, options))
        self.batch.truncated[0] = False
        return self.batch.obs[0].copy(), {}

    def step(self, action: npt.NDArray[Any]) -> tuple[ObsType, float, bool, bool, dict[str, Any]]:
        """Advance by five minutes."""
        batch = self.batch
        if batch.truncated[0] or not self._is_seeded:
            raise gym.error.ResetNeeded("the episode has ended or not begun; call reset() before step()")
        batch.step(action)
        costs = batch.costs[0].tolist()
        info: dict[str, Any] = dict(zip(tables.INFO_KEYS, batch.flow_table[0].tolist(), strict=True))
        info["cost"] = sum(costs)
        info["costs"] = dict(zip(tables.COST_NAMES, costs, strict=True))
        return batch.obs[0].copy(), float(batch.reward[0]), False, bool(batch.truncated[0]), info


class HashrateTuningVectorEnv(gym.vector.VectorEnv[ObsType, npt.NDArray[Any], npt.NDArray[Any]]):
    """Many `HashrateTuningEnv` in one call; resets an ended environment in the same step.

    `info` carries arrays of shape (num_envs,): every key of the single environment's, `costs` of shape (num_envs,
    n_costs) in the order of `cost_names`, and, where an episode ended, `final_obs` and `final_info` as Gymnasium has
    them. Arrays are new at every step.
    """

    def __init__(self, num_envs: int = 1, render_mode: str | None = None, **options: Any) -> None:
        """Build the environments; `options` are those of `EnvConfig`."""
        if render_mode is not None:
            raise ValueError(f"render_mode is {render_mode!r}; this version renders nothing, use None")
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": []}
        self.batch = Batch(EnvConfig(**options), num_envs)
        self.table = self.batch.table
        self.cost_names = tables.COST_NAMES
        self.single_observation_space = self.batch.observation_space()
        self.single_action_space = self.batch.action_space()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._is_seeded = False

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
        self.batch.reset(starts=_starts(self.batch, options))
        return self.batch.obs.copy(), {}

    def step(
        self, actions: npt.NDArray[Any]
    ) -> tuple[ObsType, npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], dict[str, Any]]:
        """Advance every environment by five minutes."""
        batch = self.batch
        batch.step(actions)
        info = self._info()
        reward, truncated = batch.reward.copy(), batch.truncated.copy()
        ended = np.flatnonzero(truncated)
        if ended.size:
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

    def _info(self) -> dict[str, Any]:
        flows = self.batch.flow_table.copy()
        info: dict[str, Any] = {key: flows[:, column] for column, key in enumerate(tables.INFO_KEYS)}
        info["costs"] = self.batch.costs.copy()
        info["cost"] = info["costs"] @ np.ones(len(tables.COSTS))
        return info


def _starts(batch: Batch, options: dict[str, Any] | None) -> npt.NDArray[np.int64] | None:
    """Return the start steps that reset options ask for, or None for drawn ones."""
    if not options:
        return None
    unknown = set(options) - {"start"}
    if unknown:
        raise ValueError(f"reset options have no {sorted(unknown)[0]!r}; there is 'start'")
    start = options["start"]
    entries = [start] * batch.n_envs if isinstance(start, str) or not hasattr(start, "__len__") else start
    if len(entries) != batch.n_envs:
        raise ValueError(f"options['start'] has {len(entries)} entries; it must have one or {batch.n_envs}")
    return np.array([batch.start_step(entry) for entry in entries], dtype=np.int64)
