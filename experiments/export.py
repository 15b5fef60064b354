"""`hashgym export`: from a training run to a policy bundle, and into MLflow's registry."""

import logging
import sys
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

import pandas as pd

from hashgym.advisor.bundle import FORECAST, SUMS, Bundle
from hashgym.advisor.packing import Origin, pack, require_exportable
from hashgym.agents.learning.learners import LearnedPolicy
from hashgym.agents.learning.training import load_policy, tracked_run
from hashgym.envs.scenario.published import published_series
from hashgym.envs.scenario.scenario import Scenario
from hashgym.evaluation.summary import judge
from hashgym.experiments import hydra_main, tracking
from hashgym.experiments.settings import TrainSettings, years_of
from hashgym.forecast.fitting import FitConfig, fit
from hashgym.forecast.model import Forecaster
from hashgym.sim.foundation.checks import require_known
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.foundation.files import require_free, require_writable

log = logging.getLogger(__name__)

METRICS: Final = ("net_profit_usd_per_day", "gain_over_always_on_pct", "gain_over_best_rule_pct", "score")
"""What of an evaluation goes into a manifest, where it is there."""

_KEYS: Final = {"forecast", "tracking", "run", "out", "split", "model", "alias", "progress", "years"}


def main(args: list[str]) -> int:
    """Export with Hydra overrides; returns the exit code."""
    return hydra_main.run("export", _export, args)


def _export(config: dict[str, Any], _: Path) -> None:
    require_known("unknown key", config, _KEYS)
    if config["run"] is None:
        raise BadInputError("name the training run: hashgym export run=FOLDER")
    run_dir = Path(config["run"])
    out = Path(config["out"] or run_dir / "bundle")
    trees = config.get("forecast")
    if trees is not None:
        fit_config(trees)
    trained = TrainSettings.of_run(run_dir)
    require_exportable(trained.env)
    require_free(out, SUMS)
    require_writable(out.with_name(f".{out.name}.new"))
    policy = load_policy(run_dir, trained.agent, trained.env)
    options = replace(trained.env, split=config["split"], reward="profit")
    progress = bool(config.get("progress", True))
    forecaster = None if trees is None else fitted(trained.env.load().scenario, trees, progress=progress)
    log.info("judging %s on the %s months, for the manifest", policy.name, options.split)
    summary = judge(options, [policy], trained.schedule.seed, years=years_of(config), progress=progress)
    bundle = export(policy, trained, summary, forecaster, out)
    sys.stdout.write(
        f"{bundle.folder}: {policy.name} for {bundle.manifest['site']}, model {bundle.manifest['model_sha256'][:16]}\n"
    )
    if config["tracking"]["kind"] != "none":
        name = config["model"] or f"hashgym-{bundle.manifest['site']}"
        version = tracking.register(config["tracking"], bundle, name, config["alias"], tracked_run(run_dir))
        sys.stdout.write(f"models:/{name}@{config['alias']} is version {version}\n")


def export(
    policy: LearnedPolicy,
    trained: TrainSettings,
    summary: Mapping[str, Any],
    forecaster: Forecaster | None,
    out: Path,
) -> Bundle:
    """Write the bundle of a trained policy.

    Args:
        policy: The policy.
        trained: Settings of its run.
        summary: What `summary.judge` says of it.
        forecaster: Of what the advisor needs; a bundle without it cannot advise.
        out: Folder of the bundle.
    """
    extra = {} if forecaster is None else {FORECAST: forecaster.dump().encode()}
    log.info("writing the bundle, and trying it against the network")
    entry = summary["policies"][policy.name]
    metrics = {
        "split": summary["scenario"]["split"],
        "episodes": summary["episodes"],
        "episode_days": summary["episode_days"],
        "years": summary["years"],
        "best_rule": summary["best_rule"],
        "values": {name: entry[name] for name in METRICS if name in entry},
        "costs": entry["costs"],
        "trips": entry["trips"],
    }
    origin = Origin(
        name=policy.name,
        scenario=trained.content["scenario"],
        metrics=metrics,
        tags=tracking.provenance(),
        extra=extra,
    )
    return pack(out, policy.model, trained.env, origin, trained.schedule.seed)


def fit_config(forecast: Mapping[str, Any]) -> FitConfig:
    """Return the settings of a forecaster's trees; raises BadInputError that names what is wrong."""
    require_known("unknown key", forecast, (entry.name for entry in fields(FitConfig)), "forecast.")
    try:
        return FitConfig(**forecast)
    except ValueError as error:
        raise BadInputError(f"forecast.{error}") from error


def fitted(scenario: Scenario, forecast: Mapping[str, Any], *, progress: bool) -> Forecaster:
    """Return a forecaster that is fitted on what was published before the end of the training months."""
    until = pd.Timestamp(scenario.splits["train"][1], tz="UTC")
    try:
        forecaster = fit(
            published_series(scenario.history, scenario.site.markets[0]), until, fit_config(forecast), progress=progress
        )
    except ValueError as error:
        raise BadInputError(
            f"forecast: {error}; forecast=null exports the policy without one, and it cannot advise"
        ) from error
    log.info("fitted the forecast on what was published before %s", until.date())
    return forecaster
