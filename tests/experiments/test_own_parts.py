"""Parts of one's own: a learner of another library, a factory, a function as a policy, a scenario by its file."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hashgym.advisor.bundle import Bundle
from hashgym.agents.learning import learners
from hashgym.agents.learning.learners import OtherConfig
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.experiments.cli import main
from hashgym.experiments.policies import policy_of
from hashgym.sim.foundation.errors import BadInputError
from tests.conftest import SMALL

SITE = {
    **SMALL,
    "name": "mine",
    "history": {"region": "ercot", "start": "2024-06-01", "end": "2024-07-02", "seed": 3},
    "splits": {
        "train": ["2024-06-03", "2024-06-12"],
        "validation": ["2024-06-12", "2024-06-20"],
        "test": ["2024-06-20", "2024-07-01"],
    },
    "episode_days": 1,
}
QUIET = ["progress=false", "tracking=none"]
LEARNERS = {
    "a2c": ["agent._target_=stable_baselines3.A2C", "+agent.n_steps=8"],
    "trpo": ["agent._target_=sb3_contrib.TRPO", "+agent.n_steps=16", "+agent.batch_size=32"],
    "recurrentppo": [
        "agent._target_=sb3_contrib.RecurrentPPO", "+agent.policy=MlpLstmPolicy", "+agent.n_steps=16", "+agent.batch_size=32",
    ],
    "mine": ["agent._target_=parts.make", "+agent.n_steps=8"],
}  # fmt: skip
PARTS = """
import numpy as np
from stable_baselines3 import A2C

def make(policy, env, **options):
    return A2C(policy, env, **options)

def act(batch):
    return np.full((batch.n_envs, batch.n_zones), 9)

act.action = "profile"

def wrong(batch):
    return np.zeros(3)
"""


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("parts", None)
    (tmp_path / "parts.py").write_text(PARTS)
    (tmp_path / "site.yaml").write_text(yaml.safe_dump(SITE))
    (tmp_path / "agent.yaml").write_text("")
    return tmp_path


def bare(name: str) -> list[str]:
    """Return the overrides of a learner: the agent's own keys of PPO are left out."""
    ppo = [
        "n_epochs",
        "learning_rate",
        "is_learning_rate_linear",
        "gae_lambda",
        "clip_range",
        "ent_coef",
        "vf_coef",
        "max_grad_norm",
        "gamma",
    ]
    return [*(f"~agent.{key}" for key in [*ppo, "n_steps", "batch_size", "name"]), *LEARNERS[name]]


