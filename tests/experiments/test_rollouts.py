"""Datasets of episodes: written, loaded by Minari, and learnt from."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.envs.scenario.scenario import Scenario
from hashgym.experiments import site_log
from hashgym.experiments.cli import main
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.history.history import STEP

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
        assert episode.infos["costs"].shape == (97, 8)
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


def logged(world: Scenario, n: int) -> tuple[pd.DataFrame, np.ndarray, list[np.ndarray]]:
    """Play some steps and write down what a site would log; returns the log, the actions and what was observed."""
    batch = Batch(EnvConfig(scenario=world, action="profile"), 1)
    batch.seed([3])
    batch.reset(starts=np.array([batch.start_step("2024-06-05T00:00")]))
    rng, rows, actions, seen = np.random.default_rng(0), [], [], []
    choice = np.array([[11]])
    ladder = np.array(world.site.zones[0].machine.profiles_mhz)
    names = {0.0: "asleep", 1.0: "starting", 2.0: "hashing", 3.0: "tripped"}
    for k in range(n):
        zone, place = batch.state.zone[0, 0].copy(), int(batch.state.site["step"][0])
        seen.append(batch.obs[0].copy())
        if k % 7 == 3:
            choice = np.array([[int(rng.integers(0, 12))]])
        batch.step(choice)
        actions.append(choice[0].copy())
        rows.append({
            "time_utc": (world.history.start + STEP * place).isoformat(), "zone": 0, "status": names[float(zone["mode"])],
            "target_mhz": 0.0 if choice[0, 0] == 0 else ladder[choice[0, 0] - 1],
            **{name: float(zone[name]) for name in ("power_w", "hashrate_ths", "hot_temp_c", "inlet_temp_c", "fan_pu")},
            "energy_kwh": float(batch.flow("energy_kwh")[0]),
        })  # fmt: skip
    return pd.DataFrame(rows), np.array(actions), seen


def test_a_sites_log_becomes_episodes_of_the_same_form(small: Scenario, tmp_path: Path) -> None:
    frame, actions, seen = logged(small, 80)
    frame.loc[30, "hot_temp_c"] = np.nan
    frame.loc[31, "status"] = "unheard of"
    path = tmp_path / "log.csv"
    frame.to_csv(path, index=False)
    log = site_log.read(path, EnvConfig(scenario=small))
    assert [len(episode["rewards"]) for episode in log.episodes] == [28, 46]
    assert "78 of 78 whole steps in 2 stretches; 2 incomplete steps and 2 rows dropped" in log.told
    first, second = log.episodes
    assert np.array_equal(first["actions"], actions[1:29])
    assert np.array_equal(second["actions"], actions[33:79])
    batch = Batch(EnvConfig(scenario=small, action="profile"), 1)
    known = len(batch.exogenous.channels)
    for episode, start in ((first, 1), (second, 33)):
        for k, observed in enumerate(episode["observations"]):
            assert np.array_equal(observed[: known + 2], seen[start + k][: known + 2])
        modes = [batch.column(f"zone0_{name}") for name in ("asleep", "starting", "hashing", "tripped")]
        assert np.array_equal(
            episode["observations"][:, modes], np.array(seen)[start : start + len(episode["observations"]), modes]
        )
        exact = [batch.column(f"zone0_{name}") for name in ("target_pu", "inlet_temp_c", "fan_pu")]
        assert np.allclose(
            episode["observations"][:, exact],
            np.array(seen)[start : start + len(episode["observations"]), exact],
            atol=1e-6,
        )
    assert first["truncations"].tolist() == [False] * 27 + [True]
    usd = first["profit_usd"]
    assert np.isfinite(usd).all()
    assert usd.std() > 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns="fan_pu"), "no column 'fan_pu'; a log has time_utc"),
        (lambda frame: frame.assign(zone=3), "row 2, column 'zone': 3; the site has zones 0 to 0"),
        (lambda frame: frame.assign(status="?"), "no stretch of more than 13 whole steps"),
        (lambda frame: frame.assign(time_utc="2031-01-01"), "no stretch of more than 13 whole steps"),
    ],
)
def test_a_log_that_cannot_be_read_is_named(change: Any, message: str, small: Scenario, tmp_path: Path) -> None:
    frame, _, _ = logged(small, 20)
    path = tmp_path / "log.csv"
    change(frame).to_csv(path, index=False)
    with pytest.raises(BadInputError, match=message):
        site_log.read(path, EnvConfig(scenario=small))


def test_mistakes_are_named(datasets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "rollouts", "--policy", "luck", "--out", str(datasets)]) == 2
    assert "--policy is 'luck'; it must be one of always_on" in capsys.readouterr().err
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
