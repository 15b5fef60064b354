"""Datasets of episodes: written, loaded by Minari, and learnt from."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hashgym.experiments.cli import main

minari = pytest.importorskip("minari")


@pytest.fixture
def datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    return tmp_path


@pytest.mark.slow
def test_a_dataset_loads_and_an_offline_learner_learns_from_it(
    datasets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [
        "data",
        "rollouts",
        "--policy",
        "profile_by_price",
        "--episodes",
        "6",
        "--steps",
        "96",
        "--out",
        str(datasets),
    ]
    assert main(command) == 0
    assert "6 episodes, 576 steps" in capsys.readouterr().out
    dataset = minari.load_dataset("hashgym/hashrate-tuning/rollouts-v0")
    assert dataset.total_steps == 576
    env = dataset.recover_environment()
    episodes = list(dataset.iterate_episodes())
    for episode in episodes:
        assert episode.observations.shape == (97, *env.observation_space.shape)
        assert env.action_space.contains(np.asarray(episode.actions[0]))
        assert episode.truncations.tolist() == [False] * 95 + [True]
        assert episode.infos["costs"].shape == (97, 9)
        assert episode.rewards.sum() != 0.0
    # Behaviour cloning from the dataset alone: the smallest of offline learners.
    observed = torch.as_tensor(np.concatenate([e.observations[:-1] for e in episodes]), dtype=torch.float32)
    acted = torch.as_tensor(np.concatenate([e.actions for e in episodes])[:, 0])
    torch.manual_seed(0)
    scale = observed.std(dim=0) + 1e-6
    net = torch.nn.Sequential(torch.nn.Linear(observed.shape[1], 64), torch.nn.Tanh(), torch.nn.Linear(64, 12))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(net((observed - observed.mean(dim=0)) / scale), acted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]
    assert main(command) == 2
    assert "has a dataset" in capsys.readouterr().err
    assert os.environ["MINARI_DATASETS_PATH"] == str(datasets)


@pytest.mark.slow
def test_rollouts_of_another_tasks_policy_come_from_its_own_environment(
    datasets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(datasets)
    short = ["agent=sac", "agent.total_steps=64", "agent.n_envs=16", "agent.learning_starts=32", "agent.batch_size=16"]
    quick = ["tracking=none", "warm_start.teacher=null", "validations=0", "progress=false", "threads=1"]
    world = ["scenario=georgia_room", "env=cooling", "env.episode_steps=48", "hydra.run.dir=run"]
    assert main(["train", *short, *quick, *world]) == 0
    played = [
        "--policy",
        "run",
        "--scenario",
        "georgia_room",
        "--episodes",
        "2",
        "--steps",
        "24",
        "--out",
        str(datasets),
    ]
    assert main(["data", "rollouts", *played]) == 0
    dataset = minari.load_dataset("hashgym/cooling-control/rollouts-v0")
    env = dataset.recover_environment()
    assert env.spec.id == "hashgym/CoolingControl-v0"
    for episode in dataset.iterate_episodes():
        assert episode.observations.shape == (25, *env.observation_space.shape)
        assert all(env.action_space.contains(action) for action in episode.actions)


def test_mistakes_are_named(datasets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "rollouts", "--policy", "luck", "--out", str(datasets)]) == 2
    assert "no policy 'luck'; there are always_on" in capsys.readouterr().err
    assert main(["data", "rollouts", "--policy", "always_on", "--episodes", "0", "--out", str(datasets)]) == 2
    assert main(["film", "--out", str(datasets / "x.avi")]) == 2
    assert main(["film", "--env", "ChipTuning", "--policy", "random", "--out", str(datasets / "x.gif")]) == 2
    assert main(["film", "--env", "SiteOperation", "--policy", "always_on", "--out", str(datasets / "x.gif")]) == 2


@pytest.mark.slow
@pytest.mark.parametrize(("suffix", "head"), [(".mp4", b"ftyp"), (".gif", b"GIF89a"), (".html", b"<html>")])
def test_films_are_written(suffix: str, head: bytes, tmp_path: Path) -> None:
    out = tmp_path / f"day{suffix}"
    assert main(["film", "--steps", "4", "--out", str(out)]) == 0
    assert head in out.read_bytes()[:64]


@pytest.mark.slow
def test_a_dataset_is_replayed_in_a_fresh_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = [
        "data",
        "rollouts",
        "--policy",
        "profile_by_price",
        "--episodes",
        "3",
        "--steps",
        "24",
        "--out",
        "datasets",
    ]
    assert main(command) == 0
    # Nothing of ours is imported: Minari's record names the environment by where it is.
    script = (
        "import os, sys; os.environ['MINARI_DATASETS_PATH'] = sys.argv[1]\n"
        "import minari, numpy as np\n"
        "dataset = minari.load_dataset('hashgym/hashrate-tuning/rollouts-v0')\n"
        "env = dataset.recover_environment()\n"
        "for number, episode in enumerate(dataset.iterate_episodes()):\n"
        "    seed = dataset.storage.get_episode_metadata([number])\n"
        "    seed = int(list(seed)[0]['seed'])\n"
        "    first, _ = env.reset(seed=seed)\n"
        "    assert np.array_equal(first, episode.observations[0])\n"
        "    for k, action in enumerate(episode.actions):\n"
        "        observation, reward, _, _, _ = env.step(action)\n"
        "        assert reward == episode.rewards[k], (k, reward, episode.rewards[k])\n"
        "        assert np.array_equal(observation, episode.observations[k + 1])\n"
        "print('replayed', number + 1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "datasets")], cwd="/", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "replayed 3" in done.stdout
    assert main(command) == 2  # it stands there
    assert [path.name for path in (tmp_path / "datasets").iterdir() if path.name != "namespace_metadata.json"] == [
        "hashgym"
    ]


@pytest.mark.parametrize("name", ["../../climbed/x-v0", "h/b-v0", "x", "a b/c-v0", "hashgym/x", "/tmp/x-v0"])
def test_a_name_that_is_no_dataset_is_refused_before_anything_is_played(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [
        "data",
        "rollouts",
        "--policy",
        "always_on",
        "--episodes",
        "1",
        "--steps",
        "4",
        "--out",
        str(tmp_path / "d"),
    ]
    assert main([*command, "--dataset", name]) == 2
    assert "it must be like hashgym/hashrate-tuning/rollouts-v0" in capsys.readouterr().err
    assert not (tmp_path / "d").exists()
    assert not (tmp_path.parent / "climbed").exists()


def test_a_namespace_may_be_called_data(tmp_path: Path) -> None:
    command = ["data", "rollouts", "--policy", "always_on", "--episodes", "1", "--steps", "4", "--out", str(tmp_path)]
    assert main([*command, "--dataset", "data/always-on-v0"]) == 0
    assert sorted(path.name for path in (tmp_path / "data" / "always-on-v0").iterdir()) == ["data"]