@pytest.mark.slow
@pytest.mark.parametrize("name", list(LEARNERS))
def test_any_learner_trains_is_judged_filmed_and_exported(
    name: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = [
        "train", "scenario=./site.yaml", *bare(name), "agent.total_steps=512", "agent.n_envs=4", "warm_start.teacher=null",
        "validations=1", "checkpoint_steps=256", *QUIET, "hydra.run.dir=run",
    ]  # fmt: skip
    assert main(args) == 0, capsys.readouterr().err
    assert json.loads(Path("run/result.json").read_text())["steps"] >= 512
    if name == "mine":
        assert main(["evaluate", "scenario=./site.yaml", "runs=run", "progress=false"]) == 2
        assert (
            "'parts.make' is none of hashgym's own; if you trust it, add the line parts.make" in capsys.readouterr().err
        )
        Path("hashgym_targets.txt").write_text("parts.make\n")
    assert main(["evaluate", "scenario=./site.yaml", "runs=run", "progress=false", "--json", "e.json"]) == 0, (
        capsys.readouterr().err
    )
    judged = json.loads(Path("e.json").read_text())
    called = "make" if name == "mine" else name
    assert "gain_over_best_rule_pct" in judged["policies"][called]
    assert judged["best_rule"] != called
    assert main(["film", "--policy", "run", "--steps", "3", "--out", "f.html"]) == 0, capsys.readouterr().err
    assert Path("f.html").stat().st_size > 1000
    code = main(["export", "run=run", "forecast=null", "tracking=none"])
    if name == "recurrentppo":
        assert code == 2
        assert "a RecurrentActorCriticPolicy cannot be exported" in capsys.readouterr().err
    else:
        assert code == 0, capsys.readouterr().err
        assert Bundle("run/bundle").n_zones == 1


@pytest.mark.slow
def test_a_learner_that_remembers_goes_on_as_unbroken(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = [
        "train", "scenario=./site.yaml", *bare("recurrentppo"), "agent.n_envs=4", "warm_start.teacher=null", "validations=0",
        "checkpoint_steps=128", *QUIET,
    ]  # fmt: skip
    assert main([*args, "agent.total_steps=512", "hydra.run.dir=whole"]) == 0
    assert main([*args, "agent.total_steps=256", "hydra.run.dir=broken"]) == 0
    config = json.loads(Path("broken/config.json").read_text())
    config["agent"]["total_steps"] = 512
    Path("broken/config.json").write_text(json.dumps(config))
    assert main(["train", "resume=broken"]) == 0, capsys.readouterr().err
    whole, broken = (json.loads(Path(name, "result.json").read_text()) for name in ("whole", "broken"))
    assert whole["weights_hash"] == broken["weights_hash"]


def test_a_function_is_a_policy(workplace: Path) -> None:
    config, policy = policy_of("parts.act", EnvConfig(scenario=SMALL), 0)
    assert (policy.name, policy.action, config.action) == ("act", "profile", "profile")
    batch = Batch(config, 2)
    batch.seed([1, 2])
    batch.reset()
    assert policy.act(batch).tolist() == [[9], [9]]
    _, wrong = policy_of("parts.wrong", EnvConfig(scenario=SMALL), 0)
    with pytest.raises(BadInputError, match=r"policy wrong: actions have shape \(3,\); they must have \(2, 1\)"):
        wrong.act(batch)
    with pytest.raises(BadInputError, match="no policy 'hystersis'; did you mean 'hysteresis'"):
        policy_of("hystersis", EnvConfig(scenario=SMALL), 0)


@pytest.mark.slow
def test_a_function_is_judged_beside_the_rules(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "scenario=./site.yaml", "policies=[parts.act]", "progress=false"]) == 0, (
        capsys.readouterr().err
    )
    assert "act" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"_target_": "os.system"}, "agent._target_ is 'os.system'; it must be one of"),
        ({"_target_": "stable_baselines3.A3C"}, "agent._target_ is 'stable_baselines3.A3C'"),
        ({"_target_": "stable_baselines3.common.save_util.load_from_pkl"}, "agent._target_ is 'stable_baselines3.common"),
        ({"_target_": "hashgym.agents.learning.learners.PpoConfig", "learning_rate": -1}, "agent.learning_rate is -1; it must be above 0"),
        ({"_target_": "hashgym.agents.learning.learners.PpoConfig", "learning_rate": "fast"}, "agent.learning_rate is 'fast'; it must be a number"),
        ({"_target_": "hashgym.agents.learning.learners.PpoConfig", "n_envs": 0}, "agent.n_envs is 0; it must be 1 or more"),
        ({"_target_": "hashgym.agents.learning.learners.PpoConfig", "gamma": 2}, "agent.gamma is 2; it must be between 0 and 1"),
        ({"_target_": "hashgym.agents.learning.learners.PpoConfig", "net_arch": [64, "a"]}, r"agent.net_arch is \(64, 'a'\); it must be a list"),
        ({"_target_": "hashgym.agents.learning.learners.PpoConfig", "net_arch": [60000, 60000]}, "each of 1 to 4096 units"),
    ],
)  # fmt: skip
def test_learners_that_are_none_are_named(entry: dict[str, Any], message: str) -> None:
    import os

    entry = {
        key: tuple(value) if isinstance(value, list) and "a" not in value else value for key, value in entry.items()
    }
    with pytest.raises(BadInputError, match=message):
        learners.from_mapping(entry, lambda name: os.system if name == "os.system" else None)


