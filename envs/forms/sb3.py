"""The environment as a stable-baselines3 `VecEnv` that carries data as arrays."""

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from ..batch.config import EnvConfig
from ..batch.core import Batch
from ..batch.like import ActionArray, Saved
from .single import start_among

_NO_INFO: dict[str, Any] = {}


class SiteVecEnv(VecEnv):
    """Many environments over a site for stable-baselines3; which one says the option `task`.

    Attributes that are valid until the next step: `step_costs` (n_envs, n_costs) in the order of `cost_names`,
    `step_truncated` (n_envs,), `final_obs` (n_envs, n_obs), of which the rows of ended environments are set. The
    `infos` are empty except for environments whose episode ended, unless `full_info`. Environment i is seeded by the
    i-th entry of `seeds`.

    Examples:
        >>> env = SiteVecEnv(4, range(4), episode_steps=288)
        >>> env.reset().shape == (4, len(env.batch.table))
        True
    """

    def __init__(
        self,
        num_envs: int,
        seeds: Sequence[int] | npt.NDArray[np.uint64],
        config: EnvConfig | None = None,
        *,
        full_info: bool = False,
        **options: object,
    ) -> None:
        """Build the environments.

        Args:
            num_envs: Number of environments.
            seeds: One seed for each.
            config: Options; None takes the defaults.
            full_info: Whether `infos` hold every flow and cost of every step.
            options: Single options by name, which replace those of `config`.

        Raises:
            ValueError: There is not one seed for each environment.
        """
        if len(seeds) != num_envs:
            raise ValueError(f"seeds has {len(seeds)} entries; it must have one for each of {num_envs} environments")
        self.batch = Batch(EnvConfig.of(config, **options), num_envs)
        self.batch.seed(seeds)
        self.cost_names = self.batch.cost_names
        self.cost_limits = self.batch.cost_limits
        self.full_info = full_info
        self.step_costs = np.zeros((num_envs, len(self.cost_names)))
        self.step_truncated = np.zeros(num_envs, np.bool_)
        self.final_obs = np.zeros_like(self.batch.obs)
        self.episode_sums = np.zeros((num_envs, 2 + len(self.cost_names)))
        """Running sums of each episode: reward, profit in USD, costs."""
        self.render_mode = None
        self._actions: ActionArray = np.zeros((num_envs, len(self.batch.actions)))
        super().__init__(num_envs, self.batch.observation_space(), self.batch.action_space())

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Keep the seeds of construction: a learner's own seed must not make runs share environments.

        stable-baselines3 calls this with the learner's seed and would give environment i the seed + i.
        """
        return [int(own) for own in self.batch.state.site["seed"]]

    def reset(self) -> VecEnvObs:
        """Begin the next episode of every environment, at the `start` that `set_options` gave it or at a drawn one."""
        self.batch.reset(starts=self._wanted_starts())
        self._reset_options()
        self.episode_sums[:] = 0.0
        return self.batch.obs.copy()

    def _wanted_starts(self) -> npt.NDArray[np.int64] | None:
        if len(self._options) != self.num_envs:
            raise ValueError(f"set_options got {len(self._options)} entries; it must have one or {self.num_envs}")
        if not any(self._options):
            return None
        steps = [self.batch.start_step(start_among(own)) if own else -1 for own in self._options]
        return np.array(steps, np.int64)

    def step_async(self, actions: ActionArray) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Step every environment; an ended one is reset in the same step."""
        batch = self.batch
        batch.step(self._actions)
        rewards = batch.reward.astype(np.float32)
        np.copyto(self.step_costs, batch.costs)
        np.copyto(self.step_truncated, batch.truncated)
        sums = self.episode_sums
        sums[:, 0] += batch.reward
        sums[:, 1] += batch.flow("profit_usd")
        sums[:, 2:] += batch.costs
        infos: list[dict[str, Any]] = self._full_infos() if self.full_info else [_NO_INFO] * self.num_envs
        ended = np.flatnonzero(self.step_truncated)
        if ended.size:
            self.final_obs[ended] = batch.obs[ended]
            for i in ended:
                infos[i] = {**infos[i], **self._end_of_episode(int(i))}
            sums[ended] = 0.0
            batch.reset(ended)
        return batch.obs.copy(), rewards, self.step_truncated.copy(), infos

    def _end_of_episode(self, i: int) -> dict[str, Any]:
        sums, steps = self.episode_sums[i], int(self.batch.state.site["age"][i])
        episode = {"r": float(sums[0]), "l": steps, "t": 0.0, "profit_usd": float(sums[1])}
        episode |= {f"cost_{name}": float(value) / steps for name, value in zip(self.cost_names, sums[2:], strict=True)}
        return {"terminal_observation": self.final_obs[i].copy(), "TimeLimit.truncated": True, "episode": episode}

    def _full_infos(self) -> list[dict[str, Any]]:
        flows, costs = self.batch.flow_table.tolist(), self.batch.costs.tolist()
        return [
            {
                **dict(zip(self.batch.info_keys, flow, strict=True)),
                "cost": sum(cost),
                "costs": dict(zip(self.cost_names, cost, strict=True)),
            }
            for flow, cost in zip(flows, costs, strict=True)
        ]

    def save(self) -> Saved:
        """Return a copy of everything that is needed to go on from here."""
        return {**self.batch.save(), "episode_sums": self.episode_sums.copy()}

    def restore(self, saved: Saved) -> None:
        """Go back to a saved state."""
        self.batch.restore(saved)
        np.copyto(self.episode_sums, saved["episode_sums"])

    def close(self) -> None:
        """Nothing is held that needs closing."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of this object once for each index."""
        return [getattr(self, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: object, indices: VecEnvIndices = None) -> None:
        """Refuse: the environments share one batch, so none can differ from the others."""
        raise NotImplementedError(f"{attr_name!r} cannot be set for single environments of a shared batch")

    def env_method(
        self, method_name: str, *method_args: object, indices: VecEnvIndices = None, **method_kwargs: object
    ) -> list[Any]:
        """Refuse: there are no single environments whose method could be called."""
        raise NotImplementedError(f"{method_name!r} cannot be called on single environments of a shared batch")

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Return False for each index: the batch keeps its own episode statistics."""
        return [False] * len(list(self._get_indices(indices)))
