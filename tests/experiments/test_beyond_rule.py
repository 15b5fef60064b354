"""Every learner that begins as the best rule trains by its command, is kept, and goes on to the same weights after a kill."""

import json
import shutil
from pathlib import Path

import pytest

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
