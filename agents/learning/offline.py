"""Learning from a log alone: implicit Q-learning on a Minari dataset, of rules, trained policies or a site's own telemetry.

Nothing is tried that the log does not hold: values are those of the actions that were taken, and the policy is drawn to the better of them.

Source:
    I. Kostrikov, A. Nair, S. Levine, "Offline reinforcement learning with implicit Q-learning", ICLR 2022, arXiv:2110.06169.
"""

import importlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.torch_layers import create_mlp
from stable_baselines3.common.utils import polyak_update
from torch import nn
from tqdm import tqdm

from ...sim.foundation.checks import require, require_at_least, require_rate
from ...sim.foundation.errors import BadInputError

MOST_WEIGHT: Final = 100.0
TAU: Final = 0.005
"""Highest weight of an action, and share of the newest weights in a target network. Source: Kostrikov et al., as above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offline:
    """How a policy is learnt from a log. dataset, folder: Minari's name of it and the folder of datasets, as `hashgym data rollouts` wrote it.

    updates, batch_size, learning_rate: of the networks. expectile: of the values of actions that stands for a state's; 0.5 is the mean, towards 1 the best that
    was taken. temperature: how sharply the policy is drawn to better actions, in mean advantages. Defaults: expectile and temperature between those of
    the source for locomotion, 0.7 and 3; the rest chosen for a minute on two cores.
    """

    dataset: str = ""
    folder: str = ""
    updates: int = 10_000
    batch_size: int = 1024
    learning_rate: float = 3e-4
    expectile: float = 0.7
    temperature: float = 3.0

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        require_at_least("agent", {"updates": self.updates, "batch_size": self.batch_size}, 1)
        require_rate("agent", self.learning_rate)
        require(0.5 <= self.expectile < 1.0, "agent", "expectile", self.expectile, "0.5 or more and below 1")
        require(self.temperature > 0.0, "agent", "temperature", self.temperature, "above 0")


@dataclass(frozen=True, slots=True, eq=False)
class Transitions:
    """What a log holds: observations and those that followed, (n, n_observations), actions, (n, n_actions), rewards, (n,).

    Episodes are cut off, never ended: what follows the last step counts as well.
    """

    observations: torch.Tensor
    actions: torch.Tensor
    rewards: torch.Tensor
    following: torch.Tensor


def read(how: Offline, observation_space: spaces.Box, action_space: spaces.Space[Any]) -> Transitions:
    """Return the transitions of a dataset.

    Raises:
        BadInputError: There is none of that name, the library is not installed, or it is of an environment with other spaces.
    """
    try:
        minari = importlib.import_module("minari")
    except ImportError:
        raise BadInputError("the library minari is not installed; run `pip install hashgym[offline]`") from None
    if not how.dataset or not (Path(how.folder) / how.dataset).is_dir():
        raise BadInputError(
            f"agent.dataset={how.dataset!r}, agent.folder={how.folder!r}: no dataset there; `hashgym data rollouts --out FOLDER` writes one"
        )
    before = os.environ.get("MINARI_DATASETS_PATH")
    os.environ["MINARI_DATASETS_PATH"] = str(Path(how.folder).resolve())
    try:
        dataset = minari.load_dataset(how.dataset)
        if dataset.observation_space != observation_space or dataset.action_space != action_space:
            raise BadInputError(
                f"{how.dataset}: of observations {dataset.observation_space} and actions {dataset.action_space}; the environment has "
                f"{observation_space} and {action_space}: set env.action, env.forecast and scenario as the dataset has them"
            )
        parts = [
            (episode.observations[:-1], episode.actions, episode.rewards, episode.observations[1:])
            for episode in dataset.iterate_episodes()
        ]
    finally:
        if before is None:
            del os.environ["MINARI_DATASETS_PATH"]
        else:
            os.environ["MINARI_DATASETS_PATH"] = before
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    observations, actions, rewards, following = (torch.as_tensor(np.asarray(column, np.float32)) for column in columns)
    return Transitions(observations, actions.reshape(len(observations), -1), rewards, following)


class Encoded(nn.Module):
    """A network over features of a state and an action; choices are told one by one."""

    def __init__(
        self, n_features: int, space: spaces.Space[Any], sizes: tuple[int, ...], activation: type[nn.Module]
    ) -> None:
        """Build the network."""
        super().__init__()
        self.counts = [int(n) for n in space.nvec] if isinstance(space, spaces.MultiDiscrete) else None
        width = n_features + (sum(self.counts) if self.counts else int(np.prod(space.shape or ())))
        self.net = nn.Sequential(*create_mlp(width, 1, list(sizes), activation))

    def forward(self, features: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """Return a value for each state and action, (n,)."""
        if self.counts:
            parts = [nn.functional.one_hot(actions[:, k].long(), n).float() for k, n in enumerate(self.counts)]
            actions = torch.cat(parts, dim=1)
        found: torch.Tensor = self.net(torch.cat([features, actions], dim=1)).squeeze(1)
        return found


def fit(
    model: PPO, data: Transitions, how: Offline, gamma: float, seed: int, *, progress: bool = False
) -> dict[str, float]:
    """Fit a policy to the better actions of a log; draws come from `seed` and torch's generator, which the learner's seed has set.

    Args:
        model: PPO, whose policy is changed in place.
        data: The log.
        how: How.
        gamma: Discount a step.
        seed: Of the minibatches.
        progress: Whether a bar shows how far it is.

    Returns:
        The last losses, and the mean advantage of the log's actions over the state's value.
    """
    policy, sizes = model.policy, (64, 64)
    with torch.no_grad():
        features, after = (
            policy.extract_features(part, policy.pi_features_extractor) for part in (data.observations, data.following)
        )
    n_features = policy.features_dim
    value = nn.Sequential(*create_mlp(n_features, 1, list(sizes), nn.ReLU))
    critics = nn.ModuleList(Encoded(n_features, model.action_space, sizes, nn.ReLU) for _ in range(2))
    targets = nn.ModuleList(Encoded(n_features, model.action_space, sizes, nn.ReLU) for _ in range(2))
    targets.load_state_dict(critics.state_dict())
    optimizers = [torch.optim.Adam(part.parameters(), lr=how.learning_rate) for part in (value, critics, policy)]
    rng, n = np.random.default_rng(seed), len(data.rewards)
    told = dict[str, float]()
    policy.set_training_mode(True)
    for _ in tqdm(range(how.updates), "offline", leave=False, disable=not progress):
        rows = torch.as_tensor(rng.integers(0, n, min(how.batch_size, n)))
        seen, actions = features[rows], data.actions[rows]
        with torch.no_grad():
            taken = torch.stack([target(seen, actions) for target in targets]).min(dim=0).values
            wanted = data.rewards[rows] + gamma * value(after[rows]).squeeze(1)
        gap = taken - value(seen).squeeze(1)
        weight = torch.where(gap > 0.0, how.expectile, 1.0 - how.expectile)
        value_loss = (weight * gap.square()).mean()
        critic_loss = torch.stack([(critic(seen, actions) - wanted).square().mean() for critic in critics]).sum()
        advantage = gap.detach()
        sharp = (how.temperature * advantage / advantage.abs().mean().clamp(min=1e-8)).exp().clamp(max=MOST_WEIGHT)
        _, log_prob, _ = policy.evaluate_actions(data.observations[rows], actions)
        policy_loss = -(sharp * log_prob).mean()
        for loss, optimizer in zip((value_loss, critic_loss, policy_loss), optimizers, strict=True):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        polyak_update(critics.parameters(), targets.parameters(), TAU)
        told = {
            "value_loss": value_loss.item(),
            "critic_loss": critic_loss.item(),
            "policy_loss": policy_loss.item(),
            "advantage": advantage.mean().item(),
        }
    policy.set_training_mode(False)
    return told
