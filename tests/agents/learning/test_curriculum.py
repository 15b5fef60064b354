"""A curriculum: a learner goes through easier environments first, takes its weights along, and goes on after a kill where it was."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hashgym.agents.learning.learners import PpoConfig, SacConfig
from hashgym.agents.learning.training import Judged, Schedule, Stage, Training
from hashgym.agents.policy import Policy
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.scenario import scenario as scenarios
from hashgym.envs.scenario.scenario import Scenario
from hashgym.experiments.settings import TrainSettings
from hashgym.sim.foundation.errors import BadInputError
from tests.agents.learning.test_training import Told
from tests.conftest import SMALL

PPO_AGENT = PpoConfig(total_steps=768, n_envs=8, n_steps=16, batch_size=64, n_epochs=1, net_arch=(8,))
SAC_AGENT = SacConfig(
    total_steps=480, n_envs=8, buffer_size=400, batch_size=32, learning_starts=64, gradient_steps=1, net_arch=(8,)
)


def judge(policy: Policy) -> Judged:
    return Judged({"selection": 0.0})


@pytest.fixture(scope="module")
def easy() -> Scenario:
    return scenarios.from_mapping({**SMALL, "difficulty": 0.3})


@pytest.mark.parametrize("agent", [PPO_AGENT, SAC_AGENT], ids=["ppo", "sac"])
def test_stages_follow_each_other_and_resume(
    agent: PpoConfig | SacConfig, small: Scenario, easy: Scenario, tmp_path: Path
) -> None:
    hard = EnvConfig(scenario=small, action="box", episode_steps=24)
    stages = (Stage(replace(hard, scenario=easy), 256),)
    schedule = Schedule(validations=0, checkpoint_steps=64)

    def run(folder: Path) -> Training:
        return Training(agent, hard, schedule, folder, stages=stages)

    whole = run(tmp_path / "whole")
    assert whole.scenario.history.hash == easy.history.hash != small.history.hash
    seen = list[tuple[int, str]]()
    keep = whole.keep
    kept = tmp_path / "kept"

    def watched(tracker: Any) -> None:
        keep(tracker)
        seen.append((whole.model.num_timesteps, whole.scenario.history.hash))
        newest = sorted((tmp_path / "whole" / "checkpoints").iterdir())[-1]
        shutil.copytree(newest, kept / newest.name / "checkpoints" / newest.name, dirs_exist_ok=True)

    whole.keep = watched  # type: ignore[method-assign]
    whole.learn(judge, Told())
    assert {name for steps, name in seen if steps < 256} == {easy.history.hash}
    assert {name for steps, name in seen if steps > 256} == {small.history.hash}
    folders = sorted(kept.iterdir())
    for folder in (folders[0], folders[-2]):  # within the first stage, and within the last
        again = run(folder)
        assert again.model.num_timesteps < agent.total_steps
        again.learn(judge, Told())
        assert again.weights_hash == whole.weights_hash
    assert run(tmp_path / "fresh").weights_hash != whole.weights_hash


def test_what_has_no_curriculum_is_refused(small: Scenario, easy: Scenario, tmp_path: Path) -> None:
    config = EnvConfig(scenario=small, task="operation", action="residual", rule={}, reward="beyond_rule")
    with pytest.raises(BadInputError, match="a curriculum is for learners without agent.plan_values"):
        Training(replace(PPO_AGENT, plan_values=True), config, Schedule(), tmp_path, stages=(Stage(config, 64),))


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("easy", "must be a dictionary with difficulty and steps"),
        ({"difficulty": 0.0, "steps": 9}, r"curriculum\[0\].difficulty is 0.0; it must be above 0 and 1 at most"),
        ({"difficulty": 0.5, "steps": 0}, r"curriculum\[0\].steps is 0; it must be a whole number"),
    ],
)
def test_stages_that_are_none_are_refused(entry: Any, said: str) -> None:
    agent = {"_target_": "hashgym.agents.learning.learners.PpoConfig"}
    content = {
        "scenario": SMALL,
        "env": {"task": "hashrate"},
        "agent": agent,
        "seed": 0,
        "history": None,
        "curriculum": [entry],
    }
    with pytest.raises(BadInputError, match=said):
        TrainSettings.of(content)
    steps = {**content, "curriculum": [{"difficulty": 0.4, "steps": 5}, {"difficulty": 0.7, "steps": 6}]}
    assert [stage.until_step for stage in TrainSettings.of(steps).stages] == [5, 11]
