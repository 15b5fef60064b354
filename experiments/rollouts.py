"""`hashgym data rollouts`: episodes of rules, trained policies or a site's own log as a Minari dataset, for offline learners."""

import argparse
import importlib
import os
import re
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from hashgym.agents import policies
from hashgym.agents.rules import PARAMETER_FREE, Hysteresis
from hashgym.envs import ENV_IDS
from hashgym.envs.batch import tables
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.envs.batch.seeding import draw_seeds
from hashgym.evaluation import paired
from hashgym.experiments import settings, site_log, training
from hashgym.sim.foundation.errors import BadInputError

ROLLOUT_ROLE: Final = 3
"""Role of the environments in SeedSequence([run seed, role]), after training, tuning and evaluation."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    rules = ", ".join([rule.name for rule in PARAMETER_FREE] + ["hysteresis"])
    parser.add_argument(
        "--policy", default="hysteresis", help=f"{rules}, random, or the folder of a training run (default: hysteresis)"
    )
    parser.add_argument(
        "--telemetry", type=Path, help="a site's own log, in place of a policy: CSV of a row for each zone and step"
    )
    parser.add_argument("--scenario", default="west_texas_air", help="scenario (default: west_texas_air)")
    parser.add_argument("--history", help="folder of a history in place of the scenario's own")
    parser.add_argument("--split", default="train", help="months (default: train)")
    parser.add_argument("--episodes", type=int, default=32, help="episodes (default: 32)")
    parser.add_argument("--steps", type=int, help="steps of an episode (default: the scenario's)")
    parser.add_argument("--seed", type=int, default=0, help="seed (default: 0)")
    parser.add_argument(
        "--dataset", help="Minari's name of the dataset (default: hashgym/TASK/rollouts-v0, TASK as hashrate-tuning)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of Minari datasets")


def run(options: argparse.Namespace) -> int:
    """Play or read the episodes and write the dataset; returns the exit code."""
    config = EnvConfig(
        scenario=options.scenario, history=options.history, split=options.split, episode_steps=options.steps
    )
    if options.telemetry is not None:
        log = site_log.read(options.telemetry, config)
        config, episodes, name, told = log.config, log.episodes, "telemetry", log.told
    else:
        config, policy = _policy(options.policy, config, options.seed)
        episodes, name, told = play(policy, config, options.episodes, options.seed), policy.name, ""
    dataset = write(episodes, config, options, name)
    sys.stdout.write(
        f"{told}{dataset.id}: {dataset.total_episodes} episodes, {dataset.total_steps} steps, in {options.out}\n"
    )
    return 0


def _policy(name: str, config: EnvConfig, seed: int) -> tuple[EnvConfig, policies.Policy]:
    """Return the policy of a name, and the environment that it plays in: a trained one's is that of its run."""
    if (Path(name) / "config.json").is_file():
        trained = settings.read_config(Path(name))
        own = settings.env_config(trained, config.split)
        played = replace(
            own, scenario=config.scenario, history=config.history, episode_steps=config.episode_steps, reward="profit"
        )
        return played, training.load_policy(Path(name), trained)
    policy = _rule(name, config, seed)
    return replace(config, action=policy.action), policy


def _rule(name: str, config: EnvConfig, seed: int) -> policies.Policy:
    probe = Batch(replace(config, action="profile"))
    menu = policies.menu_of(probe)
    for rule in PARAMETER_FREE:
        if rule.name == name:
            return policies.rule_policy(rule(menu))
    if name == "hysteresis":
        return policies.rule_policy(Hysteresis(menu, **paired.tune(config, seed).thresholds))
    if name == "random":
        rng = np.random.default_rng(seed)
        n_choices = len(tables.DISCRETE_OFFSETS) + 1
        return policies.RulePolicy(
            "random", lambda batch: rng.integers(0, n_choices, (batch.n_envs, batch.n_zones)), "discrete"
        )
    names = ", ".join([rule.name for rule in PARAMETER_FREE] + ["hysteresis", "random"])
    raise BadInputError(f"--policy is {name!r}; it must be one of {names}, or the folder of a training run")


