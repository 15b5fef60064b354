"""Episodes of a policy, kept step by step: what offline learners learn from."""

from typing import Final

import numpy as np
from tqdm import tqdm

from ..agents.policy import Policy
from ..envs.batch.config import EnvConfig
from ..envs.batch.core import Batch
from ..envs.batch.seeding import draw_seeds
from ..sim.foundation.errors import BadInputError

ROLLOUT_ROLE: Final = 3
"""Role of the environments in SeedSequence([run seed, role]), after training, tuning and evaluation."""

Episode = dict[str, np.ndarray]
"""observations (n + 1, n_obs), actions (n, …), rewards, truncations (n,), costs (n, n_costs), profit_usd (n,)."""


def play(policy: Policy, config: EnvConfig, n_episodes: int, seed: int, *, progress: bool = False) -> list[Episode]:
    """Return episodes of a policy from drawn starts; raises BadInputError if none is asked for."""
    if n_episodes < 1:
        raise BadInputError(f"episodes is {n_episodes}; it must be 1 or more")
    batch = Batch(config, n_episodes)
    seeds = draw_seeds(seed, ROLLOUT_ROLE, n_episodes)
    batch.seed(seeds)
    batch.reset()
    parts: dict[str, list[np.ndarray]] = {
        name: [] for name in ("observations", "actions", "rewards", "truncations", "costs", "profit_usd")
    }
    parts["observations"].append(batch.obs.copy())
    for _ in tqdm(range(batch.episode_steps), f"playing {policy.name}", unit="step", disable=not progress):
        action = policy.act(batch)
        batch.step(action)
        for key, value in (
            ("observations", batch.obs),
            ("actions", action),
            ("rewards", batch.reward),
            ("truncations", batch.truncated),
            ("costs", batch.costs),
            ("profit_usd", batch.flow("profit_usd")),
        ):
            parts[key].append(value.copy())
    whole = {name: np.stack(values) for name, values in parts.items()}
    return [{"seed": seeds[i], **{name: values[:, i] for name, values in whole.items()}} for i in range(n_episodes)]
