"""Behaviour cloning: start a learner from what a teacher does, policy and value alike."""

import math
from collections.abc import Callable
from typing import Final, NamedTuple, NoReturn

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs
from tqdm import tqdm

from ...envs.batch.like import ActionArray
from ...sim.foundation.errors import BadInputError

Teacher = Callable[[], ActionArray]
"""Returns the teacher's actions for the environments' present state, (n_envs, n_actions)."""

ROUNDS: Final = 4
_EPOCHS: Final = 4
_BATCH: Final = 4096
_LEARNING_RATE: Final = 2e-3
_LEARNING_RATE_END: Final = 1e-4
"""Rounds of watching, passes over what was seen, batch, and the learning rate's way down. chosen: a clone of the tuned rule repeats 97 % of
its decisions after them (docs/results.md)."""


def clone(model: PPO, env: VecEnv, teacher: Teacher, n_steps: int, *, progress: bool = False) -> dict[str, float]:
    """Fit the policy to a teacher's actions and the value to the discounted returns.

    In the first round the teacher acts, in the others the learner does and the teacher says what it would have done, so
    that the learner also knows how to leave the states into which its own errors lead. Every action weighs alike
    whatever its share: rare ones (sleep) would otherwise not be learnt. Draws come from torch's generator, which the
    learner's seed has set.

    Args:
        model: The learner; its value and policy networks are changed in place.
        env: Environments at any state; they are reset.
        teacher: Called before each step.
        n_steps: Steps of each round, long against 1 / (1 - γ).
        progress: Whether a bar shows how far it is.

    Returns:
        Share of the teacher's actions that the cloned policy repeats where it goes itself, and the variance of returns
        that the value explains there.

    Raises:
        BadInputError: The learner is not PPO on discrete actions.

    Source:
        S. Ross, G. Gordon, D. Bagnell, "A reduction of imitation learning and structured prediction to no-regret online
        learning", AISTATS 2011 (DAgger).
    """
    if not isinstance(model, PPO) or not hasattr(env.action_space, "nvec"):
        raise BadInputError("cloning needs PPO on discrete actions; use agent=ppo and env.action=discrete")
    optimizer = torch.optim.Adam(model.policy.parameters(), lr=_LEARNING_RATE)
    rounds: list[_Round] = []
    scores: dict[str, float] = {}
    updates = [_EPOCHS * math.ceil(k * n_steps * env.num_envs / _BATCH) for k in range(1, ROUNDS + 1)]
    with tqdm(desc="cloning", total=ROUNDS * n_steps + sum(updates), leave=False, disable=not progress) as bar:
        for number in range(ROUNDS):
            rounds.append(_watch(model, env, teacher, n_steps, bar, is_teacher_acting=number == 0))
            scores = _scores(model, rounds[-1])
            left = 1.0 - number / ROUNDS
            optimizer.param_groups[0]["lr"] = _LEARNING_RATE_END + (_LEARNING_RATE - _LEARNING_RATE_END) * left
            _fit(model, optimizer, _Round(*(torch.cat(parts) for parts in zip(*rounds, strict=True))), bar)
    return scores


class _Round(NamedTuple):
    observations: torch.Tensor  # (n, n_obs)
    actions: torch.Tensor  # (n, n_actions), the teacher's
    returns: torch.Tensor  # (n,), NaN where too little follows


def _watch(
    model: PPO, env: VecEnv, teacher: Teacher, n_steps: int, bar: "tqdm[NoReturn]", *, is_teacher_acting: bool
) -> _Round:
    """Step the environments; returns what was seen, what the teacher would do and what came of it."""
    obs = _array(env.reset())
    seen, did = np.empty((n_steps, *obs.shape), np.float32), []
    rewards, ends = np.empty((n_steps, env.num_envs)), np.empty((n_steps, env.num_envs), np.bool_)
    for step in range(n_steps):
        seen[step] = obs
        wanted = teacher()
        did.append(wanted.copy())
        action = wanted if is_teacher_acting else model.predict(obs, deterministic=True)[0]
        seen_next, rewards[step], ends[step], _ = env.step(action)
        obs = _array(seen_next)
        bar.update()
    returns, running = np.empty_like(rewards), np.zeros(env.num_envs)
    following = np.zeros(env.num_envs, np.int64)
    enough = min(int(3.0 / (1.0 - model.gamma)), n_steps // 2)
    for step in reversed(range(n_steps)):
        running = rewards[step] + model.gamma * np.where(ends[step], 0.0, running)
        following = np.where(ends[step], 1, following + 1)
        returns[step] = np.where(following >= enough, running, np.nan)
    flat = torch.as_tensor(seen.reshape(-1, seen.shape[2]))
    actions = torch.as_tensor(np.stack(did).reshape(len(flat), -1))
    return _Round(flat, actions, torch.as_tensor(returns.reshape(-1), dtype=torch.float32))


def _array(obs: VecEnvObs) -> np.ndarray:
    """Return observations that are one array, as those of a site are."""
    if not isinstance(obs, np.ndarray):
        raise TypeError(f"observations are {type(obs).__name__}, not one array")
    return obs


def _fit(model: PPO, optimizer: torch.optim.Optimizer, data: _Round, bar: "tqdm[NoReturn]") -> None:
    weights, known = _balanced(data.actions), torch.isfinite(data.returns)
    scale = data.returns[known].var()
    model.policy.set_training_mode(True)
    for _ in range(_EPOCHS):
        for rows in torch.randperm(len(data.actions)).split(_BATCH):
            values, log_prob, _ = model.policy.evaluate_actions(data.observations[rows], data.actions[rows])
            missed = torch.where(known[rows], values.flatten() - torch.nan_to_num(data.returns[rows]), 0.0)
            loss = -(weights[rows] * log_prob).mean() + model.vf_coef * (missed**2).mean() / scale
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            bar.update()


def _scores(model: PPO, data: _Round) -> dict[str, float]:
    known = torch.isfinite(data.returns)
    with torch.no_grad():
        distribution = model.policy.get_distribution(data.observations)
        agreement = (distribution.mode() == data.actions).all(dim=1).float().mean()
        error = (model.policy.predict_values(data.observations).flatten() - data.returns)[known]
    return {"agreement": float(agreement), "explained_variance": float(1.0 - error.var() / data.returns[known].var())}


def _balanced(actions: torch.Tensor) -> torch.Tensor:
    """Return a weight for each row, (n,), so that every joint action has the same total weight; the mean weight is 1."""
    _, kind, count = torch.unique(actions, dim=0, return_inverse=True, return_counts=True)
    return (len(actions) / (len(count) * count.float()))[kind]
