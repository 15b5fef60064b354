"""A leaderboard: a row is what a bundle did when it was run here, and comes out the same when it is run again."""

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml

from hashgym.advisor.bundle import Bundle
from hashgym.advisor.packing import Origin, pack
from hashgym.agents.learning.learners import EvolutionConfig
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.forms.sb3 import SiteVecEnv
from hashgym.experiments import leaderboard
from hashgym.experiments.cli import main
from hashgym.sim.foundation.errors import BadInputError

pytestmark = pytest.mark.slow

NAME = "georgia_room"


@pytest.fixture(scope="module")
def mapping() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(
        resources.files("hashgym.conf").joinpath("scenario", f"{NAME}.yaml").read_text()
    )
    return content


@pytest.fixture(scope="module")
def bundle(mapping: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bundle of a policy that does what the best rule does."""
    folder = tmp_path_factory.mktemp("bundle") / "still"
    config = EnvConfig(scenario=NAME, task="operation", action="residual")
    env = SiteVecEnv(2, [1, 2], config)
    model = EvolutionConfig(n_envs=2).build(env, env.batch.table, 0)
    origin = Origin(name="still", scenario=mapping, metrics={}, tags={"git.revision": "none"})
    pack(folder, model, config, origin, 0)
    return folder


@pytest.fixture(autouse=True)
def one_episode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaderboard, "EPISODES_A_YEAR", 1)


def test_the_rule_itself_earns_nothing_over_it_and_is_verified(bundle: Path, tmp_path: Path, capsys: Any) -> None:
    board = tmp_path / "board.json"
    args = [
        "evaluate",
        f"scenario={NAME}",
        "env=residual",
        "--submit",
        "the rule",
        f"bundle={bundle}",
        f"board={board}",
        "years=1",
    ]
    assert main(args) == 0
    assert f"written to {board}" in capsys.readouterr().out
    (row,) = json.loads(board.read_text())
    assert row["gain_over_best_rule_pct"] == {
        "mean": pytest.approx(0.0, abs=1e-6),
        "lo": pytest.approx(0.0, abs=1e-6),
        "hi": pytest.approx(0.0, abs=1e-6),
    }
    assert row["net_profit_usd_per_day"]["mean"] == pytest.approx(row["rule_usd_per_day"], rel=1e-6)
    assert {"scenario_hash", "history_hash", "code_hash", "bundle_sha256", "trained", "judged_by"} <= set(row)
    assert main(args) == 0
    assert f"verified: the same as {board}" in capsys.readouterr().out
    assert len(json.loads(board.read_text())) == 1

    rows = json.loads(board.read_text())
    rows[0]["net_profit_usd_per_day"]["mean"] += 1.0
    board.write_text(json.dumps(rows))
    assert main(args) != 0
    assert "net_profit_usd_per_day of 'the rule' on georgia_room came out otherwise" in capsys.readouterr().err


def test_what_is_not_fair_is_refused(
    bundle: Path, mapping: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Bundle(bundle)
    with pytest.raises(BadInputError, match="the bundle is of scenario 'georgia_room', the board's is 'nordic_hydro'"):
        leaderboard.judged(opened, "nordic_hydro", "a", 1)
    seen = {**mapping, "splits": {**mapping["splits"], "train": mapping["splits"]["test"]}}
    monkeypatch.setitem(opened.manifest, "scenario", seen)
    with pytest.raises(BadInputError, match="reaches into the test months"):
        leaderboard.judged(opened, NAME, "a", 1)
    with monkeypatch.context() as patch:
        patch.setattr(leaderboard, "tuned_settings", lambda _: None)
        with pytest.raises(BadInputError, match="no best rule to compare with"):
            leaderboard.judged(opened, NAME, "a", 1)
    (tmp_path / "board.json").write_text("{}")
    with pytest.raises(BadInputError, match="not a leaderboard"):
        leaderboard.read(tmp_path / "board.json")
    assert main(["evaluate", f"scenario={NAME}", "env=residual", "--submit", "a"]) != 0
    assert (
        main(["evaluate", f"scenario={NAME}", "scenario.site.altitude_m=9", "--submit", "a", f"bundle={bundle}"]) != 0
    )


def test_a_name_belongs_to_one_bundle(bundle: Path, tmp_path: Path) -> None:
    board = tmp_path / "board.json"
    row, is_verified = leaderboard.submit(Bundle(bundle), NAME, "a", board, 1)
    assert not is_verified
    board.write_text(json.dumps([{**row, "bundle_sha256": "other"}]))
    with pytest.raises(BadInputError, match="'a' is the name of another bundle"):
        leaderboard.submit(Bundle(bundle), NAME, "a", board, 1)
    assert "| georgia_room | a |" in leaderboard.table([row])