def test_a_librarys_learner_keeps_its_arguments() -> None:
    found = learners.from_mapping(
        {"_target_": "stable_baselines3.A2C", "total_steps": 10, "n_steps": 8, "net_arch": [8]}
    )
    assert isinstance(found, OtherConfig)
    assert (found.name, found.total_steps, found.net_arch, found.arguments) == ("a2c", 10, (8,), {"n_steps": 8})


def test_settings_of_the_wrong_kind_are_said_at_once(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = [
        "train",
        "scenario=./site.yaml",
        "seed=abc",
        "agent.learning_rate=-1",
        "validations=many",
        "checkpoint_steps=-5",
        *QUIET,
    ]
    assert main([*args, "hydra.run.dir=run"]) == 2
    said = capsys.readouterr().err
    for part in ("seed is 'abc'; it must be a whole number", "agent.learning_rate is -1", "validations is 'many'"):
        assert part in said
    assert "Traceback" not in said
    assert not Path("run").exists()


@pytest.mark.slow
def test_the_working_folder_is_on_the_path_of_the_command(workplace: Path) -> None:
    script = "import sys; from hashgym.experiments.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, "film", "--policy", "parts.act", "--scenario", "site.yaml", "--steps", "2", "--out", "f.html"],
        cwd=workplace, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert np.isfinite(Path(workplace, "f.html").stat().st_size)


def test_the_horizons_of_a_learner_are_told_in_hours() -> None:
    from types import SimpleNamespace

    ppo: Any = SimpleNamespace(gamma=0.995, gae_lambda=0.95)
    assert learners.horizons_h(ppo) == pytest.approx({"gamma": 200 / 12, "gamma_lambda": 1 / (1 - 0.995 * 0.95) / 12})
    assert learners.horizons_text(learners.horizons_h(ppo)) == "16.7 h (1/(1-γ)), 1.5 h (1/(1-γλ))"
    sac: Any = SimpleNamespace(gamma=0.99)
    assert list(learners.horizons_h(sac)) == ["gamma"]


@pytest.mark.slow
def test_wrappers_are_seen_through_and_go_on_as_unbroken(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrapper = "env.wrappers=[{_target_: stable_baselines3.common.vec_env.VecNormalize, norm_obs: false, gamma: 0.995}]"
    args = [
        "train", "scenario=./site.yaml", "experiment=smoke", "agent.n_envs=16", "agent.n_steps=32", "agent.batch_size=512",
        "warm_start.teacher=null", "validations=0", "checkpoint_steps=512", *QUIET,
    ]  # fmt: skip
    assert main([*args, wrapper, "agent.total_steps=2048", "hydra.run.dir=whole"]) == 0, capsys.readouterr().err
    assert main([*args, "agent.total_steps=2048", "hydra.run.dir=bare"]) == 0
    assert (
        main([*args, wrapper, "agent.total_steps=1024", "agent.is_learning_rate_linear=false", "hydra.run.dir=broken"])
        == 0
    )
    assert (
        main([*args, wrapper, "agent.total_steps=2048", "agent.is_learning_rate_linear=false", "hydra.run.dir=same"])
        == 0
    )
    config = json.loads(Path("broken/config.json").read_text())
    config["agent"]["total_steps"] = 2048
    Path("broken/config.json").write_text(json.dumps(config))
    assert main(["train", "resume=broken"]) == 0, capsys.readouterr().err
    hashes = {
        name: json.loads(Path(name, "result.json").read_text())["weights_hash"]
        for name in ("whole", "bare", "broken", "same")
    }
    assert hashes["whole"] != hashes["bare"]
    assert hashes["broken"] == hashes["same"]
    stacked = "env.wrappers=[{_target_: stable_baselines3.common.vec_env.VecFrameStack, n_stack: 2}]"
    assert main([*args, stacked, "agent.total_steps=512", "hydra.run.dir=stacked"]) == 2
    assert "VecFrameStack changes observations or actions; env.stack" in capsys.readouterr().err
