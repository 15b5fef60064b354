"""A learner that goes on from a checkpoint ends with the same weights as one that never stopped."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger

from hashgym.agents.learning import checkpoint
from hashgym.agents.learning.learners import LearnerConfig, PpoConfig, SacConfig
from hashgym.agents.learning.network import TableNormalizer
from hashgym.envs.forms.sb3 import SiteVecEnv
from hashgym.envs.scenario.scenario import Scenario
from hashgym.sim.foundation.errors import BadInputError, CheckpointError

PPO = PpoConfig(total_steps=2048, n_envs=8, n_steps=64, batch_size=128, n_epochs=2)
SAC = SacConfig(total_steps=600, n_envs=4, buffer_size=2000, batch_size=32, learning_starts=100, gradient_steps=1)


class SaveAt(BaseCallback):
    def __init__(self, folder: Path, steps: int) -> None:
        super().__init__()
        self.folder, self.steps, self.is_saved = folder, steps, False

    def _on_rollout_start(self) -> None:
        if not self.is_saved and self.model.num_timesteps >= self.steps:
            env = self.model.env
            assert isinstance(env, SiteVecEnv)
            checkpoint.save(self.folder, self.model, env.save(), {"note": "half"})
            self.is_saved = True

    def _on_step(self) -> bool:
        return True


def learner(config: LearnerConfig, world: Scenario, seed: int) -> tuple[BaseAlgorithm, SiteVecEnv]:
    action = "box" if isinstance(config, SacConfig) else "discrete"
    env = SiteVecEnv(config.n_envs, range(seed, seed + config.n_envs), scenario=world, action=action, episode_steps=50)
    model = config.build(env, env.batch.table, seed)
    model.set_logger(Logger(folder=None, output_formats=[]))
    return model, env


@pytest.mark.parametrize("config", [PPO, SAC], ids=["ppo", "sac"])
def test_resumed_training_ends_with_the_same_weights(config: LearnerConfig, small: Scenario, tmp_path: Path) -> None:
    unbroken, _ = learner(config, small, 3)
    unbroken.learn(config.total_steps, SaveAt(tmp_path, config.total_steps // 2), log_interval=None)  # type: ignore[arg-type]

    resumed, env = learner(config, small, 99)
    torch.manual_seed(12345)
    np.random.seed(54321)  # noqa: NPY002
    newest = checkpoint.latest(tmp_path)
    assert newest is not None
    state, extra, best = checkpoint.load(newest, resumed)
    env.restore(state)
    assert extra == {"note": "half"}
    assert best is None
    left = config.total_steps - resumed.num_timesteps
    assert 0 < left < config.total_steps
    resumed.learn(left, log_interval=None, reset_num_timesteps=False)  # type: ignore[arg-type]
    assert checkpoint.weights_hash(resumed) == checkpoint.weights_hash(unbroken)
    assert resumed.num_timesteps == unbroken.num_timesteps


def saved(small: Scenario, tmp_path: Path) -> tuple[Path, BaseAlgorithm]:
    model, env = learner(PPO, small, 0)
    model.learn(512, log_interval=None)  # type: ignore[arg-type]
    return checkpoint.save(tmp_path, model, env.save(), {}), model


@pytest.mark.parametrize("name", ["tensors.pt", "arrays.npz", "meta.json"])
def test_a_truncated_checkpoint_is_refused_by_name(name: str, small: Scenario, tmp_path: Path) -> None:
    folder, model = saved(small, tmp_path)
    path = folder / name
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CheckpointError, match=name):
        checkpoint.load(folder, model)


def test_missing_parts_other_schema_and_other_networks_are_refused(small: Scenario, tmp_path: Path) -> None:
    folder, _ = saved(small, tmp_path)
    other, _ = learner(PpoConfig(n_envs=8, n_steps=64, batch_size=128, net_arch=(16,)), small, 0)
    with pytest.raises(CheckpointError, match="weights do not fit"):
        checkpoint.load(folder, other)
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps({**meta, "schema": 99}))
    with pytest.raises(CheckpointError, match="schema is 99"):
        checkpoint.read_meta(folder)
    (folder / "meta.json").write_text(json.dumps(meta))
    (folder / "arrays.npz").unlink()
    with pytest.raises(CheckpointError, match=r"arrays\.npz: missing"):
        checkpoint.read_meta(folder)
    assert checkpoint.latest(tmp_path / "nowhere") is None


def test_only_the_last_two_checkpoints_and_no_half_written_one_stay(small: Scenario, tmp_path: Path) -> None:
    (tmp_path / ".writing.dead").mkdir()
    model, env = learner(PPO, small, 0)
    model.learn(512, log_interval=None)  # type: ignore[arg-type]
    for steps in (512, 1024, 1536):
        model.num_timesteps = steps
        checkpoint.save(tmp_path, model, env.save(), {})
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["step_000000001024", "step_000000001536"]


def test_normalizer_maps_ranges_and_keeps_signs(small: Scenario) -> None:
    model, env = learner(PPO, small, 0)
    extractor = model.policy.features_extractor
    assert isinstance(extractor, TableNormalizer)
    low = extractor(torch.as_tensor(env.batch.low)[None])[0]
    high = extractor(torch.as_tensor(env.batch.high)[None])[0]
    linear = ~extractor.is_asinh
    assert torch.allclose(low[linear], torch.tensor(-1.0))
    assert torch.allclose(high[linear], torch.tensor(1.0))
    assert bool((high[extractor.is_asinh] > 0.0).all())
    with pytest.raises(ValueError, match="scales"):
        TableNormalizer(env.observation_space, [True], [1.0])  # type: ignore[arg-type]


def test_configs_that_cannot_work_are_named(small: Scenario) -> None:
    with pytest.raises(BadInputError, match="batch_size is 100"):
        learner(PpoConfig(n_envs=8, n_steps=64, batch_size=100), small, 0)
    with pytest.raises(BadInputError, match="activation is 'step'"):
        learner(PpoConfig(n_envs=8, n_steps=64, batch_size=128, activation="step"), small, 0)
    env = SiteVecEnv(2, range(2), scenario=small)
    with pytest.raises(BadInputError, match="Box action"):
        SAC.build(env, env.batch.table, 0)
