"""Training keeps the policy that its judge likes best, tells its curve and is gone on with from its checkpoints."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from stable_baselines3 import PPO

from hashgym.agents.learning import checkpoint, cloning
from hashgym.agents.learning.learners import PpoConfig
from hashgym.agents.learning.training import Judged, Schedule, Training, load_policy, tracked_run
from hashgym.agents.policy import Policy
from hashgym.agents.rules import AlwaysOn, Hysteresis, Menu
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.forms.sb3 import SiteVecEnv
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
    liked, hashes = [1.0, 2.0, 5.0, 3.0, 3.0], list[str]()
    training = Training(AGENT, EnvConfig(scenario=small, stack=2), Schedule(validations=3), tmp_path)

    def judge(policy: Policy) -> Judged:
        hashes.append(training.weights_hash)
        return Judged({"selection": liked[len(hashes) - 1], "validation": 0.0})

    told = Told()
    training.learn(judge, told)
    assert hashes[1] != hashes[2] != hashes[3]
    assert training.weights_hash == hashes[2]
    assert [
        row["selection/profit_usd_per_day"] for _, row in told.rows if "selection/profit_usd_per_day" in row
    ] == liked
    assert training.curve[-1]["step"] == 1536
    assert tracked_run(tmp_path) == "r1"

    again = Training(AGENT, EnvConfig(scenario=small, stack=2), Schedule(validations=3), tmp_path)
    assert not again.is_new
    assert again.curve == training.curve
    again.learn(judge, told)  # nothing is left to do
    assert again.weights_hash == hashes[2]
    kept = load_policy(tmp_path, AGENT, EnvConfig(scenario=small, stack=2))
    assert checkpoint.weights_hash(kept.model) == hashes[2]
    assert (kept.name, kept.action) == ("ppo", "discrete")
    with pytest.raises(CheckpointError, match="do not fit"):
        load_policy(tmp_path, AGENT, EnvConfig(scenario=small))


def test_a_rule_is_cloned_as_far_as_the_action_reaches(
    small: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught: list[np.ndarray] = []

    def watch(
        model: PPO, env: SiteVecEnv, teacher: cloning.Teacher, n_steps: int, *, progress: bool
    ) -> dict[str, float]:
        env.reset()
        for action in (0, 1, 5):
            env.step(np.full((env.num_envs, 1), action))
            taught.append(np.asarray(teacher()))
            choice = Hysteresis(Menu.of(env.batch.site), 2.0, 0.9).act(env.batch)
            offset = np.clip(choice - 1 - env.batch.myopic, -2, 2)
            assert np.array_equal(taught[-1], np.where(choice == 0, 0, offset + 3))
        return {"agreement": float(progress)}

    monkeypatch.setattr(cloning, "clone", watch)
    training = Training(AGENT, EnvConfig(scenario=small), Schedule(progress=True), tmp_path)
    assert training.clone(Hysteresis(Menu.of(training.env.batch.site), 2.0, 0.9), 48) == {"agreement": 1.0}
    assert len(np.unique(taught)) > 1


def test_what_cannot_be_cloned_is_named(small: Scenario, tmp_path: Path) -> None:
    training = Training(AGENT, EnvConfig(scenario=small, action="box"), Schedule(), tmp_path)
    with pytest.raises(BadInputError, match="needs agent=ppo and env.action=discrete"):
        training.clone(AlwaysOn(Menu.of(training.env.batch.site)), 8)
