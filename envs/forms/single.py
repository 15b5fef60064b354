"""One environment over a batch of one: what `gym.make` returns."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from ...sim.foundation.errors import BadInputError
from ..batch.config import EnvConfig
from ..batch.core import Batch
from ..batch.like import ActionArray, BatchLike, Saved
from ..batch.seeding import fresh_seed
from ..scenario.scenario import Scenario
from .render import MODES, Canvas, Picture

ObsType = npt.NDArray[np.float32]
B = TypeVar("B", bound=BatchLike)


class BatchEnv(gym.Env[ObsType, ActionArray], ABC, Generic[B]):
    """A batch of one as an environment; `table` and `actions` name every entry of its vectors."""

    metadata = {"render_modes": list(MODES), "render_fps": 12}  # noqa: RUF012 (as Gymnasium has it)
    batch: B

    def __init__(self, batch: B, render_mode: str | None = None) -> None:
        """Take a batch of one; raises ValueError for a render mode that there is not."""
        if render_mode is not None and render_mode not in MODES:
            raise ValueError(f"render_mode is {render_mode!r}; it must be one of {', '.join(MODES)}, or None")
        self.render_mode = render_mode
        self.observation_space: gym.spaces.Space[ObsType] = batch.observation_space()
        self.action_space = batch.action_space()
        self._take(batch)
        self._is_seeded = False

    def _take(self, batch: B) -> None:
        self.batch = batch
        self.table, self.actions = batch.table, batch.actions
        self._canvas: Canvas | None = self._draw_on(batch) if self.render_mode is not None else None

    @abstractmethod
    def _draw_on(self, batch: B) -> Canvas:
        """Return what draws this kind of environment."""

    @abstractmethod
    def _batch_of(self, scenario: object) -> B:
        """Return the batch of another scenario, with this one's seed and count of episodes; None is the scenario of the moment."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """Begin an episode; the same seed gives the same trajectory, whatever came before.

        Args:
            seed: Seed of this environment's episodes from now on.
            options: start: when the episode begins, a UTC stamp; scenario: another one with equal spaces, by name, file or content.
        """
        super().reset(seed=seed)
        wanted = dict(options or {})
        batch = self._batch_of(wanted.pop("scenario", None))
        starts = starts_of(batch, wanted)
        if batch is not self.batch:
            self._take(batch)
        if seed is not None or not self._is_seeded:
            self.batch.seed([fresh_seed() if seed is None else seed])
            self._is_seeded = True
        self.batch.reset(starts=starts)
        self.batch.truncated[0] = False
        if self._canvas is not None:
            self._canvas.begin()
        return self.batch.obs[0].copy(), {}

    def step(self, action: ActionArray) -> tuple[ObsType, float, bool, bool, dict[str, Any]]:
        """Advance by five minutes."""
        batch = self.batch
        if batch.truncated[0] or not self._is_seeded:
            raise gym.error.ResetNeeded("the episode has ended or not begun; call reset() before step()")
        batch.step(action)
        costs = batch.costs[0].tolist()
        info: dict[str, Any] = dict(zip(batch.info_keys, batch.flow_table[0].tolist(), strict=True))
        info["cost"] = sum(costs)
        info["costs"] = dict(zip(batch.cost_names, costs, strict=True))
        if self._canvas is not None:
            self._canvas.add()
            if self.render_mode == "human":
                self.render()
        return batch.obs[0].copy(), float(batch.reward[0]), False, bool(batch.truncated[0]), info

    def render(self) -> Picture | None:
        """Return a picture (rgb_array), text (ansi), or show a window (human)."""
        if self._canvas is None:
            gym.logger.warn("render() needs a render_mode: gym.make(..., render_mode='rgb_array')")
            return None
        return self._canvas.render(str(self.render_mode))

    def save(self) -> Saved:
        """Return everything that is needed to go on from here, the seed included."""
        return {**self.batch.save(), "truncated": self.batch.truncated.copy(), "world": np.array(self._world)}

    @property
    @abstractmethod
    def _world(self) -> str:
        """What names the world of the moment: a state of one is none of another."""

    def restore(self, saved: Saved) -> ObsType:
        """Go back to a saved state, of this or of another environment with the same options; returns its observation."""
        if str(saved["world"]) != self._world:
            raise BadInputError(f"the saved state is of world {saved['world']}; this environment is in {self._world}")
        self.batch.restore(saved)
        np.copyto(self.batch.truncated, saved["truncated"])
        self._is_seeded = True
        return self.batch.obs[0].copy()

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._canvas is not None:
            self._canvas.close()


class SiteEnv(BatchEnv[Batch]):
    """What the environments over a site have in common."""

    task: ClassVar[str]

    def __init__(self, render_mode: str | None = None, **options: object) -> None:
        """Build the environment; `options` are those of `EnvConfig`."""
        batch = Batch(EnvConfig.of(**{"task": self.task, **options}))
        self._batches = {batch.scenario.config_hash: batch}
        super().__init__(batch, render_mode)

    def step(self, action: ActionArray) -> tuple[ObsType, float, bool, bool, dict[str, Any]]:
        """Advance by five minutes; `info` also says what the shield changed, where there is one."""
        obs, reward, terminated, truncated, info = super().step(action)
        info |= {name: float(values[0]) for name, values in self.batch.shield_info().items()}
        return obs, reward, terminated, truncated, info

    def _draw_on(self, batch: Batch) -> Canvas:
        return Canvas(batch)

    def _batch_of(self, scenario: object) -> Batch:
        if scenario is None or scenario == self.batch.scenario.name:
            return self.batch
        if not isinstance(scenario, str | Path | Mapping | Scenario):
            raise BadInputError(
                f"options['scenario'] is {scenario!r}; it must be a name, a file, a mapping or a Scenario"
            )
        config = replace(self.batch.config, scenario=scenario, history=None)
        key = config.load().scenario.config_hash
        if key not in self._batches:
            other = Batch(config)
            same = other.observation_space() == self.observation_space and other.action_space() == self.action_space
            if not same:
                raise BadInputError(
                    f"options['scenario'] is {other.scenario.name!r}, whose spaces differ; make an environment of its own"
                )
            self._batches[key] = other
        batch = self._batches[key]
        for name in ("seed", "episode"):
            batch.state.site[name] = self.batch.state.site[name]
        return batch

    @property
    def _world(self) -> str:
        return f"{self.batch.scenario.config_hash}-{self.batch.scenario.history.hash}"


def starts_of(batch: BatchLike, options: Mapping[str, object] | None) -> npt.NDArray[np.int64] | None:
    """Return the start steps that reset options ask for, or None for drawn ones."""
    if not options:
        return None
    start = start_among(options)
    entries: Collection[object] = [start] * batch.n_envs
    if isinstance(start, Collection) and not isinstance(start, str):
        entries = start
    if len(entries) != batch.n_envs:
        raise ValueError(f"options['start'] has {len(entries)} entries; it must have one or {batch.n_envs}")
    return np.array([batch.start_step(entry) for entry in entries], dtype=np.int64)


def start_among(options: Mapping[str, object]) -> object:
    """Return what reset options say of the start; raises ValueError if they say anything else."""
    unknown = set(options) - {"start"}
    if unknown:
        raise ValueError(f"reset options have no {sorted(unknown)[0]!r}; there is 'start'")
    return options["start"]
