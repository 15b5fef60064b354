"""`hashgym evaluate`: rules, bound and trained policies over the same held-out episodes."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from hashgym.evaluation import paired
from hashgym.experiments import hydra_main, settings, training
from hashgym.experiments.progress import LearnedPolicy
from hashgym.experiments.reports.table import policy_table
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.foundation.files import write_json


def main(args: list[str]) -> int:
    """Evaluate with Hydra overrides; `--json FILE` is the same as out=FILE. Returns the exit code."""
    if "--json" in args:
        at = args.index("--json")
        if at + 1 == len(args):
            raise BadInputError("--json needs a file name")
        args = [*args[:at], f"out='{args[at + 1]}'", *args[at + 2 :]]
    return hydra_main.run("evaluate", _evaluate, args)


def _evaluate(config: dict[str, Any], _: Path) -> None:
    """Evaluate as a composed configuration says; print the table and write the JSON."""
    options = settings.env_config(config, config["split"])
    learned = [_load(Path(folder), options.scenario, config) for folder in config["runs"]]
    names = [policy.name for policy in learned]
    if len(set(names)) < len(names) or any(paired.is_rule(name) for name in names):
        raise BadInputError(
            f"runs: policies are named {', '.join(names)}; each needs its own name that begins with ppo or sac"
        )
    result = paired.judge(options, learned, config["seed"])
    sys.stdout.write(policy_table(result) + "\n")
    if config["out"] is not None:
        write_json(Path(config["out"]), result)


def _load(run_dir: Path, scenario: Any, config: dict[str, Any]) -> LearnedPolicy:
    """Load a trained policy; its scenario must be the one that is evaluated."""
    trained = settings.read_config(run_dir)
    if trained["scenario"]["site"] != config["scenario"]["site"]:
        raise BadInputError(
            f"runs: {run_dir} was trained on scenario {trained['scenario']['name']!r}, this is {scenario.name!r}"
        )
    ours, theirs = settings.env_config(config, config["split"]), settings.env_config(trained, "train")
    for name in ("task", "forecast", "stack"):
        if getattr(ours, name) != getattr(theirs, name):
            raise BadInputError(f"runs: {run_dir} was trained with env.{name}={getattr(theirs, name)}; set the same")
    seen, judged = trained["scenario"]["splits"]["train"], scenario.splits[config["split"]]
    is_same = (
        trained["history"] == config["history"] and trained["scenario"]["history"] == config["scenario"]["history"]
    )
    if is_same and config["split"] != "train" and seen[0] < judged[1] and judged[0] < seen[1]:
        raise BadInputError(
            f"runs: {run_dir} was trained on {seen[0]}…{seen[1]}, which overlaps {judged[0]}…{judged[1]}"
        )
    policy = training.load_policy(run_dir, trained)
    name = policy.name if len(config["runs"]) == 1 else f"{policy.name}_{run_dir.name}"
    return replace(policy, name=name)
