"""Training, tracking, evaluation, demo and bench with their real parts, in small."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from benchmarks import history
from hashgym.advisor.bundle import Bundle
from hashgym.agents.learning import learners
from hashgym.agents.learning.learners import EvolutionConfig, HindsightConfig, OfflineConfig, PpoConfig, SacConfig
from hashgym.agents.learning.training import load_policy
from hashgym.envs.batch import tables
from hashgym.envs.batch.core import Batch
from hashgym.envs.scenario.scenario import from_mapping
from hashgym.evaluation.paired import run
from hashgym.evaluation.summary import judge
from hashgym.experiments import bench, tracking
from hashgym.experiments import train as train_module
from hashgym.experiments.cli import main
from hashgym.experiments.reports.table import policy_table
from hashgym.experiments.settings import TrainSettings, env_config
from hashgym.experiments.train import train
from hashgym.forecast.fitting import FitConfig
from hashgym.sim.foundation.errors import BadInputError, CheckpointError
from hashgym.sim.foundation.files import write_json, write_text

CONF = Path(__file__).resolve().parents[2] / "conf"
SHORT = [
    "scenario.history.end='2024-01-15'",
    "scenario.splits.train=['2023-07-03','2023-11-01']",
    "scenario.splits.validation=['2023-11-01','2023-12-01']",
    "scenario.splits.test=['2023-12-01','2024-01-12']",
    "progress=false",
]

SMALL_RULE = [
    "scenario=ercot_battery_old_fleet",
    "scenario.history.end='2024-07-15'",
    "scenario.splits.train=['2024-01-03','2024-03-25']",
    "scenario.splits.validation=['2024-03-25','2024-04-12']",
    "scenario.splits.test=['2024-06-01','2024-07-12']",
    "env.rule={off_ratio: 5.0, on_ratio: 0.7, peak_ratio: 0.985, family: 1.0, variant: 1.0, buy_share: 1.3, cheap_usd: 3.0}",
    "env.randomize.histories=1",
    "progress=false",
]
"""A battery beside old machines over half a year, with a rule of its own since none was searched for it."""
SMALL_DEMO = [
    "experiment=smoke", *SMALL_RULE, "forecast.n_vintages=1", "forecast.n_trees=10", "warm_start.steps=24", "validations=1",
]  # fmt: skip


def composed(name: str, *overrides: str) -> dict[str, Any]:
    with initialize_config_module("hashgym.conf", version_base="1.3"):
        config: Any = OmegaConf.to_container(compose(name, list(overrides)), resolve=True)
    return config


GROUPS = [f"{path.parent.name}={path.stem}" for path in sorted(CONF.glob("*/*.yaml"))]


PLAIN_EXPERIMENTS = [
    f"experiment={name}" for name in ("smoke", "curriculum", "published_cooling", "published_hashrate")
]
"""Experiments that look at train's own actions."""

ENVS_OF_EXPERIMENTS = {
    "beyond_rule": "residual",
    "published_cooling": "cooling",
    "published_hashrate": "hashrate_stacked",
}
"""Environments of experiments that choose one."""


def named(override: str, group: str) -> str:
    """Return the name that an override chooses in a group, "" where it is of another group."""
    return override.removeprefix(f"{group}=") if override.startswith(f"{group}=") else ""


