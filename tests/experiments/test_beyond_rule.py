"""Every learner that begins as the best rule trains by its command, is kept, and goes on to the same weights after a kill."""

import json
import shutil
from functools import partial
from pathlib import Path

import pytest

from hashgym.envs.batch.operating import NEUTRAL
from hashgym.evaluation.search import Round, search
from hashgym.experiments import train as training
from hashgym.experiments.cli import main
from tests.experiments.test_jobs import SMALL_RULE

USUAL = [
    "train",
    "experiment=beyond_rule",
    *SMALL_RULE,
    "tracking=none",
    "env.episode_steps=96",
    "judged_episodes=6",
    "validations=1",
]
TAUGHT = ["warm_start.steps=12"]
LEARNERS = {
    "ppo": ["agent.total_steps=2048", "agent.n_envs=16", "agent.n_steps=32", "agent.batch_size=256", *TAUGHT],
    "sac": ["agent=sac_residual", "agent.total_steps=640", "agent.n_envs=16", "agent.learning_starts=64", "agent.buffer_size=2000",
            "agent.batch_size=64", "agent.gradient_steps=1", *TAUGHT],
    "hindsight": ["agent=hindsight", "agent.n_envs=16", "agent.steps=60", "agent.updates=20"],
    "evolution": ["agent=evolution", "warm_start.teacher=null", "agent.total_steps=2000", "agent.n_envs=4", "agent.population=4",
                  "agent.episodes=2"],
}  # fmt: skip


@pytest.fixture(autouse=True)
def one_held_year(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "HELD_YEARS", 1)


def weights(folder: Path) -> str:
    result: dict[str, str] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return result["weights_hash"]


@pytest.mark.slow
@pytest.mark.parametrize("learner", LEARNERS)
def test_a_learner_trains_and_goes_on(learner: str, tmp_path: Path) -> None:
    args = [*USUAL, *LEARNERS[learner], "checkpoint_steps=300"]
    assert main([*args, f"hydra.run.dir={tmp_path / 'whole'}"]) == 0
    head = (tmp_path / "whole" / "curve.csv").read_text(encoding="utf-8").partition("\n")[0]
    assert ("rule/selection/profit_usd_per_day" in head) == (learner != "evolution")
    steps = sorted((tmp_path / "whole" / "checkpoints").iterdir())
    if len(steps) > 1:  # as if the run had been killed after the checkpoint before the last
        shutil.copytree(tmp_path / "whole", tmp_path / "parts")
        shutil.rmtree(tmp_path / "parts" / "checkpoints" / steps[-1].name)
        (tmp_path / "parts" / "result.json").unlink()
        assert main(["train", f"resume={tmp_path / 'parts'}"]) == 0
        assert weights(tmp_path / "parts") == weights(tmp_path / "whole")
    assert len(steps) > 1 or learner == "hindsight"


@pytest.mark.slow
def test_a_scenario_of_ones_own_has_its_rule_searched_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "search", partial(search, rounds=(Round(6, 2, 2), Round(3, 4, 1))))
    own = [entry for entry in SMALL_RULE if not entry.startswith("env.rule")]
    args = [*USUAL[:2], *own, *USUAL[len(SMALL_RULE) + 2 :], *LEARNERS["evolution"], f"hydra.run.dir={tmp_path}"]
    assert main(args) == 0
    rule = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))["env"]["rule"]
    assert set(rule) == set(NEUTRAL)
    assert main(["train", f"resume={tmp_path}"]) == 0  # nothing is searched again
