"""Learners as configurations: PPO and SAC of stable-baselines3 with their published and their throughput settings."""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from importlib import import_module
from typing import Any, Final

import torch
from gymnasium import spaces
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from ...envs.batch.core import Batch
from ...envs.batch.like import ActionArray
from ...envs.batch.tables import Observed
from ...sim.foundation.checks import require, require_at_least, require_kinds, require_known, require_rate
from ...sim.foundation.constants import CONTROL_STEP_S, SECONDS_PER_HOUR
from ...sim.foundation.errors import BadInputError
from ...sim.foundation.renamed import new_target
from .evolution import Evolving
from .hindsight import Teaching, starts_as_rule
from .lagrangian import Constraint, PpoLagrangian, SacLagrangian
from .network import ACTIVATIONS, normalizer_kwargs
from .offline import Offline
from .zones import FORMS, LINKS, PLAIN, Layout, ZonePolicy

DEVICE: Final = "cpu"
"""Where networks live: small ones are not faster on a graphics card."""


def _schedule(learning_rate: float, *, is_linear: bool) -> float | Callable[[float], float]:
    """Return a constant learning rate, or one that falls linearly to 0 with the remaining progress."""
    if not is_linear:
        return learning_rate
    return lambda remaining: learning_rate * remaining


STEP_H: Final = CONTROL_STEP_S / SECONDS_PER_HOUR


def discount(horizon_h: float | None, share: float) -> float:
    """Return the discount a step whose 1 / (1 - discount) steps are a horizon; `share` where no horizon is given. [h]

    Examples:
        >>> round(discount(10.0, 0.9), 5), discount(None, 0.9)
        (0.99167, 0.9)
    """
    return share if horizon_h is None else max(0.0, 1.0 - STEP_H / horizon_h)


def _policy_kwargs(net_arch: tuple[int, ...], activation: str, table: tuple[Observed, ...]) -> dict[str, Any]:
    if activation not in ACTIVATIONS:
        raise BadInputError(f"agent.activation is {activation!r}; it must be one of {', '.join(ACTIVATIONS)}")
    return {"net_arch": list(net_arch), "activation_fn": ACTIVATIONS[activation], **normalizer_kwargs(table)}


MOST_UNITS: Final = 4096
"""Most units of a layer. chosen: sixteen times the widest published net of the kind; a run folder from elsewhere could ask for any."""


def _check_common(agent: "PpoConfig | SacConfig", counts: Mapping[str, float]) -> None:
    """Check what our learners have in common; raises BadInputError."""
    require_at_least("agent", counts, 1)
    require_rate("agent", agent.learning_rate)
    require(0.0 <= agent.gamma <= 1.0, "agent", "gamma", agent.gamma, "between 0 and 1")
    for name in ("return_horizon_h", "advantage_horizon_h"):
        hours = getattr(agent, name, None)
        require(hours is None or hours >= STEP_H, "agent", name, hours, f"{STEP_H:.3g} hours, a step, or more")
    require(agent.first_sigma > 0.0, "agent", "first_sigma", agent.first_sigma, "above 0")
    _check_net(agent.net_arch)


def _check_net(net_arch: tuple[int, ...]) -> None:
    is_net = len(net_arch) > 0 and all(1 <= units <= MOST_UNITS for units in net_arch)
    require(is_net, "agent", "net_arch", net_arch, f"a list of layers, each of 1 to {MOST_UNITS} units")


