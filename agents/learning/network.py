"""Parts of a policy network that belong to the table of its observations."""

from typing import Any, Final

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from ...envs.batch.tables import Observed


class TableNormalizer(BaseFeaturesExtractor):
    """Normalise physical observations by their table, as buffers of the network.

    Linear entries map their range to [-1, 1]; asinh entries are divided by their unit size, taken the inverse hyperbolic
    sine of and divided by 3. `standardise` then takes mean and spread over observations of the training months, once and before anything is
    learnt, so that what hardly moves within its range is seen as well; it is off until then. Training and use see the same numbers.
    """

    center: torch.Tensor
    spread: torch.Tensor

    farthest: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor
    unit_size: torch.Tensor
    is_asinh: torch.Tensor

    def __init__(self, observation_space: spaces.Box, is_asinh: list[bool], unit_size: list[float]) -> None:
        """Take the ranges from the space and the scales from the table.

        Raises:
            ValueError: The lists do not have one entry for each observation.
        """
        n = observation_space.shape[0]
        if not len(is_asinh) == len(unit_size) == n:
            raise ValueError(f"the table has {len(is_asinh)} and {len(unit_size)} scales; the space has {n} entries")
        super().__init__(observation_space, features_dim=n)
        self.register_buffer("low", torch.as_tensor(observation_space.low))
        self.register_buffer("high", torch.as_tensor(observation_space.high))
        self.register_buffer("unit_size", torch.tensor(unit_size, dtype=torch.float32))
        self.register_buffer("is_asinh", torch.tensor(is_asinh))
        self.register_buffer("center", torch.zeros(n))
        self.register_buffer("spread", torch.ones(n))
        self.register_buffer("farthest", torch.tensor(float("inf")))

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Return the normalised observations, same shape."""
        return torch.clamp((self._scaled(observations) - self.center) / self.spread, -self.farthest, self.farthest)

    def _scaled(self, observations: torch.Tensor) -> torch.Tensor:
        linear = 2.0 * (observations - self.low) / (self.high - self.low) - 1.0
        return torch.where(self.is_asinh, torch.asinh(observations / self.unit_size) / 3.0, linear)

    def standardise(self, observations: torch.Tensor) -> None:
        """Take mean and spread of each entry over observations, (n, n_observations)."""
        scaled = self._scaled(observations)
        self.center.copy_(scaled.mean(dim=0))
        self.spread.copy_(scaled.std(dim=0).clamp(min=LEAST_SPREAD))
        self.farthest.fill_(FARTHEST)


LEAST_SPREAD: Final = 0.01
FARTHEST: Final = 5.0
"""Least spread by which an entry is divided, and how many spreads from its mean it is seen at most. chosen: what never moves stays small, and a
price spike is one."""


def normalizer_kwargs(table: tuple[Observed, ...]) -> dict[str, Any]:
    """Return the policy arguments that give a stable-baselines3 policy the normalisation of an observation table.

    Args:
        table: What each entry of an observation is.
    """
    return {
        "features_extractor_class": TableNormalizer,
        "features_extractor_kwargs": {
            "is_asinh": [entry.scale == "asinh" for entry in table],
            "unit_size": [float(entry.unit_size) for entry in table],
        },
    }


ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}
"""Activation functions that a config may name."""
