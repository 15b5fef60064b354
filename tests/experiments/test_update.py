"""An update: a policy goes on with newer history behind the shield and is taken only if held-out days say that it is not worse."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hashgym.envs.batch.operating import NEUTRAL
from hashgym.experiments import update as updating
from hashgym.experiments.cli import main
from hashgym.experiments.settings import TrainSettings
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.foundation.files import write_json
from hashgym.synthesis.generate import synthesize
from tests.conftest import SMALL

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("update")
    (folder / "barn.yaml").write_text(yaml.safe_dump({**SMALL, "name": "barn"}))
    synthesize("ercot", "2024-06-20", "2024-08-10", seed=9).save(folder / "newer")
    small = (
        "agent.total_steps=1024",
        "agent.n_envs=8",
        "agent.n_steps=16",
        "agent.batch_size=64",
        "agent.net_arch=[8]",
        "validations=0",
    )
    args = [
        "train",
        f"scenario={folder / 'barn.yaml'}",
        *small,
        "warm_start.teacher=null",
        "tracking=none",
        "progress=false",
    ]
    assert main([*args, f"hydra.run.dir={folder / 'run'}"]) == 0
    return {"run": folder / "run", "history": folder / "newer"}


def arguments(files: dict[str, Path], out: Path, *more: str) -> list[str]:
    return [
        "update",
        "--run",
        str(files["run"]),
        "--history",
        str(files["history"]),
        "--out",
        str(out),
        "--steps",
        "512",
        *more,
    ]


def test_a_policy_goes_on_and_is_judged_beside_itself(files: dict[str, Path], tmp_path: Path, capsys: Any) -> None:
    code = main(arguments(files, tmp_path / "new", "--margin-pct", "1000"))
    said, told = capsys.readouterr().out, json.loads((tmp_path / "new" / "update.json").read_text())
    assert code == 0
    assert said.startswith("taken: ")
    assert told["is_accepted"]
    assert told["episodes"] == 13
    assert told["held_out"] == ["2024-07-27", "2024-08-10"]
    assert told["weights_before"] != told["weights_after"]
    assert told["weights_before"] == json.loads((files["run"] / "result.json").read_text())["weights_hash"]
    settings = TrainSettings.of_run(tmp_path / "new")
    assert settings.env.shield
    assert settings.env.history == str(files["history"])
    assert main(arguments(files, tmp_path / "strict", "--margin-pct", "-1000")) == 1
    assert "not taken: the old policy stays" in capsys.readouterr().out


def test_what_has_learnt_nothing_is_not_worse(files: dict[str, Path], tmp_path: Path) -> None:
    settings = updating.settings_for(files["run"], files["history"], None, 14, 512)
    still = replace(settings, agent=replace(settings.agent, learning_rate=1e-12))  # type: ignore[arg-type]
    found = updating.update(files["run"], still, tmp_path / "still", 0.0)
    assert found.is_accepted
    assert np.allclose([found.gain_pct[key] for key in ("mean", "lo", "hi")], 0.0)


def test_the_rule_of_a_residual_policy_goes_along(files: dict[str, Path], tmp_path: Path) -> None:
    content = json.loads((files["run"] / "config.json").read_text())
    env = {**content["env"], "task": "operation", "action": "residual", "rule": {"off_ratio": 2.0}}
    write_json(tmp_path / "config.json", {**content, "env": env})
    settings = updating.settings_for(tmp_path, files["history"], None, 14, 512)
    write_json(tmp_path / "newer" / "config.json", settings.content)  # settings without an end as well
    again = TrainSettings.of_run(tmp_path / "newer").env.load().rule
    assert again == settings.env.load().rule == {**NEUTRAL, "off_ratio": 2.0}


def test_what_cannot_be_updated_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="is shorter than the 40 held-out days"):
        updating.settings_for(files["run"], files["history"], None, 40, 512)
    settings = updating.settings_for(files["run"], files["history"], None, 2, 512)
    with pytest.raises(BadInputError, match="1 held-out episodes; at least 5"):
        updating.update(files["run"], settings, tmp_path / "few", 0.2)
    content = json.loads((files["run"] / "config.json").read_text())
    other = tmp_path / "other"
    other.mkdir()
    agent = {"_target_": "hashgym.agents.learning.learners.EvolutionConfig"}
    (other / "config.json").write_text(json.dumps({**content, "agent": agent}))
    with pytest.raises(BadInputError, match="evolution does not learn step by step"):
        updating.settings_for(other, files["history"], None, 14, 512)
    assert main(arguments(files, tmp_path / "none", "--steps", "0")) == 2
