"""Learners as configurations: PPO and SAC of stable-baselines3 with their published and their throughput settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import torch
from gymnasium import spaces
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from ..envs.batch.core import Batch
from ..envs.batch.like import ActionArray
from ..envs.batch.tables import Observed
from ..sim.foundation.checks import require_known
from ..sim.foundation.errors import BadInputError
from ..sim.foundation.renamed import new_target
from .network import ACTIVATIONS, normalizer_kwargs

DEVICE: Final = "cpu"
"""Where networks live: small ones are not faster on a graphics card."""


def _schedule(learning_rate: float, *, is_linear: bool) -> float | Callable[[float], float]:
    """Return a constant learning rate, or one that falls linearly to 0 with the remaining progress."""
    if not is_linear:
        return learning_rate
    return lambda remaining: learning_rate * remaining


def _policy_kwargs(net_arch: tuple[int, ...], activation: str, table: tuple[Observed, ...]) -> dict[str, Any]:
    if activation not in ACTIVATIONS:
        raise BadInputError(f"agent.activation is {activation!r}; it must be one of {', '.join(ACTIVATIONS)}")
    return {"net_arch": list(net_arch), "activation_fn": ACTIVATIONS[activation], **normalizer_kwargs(table)}


@dataclass(frozen=True, slots=True, kw_only=True)
class PpoConfig:
    """PPO (J. Schulman et al., Proximal Policy Optimization Algorithms, arXiv:1707.06347, 2017).

    Defaults: numbers of environments, steps, batches and epochs are chosen for throughput on two cores, gamma for returns over
    hours (1 / (1 - 0.995) steps are 17 h); the rest has stable-baselines3 as its source.
    """

    name: str = "ppo"
    total_steps: int = 3_000_000
    n_envs: int = 512
    n_steps: int = 64
    batch_size: int = 8192
    n_epochs: int = 4
    learning_rate: float = 3e-4
    is_learning_rate_linear: bool = True
    gamma: float = 0.995
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    ent_coef: float = 0.0
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    net_arch: tuple[int, ...] = (64, 64)
    activation: str = "tanh"

    def build(self, env: VecEnv, table: tuple[Observed, ...], seed: int) -> PPO:
        """Return the untrained learner for an environment whose observations a table describes."""
        if self.n_steps * self.n_envs % self.batch_size:
            raise BadInputError(
                f"agent.batch_size is {self.batch_size}; it must divide n_envs × n_steps = {self.n_envs * self.n_steps}"
            )
        return PPO(
            "MlpPolicy",
            env,
            learning_rate=_schedule(self.learning_rate, is_linear=self.is_learning_rate_linear),
            n_steps=self.n_steps,
            batch_size=self.batch_size,
            n_epochs=self.n_epochs,
            gamma=self.gamma,
            gae_lambda=self.gae_lambda,
            clip_range=self.clip_range,
            ent_coef=self.ent_coef,
            vf_coef=self.vf_coef,
            max_grad_norm=self.max_grad_norm,
            policy_kwargs=_policy_kwargs(self.net_arch, self.activation, table),
            device=DEVICE,
            seed=seed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SacConfig:
    """SAC (T. Haarnoja et al., Soft Actor-Critic Algorithms and Applications, arXiv:1812.05905, 2018).

    Defaults: environments, buffer, batch and steps are chosen for throughput on two cores; the rest has stable-baselines3 as its
    source.
    """

    name: str = "sac"
    total_steps: int = 200_000
    n_envs: int = 64
    buffer_size: int = 200_000
    batch_size: int = 1024
    learning_starts: int = 10_000
    gradient_steps: int = 4
    learning_rate: float = 3e-4
    is_learning_rate_linear: bool = False
    gamma: float = 0.99
    tau: float = 0.005
    net_arch: tuple[int, ...] = (64, 64)
    activation: str = "relu"

    def build(self, env: VecEnv, table: tuple[Observed, ...], seed: int) -> SAC:
        """Return the untrained learner for an environment with a Box action."""
        if not isinstance(env.action_space, spaces.Box):
            raise BadInputError("agent 'sac' needs a Box action; use env.action=box")
        return SAC(
            "MlpPolicy",
            env,
            learning_rate=_schedule(self.learning_rate, is_linear=self.is_learning_rate_linear),
            buffer_size=self.buffer_size,
            batch_size=self.batch_size,
            learning_starts=self.learning_starts,
            train_freq=1,
            gradient_steps=self.gradient_steps,
            gamma=self.gamma,
            tau=self.tau,
            policy_kwargs=_policy_kwargs(self.net_arch, self.activation, table),
            device=DEVICE,
            seed=seed,
        )


LearnerConfig = PpoConfig | SacConfig

_CLASSES: dict[str, type[PpoConfig] | type[SacConfig]] = {
    f"{cls.__module__}.{cls.__qualname__}": cls for cls in (PpoConfig, SacConfig)
}


def from_mapping(mapping: Mapping[str, Any]) -> LearnerConfig:
    """Return the learner's configuration that a mapping with `_target_` holds; builds nothing but the classes here.

    Raises:
        BadInputError: The target is none of them, or a key is unknown.
    """
    target = new_target(str(mapping.get("_target_")))
    if target not in _CLASSES:
        raise BadInputError(f"agent._target_ is {target!r}; it must be one of {', '.join(_CLASSES)}")
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in mapping.items() if key != "_target_"
    }
    require_known("agent: unknown key", values, (entry.name for entry in fields(_CLASSES[target])))
    return _CLASSES[target](**values)


@dataclass(frozen=True, slots=True)
class LearnedPolicy:
    """A trained network as a policy: its most probable action."""

    name: str
    action: str
    model: BaseAlgorithm

    def act(self, batch: Batch) -> ActionArray:
        """Return the actions, (n_envs, n_actions)."""
        actions: ActionArray = self.model.predict(batch.obs, deterministic=True)[0]
        return actions


def set_threads(n_threads: int | None) -> None:
    """Set the number of threads that torch uses; training is the same bit for bit only with the same number."""
    if n_threads is not None:
        torch.set_num_threads(n_threads)
