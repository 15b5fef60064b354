"""One environment over a batch of one: what `gym.make` returns."""

from dataclasses import replace
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from ...sim.foundation.errors import BadInputError
from ..batch.config import EnvConfig
from ..batch.core import Batch
from ..batch.seeding import fresh_seed
from .render import MODES, Canvas

ObsType = npt.NDArray[np.float32]


class SiteEnv(gym.Env[ObsType, Any]):
    """What the environments over a site have in common; `batch.table` and `batch.actions` name every entry of their vectors."""

    metadata = {"render_modes": list(MODES), "render_fps": 12}  # noqa: RUF012 (as Gymnasium has it)
    task: ClassVar[str]

    def __init__(self, render_mode: str | None = None, **options: Any) -> None:
        """Build the environment; `options` are those of `EnvConfig`."""
        if render_mode is not None and render_mode not in MODES:
            raise ValueError(f"render_mode is {render_mode!r}; it must be one of {', '.join(MODES)}, or None")
        self.render_mode = render_mode
        self._batches: dict[str | None, Any] = {None: self._build(1, options)}
        self._forecast = options.get("forecast")
        self.observation_space: gym.spaces.Space[ObsType] = self._batches[None].observation_space()
        self.action_space = self._batches[None].action_space()
        self._take(self._batches[None])
        self._is_seeded = False

    def _build(self, n_envs: int, options: dict[str, Any]) -> Any:
        """Return the batch of this kind of environment."""
        return Batch(EnvConfig(task=self.task, **options), n_envs)

    def _take(self, batch: Any) -> None:
        self.batch = batch
        self.table, self.actions = batch.table, batch.actions
        self._canvas: Canvas | None = self._draw_on(batch) if self.render_mode is not None else None

    def _draw_on(self, batch: Any) -> Canvas:
        """Return what draws this kind of environment."""
        return Canvas(batch)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """Begin an episode; the same seed gives the same trajectory, whatever came before.

        Args:
            seed: Seed of this environment's episodes from now on.
            options: start: when the episode begins, a UTC stamp; scenario: another one with equal spaces.
        """
        super().reset(seed=seed)
        wanted = dict(options or {})
        batch = self._enter(wanted.pop("scenario", None))
        starts = starts_of(batch, wanted)
        if batch is not self.batch:
            for name in ("seed", "episode"):
                batch.state.site[name] = self.batch.state.site[name]
            self._take(batch)
        if seed is not None or not self._is_seeded:
            self.batch.seed([fresh_seed() if seed is None else seed])
            self._is_seeded = True
        self.batch.reset(starts=starts)
        self.batch.truncated[0] = False
        if self._canvas is not None:
            self._canvas.begin()
        return self.batch.obs[0].copy(), {}

    def _enter(self, name: str | None) -> Any:
        """Return the batch of another scenario, if its spaces are those of this one; None is the scenario of the moment."""
        first = self._batches[None]
        if name is None:
            return self.batch
        if name == first.scenario.name:
            return first
        if name not in self._batches:
            other = Batch(replace(first.config, scenario=name, history=None, forecast=self._forecast))
            same = other.observation_space() == self.observation_space and other.action_space() == self.action_space
            if not same:
                raise BadInputError(
                    f"options['scenario'] is {name!r}, whose spaces differ; make an environment of its own"
                )
            self._batches[name] = other
        return self._batches[name]

    def step(self, action: Any) -> tuple[ObsType, float, bool, bool, dict[str, Any]]:
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

    def render(self) -> Any:
        """Return a picture (rgb_array), text (ansi), or show a window (human)."""
        if self._canvas is None:
            gym.logger.warn("render() needs a render_mode: gym.make(..., render_mode='rgb_array')")
            return None
        return self._canvas.render(str(self.render_mode))

    def save(self) -> dict[str, np.ndarray]:
        """Return everything that is needed to go on from here, the seed included."""
        return {**self.batch.save(), "truncated": self.batch.truncated.copy(), "world": np.array(self._world)}

    @property
    def _world(self) -> str:
        """What names the world of the moment: a state of one is none of another."""
        scenario = getattr(self.batch, "scenario", None)
        return self.task if scenario is None else f"{scenario.config_hash}-{scenario.history.hash}"

    def restore(self, saved: dict[str, np.ndarray]) -> ObsType:
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


def starts_of(batch: Any, options: dict[str, Any] | None) -> npt.NDArray[np.int64] | None:
    """Return the start steps that reset options ask for, or None for drawn ones."""
    if not options:
        return None
    start = start_among(options)
    entries = [start] * batch.n_envs if isinstance(start, str) or not hasattr(start, "__len__") else start
    if len(entries) != batch.n_envs:
        raise ValueError(f"options['start'] has {len(entries)} entries; it must have one or {batch.n_envs}")
    return np.array([batch.start_step(entry) for entry in entries], dtype=np.int64)


def start_among(options: dict[str, Any]) -> Any:
    """Return what reset options say of the start; raises ValueError if they say anything else."""
    unknown = set(options) - {"start"}
    if unknown:
        raise ValueError(f"reset options have no {sorted(unknown)[0]!r}; there is 'start'")
    return options["start"]