Episode = dict[str, npt.NDArray[Any]]
"""observations (n + 1, n_obs), actions (n, …), rewards, truncations (n,), costs (n, n_costs), profit_usd (n,)."""


def play(policy: policies.Policy, config: EnvConfig, n_episodes: int, seed: int) -> list[Episode]:
    """Return episodes of a policy from drawn starts."""
    if n_episodes < 1:
        raise BadInputError(f"--episodes is {n_episodes}; it must be 1 or more")
    batch = Batch(config, n_episodes)
    batch.seed(draw_seeds(seed, ROLLOUT_ROLE, n_episodes))
    batch.reset()
    parts: dict[str, list[np.ndarray]] = {
        name: [] for name in ("observations", "actions", "rewards", "truncations", "costs", "profit_usd")
    }
    parts["observations"].append(batch.obs.copy())
    for _ in range(batch.episode_steps):
        action = np.asarray(policy.act(batch))
        batch.step(action)
        for key, value in (
            ("observations", batch.obs), ("actions", action), ("rewards", batch.reward), ("truncations", batch.truncated),
            ("costs", batch.costs), ("profit_usd", batch.flow("profit_usd")),
        ):  # fmt: skip
            parts[key].append(value.copy())
    whole = {name: np.stack(values) for name, values in parts.items()}
    return [{name: values[:, i] for name, values in whole.items()} for i in range(n_episodes)]


def default_name(task: str) -> str:
    """Return the name of a dataset of a task's environment, as hashgym/hashrate-tuning/rollouts-v0."""
    words = re.findall("[A-Z][a-z]+", ENV_IDS[task])
    return f"hashgym/{'-'.join(words).lower()}/rollouts-v0"


def write(episodes: list[Episode], config: EnvConfig, options: argparse.Namespace, name: str) -> Any:
    """Write episodes as a Minari dataset that knows its environment; raises BadInputError if the library is not installed."""
    try:
        minari = importlib.import_module("minari")
        buffer_of = importlib.import_module("minari.data_collector").EpisodeBuffer
    except ImportError:
        raise BadInputError("the library minari is not installed; run `pip install hashgym[offline]`") from None
    dataset = options.dataset or default_name(config.task)
    options.out.mkdir(parents=True, exist_ok=True)
    os.environ["MINARI_DATASETS_PATH"] = str(options.out)
    env = gym.make(
        ENV_IDS[config.task], scenario=config.world.name, history=options.history, split=config.split, action=config.action,
        forecast=config.forecast, episode_steps=config.episode_steps, stack=config.stack, coin_choice=config.coin_choice,
    )  # fmt: skip
    if dataset in minari.list_local_datasets():
        raise BadInputError(f"{options.out} has a dataset {dataset!r}; name another, or delete it by `minari delete`")
    buffers = []
    for number, entry in enumerate(episodes):
        n = len(entry["rewards"])
        # Minari wants infos at every observation: nothing has been counted at the first.
        first = {"costs": np.zeros_like(entry["costs"][:1]), "profit_usd": np.zeros(1)}
        infos = {key: np.concatenate([zero, entry[key]]) for key, zero in first.items()}
        buffers.append(buffer_of(
            id=number, seed=None, observations=list(entry["observations"]), actions=list(entry["actions"]),
            rewards=entry["rewards"].tolist(), terminations=[False] * n, truncations=entry["truncations"].tolist(), infos=infos,
        ))  # fmt: skip
    world = config.world
    description = (
        f"{name} on {world.name} ({world.config_hash}), {world.history.kind} history {world.history.hash}, split {config.split}; "
        f"infos.costs in the order {', '.join([*tables.COST_NAMES, *(cost.name for cost in config.costs)])}"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of authors and links, which the user's dataset may do without
        return minari.create_dataset_from_buffers(
            dataset, buffers, env=env, eval_env=env, algorithm_name=name, description=description,
            requirements=["hashgym"],
        )  # fmt: skip
