"""Paired runs: the same episodes for every policy."""

import numpy as np

from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.envs.scenario.scenario import Scenario
from hashgym.evaluation.paired import episode_starts


def test_episodes_fill_a_split_without_overlap(small: Scenario) -> None:
    config = EnvConfig(scenario=small, split="test")
    batch = Batch(config)
    starts = episode_starts(config, batch)
    assert len(starts) == 14
    assert np.all(np.diff(starts) == 288)
