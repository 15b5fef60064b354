"""The one reader of configurations: overrides arrive, wrong ones are named, finished runs of old names still load."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hashgym.agents.learning.learners import PpoConfig
from hashgym.envs.batch import rewards
from hashgym.envs.scenario import scenario as scenarios
from hashgym.experiments import targets
from hashgym.experiments.settings import TrainSettings, env_config
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.foundation.files import write_json
from hashgym.sim.foundation.renamed import MOVED, new_target, renewed
from tests.experiments.test_jobs import composed


def forbid_histories(patch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a history was made")

    patch.setattr(scenarios, "synthesize", refuse)


def test_overrides_arrive_as_values_and_no_history_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    forbid_histories(monkeypatch)
    settings = TrainSettings.of(
        composed("train", "agent.learning_rate=0.01", "env.stack=3", "seed=7", "validations=2", "reward=cvar")
    )
    assert isinstance(settings.agent, PpoConfig)
    assert (settings.agent.learning_rate, settings.env.stack) == (0.01, 3)
    assert (settings.schedule.seed, settings.schedule.validations) == (7, 2)
    assert settings.env.reward == rewards.Cvar(0.1, 0.0)
    assert (settings.teacher, settings.clone_steps, settings.tracking["kind"]) == ("hysteresis", 384, "mlflow")
    assert (settings.env.split, env_config(settings.content, "test").split) == ("train", "test")


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"env": {"limits": {}}}, "unknown key 'env.limits'; 'limits' is now 'thresholds'; there are action"),
        ({"env": {"stak": 3}}, "unknown key 'env.stak'; did you mean 'stack'"),
        ({"reward": {"name": "glory"}}, "reward is 'glory'"),
        (
            {"reward": {"_target_": "hashgym.envs.batch.rewards.Glory"}},
            "reward: 'hashgym.envs.batch.rewards.Glory' could not be found",
        ),
        (
            {"agent": {"_target_": "hashgym.agents.learning.learners.PpoConfig", "gama": 1.0}},
            "agent: unknown key 'gama'; did you mean 'gamma'",
        ),
        ({"warm_start": {"teachr": None}}, "unknown key 'warm_start.teachr'; did you mean 'teacher'"),
    ],
)
def test_what_nothing_reads_is_named(part: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        TrainSettings.of({**composed("train"), **part})


def test_a_finished_run_of_old_names_still_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid_histories(monkeypatch)
    now = composed("train", "scenario=georgia_room")
    old = composed("train", "scenario=georgia_room")
    old["reward"] = {"_target_": "hashgym.envs.rewards.CarbonAdjusted", "usd_per_t": 40.0}
    counted = {"_target_": "hydra.utils.get_method", "path": "numpy.zeros"}
    old["env"]["costs"] = [{"_target_": "hashgym.envs.config.UserCost", "name": "thirst", "count": counted}]
    old["env"]["limits"] = {"power_ramp": 0.1}
    del old["env"]["thresholds"]
    old["scenario"]["limits"] = {"chip_over_temp": 75.0}
    write_json(tmp_path / "config.json", old)
    monkeypatch.chdir(tmp_path)
    (tmp_path / targets.ALLOWED).write_text("# what we trust\nnumpy.zeros\n")
    settings = TrainSettings.of_run(tmp_path)
    assert settings.env.reward == rewards.CarbonAdjusted(40.0)
    assert settings.env.costs[0].name == "thirst"
    assert settings.env.costs[0].count is np.zeros
    assert settings.env.thresholds == {"power_ramp": 0.1}
    assert settings.content["scenario"] == {**now["scenario"], "thresholds": {"chip_over_temp": 75.0}}
    # A run that is not of old names is taken as it stands.
    assert renewed(now) == now


def test_old_targets_are_taken_by_hand_as_well() -> None:
    config = composed("train")
    config["reward"] = {"_target_": "hashgym.envs.rewards.Cvar", "alpha": 0.2}
    assert env_config(config, "train").reward == rewards.Cvar(0.2)


@pytest.mark.parametrize("module", sorted(set(MOVED.values())))
def test_every_module_that_moved_is_where_the_table_says(module: str) -> None:
    path = Path(__file__).resolve().parents[2].joinpath(*module.split(".")[1:]).with_suffix(".py")
    assert path.is_file()
    assert new_target(f"{module}.Name") == f"{module}.Name"


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="has no config.json; name the folder of a training run"):
        TrainSettings.of_run(tmp_path)
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(BadInputError, match="not the configuration of a training run"):
        TrainSettings.of_run(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(BadInputError, match="config.json: not readable"):
        TrainSettings.of_run(tmp_path)


def sentinel(folder: Path) -> Path:
    """Write a module that leaves a file behind when it is imported; returns the file."""
    (folder / "evil.py").write_text(f"open({str(folder / 'touched')!r}, 'w').close()\ndef f(*_, **__): return 1\n")
    return folder / "touched"


@pytest.mark.parametrize(
    "entry",
    [
        {"_target_": "evil.f"},
        {"_target_": "os.system", "_args_": ["touch touched"]},
        {"_target_": "builtins.open", "_args_": ["touched", "w"]},
        {"_target_": "pandas.read_pickle", "filepath_or_buffer": "x"},
        {"_target_": "joblib.load", "filename": "x"},
        {"_target_": "hashgym.sim.foundation.files.write_text", "path": "touched", "content": ""},
        {"_target_": "hydra.utils.get_method", "path": "evil.f"},
        {"_target_": "hashgym.envs.batch.rewards.Cvar", "alpha": {"_target_": "evil.f"}},
        {"_target_": "hydra.utils.instantiate", "config": {"_target_": "evil.f"}},
    ],
)
@pytest.mark.parametrize("place", ["reward", "costs", "agent"])
def test_a_strangers_run_makes_nothing_that_is_not_ours(
    entry: dict[str, Any], place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    touched, config = sentinel(tmp_path), composed("train", "tracking=none")
    if place == "costs":
        config["env"]["costs"] = [{"_target_": "hashgym.envs.batch.config.UserCost", "name": "thirst", "count": entry}]
    else:
        config[place] = entry
    write_json(tmp_path / "config.json", config)
    with pytest.raises(
        BadInputError, match=r"is none of hashgym's own; if you trust it, add the line|agent._target_ is"
    ) as caught:
        TrainSettings.of_run(tmp_path)
    assert "\n" not in str(caught.value)
    assert not touched.exists()
    assert "evil" not in sys.modules


def test_nothing_of_a_strangers_run_is_interpolated(tmp_path: Path) -> None:
    config = composed("train", "tracking=none")
    config["reward"] = {"_target_": "hashgym.envs.batch.rewards.Cvar", "alpha": 0.1, "var_usd": "${oc.env:PATH}"}
    write_json(tmp_path / "config.json", config)
    assert TrainSettings.of_run(tmp_path).env.reward == rewards.Cvar(0.1, "${oc.env:PATH}")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "conf" / "experiment").glob("*.yaml")), ids=lambda path: path.stem
)
def test_every_experiment_composes_and_says_its_command(path: Path) -> None:
    settings = TrainSettings.of(composed("train", f"experiment={path.stem}"))
    assert settings.agent.n_envs >= 1
    lines = path.read_text(encoding="utf-8").splitlines()
    assert f"experiment={path.stem}" in lines[1]
    if path.stem == "published_hashrate":
        assert [stage.until_step for stage in settings.stages] == [2_000_000, 5_000_000]
        assert settings.env.stack == 12
