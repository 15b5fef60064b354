"""Parts of a policy network that belong to the table of its observations."""

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from ..envs.batch.tables import Observed


class TableNormalizer(BaseFeaturesExtractor):
    """Normalise physical observations by their table, as buffers of the network.

    Linear entries map their range to [-1, 1]; asinh entries are divided by their unit size, taken the inverse hyperbolic
    sine of and divided by 3. Nothing is estimated from data, so training and use see the same numbers.
    """

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

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Return the normalised observations, same shape."""
        linear = 2.0 * (observations - self.low) / (self.high - self.low) - 1.0
        spread = torch.asinh(observations / self.unit_size) / 3.0
        return torch.where(self.is_asinh, spread, linear)


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
