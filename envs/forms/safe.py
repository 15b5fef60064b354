"""The 6-tuple of safety-gymnasium and omnisafe: the cost stands beside the reward."""

from typing import Any

import gymnasium as gym

from ..batch.like import ActionArray
from .single import ObsType


class CostBesideReward(gym.Wrapper[ObsType, ActionArray, ObsType, ActionArray]):
    """Steps return `obs, reward, cost, terminated, truncated, info`, as safety-gymnasium and omnisafe have it.

    cost is `info["cost"]`, or one named cost.
    """

    def __init__(self, env: gym.Env[ObsType, ActionArray], cost: str | None = None) -> None:
        """Wrap an environment of this package; raises ValueError if it has no cost of that name."""
        super().__init__(env)
        names = env.unwrapped.batch.cost_names  # type: ignore[attr-defined]
        if cost is not None and cost not in names:
            raise ValueError(f"cost is {cost!r}; it must be one of {', '.join(names)}, or None for their sum")
        self.cost_name = cost

    def step(  # type: ignore[override]
        self, action: ActionArray
    ) -> tuple[ObsType, float, float, bool, bool, dict[str, Any]]:
        """Advance by a step."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        cost = info["cost"] if self.cost_name is None else info["costs"][self.cost_name]
        return obs, float(reward), cost, terminated, truncated, info
