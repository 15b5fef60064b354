"""Policies by the names that commands take: a rule, a training run, or a function of the user's."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from hashgym.agents.policy import FunctionPolicy, Policy, RandomPolicy
from hashgym.agents.rules import PARAMETER_FREE, Hysteresis, Menu
from hashgym.agents.training import load_policy
from hashgym.envs.batch.config import EnvConfig
from hashgym.evaluation.tuning import tune
from hashgym.experiments import targets
from hashgym.experiments.settings import TrainSettings
from hashgym.sim.foundation.checks import require_known
from hashgym.sim.foundation.errors import BadInputError

RULES: Final = (*(rule.name for rule in PARAMETER_FREE), "hysteresis")
NAMES: Final = f"{', '.join(RULES)}, random, the folder of a training run, or a function as module.name"
"""What may be named, for helps and messages."""


def policy_of(name: str, config: EnvConfig, seed: int) -> tuple[EnvConfig, Policy]:
    """Return the policy of a name, and the environment that it plays in: a trained one's is that of its run.

    Args:
        name: Of RULES, random, the folder of a run, or the dotted name of a function of a batch; a function's attribute `action` says the
            form of its actions, the environment's if it has none.
        config: Options of the environment: scenario, history, split and length of an episode hold for a trained policy as well.
        seed: Of tuning and of random actions.

    Raises:
        BadInputError: There is no policy of that name.
    """
    if name == "random":
        return replace(config, action="discrete"), RandomPolicy(seed)
    if name not in RULES and (Path(name).is_dir() or "/" in name):
        return _of_run(Path(name), config)
    if "." in name:
        function = targets.resolve("policy", name, is_trusted=True)
        if not callable(function):
            raise BadInputError(f"policy {name!r} is no function")
        form = getattr(function, "action", None) or config.load().action
        return replace(config, action=form), FunctionPolicy(name.rpartition(".")[2], form, function)
    require_known("no policy", [name], [*RULES, "random"])
    menu = Menu.of(config.load().scenario.site)
    if name == "hysteresis":
        return replace(config, action=Hysteresis.action), Hysteresis(
            menu, **tune(config, seed, progress=True).thresholds
        )
    rule = next(rule for rule in PARAMETER_FREE if rule.name == name)(menu)
    return replace(config, action=rule.action), rule


def _of_run(run_dir: Path, config: EnvConfig) -> tuple[EnvConfig, Policy]:
    trained = TrainSettings.of_run(run_dir)
    played = replace(
        trained.env,
        scenario=config.scenario,
        history=config.history,
        split=config.split,
        episode_steps=config.episode_steps,
        reward="profit",
    )
    return played, load_policy(run_dir, trained.agent, trained.env)
