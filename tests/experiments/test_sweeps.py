"""Sweeps: a launcher that an experiment names, jobs that fail, the same command once more, lists with blanks."""

import json
from pathlib import Path

import pytest
import yaml

from hashgym.experiments.cli import main
from tests.experiments.test_own_parts import SITE

TINY = [
    "scenario=site.yaml", "experiment=smoke", "agent.total_steps=2048", "progress=false", "warm_start.teacher=null", "validations=0",
    "tracking=none",
]  # fmt: skip


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site.yaml").write_text(yaml.safe_dump(SITE))
    return tmp_path


def weights(folder: Path) -> str:
    return str(json.loads((folder / "result.json").read_text())["weights_hash"])


@pytest.mark.slow
def test_a_failed_job_is_named_the_others_finish_and_the_same_command_does_what_is_missing(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "-m", "agent.batch_size=1024,1000,2048", *TINY]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "job 1 (agent.batch_size=1000" in said
    assert "it must divide n_envs × n_steps = 2048" in said
    (sweep,) = (workplace / "outputs" / "sweep").iterdir()
    assert "it must divide" in (sweep / "1" / "failed.txt").read_text()
    assert "failed: agent.batch_size is 1000" in (sweep / "1" / "job.log").read_text()
    before = {name: ((sweep / name / "result.json").stat().st_mtime_ns, weights(sweep / name)) for name in ("0", "2")}
    # One of the finished ones had been killed before its end.
    (sweep / "2" / "result.json").unlink()
    assert main(command) == 2
    assert [path.name for path in (workplace / "outputs" / "sweep").iterdir()] == [sweep.name]
    assert (sweep / "0" / "result.json").stat().st_mtime_ns == before["0"][0]
    assert weights(sweep / "2") == before["2"][1]
    assert not (sweep / "0" / "failed.txt").exists()


def test_another_configuration_in_the_same_folder_is_refused(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "sweep" / "0").mkdir(parents=True)
    (workplace / "sweep" / "0" / "config.json").write_text('{"seed": 9}')
    assert main(["train", "-m", "seed=1", *TINY, "hydra.sweep.dir=sweep"]) == 2
    assert "holds a run of another configuration" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("override /hydra/launcher: joblib", 0, "Joblib.Parallel"),
        (
            "override hydra/launcher: joblib",
            2,
            "Could not override 'experiment/hydra/launcher@hydra.launcher'",
        ),
    ],
)
def test_a_launcher_of_an_experiment_is_used_or_refused(
    line: str, code: int, said: str, workplace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (workplace / "conf" / "experiment").mkdir(parents=True)
    (workplace / "conf" / "experiment" / "wide.yaml").write_text(
        f"# @package _global_\ndefaults:\n  - {line}\nagent: {{net_arch: [8, 8]}}\n"
    )
    args = [arg for arg in TINY if not arg.startswith("experiment=")]
    small = ["agent.n_envs=16", "agent.n_steps=32", "agent.batch_size=512"]
    assert main(["train", "--config-dir", "conf", "-m", "experiment=wide", "seed=0,1", *args, *small]) == code
    out = capfd.readouterr()
    assert said in out.out + out.err


@pytest.mark.parametrize(
    ("given", "named"), [("runs=[a, b]", "a"), ("runs=['a b']", "a b"), ("runs=a", "a"), ("runs='a b'", "a b")]
)
def test_lists_with_blanks_and_a_single_run(
    given: str, named: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "scenario=site.yaml", given, "progress=false"]) == 2
    assert capsys.readouterr().err.startswith(f"hashgym evaluate: {named} has no config.json")


def test_two_files_of_one_name_are_refused(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workplace / "other").mkdir()
    (workplace / "other" / "site.yaml").write_text(yaml.safe_dump(SITE))
    assert main(["train", "-m", "scenario=site.yaml,other/site.yaml", *TINY[1:]]) == 2
    assert "one of two scenarios named 'site'; rename the file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("experiment=smok", "did you mean experiment=smoke?"),
        (
            "scenario=west_texas_ai",
            "did you mean scenario=west_texas_air?\n  a scenario of your own is named by its file",
        ),
        ("agent.totl_steps=5", "no key 'agent.totl_steps'; `hashgym train --cfg job` shows those there are"),
    ],
)
def test_what_hydra_does_not_know_is_told_plainly(
    override: str, said: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", override]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "\t" not in err
    assert "Config search path" not in err
