"""What befalls a site reaches its environments: drawn by the seed of the history, or from a file."""

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

import hashgym.envs  # noqa: F401
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.envs.scenario.scenario import Scenario, from_mapping
from hashgym.sim.foundation.errors import BadInputError
from tests.conftest import SMALL


def test_events_are_drawn_with_the_history_and_are_the_same_again(small: Scenario) -> None:
    one, two = (Batch(EnvConfig(scenario=from_mapping({**SMALL, "events": "drawn"})), 2) for _ in range(2))
    assert np.array_equal(one.events.zone, two.events.zone)
    assert one.events.zone.shape == (1, len(small.history.frame), 1, 2)
    assert one.events.zone[..., 0].min() < 1.0
    assert one.events.zone[..., 1].max() > 0.0
    assert Batch(EnvConfig(scenario=small)).events.zone.shape == (1, 1, 1, 2)


def test_online_share_and_alarms_are_observed_and_service_can_be_asked_for(small: Scenario) -> None:
    env = gym.make("hashgym/SiteOperation-v0", scenario=small, events="drawn").unwrapped
    observed = [entry.name for entry in env.table]  # type: ignore[attr-defined]
    assert {"zone0_online_frac", "zone0_alarm", "grid_on", "pool_frac"} <= set(observed)
    assert "zone0_service" in [entry.name for entry in env.actions]  # type: ignore[attr-defined]
    plain = gym.make("hashgym/SiteOperation-v0", scenario=small).unwrapped
    assert "zone0_service" not in [entry.name for entry in plain.actions]  # type: ignore[attr-defined]


def test_events_come_from_a_file(small: Scenario, tmp_path: Path) -> None:
    path, n_steps = tmp_path / "trace.npz", len(small.history.frame)
    site, zone = np.ones((1, n_steps, 3)), np.tile([0.5, 0.1], (1, n_steps, 1, 1))
    np.savez(path, site=site, zone=zone)
    batch = Batch(EnvConfig(scenario=small, events=str(path)), 1)
    batch.seed([1])
    batch.reset()
    batch.step(np.array([[3]]))
    assert batch.obs[0, batch.column("zone0_online_frac")] == 0.5
    np.savez(path, site=site)
    with pytest.raises(BadInputError, match="no array 'zone'"):
        Batch(EnvConfig(scenario=small, events=str(path)), 1)
    with pytest.raises(BadInputError, match="not a readable file of events"):
        Batch(EnvConfig(scenario=small, events=str(tmp_path / "nothing.npz")), 1)


def test_events_that_are_none_are_refused() -> None:
    with pytest.raises(BadInputError, match="unknown key .*'events.age'"):
        from_mapping({**SMALL, "events": {"age": 3.0}})
    with pytest.raises(BadInputError, match="events is ''; it must be none, drawn, or the path of a file"):
        EnvConfig(events="")
