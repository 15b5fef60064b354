"""Evolution: policies are varied as a whole and judged by what whole episodes earn beyond the rule, so that nothing has to be credited to a step.

A population runs as one batch: each candidate plays the same episodes, and so does the rule.

Source:
    N. Hansen, "The CMA evolution strategy: a tutorial", arXiv:1604.00772 (CMA-ES by the library `cma`, with a diagonal covariance); T. Salimans et al.,
    "Evolution strategies as a scalable alternative to reinforcement learning", arXiv:1703.03864 (the strategy for nets: mirrored draws, ranks as
    fitness, Adam).
"""

import warnings
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ...envs.batch.config import EnvConfig
from ...envs.batch.core import Batch
from ...envs.batch.seeding import draw_seeds
from ...envs.batch.tables import COST_NAMES
from ...sim.foundation.checks import require, require_at_least, require_rate
from ...sim.foundation.errors import BadInputError
from ...sim.series.exogenous import STEPS_PER_DAY
from .hindsight import Actor

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of plots, which need a library that is not used
    import cma

FloatArray = npt.NDArray[np.float64]

EVOLUTION_ROLE: Final = 7
"""Role of the environments in SeedSequence([run seed, role]), after training, tuning, evaluation, rollouts, search, teaching and standardising."""

CMA: Final = "cma"
RANKS: Final = "ranks"
STRATEGIES: Final = (CMA, RANKS)
"""Strategies by name: CMA-ES with a diagonal covariance, and the simple one with ranks."""

HOT_USD: Final = 2.0
"""What a zone's step above the temperature of `chip_over_temp` costs a candidate, beyond those of the rule. [USD] chosen: above what a hotter step earns."""

BETA_1: Final = 0.9
BETA_2: Final = 0.999
EPSILON: Final = 1e-8
"""Of Adam. Source: D. Kingma, J. Ba, arXiv:1412.6980."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evolving:
    """How a policy is evolved. strategy: of STRATEGIES. population: candidates of a generation, even. episodes: that each plays.

    spread: standard deviation of the first draws, of weights over standardised observations. decay: weight of the mean square of the weights, in
    percent of the rule's profit. learning_rate: of the strategy with ranks. Defaults: chosen as the probes had them.
    """

    strategy: str = CMA
    population: int = 16
    episodes: int = 24
    spread: float = 0.02
    decay: float = 0.05
    learning_rate: float = 0.02

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        require(self.strategy in STRATEGIES, "agent", "strategy", self.strategy, f"one of {', '.join(STRATEGIES)}")
        require_at_least("agent", {"episodes": self.episodes}, 1)
        is_even = self.population >= 4 and self.population % 2 == 0
        require(is_even, "agent", "population", self.population, "even, 4 or more")
        require(self.spread > 0.0, "agent", "spread", self.spread, "above 0")
        require_at_least("agent", {"decay": self.decay}, 0.0)
        require_rate("agent", self.learning_rate)


class Strategy(Protocol):
    """Proposes candidates and is told how they did."""

    def ask(self) -> FloatArray:
        """Return the candidates of the next generation, (population, n_weights)."""

    def tell(self, fitness: FloatArray) -> None:
        """Take the fitness of what was asked, (population,), more is better."""

    @property
    def mean(self) -> FloatArray:
        """The policy that stands, (n_weights,)."""


class CmaStrategy:
    """CMA-ES with a diagonal covariance; its state is the fitness that it was told, from which it is made anew."""

    def __init__(self, first: FloatArray, how: Evolving, seed: int) -> None:
        """Begin at some weights."""
        rng = np.random.default_rng([seed, EVOLUTION_ROLE])
        options = {
            "popsize": how.population,
            "CMA_diagonal": True,
            "verbose": -9,
            "seed": np.nan,
            "randn": lambda *shape: rng.standard_normal(shape),
        }
        self._inner: Any = cma.CMAEvolutionStrategy(first, how.spread, options)
        self._asked: list[FloatArray] = []

    def ask(self) -> FloatArray:
        """Return the candidates of the next generation, (population, n_weights)."""
        self._asked = self._inner.ask()
        return np.array(self._asked)

    def tell(self, fitness: FloatArray) -> None:
        """Take the fitness of what was asked, (population,), more is better."""
        self._inner.tell(self._asked, [-float(value) for value in fitness])

    @property
    def mean(self) -> FloatArray:
        """The mean of what it draws, (n_weights,)."""
        return cast(FloatArray, self._inner.mean.copy())


class RankStrategy:
    """Mirrored draws around the policy, ranks as fitness, Adam along their gradient."""

    def __init__(self, first: FloatArray, how: Evolving, seed: int) -> None:
        """Begin at some weights."""
        self._mean, self._how = first.copy(), how
        self._rng = np.random.default_rng([seed, EVOLUTION_ROLE])
        self._first, self._second = np.zeros_like(first), np.zeros_like(first)
        self._draws, self._n = np.zeros((0, len(first))), 0

    def ask(self) -> FloatArray:
        """Return the candidates of the next generation, (population, n_weights)."""
        half = self._rng.standard_normal((self._how.population // 2, len(self._mean)))
        self._draws = np.concatenate([half, -half])
        return self._mean + self._how.spread * self._draws

    def tell(self, fitness: FloatArray) -> None:
        """Take the fitness of what was asked, (population,), more is better."""
        ranks = np.argsort(np.argsort(fitness, kind="stable"), kind="stable") / (len(fitness) - 1) - 0.5
        gradient = ranks @ self._draws / (len(fitness) * self._how.spread)
        self._n += 1
        self._first = BETA_1 * self._first + (1.0 - BETA_1) * gradient
        self._second = BETA_2 * self._second + (1.0 - BETA_2) * gradient**2
        first, second = self._first / (1.0 - BETA_1**self._n), self._second / (1.0 - BETA_2**self._n)
        self._mean = self._mean + self._how.learning_rate * first / (np.sqrt(second) + EPSILON)

    @property
    def mean(self) -> FloatArray:
        """The policy that stands, (n_weights,)."""
        return self._mean.copy()


def strategy_of(first: FloatArray, how: Evolving, seed: int) -> Strategy:
    """Return a strategy that begins at some weights."""
    return (CmaStrategy if how.strategy == CMA else RankStrategy)(first, how, seed)


class Population:
    """Many policies of one form that act side by side on the environments of a batch."""

    def __init__(self, actor: Actor) -> None:
        """Take the network whose weights are varied; raises BadInputError if it holds other layers than linear ones, tanh and ReLU."""
        self.features = actor.features
        parts = [*actor.body.modules(), actor.head]
        self.layers = [layer for layer in parts if isinstance(layer, nn.Linear | nn.Tanh | nn.ReLU)]
        strange = [m for m in actor.body.modules() if not isinstance(m, nn.Sequential | nn.Linear | nn.Tanh | nn.ReLU)]
        if strange or actor.is_squashed:
            raise BadInputError(f"evolution varies PPO's linear layers, tanh and ReLU; this policy has {strange}")
        self.parameters = [p for layer in self.layers for p in layer.parameters()]

    @property
    def weights(self) -> FloatArray:
        """The weights of the network itself, (n_weights,)."""
        return torch.nn.utils.parameters_to_vector(self.parameters).detach().numpy().astype(np.float64)

    def take(self, weights: FloatArray) -> None:
        """Give the network some weights, (n_weights,)."""
        torch.nn.utils.vector_to_parameters(torch.as_tensor(weights, dtype=torch.float32), self.parameters)

    def act(self, candidates: torch.Tensor, observations: npt.NDArray[np.float32]) -> FloatArray:
        """Return the actions, (n_envs, n_moves), of candidates, (n, n_weights), each on its share of the environments' observations, in order."""
        with torch.no_grad():
            values = self.features(torch.as_tensor(observations)).reshape(len(candidates), -1, observations.shape[1])
            at = 0
            for layer in self.layers:
                if not isinstance(layer, nn.Linear):
                    values = layer(values)
                    continue
                n_out, n_in = layer.weight.shape
                weight = candidates[:, at : at + n_out * n_in].reshape(-1, n_out, n_in)
                bias = candidates[:, at + n_out * n_in : at + n_out * (n_in + 1)]
                values = torch.baddbmm(bias[:, None, :], values, weight.transpose(1, 2))
                at += n_out * (n_in + 1)
            held: FloatArray = values.clamp(-1.0, 1.0).reshape(len(observations), -1).numpy().astype(np.float64)
        return held


