import numpy as np
import pytest

from hashgym.agents.learning import cloning
from hashgym.agents.learning.learners import PpoConfig, SacConfig
from hashgym.envs.batch import tables
from hashgym.envs.forms.sb3 import SiteVecEnv
from hashgym.envs.scenario.scenario import Scenario
from hashgym.sim.foundation.errors import BadInputError


def test_a_clone_repeats_its_teacher(small: Scenario, capsys: pytest.CaptureFixture[str]) -> None:
    env = SiteVecEnv(128, range(128), scenario=small, episode_steps=96)
    model = PpoConfig(n_envs=128, n_steps=32, batch_size=512).build(env, env.batch.table, 0)
    column = [entry.name for entry in env.batch.table].index("hour_sin")

    def teacher() -> np.ndarray:
        return np.where(env.batch.obs[:, [column]] > 0.0, 1, 3)

    scores = cloning.clone(model, env, teacher, 192, progress=True)
    assert "cloning:" in capsys.readouterr().err
    assert scores["agreement"] > 0.95
    obs = env.reset()
    actions, _ = model.predict(obs, deterministic=True)  # type: ignore[arg-type]
    assert np.mean(actions == teacher()) > 0.95


def test_cloning_needs_discrete_actions(small: Scenario) -> None:
    env = SiteVecEnv(2, range(2), scenario=small, action="box")
    model = SacConfig(n_envs=2).build(env, env.batch.table, 0)
    with pytest.raises(BadInputError, match="PPO on discrete actions"):
        cloning.clone(model, env, lambda: np.zeros((2, 1)), 10)  # type: ignore[arg-type]


def test_every_joint_action_has_the_same_weight() -> None:
    import torch

    weights = cloning._balanced(torch.tensor([[0], [3], [3], [3]]))
    assert weights.tolist() == pytest.approx([2.0, 2 / 3, 2 / 3, 2 / 3])
    assert len(tables.DISCRETE_OFFSETS) == 5
