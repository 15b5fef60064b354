"""Observations by zone: a table of zones and features, for policies that treat zones alike."""

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from ..batch.like import ActionArray
from ..batch.tables import Observed
from .single import ObsType


class ZoneLayout(gym.ObservationWrapper[ObsType, ActionArray, ObsType]):
    """Observations of shape (n_zones, n_features): each zone's own features, then the site's, the same for all."""

    def __init__(self, env: gym.Env[ObsType, ActionArray]) -> None:
        """Wrap an environment over a site; raises ValueError if zones do not have the same features."""
        super().__init__(env)
        batch = env.unwrapped.batch  # type: ignore[attr-defined]
        self.columns = by_zone(batch.table, batch.n_zones)
        self.observation_space = gym.spaces.Box(batch.low[self.columns], batch.high[self.columns], dtype=np.float32)

    def observation(self, observation: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the observation by zone."""
        return observation[self.columns]


def by_zone(table: tuple[Observed, ...], n_zones: int) -> npt.NDArray[np.int64]:
    """Return the columns of a flat observation for each zone and feature, (n_zones, n_features)."""
    names = [entry.name for entry in table]
    site = [k for k, name in enumerate(names) if not name.startswith("zone")]
    own = [[k for k, name in enumerate(names) if name.startswith(f"zone{z}_")] for z in range(n_zones)]
    if len({len(columns) for columns in own}) > 1:
        raise ValueError("zones have different numbers of observations; there is no table of zones and features")
    return np.array([columns + site for columns in own], dtype=np.int64)