def fitness_of(
    population: Population, candidates: FloatArray, config: EnvConfig, how: Evolving, seed: int
) -> tuple[FloatArray, int]:
    """Return what candidates earn beyond the rule on a run's episodes, in percent of the rule's profit, and the steps it took.

    The episodes are the same in every generation: which of two candidates is better is then no matter of luck.

    Args:
        population: The network.
        candidates: Weights, (population, n_weights).
        config: Options of the environments.
        how: Episodes, and the weight of large weights.
        seed: Of the run, with which its episodes are drawn.
    """
    rep, n = how.episodes, len(candidates) + 1
    batch = Batch(replace(config, reward="profit"), n * rep)
    batch.seed(np.tile(draw_seeds(seed, EVOLUTION_ROLE, rep), n))
    batch.reset()
    weights = torch.as_tensor(candidates, dtype=torch.float32)
    moves, usd, hot = np.zeros((n * rep, len(batch.actions))), np.zeros(n * rep), np.zeros(n * rep)
    column = COST_NAMES.index("chip_over_temp")
    for _ in range(batch.episode_steps):
        moves[rep:] = population.act(weights, batch.obs[rep:])
        batch.step(moves)
        usd += batch.flow("profit_usd")
        hot += batch.costs[:, column]
    of_each, hot_of_each = usd.reshape(n, rep).mean(axis=1), hot.reshape(n, rep).mean(axis=1)
    gain = of_each[1:] - of_each[0] - HOT_USD * np.maximum(0.0, hot_of_each[1:] - hot_of_each[0])
    scale = max(abs(float(of_each[0])), batch.reward_scale_usd * STEPS_PER_DAY) / 100.0
    return gain / scale - how.decay * (candidates**2).mean(axis=1), n * rep * batch.episode_steps