@dataclass(frozen=True, slots=True, kw_only=True)
class PpoConfig:
    """PPO (J. Schulman et al., Proximal Policy Optimization Algorithms, arXiv:1707.06347, 2017).

    Defaults: numbers of environments, steps, batches and epochs are chosen for throughput on two cores, gamma for returns over
    hours (1 / (1 - 0.995) steps are 17 h); the rest has stable-baselines3 as its source.

    return_horizon_h, advantage_horizon_h: hours that returns and advantages look ahead, from which gamma and gae_lambda are made; None leaves
    these. first_sigma: spread of a Box action before anything is learnt. starts_as_rule: whether the mean action is 0 then, which is the rule
    where actions are residual. standardise: whether observations are centred and scaled by what the training months show. plan_values: whether
    rewards are paid by the planner's values as well, as `shaping.PlanShaped` does. form: plain, zones or links, of `zones.FORMS`.
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
    return_horizon_h: float | None = None
    advantage_horizon_h: float | None = None
    first_sigma: float = 1.0
    starts_as_rule: bool = False
    standardise: bool = False
    plan_values: bool = False
    form: str = PLAIN

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        require(self.form in FORMS, "agent", "form", self.form, f"one of {', '.join(FORMS)}")
        counts = {name: getattr(self, name) for name in ("total_steps", "n_envs", "n_steps", "batch_size", "n_epochs")}
        _check_common(self, counts)
        require(0.0 <= self.gae_lambda <= 1.0, "agent", "gae_lambda", self.gae_lambda, "between 0 and 1")
        require(self.clip_range > 0.0, "agent", "clip_range", self.clip_range, "above 0")
        require_at_least("agent", {name: getattr(self, name) for name in ("ent_coef", "vf_coef", "max_grad_norm")}, 0.0)

    def build(self, env: VecEnv, table: tuple[Observed, ...], seed: int) -> PPO:
        """Return the untrained learner for an environment whose observations a table describes."""
        if self.n_steps * self.n_envs % self.batch_size:
            raise BadInputError(
                f"agent.batch_size is {self.batch_size}; it must divide n_envs × n_steps = {self.n_envs * self.n_steps}"
            )
        gamma = discount(self.return_horizon_h, self.gamma)
        both = discount(self.advantage_horizon_h, gamma * self.gae_lambda)
        of_zones = {} if self.form == PLAIN else {"layout": Layout.of(_batch_of(env)), "has_links": self.form == LINKS}
        model = self._made(
            policy=ZonePolicy if of_zones else "MlpPolicy",
            env=env,
            learning_rate=_schedule(self.learning_rate, is_linear=self.is_learning_rate_linear),
            n_steps=self.n_steps,
            batch_size=self.batch_size,
            n_epochs=self.n_epochs,
            gamma=gamma,
            gae_lambda=min(1.0, both / gamma) if gamma > 0.0 else 0.0,
            clip_range=self.clip_range,
            ent_coef=self.ent_coef,
            vf_coef=self.vf_coef,
            max_grad_norm=self.max_grad_norm,
            policy_kwargs={**_policy_kwargs(self.net_arch, self.activation, table), **of_zones},
            device=DEVICE,
            seed=seed,
        )
        if isinstance(env.action_space, spaces.Box):
            _begin(model, self)
        return model

    def _made(self, **arguments: Any) -> PPO:
        return PPO(**arguments)


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
    return_horizon_h: float | None = None
    first_sigma: float = 1.0
    starts_as_rule: bool = False
    standardise: bool = False
    plan_values: bool = False
    """As PPO's."""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        counts = ("total_steps", "n_envs", "buffer_size", "batch_size", "gradient_steps")
        _check_common(self, {name: getattr(self, name) for name in counts})
        require(0.0 < self.tau <= 1.0, "agent", "tau", self.tau, "above 0 and 1 at most")

    def build(self, env: VecEnv, table: tuple[Observed, ...], seed: int) -> SAC:
        """Return the untrained learner for an environment with a Box action."""
        if not isinstance(env.action_space, spaces.Box):
            raise BadInputError("agent 'sac' needs a Box action; use env.action=box")
        model = self._made(
            policy="MlpPolicy",
            env=env,
            learning_rate=_schedule(self.learning_rate, is_linear=self.is_learning_rate_linear),
            buffer_size=self.buffer_size,
            batch_size=self.batch_size,
            learning_starts=self.learning_starts,
            train_freq=1,
            gradient_steps=self.gradient_steps,
            gamma=discount(self.return_horizon_h, self.gamma),
            tau=self.tau,
            policy_kwargs=_policy_kwargs(self.net_arch, self.activation, table),
            device=DEVICE,
            seed=seed,
        )
        _begin(model, self)
        return model

    def _made(self, **arguments: Any) -> SAC:
        return SAC(**arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class PpoLagrangianConfig(PpoConfig):
    """PPO under limits on named costs: see `lagrangian`."""

    name: str = "ppo_lagrangian"
    constraint: Constraint = field(default_factory=Constraint)

    def _made(self, **arguments: Any) -> PPO:
        return PpoLagrangian(constraint=self.constraint, **arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class SacLagrangianConfig(SacConfig):
    """SAC under limits on named costs: see `lagrangian`."""

    name: str = "sac_lagrangian"
    constraint: Constraint = field(default_factory=Constraint)

    def _made(self, **arguments: Any) -> SAC:
        return SacLagrangian(constraint=self.constraint, **arguments)


def _batch_of(env: VecEnv) -> Batch:
    """Return the batch behind environments, in wrappers or not."""
    batch: Batch = env.get_attr("batch", 0)[0]
    return batch


def _begin(model: PPO | SAC, agent: PpoConfig | SacConfig) -> None:
    """Set what a policy of a Box action begins with, where the configuration says so."""
    if agent.starts_as_rule:
        starts_as_rule(model, agent.first_sigma)
    elif isinstance(model, PPO) and agent.first_sigma != 1.0:
        with torch.no_grad():
            model.policy.log_std.fill_(math.log(agent.first_sigma))


@dataclass(frozen=True, slots=True, kw_only=True)
class HindsightConfig(Teaching):
    """A policy that is fitted to the planner's choices and learns nothing beyond: see `hindsight`.

    The policy is PPO's, so that it is exported, kept and gone on with as others are.
    """

    name: str = "hindsight"
    total_steps: int = 0
    net_arch: tuple[int, ...] = (64, 64)
    activation: str = "tanh"
    standardise: bool = True

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        Teaching.__post_init__(self)
        require(
            self.total_steps == 0, "agent", "total_steps", self.total_steps, "0: it learns before any step is counted"
        )
        _check_net(self.net_arch)

    def build(self, env: VecEnv, table: tuple[Observed, ...], seed: int) -> PPO:
        """Return a policy that acts as the rule does."""
        return _holder(self.net_arch, self.activation, env, table, seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvolutionConfig(Evolving):
    """A policy of residual actions that evolves: see `evolution`. Its form is PPO's, so that it is exported, kept and gone on with as others are.

    net_arch: layers between observations and actions; none is a policy that is linear in its standardised observations.
    """

    name: str = "evolution"
    total_steps: int = 50_000_000
    n_envs: int = 64
    net_arch: tuple[int, ...] = ()
    activation: str = "tanh"
    standardise: bool = True

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        Evolving.__post_init__(self)
        require_at_least("agent", {"total_steps": self.total_steps, "n_envs": self.n_envs}, 1)
        if self.net_arch:
            _check_net(self.net_arch)

    def build(self, env: VecEnv, table: tuple[Observed, ...], seed: int) -> PPO:
        """Return a policy that acts as the rule does."""
        return _holder(self.net_arch, self.activation, env, table, seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineConfig(Offline):
    """A policy that is learnt from a log: see `offline`. Its form is PPO's, so that it is exported, kept and gone on with as others are.

    Defaults: chosen as those of `PpoConfig`, gamma as hours.
    """

    name: str = "iql"
    total_steps: int = 0
    n_envs: int = 64
    return_horizon_h: float = 17.0
    net_arch: tuple[int, ...] = (64, 64)
    activation: str = "tanh"
    standardise: bool = False

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        Offline.__post_init__(self)
        steps, hours = self.total_steps, self.return_horizon_h
        require(steps == 0, "agent", "total_steps", steps, "0: it learns before any step is counted")
        require(hours >= STEP_H, "agent", "return_horizon_h", hours, f"{STEP_H:.3g} hours, a step, or more")
        _check_net(self.net_arch)

    def build(self, env: VecEnv, table: tuple[Observed, ...], seed: int) -> PPO:
        """Return an untrained policy."""
        return _holder(self.net_arch, self.activation, env, table, seed)


def _holder(net_arch: tuple[int, ...], activation: str, env: VecEnv, table: tuple[Observed, ...], seed: int) -> PPO:
    """Return a PPO that learns nothing itself, whose policy acts as the rule does."""
    kwargs = _policy_kwargs(net_arch, activation, table)
    model = PPO(
        "MlpPolicy", env, n_steps=2, batch_size=2 * env.num_envs, policy_kwargs=kwargs, device=DEVICE, seed=seed
    )
    if isinstance(env.action_space, spaces.Box):
        starts_as_rule(model, HELD_SIGMA)
    return model


HELD_SIGMA: Final = 0.08
"""Spread that a fitted policy hands to a learner which goes on with it. chosen: small against the planner's thresholds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherConfig:
    """Any other learner of stable-baselines3's form, of its library, of sb3-contrib's, or a factory of the user's.

    target: its dotted name; make: what that name is; arguments: go to it as they are.
    """

    target: str
    make: Callable[..., Any]
    name: str
    total_steps: int
    n_envs: int = 64
    policy: str = "MlpPolicy"
    net_arch: tuple[int, ...] = (64, 64)
    activation: str = "tanh"
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        require_at_least("agent", {"total_steps": self.total_steps, "n_envs": self.n_envs}, 1)
        _check_net(self.net_arch)

    def build(self, env: VecEnv, table: tuple[Observed, ...], seed: int) -> BaseAlgorithm:
        """Return the untrained learner; raises BadInputError that says why there is none."""
        given = {"policy_kwargs": _policy_kwargs(self.net_arch, self.activation, table), "device": DEVICE, "seed": seed}
        try:
            made = self.make(self.policy, env, **given, **self.arguments)
        except (AttributeError, TypeError, ValueError, AssertionError) as error:
            raise BadInputError(f"agent: {self.target!r} could not be made ({error})") from error
        if not isinstance(made, BaseAlgorithm):
            raise BadInputError(
                f"agent: {self.target!r} makes a {type(made).__name__}, no learner of stable-baselines3"
            )
        return made


LearnerConfig = PpoConfig | SacConfig | HindsightConfig | EvolutionConfig | OfflineConfig | OtherConfig

_OURS: Final = (
    PpoConfig,
    SacConfig,
    PpoLagrangianConfig,
    SacLagrangianConfig,
    HindsightConfig,
    EvolutionConfig,
    OfflineConfig,
)
_CLASSES: Final[dict[str, Any]] = {f"{cls.__module__}.{cls.__qualname__}": cls for cls in _OURS}


LIBRARIES: Final = ("stable_baselines3", "sb3_contrib")
"""Packages whose learners a configuration may name without more ado."""


def from_mapping(mapping: Mapping[str, Any], resolve: Callable[[str], Any] | None = None) -> LearnerConfig:
    """Build a learner's configuration from a dictionary with `_target_`, its dotted name.

    Args:
        mapping: `_target_`: a configuration of this module, a learner of LIBRARIES, or a name that `resolve` finds; the rest are its settings.
        resolve: Returns the object of a name that is neither, or raises; None: there is none.

    Raises:
        BadInputError: The target is none of them, or a key is unknown.
    """
    target = new_target(str(mapping.get("_target_")))
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in mapping.items() if key != "_target_"
    }
    if target in _CLASSES:
        require_known("agent: unknown key", values, (entry.name for entry in fields(_CLASSES[target])))
        if isinstance(values.get("constraint"), Mapping):
            values["constraint"] = _constraint(values["constraint"])
        require_kinds(_CLASSES[target], "agent.", values)
        made: LearnerConfig = _CLASSES[target](**values)
        return made
    make = _of_library(target)
    if make is None and "." in target and resolve is not None:
        make = resolve(target)
    if not (inspect.isfunction(make) or (inspect.isclass(make) and issubclass(make, BaseAlgorithm))):
        raise BadInputError(
            f"agent._target_ is {target!r}; it must be one of {', '.join(_CLASSES)}, a learner of {' or '.join(LIBRARIES)}, or a "
            "function that makes one"
        )
    own = {entry.name for entry in fields(OtherConfig)} - {"target", "make", "arguments"}
    given = {key: value for key, value in values.items() if key in own and value is not None}
    require_kinds(OtherConfig, "agent.", given, ("target", "make", "arguments", "name"))
    return OtherConfig(
        target=target,
        make=make,
        arguments={key: value for key, value in values.items() if key not in own},
        **{"name": target.rpartition(".")[2].lower(), **given},
    )


def _constraint(values: Mapping[str, Any]) -> Constraint:
    require_known("agent.constraint: unknown key", values, (entry.name for entry in fields(Constraint)))
    require_kinds(Constraint, "agent.constraint.", values)
    return Constraint(**values)


def _of_library(target: str) -> Any:
    """Return a learner of a library that is trusted, None if the name is none."""
    package, _, name = target.rpartition(".")
    if package.partition(".")[0] not in LIBRARIES:
        return None
    try:
        found = getattr(import_module(package), name, None)
    except ImportError as error:
        raise BadInputError(f"agent._target_ is {target!r}; {error}") from error
    return found if isinstance(found, type) and issubclass(found, BaseAlgorithm) else None


def horizons_h(model: BaseAlgorithm) -> dict[str, float]:
    """Return how many hours a learner looks ahead: 1/(1-γ) steps in its returns and, if it has a λ, 1/(1-γλ) in its advantages. [h]"""
    gamma = float(getattr(model, "gamma", 0.0))
    shares = {"gamma": gamma}
    if hasattr(model, "gae_lambda"):
        shares["gamma_lambda"] = gamma * float(model.gae_lambda)
    return {name: STEP_H / (1.0 - share) for name, share in shares.items() if share < 1.0}


def horizons_text(horizons: Mapping[str, float]) -> str:
    """Return horizons in words."""
    formulas = {"gamma": "1/(1-γ)", "gamma_lambda": "1/(1-γλ)"}
    return ", ".join(f"{hours:.1f} h ({formulas[name]})" for name, hours in horizons.items()) or "without end (γ = 1)"


@dataclass(slots=True)
class LearnedPolicy:
    """A trained network as a policy: its most probable action. One that remembers begins anew with each episode."""

    name: str
    action: str
    model: BaseAlgorithm
    memory: Any = None

    def act(self, batch: Batch) -> ActionArray:
        """Return the actions, (n_envs, n_actions)."""
        begins = batch.state.site["age"] == 0
        if self.memory is not None and self.memory[0].shape[1] != batch.n_envs:
            self.memory = None  # another batch
        actions: ActionArray
        actions, self.memory = self.model.predict(batch.obs, self.memory, begins, deterministic=True)
        return actions


def set_threads(n_threads: int | None) -> None:
    """Set the number of threads that torch uses; training is the same bit for bit only with the same number."""
    if n_threads is not None:
        torch.set_num_threads(n_threads)
