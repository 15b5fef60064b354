"""`SiteOperation` as a PettingZoo parallel environment: an agent for each zone, and one for what the whole site decides."""

from collections.abc import Mapping

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from pettingzoo import ParallelEnv

from ..batch.actions import Acted
from ..batch.config import EnvConfig
from ..batch.core import Batch
from ..batch.seeding import fresh_seed
from .single import starts_of

PLANT = "plant"

Seen = dict[str, npt.NDArray[np.float32]]
"""Observation of each agent."""
Info = dict[str, float | dict[str, float]]
"""Flows of a step, the sum of its costs, and the costs by name."""


class SiteOperationParallelEnv(ParallelEnv):  # type: ignore[misc]
    """Agents `zone_0`, `zone_1`, … steer power and cooling of their zones; `plant` steers offers, battery, sun and wind, and the market.

    Each agent sees the site's observations and, a zone, its own; the plant sees all zones. All get the site's reward, for they share
    one bill. `infos[agent]["costs"]` are the site's.
    """

    metadata = {"name": "hashgym/SiteOperation-v0", "render_modes": [], "is_parallelizable": True}  # noqa: RUF012 (as PettingZoo has it)

    def __init__(self, render_mode: str | None = None, **options: object) -> None:
        """Build the environment; `options` are those of `EnvConfig`."""
        if render_mode is not None:
            raise ValueError(f"render_mode is {render_mode!r}; render the single environment hashgym/SiteOperation-v0")
        self.render_mode = None
        self.batch = Batch(EnvConfig.of(**{"task": "operation", **options}))
        self._acts = _columns(self.batch.actions, self.batch.n_zones)
        self._sees = _seen(self.batch)
        self.possible_agents = list(self._acts)
        self.agents: list[str] = []
        low, high = self.batch.low, self.batch.high
        self.observation_spaces = {
            agent: spaces.Box(low[columns], high[columns], dtype=np.float32) for agent, columns in self._sees.items()
        }
        whole = self.batch.action_space()
        self.action_spaces = {
            agent: spaces.Box(whole.low[columns], whole.high[columns], dtype=np.float32)
            for agent, columns in self._acts.items()
        }
        self._is_seeded = False

    def observation_space(self, agent: str) -> spaces.Box:
        """Return the observation space of an agent, the same object at each call."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Box:
        """Return the action space of an agent, the same object at each call."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: Mapping[str, object] | None = None
    ) -> tuple[Seen, dict[str, Info]]:
        """Begin an episode; the same seed gives the same trajectory."""
        if seed is not None or not self._is_seeded:
            self.batch.seed([fresh_seed() if seed is None else seed])
            self._is_seeded = True
        # PettingZoo hands on options of other environments too: only ours are looked at.
        known = {key: value for key, value in (options or {}).items() if key == "start"}
        self.batch.reset(starts=starts_of(self.batch, known))
        self.agents = list(self.possible_agents)
        return self._observations(), {agent: {} for agent in self.agents}

    def step(
        self, actions: Mapping[str, npt.NDArray[np.float32]]
    ) -> tuple[Seen, dict[str, float], dict[str, bool], dict[str, bool], dict[str, Info]]:
        """Advance by five minutes."""
        if not self.agents:
            raise gym.error.ResetNeeded("the episode has ended or not begun; call reset() before step()")
        whole = np.zeros((1, len(self.batch.actions)), np.float32)
        for agent, columns in self._acts.items():
            whole[0, columns] = actions[agent]
        self.batch.step(whole)
        costs = dict(zip(self.batch.cost_names, self.batch.costs[0].tolist(), strict=True))
        flows = dict(zip(self.batch.info_keys, self.batch.flow_table[0].tolist(), strict=True))
        info = {**flows, "cost": sum(costs.values()), "costs": costs}
        reward, ended, agents = float(self.batch.reward[0]), bool(self.batch.truncated[0]), self.agents
        result = (
            self._observations(),
            dict.fromkeys(agents, reward),
            dict.fromkeys(agents, False),
            dict.fromkeys(agents, ended),
            {agent: dict(info) for agent in agents},
        )
        if ended:
            self.agents = []
        return result

    def _observations(self) -> Seen:
        return {agent: self.batch.obs[0, columns].copy() for agent, columns in self._sees.items()}

    def state(self) -> npt.NDArray[np.float32]:
        """Return the whole site's observation."""
        return self.batch.obs[0].copy()

    def render(self) -> None:
        """Render nothing: there is no render mode."""

    def close(self) -> None:
        """Nothing is held that needs closing."""


def _columns(actions: tuple[Acted, ...], n_zones: int) -> dict[str, list[int]]:
    """Return which entries of the whole action each agent gives."""
    found = {
        f"zone_{z}": [k for k, entry in enumerate(actions) if entry.name.startswith(f"zone{z}_")]
        for z in range(n_zones)
    }
    rest = [k for k, entry in enumerate(actions) if not entry.name.startswith("zone")]
    return {**found, PLANT: rest} if rest else found


def _seen(batch: Batch) -> dict[str, list[int]]:
    """Return which entries of the whole observation each agent sees."""
    names = [entry.name for entry in batch.table]
    site = [k for k, name in enumerate(names) if not name.startswith("zone")]
    found = {
        f"zone_{z}": site + [k for k, name in enumerate(names) if name.startswith(f"zone{z}_")]
        for z in range(batch.n_zones)
    }
    has_plant = any(not entry.name.startswith("zone") for entry in batch.actions)
    return {**found, PLANT: list(range(len(names)))} if has_plant else found
