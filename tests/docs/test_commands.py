"""Every command that README and docs print runs, in a folder in which a small demo has run before.

A command with a placeholder (…, NAME, a|b) is a form: its sub-command and its flags are looked up in the command's own help.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from hashgym.experiments import bench, train
from hashgym.experiments.cli import COMMANDS, main
from tests.docs import tutorial
from tests.experiments.test_jobs import SMALL_DEMO

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHORT = [
    "scenario.history.end='2024-01-15'",
    "scenario.splits.train=['2023-07-03','2023-11-01']",
    "scenario.splits.validation=['2023-11-01','2023-12-01']",
    "scenario.splits.test=['2023-12-01','2024-01-12']",
]
SMALL = {
    "train": ["experiment=smoke", "agent.total_steps=4096", "progress=false", *SHORT],
    "evaluate": ["progress=false", "years=1", *SHORT],
    "export": ["forecast.n_vintages=1", "forecast.n_trees=5", "progress=false", "years=1"],
    "film": ["--steps", "2"],
}
"""What makes a command small."""
ELSEWHERE = {
    "hashgym demo": "tests/experiments/test_jobs.py",
    "hashgym train experiment=beyond_rule": "tests/experiments/test_beyond_rule.py",
    "hashgym evaluate env=residual": "tests/experiments/test_jobs.py, with the demo's run",
    "hashgym evaluate scenario=ercot_battery_old_fleet env=residual --submit": "tests/experiments/test_leaderboard.py",
    "hashgym train agent=iql": "tests/agents/learning/test_offline.py",
    "hashgym train experiment=curriculum": "tests/agents/learning/test_curriculum.py",
    "hashgym update --run": "tests/experiments/test_update.py",
    "hashgym data fetch": "needs the network; tests/sources/test_connectors.py has a server of its own",
    "hashgym data import cache/": "needs what fetch brings",
    "hashgym train history=history/my_site": "needs the tutorial's history, which tests/docs/test_tutorials.py makes",
    "hashgym evaluate scenario=conf/scenario/barn.yaml": "needs the tutorial's run, as above",
    "hashgym evaluate runs=[sweep/0,sweep/1]": "needs the tutorial's sweep, as above",
    "hashgym evaluate runs=[run]": "needs the tutorial's run, as above",
    "hashgym evaluate policies=[rules.act]": "tests/experiments/test_own_parts.py",
    "hashgym train resume=sweep/0": "tests/experiments/test_cli.py",
    "hashgym forecast --ablate": "takes minutes; tests/forecast and tests/experiments hold its parts",
    "hashgym data calibrate": "tests/synthesis holds what it does; needs a year of real history",
    "hashgym bench --full": "takes minutes; without --full it runs here",
}
SPANS = {"backtest": ("2024-06-05", "2024-06-08"), "forecast": ("2024-06-05", "2024-06-28")}
"""Held-out days of the small demo in place of those that the page names."""


def commands() -> Iterator[tuple[str, str]]:
    """Yield page and command: of indented and fenced code, and of text; blocks that tutorials run are left to them."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        name = str(page.relative_to(ROOT))
        if page.parent.name == "tutorials":
            for block in tutorial.blocks(page):
                text = text.replace(block.code, "")
        text = re.sub(r" *\\\n *", " ", text)
        found = re.findall(r"^(?:    |\t)?(hashgym (?:" + "|".join(COMMANDS) + r")\b[^\n`]*)$", text, re.MULTILINE)
        found += re.findall(r"`(hashgym (?:" + "|".join(COMMANDS) + r")\b[^`\n]*)`", text)
        for command in found:
            yield name, re.sub(r"\s{2,}#.*$| +#.*$", "", command).strip().rstrip(".;,")


FOUND = sorted(set(commands()))
IS_FORM = re.compile(r"…|\b[A-Z]{3,}\b|\||^hashgym \w+$(?<!bench)|^hashgym data \w+$")
RUN = [
    pair for pair in FOUND if not IS_FORM.search(pair[1]) and not any(pair[1].startswith(words) for words in ELSEWHERE)
]
FORMS = [pair for pair in FOUND if IS_FORM.search(pair[1])]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reader")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(train, "HELD_YEARS", 1)
        assert main(["demo", *SMALL_DEMO, "tracking=mlflow", "years=1"]) == 0
        assert (
            main(["train", *SMALL["train"], "warm_start.teacher=null", "validations=0", "hydra.run.dir=outputs/run"])
            == 0
        )
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("command", sorted({command for _, command in RUN}))
def test_a_command_of_the_pages_runs(
    command: str, workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workplace)
    monkeypatch.setattr(bench, "_SPAN_S", 0.02)
    monkeypatch.setattr(bench, "_PPO_STEPS", 65_536)
    args = shlex.split(command)[1:]
    args += SMALL.get(args[0], [])
    args = [arg.replace("hydra.run.dir=outputs/run", "hydra.run.dir=outputs/another") for arg in args]
    if args[0] in SPANS:
        for flag, day in zip(("--start", "--end"), SPANS[args[0]], strict=True):
            args[args.index(flag) + 1] = day
    if args[:2] == ["data", "synthesize"]:
        args[args.index("--end") + 1] = "2023-07-10"
    if args[:2] == ["data", "rollouts"]:
        args += ["--episodes", "1", "--steps", "12", "--policy", "always_on"]
    assert main(args) == 0, capsys.readouterr().err


@pytest.mark.parametrize("command", sorted({command for _, command in FORMS}))
def test_a_form_of_a_command_names_what_there_is(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = command.split()[1:]
    assert words[0] in COMMANDS
    if words[0] == "data" and len(words) > 1:
        for name in words[1].split("|"):
            with pytest.raises(SystemExit):
                main(["data", name, "--help"])
    elif any(word.startswith("--") for word in words):
        with pytest.raises(SystemExit):
            main([words[0], "--help"])
    told = capsys.readouterr().out
    for flag in re.findall(r"--[a-z-]+", command):
        assert flag in told, flag


def test_what_is_left_to_others_is_still_printed() -> None:
    for words in ELSEWHERE:
        assert any(command.startswith(words) for _, command in FOUND), words