@pytest.mark.parametrize("override", GROUPS)
def test_every_yaml_composes_and_instantiates(override: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # A task that chooses among coins needs a scenario with several markets.
    world = ["scenario=scrypt_shed"] if override == "env=coin" else []
    # What only looks at the environment or the reward is composed on train, whose action is not a rule's; the demo's own choice moves one.
    few = ["env.randomize.histories=1"] if override in ("env=residual", "experiment=beyond_rule") else []
    is_plain = override.partition("=")[0] in ("agent", "env", "reward", "scenario") or override in PLAIN_EXPERIMENTS
    config = composed(
        "train" if is_plain else "demo", *([] if is_plain else world), override, *(world if is_plain else []), *few
    )
    assert is_plain or FitConfig(**config["forecast"]).n_trees > 0
    assert isinstance(
        learners.from_mapping(config["agent"]),
        PpoConfig | SacConfig | HindsightConfig | EvolutionConfig | OfflineConfig,
    )
    if kind := named(override, "tracking"):
        # A store of its own: MLflow keeps one open by its URI, and the usual one is relative to the folder.
        store = {**config["tracking"], "uri": f"sqlite:///{tmp_path / 'mlflow.db'}"}
        tracker = tracking.open_tracker(store, "t", {"seed": 1}, {}, None)
        tracker.close("FINISHED")
        assert (tracker.run_id is None) == (kind == "none")
    if override.endswith("_replay"):
        with pytest.raises(BadInputError, match="hashgym data import"):
            from_mapping(config["scenario"])
    elif override.partition("=")[0] in ("env", "reward", "scenario", "experiment"):
        _plays(override, config)


def _plays(override: str, config: dict[str, Any]) -> None:
    """Build the environment of a configuration, step it, and hold what the override chose."""
    options = env_config(config, "train")
    batch = Batch(options, 2)
    batch.seed([1, 2])
    batch.reset()
    space = batch.action_space()
    space.seed(0)
    for _ in range(3):
        batch.step(np.stack([space.sample(), space.sample()]))
    assert batch.obs.shape == (2, len(batch.table))
    assert np.isfinite(batch.reward).all()
    env = named(override, "env") or ENVS_OF_EXPERIMENTS.get(named(override, "experiment"), "hashrate")
    assert options.task == ("operation" if env == "residual" else env.removesuffix("_stacked"))
    assert options.stack == (12 if env.endswith("stacked") else 1)
    if reward := named(override, "reward"):
        made = options.reward if isinstance(options.reward, str) else type(options.reward).__name__
        assert made.replace("_", "").lower() == reward.replace("_", "")
    if scenario := named(override, "scenario"):
        assert batch.scenario.name == scenario


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("run")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    config = composed(
        "train", "experiment=smoke", *SHORT, f"tracking.uri='{uri}'", "warm_start.steps=32", "validations=2"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train(TrainSettings.of(config), folder / "run")
    return folder / "run", config


@pytest.mark.slow
def test_a_run_leaves_its_files_and_an_mlflow_run(trained: tuple[Path, dict[str, Any]]) -> None:
    run_dir, config = trained
    assert {"config.json", "curve.csv", "result.json", "checkpoints"} <= {path.name for path in run_dir.iterdir()}
    result = json.loads((run_dir / "result.json").read_text())
    client = mlflow.MlflowClient(config["tracking"]["uri"])
    experiment = client.get_experiment_by_name("hashgym")
    assert experiment is not None
    run = client.search_runs([experiment.experiment_id])[0]
    assert run.info.status == "FINISHED"
    assert run.data.params["agent.n_envs"] == "64"
    assert run.data.tags["history.hash"] == result["history.hash"]
    assert "git.revision" in run.data.tags
    assert run.data.metrics["warm_start/agreement"] > 0.0
    points = client.get_metric_history(run.info.run_id, "train/profit_usd_per_day")
    curve = pd.read_csv(run_dir / "curve.csv")
    assert len(points) == curve["train/profit_usd_per_day"].count() > 2
    assert curve["validation/profit_usd_per_day"].count() == len(
        client.get_metric_history(run.info.run_id, "validation/profit_usd_per_day")
    )
    assert "validation/profit_usd_per_day" in run.data.metrics


@pytest.mark.slow
def test_evaluation_is_paired_and_below_the_bound(trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    run_dir, config = trained
    settings = TrainSettings.of(config)
    policy = load_policy(run_dir, settings.agent, settings.env)
    summary = judge(replace(settings.env, reward="profit", split="test"), [policy], 0, years=2)
    write_json(tmp_path / "e.json", summary)
    names = set(summary["policies"])
    assert {
        "ppo",
        "always_on",
        "best_efficiency",
        "break_even",
        "profile_by_price",
        "hysteresis",
        "strike",
        "foresight_6h",
    } == names
    most = summary["bound"]["net_profit_usd_per_day"]["mean"]
    for entry in summary["policies"].values():
        profit = entry["net_profit_usd_per_day"]
        assert profit["lo"] <= profit["mean"] <= profit["hi"]
        assert profit["mean"] <= most
        assert tuple(entry["costs"]) == tables.COST_NAMES
    gain = summary["policies"]["always_on"]["gain_over_always_on_pct"]
    assert gain == {"mean": 0.0, "lo": 0.0, "hi": 0.0}
    assert "ppo" in policy_table(summary)


@pytest.mark.slow
def test_evaluate_command_takes_json_and_refuses_another_site(
    trained: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_dir, _ = trained
    monkeypatch.chdir(tmp_path)
    short = [entry for entry in SHORT if "progress" not in entry]
    assert main(["evaluate", *short, "years=2", f"runs=['{run_dir}']", "--json", "e.json"]) == 0
    content = json.loads((tmp_path / "e.json").read_text())
    assert "ppo" in content["policies"]
    assert content["bound"]["net_profit_usd_per_day"]["mean"] > 0.0
    assert main(["evaluate", *short, "scenario.site.altitude_m=0.0", f"runs=['{run_dir}']"]) == 2
    assert "was trained on scenario" in capsys.readouterr().err
    assert main(["evaluate", *short, "env.forecast=none", f"runs=['{run_dir}']"]) == 2
    assert "env.forecast=day_ahead" in capsys.readouterr().err
    assert main(["evaluate", "--json"]) == 2


@pytest.mark.slow
def test_sac_trains_on_the_box_action(tmp_path: Path) -> None:
    config = composed(
        "train",
        "agent=sac",
        "env.action=box",
        "env.episode_steps=96",
        "tracking=none",
        "warm_start.teacher=null",
        *SHORT,
        "agent.total_steps=2000",
        "agent.n_envs=16",
        "agent.learning_starts=200",
        "agent.batch_size=64",
        "validations=1",
    )
    settings = TrainSettings.of(config)
    result = train(settings, tmp_path / "run")
    assert load_policy(tmp_path / "run", settings.agent, settings.env).name == "sac"
    assert result.curve[-1]["step"] == 2000


def test_wrong_settings_of_a_run_are_named(tmp_path: Path) -> None:
    config = composed("train", "experiment=smoke", "tracking=none", *SHORT)
    with pytest.raises(BadInputError, match="warm_start.teacher is 'bound'"):
        TrainSettings.of({**config, "warm_start": {"teacher": "bound", "steps": 1}})
    with pytest.raises(BadInputError, match="tracking.kind is 'paper'"):
        train(TrainSettings.of({**config, "tracking": {"kind": "paper"}}), tmp_path / "b")
    with pytest.raises(BadInputError, match="_target_ is 'os.system'"):
        TrainSettings.of({**config, "agent": {"_target_": "os.system"}})
    with pytest.raises(BadInputError, match="needs agent=ppo and env.action=discrete"):
        train(TrainSettings.of({**config, "env": {**config["env"], "action": "box"}}), tmp_path / "b")
    assert not any(tmp_path.iterdir())
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load_policy(tmp_path / "c", PpoConfig(), TrainSettings.of(config).env)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.names: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]


@pytest.mark.slow
def test_demo_leaves_a_summary_and_a_self_contained_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train_module, "HELD_YEARS", 1)
    assert main(["demo", *SMALL_DEMO, "years=2"]) == 0
    out = tmp_path / "outputs" / "demo"
    summary = json.loads((out / "summary.json").read_text())
    assert {"policies", "history", "seconds"} <= set(summary)
    assert {"ppo", "operator", "hysteresis", "always_on"} <= set(summary["policies"])
    assert summary["history"]["kind"] == "synthetic"
    for entry in summary["policies"].values():
        assert {"mean", "lo", "hi"} == set(entry["net_profit_usd_per_day"]) == set(entry["gain_over_always_on_pct"])
        assert {"costs", "trips"} <= set(entry)
    page = Tags()
    page.feed((out / "report.html").read_text())
    assert page.names.count("img") in (5, 6)  # the sixth shows the gains, where something is advised
    advice = json.loads((out / "advice.json").read_text())
    assert {"schema_version", "advice", "abstentions", "rejected_rows"} <= set(advice)
    assert len(advice["advice"]) + len(advice["abstentions"]) == 3
    assert len(advice["rejected_rows"]) == 3
    assert Bundle(out / "bundle").manifest["history"] == {"kind": "synthetic", "hash": summary["history"]["hash"]}
    files = {"bundle": out / "bundle", "telemetry": out / "telemetry.csv", "history": out / "history"}
    again = [part for name, path in files.items() for part in (f"--{name}", str(path))]
    assert main(["advise", *again, "--battery-charge", "0.6", "--json", "again.json"]) == 0
    assert json.loads(Path("again.json").read_text()) == advice
    assert "script" not in page.names
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert "ppo over" in capsys.readouterr().out
    assert (out / "history" / "history.parquet").is_file()
    assert main(["advise", *again]) == 2
    assert "the charge of the site's battery is None" in capsys.readouterr().err
    fitting = [entry for entry in SMALL_RULE if not entry.startswith(("agent", "warm_start", "validations"))]
    assert main(["evaluate", "env=residual", *fitting, "years=1", "runs=outputs/demo/run", "policies=[operator]"]) == 0
    assert "ppo over operator" in capsys.readouterr().out


@pytest.mark.slow
def test_bench_writes_the_names_that_scripts_rely_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "_SPAN_S", 0.02)
    monkeypatch.setattr(bench, "_PPO_STEPS", 65_536)
    assert main(["bench", "--json", str(tmp_path / "b.json")]) == 0
    content = json.loads((tmp_path / "b.json").read_text())
    for key in (
        "single_env_steps_per_s",
        "batched_env_steps_per_s",
        "zone_steps_per_s",
        "ppo_rollout_steps_per_s",
        "ppo_train_steps_per_s",
        "pendulum_single_steps_per_s",
        "bundle_p99_ms",
        "bundle_decisions_per_s",
    ):
        assert content[key] > 0.0
        assert content["by_env"][bench.ENV_ID].get(key, content[key]) == content[key]
    assert "envpool_pendulum_steps_per_s" in content
    assert content["machine"]["cores"] >= 1
    speeds = tmp_path / "history.jsonl"
    assert history.main(["--from", str(tmp_path / "b.json"), "--file", str(speeds)]) == 0
    (entry,) = history.read(speeds)
    assert entry["ratios"] == content["ratios"]


def test_files_appear_whole_or_not_at_all(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.txt", {"x": float("nan")})
    with pytest.raises(AttributeError):
        write_text(tmp_path / "a.txt", None)  # type: ignore[arg-type]
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_documentation_of_the_environment_is_up_to_date() -> None:
    from tools import tabulate

    for name in tabulate.SHOWN:
        assert (tabulate.TARGET / f"{name}.md").read_text(encoding="utf-8") == tabulate.page(name), name


@pytest.mark.slow
def test_the_policy_that_earns_most_on_the_training_months_is_kept(trained: tuple[Path, dict[str, Any]]) -> None:
    run_dir, config = trained
    settings = TrainSettings.of(config)
    policy = load_policy(run_dir, settings.agent, settings.env)
    kept = run(policy, replace(settings.env, reward="profit"), config["seed"], None, settings.judged_episodes)
    selection = pd.read_csv(run_dir / "curve.csv")["selection/profit_usd_per_day"].dropna()
    assert len(selection) >= 3
    assert kept.usd_per_day.mean() == pytest.approx(selection.max(), rel=1e-9)
