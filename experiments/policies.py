"""Policies by the names that commands take: a rule, a training run, or a function of the user's."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from hashgym.agents.learning.training import load_policy
from hashgym.agents.operator_rules import RuleAlone
from hashgym.agents.planners.site_planner import Chain, SitePlanner
from hashgym.agents.policy import FunctionPolicy, Policy, RandomPolicy
from hashgym.agents.rules import PARAMETER_FREE, Hysteresis, Menu
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.envs.scenario.tuned import tuned_settings
from hashgym.evaluation.paired import judged
from hashgym.evaluation.search import rule_config, search
from hashgym.evaluation.tuning import tune
from hashgym.experiments import targets
from hashgym.experiments.settings import TrainSettings
from hashgym.sim.foundation.checks import require_known
from hashgym.sim.foundation.errors import BadInputError

RULES: Final = (*(rule.name for rule in PARAMETER_FREE), "hysteresis")
SITE_POLICIES: Final = ("operator", "planner", "foresight_6h", "foresight_24h")
"""Policies of whole sites: the best rule of the search, the planner on the published curve, and plans that see true prices."""
NAMES: Final = (
    f"{', '.join((*RULES, *SITE_POLICIES))}, random, the folder of a training run, or a function as module.name"
)
"""What may be named, for helps and messages."""


def policy_of(name: str, config: EnvConfig, seed: int) -> tuple[EnvConfig, Policy]:
    """Return the policy of a name, and the environment that it plays in: a trained one's is that of its run.

    Args:
        name: Of RULES and SITE_POLICIES, random, the folder of a run, or the dotted name of a function of a batch; a function's attribute `action` says the
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
    require_known("no policy", [name], [*RULES, *SITE_POLICIES, "random"])
    if name in SITE_POLICIES:
        return _of_site(name, config, seed)
    menu = Menu.of(config.load().scenario.site)
    if name == "hysteresis":
        return replace(config, action=Hysteresis.action), Hysteresis(
            menu, **tune(config, seed, progress=True).thresholds
        )
    rule = next(rule for rule in PARAMETER_FREE if rule.name == name)(menu)
    return replace(config, action=rule.action), rule


def _of_site(name: str, config: EnvConfig, seed: int) -> tuple[EnvConfig, Policy]:
    """Return a policy of a whole site: its settings are those that ship with its scenario, else they are searched, which takes minutes."""
    settings = config.rule or tuned_settings(config.load().scenario) or search(config, seed, progress=True).settings
    played = replace(rule_config(config), rule=None)
    if name == "operator":
        return replace(played, action=RuleAlone.action, rule=settings), RuleAlone()
    batch = Batch(judged(played, SitePlanner.action))
    interval_s = batch.scenario.history.price_interval_s
    shared = {"peak_ratio": settings["peak_ratio"], "cap_pu": settings["cap_pu"]}
    commands = settings["first_command"], settings["second_command"]
    hours, chain = None, None
    if name == "planner":
        train = Batch(replace(played, split="train"))
        chain = Chain.fit(train.exogenous, train.site, range(*train.scenario.rows("train")), interval_s)
    else:
        hours = float(name.removeprefix("foresight_").removesuffix("h"))
    return played, SitePlanner(batch.site, batch.exogenous, interval_s, chain, hours, commands=commands, **shared)


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
    return played, load_policy(run_dir, trained.agent, trained.env, played)
