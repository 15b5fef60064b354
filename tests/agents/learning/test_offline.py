"""Offline learning: of what a log holds the better actions are taken, and nothing is tried."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
import yaml
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

from hashgym.agents.learning.learners import OfflineConfig
from hashgym.agents.learning.offline import Offline, Transitions, fit, read
from hashgym.experiments.cli import main
from hashgym.sim.foundation.errors import BadInputError
from tests.conftest import SMALL


class Nothing(gym.Env[np.ndarray, np.ndarray]):
    """Spaces alone."""

    observation_space = spaces.Box(-1.0, 1.0, (2,), np.float32)

    def __init__(self, action_space: spaces.Space[Any]) -> None:
        self.action_space = action_space


def log_of(space: spaces.Space[Any], n: int = 4000) -> Transitions:
    """Return a log of random actions: where x > 0 the highest action earns most, else the lowest; what follows does not depend on it."""
    rng = np.random.default_rng(0)
    seen, after = (torch.as_tensor(rng.uniform(-1.0, 1.0, (n, 2)).astype(np.float32)) for _ in range(2))
    if isinstance(space, spaces.MultiDiscrete):
        actions = torch.as_tensor(rng.integers(0, 3, (n, 1)).astype(np.float32))
        level = actions[:, 0] - 1.0
    else:
        actions = torch.as_tensor(rng.uniform(-1.0, 1.0, (n, 1)).astype(np.float32))
        level = actions[:, 0]
    return Transitions(seen, actions, level * seen[:, 0].sign(), after)


@pytest.mark.parametrize(
    "space", [spaces.MultiDiscrete([3]), spaces.Box(-1.0, 1.0, (1,), np.float32)], ids=["choice", "number"]
)
def test_the_better_actions_of_a_random_log_are_taken(space: spaces.Space[Any]) -> None:
    env = DummyVecEnv([lambda: Nothing(space)])
    hashes = []
    for _ in range(2):
        model = PPO("MlpPolicy", env, n_steps=2, batch_size=2, policy_kwargs={"net_arch": [32]}, seed=1, device="cpu")
        told = fit(model, log_of(space), Offline(updates=600, batch_size=256, learning_rate=3e-3), 0.5, 0)
        hashes.append(torch.cat([p.flatten() for p in model.policy.parameters()]).sum().item())
    assert hashes[0] == hashes[1]
    assert set(told) == {"value_loss", "critic_loss", "policy_loss", "advantage"}
    high, low = (
        np.asarray(model.predict(np.array([[x, 0.0]], np.float32), deterministic=True)[0]).item() for x in (0.8, -0.8)
    )
    if isinstance(space, spaces.MultiDiscrete):
        assert (high, low) == (2, 0)
    else:
        assert high > 0.3 > -0.3 > low


@pytest.mark.slow
def test_a_log_of_a_rule_is_learnt_by_command(tmp_path: Path) -> None:
    scenario = tmp_path / "barn.yaml"
    scenario.write_text(yaml.safe_dump({**SMALL, "name": "barn"}))
    data = ["--scenario", str(scenario), "--policy", "hysteresis", "--episodes", "4", "--out", str(tmp_path / "data")]
    assert main(["data", "rollouts", *data]) == 0
    args = ["train", f"scenario={scenario}", "env.action=profile", "agent=iql", f"agent.folder={tmp_path / 'data'}", "agent.updates=30",
            "agent.dataset=hashgym/hashrate-tuning/rollouts-v0", "tracking=none", "progress=false", "judged_episodes=2", "validations=1"]  # fmt: skip
    assert main([*args, f"hydra.run.dir={tmp_path / 'run'}"]) == 0
    assert (tmp_path / "run" / "result.json").is_file()
    assert main([*args, "agent.dataset=hashgym/none-v0", f"hydra.run.dir={tmp_path / 'other'}"]) == 2
    how = OfflineConfig(dataset="hashgym/hashrate-tuning/rollouts-v0", folder=str(tmp_path / "data"))
    with pytest.raises(BadInputError, match="set env.action, env.forecast and scenario as the dataset has them"):
        read(how, Nothing.observation_space, spaces.MultiDiscrete([3]))


def test_settings_out_of_range_are_refused() -> None:
    for wrong, said in (
        ({"expectile": 0.4}, "0.5 or more"),
        ({"temperature": 0.0}, "above 0"),
        ({"updates": 0}, "1 or more"),
    ):
        with pytest.raises(BadInputError, match=said):
            OfflineConfig(**wrong)  # type: ignore[arg-type]
