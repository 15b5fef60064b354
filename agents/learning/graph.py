"""A trained policy as an ONNX graph: physical observation in, physical set-point out, nothing else needed."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.sac.policies import SACPolicy
from torch import nn

from ...sim.foundation.errors import BadInputError
from ...sim.site.ladders import SiteLadders
from .rule_graph import RuleGraph

INPUT: Final = "observation"
OUTPUTS: Final = ("setpoint_mhz", "action", "scores")
"""Names in the graph. scores: the logits of each choice of a discrete action, (n, n_zones, most choices), where a zone
has fewer filled with the lowest float; of a Box action the action before it is clipped or squashed, (n, n_zones)."""

COMMANDS: Final = "commands"
"""Further output of a policy of residual actions: what they come to, an action of the form `setpoints`, (n, n_commands)."""

_NO_CHOICE: Final = float(np.finfo(np.float32).min)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionDecoding:
    """How an action becomes a frequency set-point; the graph repeats what the environment does with it.

    kind: "discrete" (offsets from the myopic profile), "profile" (absolute) or "box" (power target with a sleep band).
    ladders: profiles of the zones. asleep, mode_h, myopic_pu: columns of the observation that hold them, (n_zones,).
    """

    kind: str
    ladders: SiteLadders
    asleep: npt.NDArray[np.int64]
    mode_h: npt.NDArray[np.int64]
    myopic_pu: npt.NDArray[np.int64]
    first_offset: int
    sleep_below: float
    wake_above: float
    min_sleep_h: float


class PolicyGraph(nn.Module):
    """The network of a stable-baselines3 policy, most probable action only, with the environment's decoding behind it."""

    freq_mhz: torch.Tensor
    meter_power_w: torch.Tensor
    top: torch.Tensor

    def __init__(self, policy: ActorCriticPolicy | SACPolicy, decoding: ActionDecoding) -> None:
        """Take the network and what its action means."""
        super().__init__()
        self.policy, self.decoding = policy, decoding
        ladders = decoding.ladders
        self.register_buffer("freq_mhz", torch.from_numpy(ladders.freq_mhz.copy()))
        self.register_buffer("meter_power_w", torch.from_numpy(ladders.meter_power_w.copy()))
        self.register_buffer("top", torch.from_numpy(ladders.n_profiles - 1))

    def forward(self, observation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return set-point [MHz], action and scores of observations, (n, n_observations)."""
        if isinstance(self.policy, SACPolicy):
            scores = self.policy.actor.get_action_dist_params(observation)[0]
            action = torch.tanh(scores)
        else:
            features = self.policy.pi_features_extractor(observation)
            scores = self.policy.action_net(self.policy.mlp_extractor.forward_actor(features))
            if self.decoding.kind == "box":
                action = torch.clamp(scores, -1.0, 1.0)
            else:
                scores = self._by_zone(scores)
                action = torch.argmax(scores, dim=2)
        return self._setpoint(observation, action).to(torch.float32), action, scores

    def _by_zone(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the logits of a MultiDiscrete action zone by zone, (n, n_zones, most choices)."""
        counts = [int(n) for n in self.policy.action_space.nvec]  # type: ignore[attr-defined]
        parts = torch.split(scores, counts, dim=1)
        padded = [
            nn.functional.pad(part, (0, max(counts) - n), value=_NO_CHOICE)
            for part, n in zip(parts, counts, strict=True)
        ]
        return torch.stack(padded, dim=1)

    def _setpoint(self, observation: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        asleep = observation[:, self.decoding.asleep] > 0.5
        freq_mhz = self.freq_mhz.expand(observation.shape[0], -1, -1)
        if self.decoding.kind == "box":
            wanted = action.to(torch.float64)
            is_off = (wanted < self.decoding.sleep_below) | (asleep & (wanted <= self.decoding.wake_above))
            share = ((wanted - self.decoding.sleep_below) / (1.0 - self.decoding.sleep_below)).clamp(0.0, 1.0)
            low_w, high_w = self.meter_power_w[:, 0], self.meter_power_w[:, -1]
            target_w = low_w + share * (high_w - low_w)
            index = torch.argmin((self.meter_power_w - target_w[:, :, None]).abs(), dim=2)
        else:
            is_off = action <= 0
            index = action - 1
            if self.decoding.kind == "discrete":
                index = index + self.decoding.first_offset + self._myopic(observation)
            index = torch.minimum(index.clamp(min=0), self.top)
        if self.decoding.kind != "profile":
            is_off = is_off | (asleep & (observation[:, self.decoding.mode_h] < self.decoding.min_sleep_h))
        chosen = torch.gather(freq_mhz, 2, index[:, :, None])[:, :, 0]
        return torch.where(is_off, torch.zeros_like(chosen), chosen)

    def _myopic(self, observation: torch.Tensor) -> torch.Tensor:
        low, high = self.freq_mhz[:, 0], self.freq_mhz[:, -1]
        myopic_mhz = low + observation[:, self.decoding.myopic_pu].to(torch.float64) * (high - low)
        return torch.argmin((self.freq_mhz - myopic_mhz[:, :, None]).abs(), dim=2)


class ResidualGraph(nn.Module):
    """The network of a policy of residual actions with the operator's rule behind it: no rule is needed beside."""

    def __init__(self, policy: ActorCriticPolicy | SACPolicy, rule: RuleGraph) -> None:
        """Take the network and the rule that it moves."""
        super().__init__()
        self.policy, self.rule = policy, rule

    def forward(self, observation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return set-point [MHz], action, action before it is held to [-1, 1], and commands of observations, (n, n_observations)."""
        if isinstance(self.policy, SACPolicy):
            scores = self.policy.actor.get_action_dist_params(observation)[0]
            action = torch.tanh(scores)
        else:
            features = self.policy.pi_features_extractor(observation)
            scores = self.policy.action_net(self.policy.mlp_extractor.forward_actor(features))
            action = torch.clamp(scores, -1.0, 1.0)
        commands = self.rule(observation, action)
        return self.rule.setpoint_mhz(commands).to(torch.float32), action, scores, commands.to(torch.float32)


def graph_of(model: BaseAlgorithm, decoding: ActionDecoding | RuleGraph) -> PolicyGraph | ResidualGraph:
    """Return the graph of a trained learner; raises BadInputError if its policy is of no kind that we know."""
    policy = model.policy
    if not isinstance(policy, ActorCriticPolicy | SACPolicy) or hasattr(policy, "lstm_actor"):
        raise BadInputError(
            f"a {type(policy).__name__} cannot be exported; actor-critic policies without memory and SAC's can"
        )
    if isinstance(decoding, RuleGraph):
        return ResidualGraph(policy, decoding).eval()
    return PolicyGraph(policy, decoding).eval()


def to_onnx(graph: PolicyGraph | ResidualGraph, n_observations: int) -> bytes:
    """Return a policy graph as the bytes of an ONNX model with a free batch size."""
    example = torch.zeros(2, n_observations)
    training = graph.policy.training
    graph.policy.set_training_mode(False)
    try:
        with warnings.catch_warnings(), _hushed():
            warnings.simplefilter("ignore")  # torch's exporter warns of its own internals
            program: Any = torch.onnx.export(
                graph,
                (example,),
                dynamo=True,
                input_names=[INPUT],
                output_names=[*OUTPUTS, *([COMMANDS] if isinstance(graph, ResidualGraph) else [])],
                verbose=False,
                dynamic_shapes={"observation": {0: torch.export.Dim("batch")}},
            )
    finally:
        graph.policy.set_training_mode(training)
    content = io.BytesIO()
    program.save(content)
    return content.getvalue()


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep the exporter's libraries from telling of every node that they touch."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
