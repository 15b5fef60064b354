"""`hashgym evaluate`: rules, bound and trained policies over the same held-out episodes."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hashgym.advisor.bundle import Bundle
from hashgym.agents.learning.learners import LearnedPolicy
from hashgym.agents.learning.training import load_policy
from hashgym.agents.operator_rules import RuleAlone
from hashgym.agents.policy import Policy
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.scenario import scenario as scenarios
from hashgym.evaluation.bound import why_not
from hashgym.evaluation.summary import judge
from hashgym.evaluation.years import drawn_years
from hashgym.experiments import hydra_main, leaderboard
from hashgym.experiments.policies import RULES, policy_of
from hashgym.experiments.reports.table import policy_table
from hashgym.experiments.settings import TrainSettings, env_config, years_of
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.foundation.files import write_json


def main(args: list[str]) -> int:
    """Evaluate with Hydra overrides; `--json FILE` is the same as out=FILE, `--submit NAME` as submit=NAME. Returns the exit code."""
    for option, key, what in (("--json", "out", "a file name"), ("--submit", "submit", "a name")):
        if option in args:
            at = args.index(option)
            if at + 1 == len(args):
                raise BadInputError(f"{option} needs {what}")
            args = [*args[:at], f"{key}='{args[at + 1]}'", *args[at + 2 :]]
    return hydra_main.run("evaluate", _evaluate, args)


def _evaluate(config: dict[str, Any], _: Path) -> None:
    """Evaluate as a composed configuration says; print the table and write the JSON."""
    if config["submit"] is not None:
        _submit(config)
        return
    options = env_config(config, config["split"])
    options.load().scenario.rows(options.split)  # no such split is said before anything runs
    folders = [config["runs"]] if isinstance(config["runs"], str) else config["runs"]
    learned: list[Policy] = [_load(Path(folder), options, config) for folder in folders]
    if len(learned) > 1:
        named = zip(learned, folders, strict=True)
        learned = [replace(policy, name=f"{policy.name}_{Path(folder).name}") for policy, folder in named]  # type: ignore[type-var]
    years = years_of(config)
    for name in config.get("policies") or ():
        played, policy = policy_of(str(name), drawn_years(options, years), config["seed"])
        if isinstance(policy, RuleAlone):
            options = replace(options, rule=played.rule)  # it is judged among the rules
            continue
        if played.task != options.task:
            raise BadInputError(f"policies: {name} plays {played.task}, this is {options.task}")
        learned.append(policy)
    names = [policy.name for policy in learned]
    if len(set(names)) < len(names) or {*names} & {*RULES, "always_on"}:
        raise BadInputError(
            f"runs: policies are named {', '.join(names)}; each needs a name of its own that no rule has"
        )
    result = judge(options, learned, config["seed"], years=years, progress=config["progress"])
    sys.stdout.write(policy_table(result) + "\n")
    if reason := why_not(options.load().scenario.site):
        sys.stdout.write(f"no upper bound: it is for {reason}\n")
    if config["out"] is not None:
        write_json(Path(config["out"]), result)


def _submit(config: Mapping[str, Any]) -> None:
    """Run a bundle and write its row on a board, or verify the one that is there."""
    if config["bundle"] is None:
        raise BadInputError("--submit needs bundle=FOLDER, a bundle as `hashgym export` makes it")
    name, board = str(config["submit"]), Path(config["board"])
    scenario = str(config["scenario"]["name"])
    if (
        scenario not in scenarios.names()
        or scenarios.load(config["scenario"]).config_hash != scenarios.load(scenario).config_hash
    ):
        raise BadInputError("--submit: boards are of scenarios that ship, as they stand")
    row, is_verified = leaderboard.submit(Bundle(config["bundle"]), scenario, name, board, years_of(config))
    sys.stdout.write(leaderboard.table([row]) + "\n")
    sys.stdout.write(f"{'verified: the same as' if is_verified else 'written to'} {board}\n")


def _load(run_dir: Path, options: EnvConfig, config: Mapping[str, Any]) -> LearnedPolicy:
    """Load a trained policy; its scenario must be the one that is evaluated."""
    trained = TrainSettings.of_run(run_dir)
    before, now = trained.content["scenario"], config["scenario"]
    ours, theirs = options.load(), trained.env.load()
    if before["site"] != now["site"]:
        raise BadInputError(
            f"runs: {run_dir} was trained on scenario {before['name']!r}, this is {ours.scenario.name!r}"
        )
    for name, own, other in (
        ("task", options.task, trained.env.task),
        ("forecast", ours.forecast, theirs.forecast),
        ("stack", options.stack, trained.env.stack),
        ("observations", list(options.observations), list(trained.env.observations)),
    ):
        if own != other:
            raise BadInputError(f"runs: {run_dir} was trained with env.{name}={other}; set the same")
    seen, judged = before["splits"]["train"], ours.scenario.splits[options.split]
    is_same = trained.env.history == options.history and before["history"] == now["history"]
    if is_same and options.split != "train" and seen[0] < judged[1] and judged[0] < seen[1]:
        raise BadInputError(
            f"runs: {run_dir} was trained on {seen[0]}…{seen[1]}, which overlaps {judged[0]}…{judged[1]}"
        )
    return load_policy(run_dir, trained.agent, trained.env)
