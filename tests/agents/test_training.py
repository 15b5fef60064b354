"""Training keeps the policy that its judge likes best, tells its curve and is gone on with from its checkpoints."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from hashgym.agents import checkpoint
from hashgym.agents.learners import PpoConfig
from hashgym.agents.policy import Policy
from hashgym.agents.rules import AlwaysOn, Menu
from hashgym.agents.training import Schedule, Training, load_policy, tracked_run
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.scenario.scenario import Scenario
from hashgym.sim.foundation.errors import BadInputError, CheckpointError

AGENT = PpoConfig(total_steps=1536, n_envs=32, n_steps=16, batch_size=128, learning_rate=1e-3)


class Told:
    """Keeps what a run tells."""

    run_id = "r1"

    def __init__(self) -> None:
        self.rows: list[tuple[int, dict[str, float]]] = []

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        self.rows.append((step, dict(values)))


def test_the_policy_that_the_judge_likes_best_is_kept(small: Scenario, tmp_path: Path) -> None:
    liked, hashes = [1.0, 5.0, 2.0, 3.0, 3.0], list[str]()
    training = Training(AGENT, EnvConfig(scenario=small, stack=2), Schedule(validations=3), tmp_path)

    def judge(policy: Policy, split: str) -> float:
        if split == "validation":
            return 0.0
        hashes.append(training.weights_hash)
        return liked[len(hashes) - 1]

    told = Told()
    training.learn(judge, told)
    assert len(set(hashes)) == 4  # the last policy is judged once more
    assert training.weights_hash == hashes[1]
    assert [row["selection/profit_usd_per_day"] for _, row in told.rows if "selection/profit_usd_per_day" in row] == liked  # fmt: skip
    assert training.curve[-1]["step"] == 1536
    assert tracked_run(tmp_path) == "r1"

    again = Training(AGENT, EnvConfig(scenario=small, stack=2), Schedule(validations=3), tmp_path)
    assert not again.is_new
    assert again.curve == training.curve
    again.learn(judge, told)  # nothing is left to do
    assert again.weights_hash == hashes[1]
    kept = load_policy(tmp_path, AGENT, EnvConfig(scenario=small, stack=2))
    assert checkpoint.weights_hash(kept.model) == hashes[1]
    assert (kept.name, kept.action) == ("ppo", "discrete")
    with pytest.raises(CheckpointError, match="do not fit"):
        load_policy(tmp_path, AGENT, EnvConfig(scenario=small))


def test_a_rule_is_cloned_as_far_as_the_action_reaches(
    small: Scenario, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training = Training(AGENT, EnvConfig(scenario=small), Schedule(progress=True), tmp_path)
    scores = training.clone(AlwaysOn(Menu.of(training.env.batch)), 48)
    assert scores["agreement"] > 0.9
    assert "cloning: 100%" in capsys.readouterr().err
    training.env.reset()
    batch = training.env.batch
    nearest = np.clip(batch.menus["n_profiles"][0] - 1 - batch.myopic, -2, 2) + 3
    assert np.mean(training.policy.act(batch) == nearest) > 0.9


def test_what_cannot_be_cloned_is_named(small: Scenario, tmp_path: Path) -> None:
    training = Training(AGENT, EnvConfig(scenario=small, action="box"), Schedule(), tmp_path)
    with pytest.raises(BadInputError, match="needs agent=ppo and env.action=discrete"):
        training.clone(AlwaysOn(Menu.of(training.env.batch)), 8)
