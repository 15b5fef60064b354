"""`hashgym data rollouts`: episodes of rules, trained policies or a site's own log as a Minari dataset, for offline learners."""

import argparse
import importlib
import os
import re
import shutil
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import gymnasium as gym
import numpy as np

from hashgym.envs import ENV_IDS
from hashgym.envs.batch import tables
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.scenario import scenario as scenarios
from hashgym.evaluation import site_log
from hashgym.evaluation.episodes import Episode, play
from hashgym.experiments import policies
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.foundation.files import whole_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--policy", default="hysteresis", help=f"{policies.NAMES} (default: hysteresis)")
    parser.add_argument(
        "--telemetry", type=Path, help="a site's own log, in place of a policy: CSV of a row for each zone and step"
    )
    parser.add_argument("--timezone", help="of a log's stamps that state no offset, a name like America/Chicago")
    parser.add_argument(
        "--scenario", default="west_texas_air", help="scenario by name or file (default: west_texas_air)"
    )
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
    _minari()
    if options.telemetry is not None:
        log = site_log.read(options.telemetry, config, options.timezone)
        config, episodes, name, told = log.config, log.episodes, "telemetry", log.told
    else:
        config, policy = policies.policy_of(options.policy, config, options.seed)
        free_name(options.dataset, config.task, options.out)  # said before anything is played
        episodes = play(policy, config, options.episodes, options.seed, progress=True)
        name, told = policy.name, ""
    dataset = write(episodes, config, options, name)
    sys.stdout.write(
        f"{told}{dataset.id}: {dataset.total_episodes} episodes, {dataset.total_steps} steps, in {options.out}\n"
    )
    return 0


def default_name(task: str) -> str:
    """Return the name of a dataset of a task's environment, as hashgym/hashrate-tuning/rollouts-v0."""
    words = re.findall("[A-Z][a-z]+", ENV_IDS[task])
    return f"hashgym/{'-'.join(words).lower()}/rollouts-v0"


def write(episodes: list[Episode], config: EnvConfig, options: argparse.Namespace, name: str) -> Any:
    """Write episodes as a Minari dataset that knows its environment; raises BadInputError if the library is not installed."""
    minari, buffer_of = _minari(), importlib.import_module("minari.data_collector").EpisodeBuffer
    dataset = free_name(options.dataset, config.task, options.out)
    options.out.mkdir(parents=True, exist_ok=True)
    setup = config.load()
    scenario = setup.scenario
    env = gym.make(
        ENV_IDS[config.task],
        scenario=_spoken(config),
        history=options.history,
        split=config.split,
        action=setup.action,
        forecast=setup.forecast,
        episode_steps=config.episode_steps,
        stack=config.stack,
        observations=list(config.observations),
        coin_choice=config.coin_choice,
    )
    buffers = []
    for number, entry in enumerate(episodes):
        n = len(entry["rewards"])
        # Minari wants infos at every observation: nothing has been counted at the first.
        first = {"costs": np.zeros_like(entry["costs"][:1]), "profit_usd": np.zeros(1)}
        infos = {key: np.concatenate([zero, entry[key]]) for key, zero in first.items()}
        buffers.append(
            buffer_of(
                id=number,
                seed=int(entry["seed"]) if "seed" in entry else None,
                observations=list(entry["observations"]),
                actions=list(entry["actions"]),
                rewards=entry["rewards"].tolist(),
                terminations=[False] * n,
                truncations=entry["truncations"].tolist(),
                infos=infos,
            )
        )
    description = (
        f"{name} on {scenario.name} ({scenario.config_hash}), {scenario.history.kind} history {scenario.history.hash}, split {config.split}; "
        f"infos.costs in the order {', '.join([*tables.COST_NAMES, *(cost.name for cost in config.costs)])}"
    )
    with whole_folder(options.out / dataset, "data/main_data.hdf5") as aside, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of authors and links, which the user's dataset may do without
        # Minari writes into its folder of datasets; this one is written aside and moved into it whole.
        os.environ["MINARI_DATASETS_PATH"] = str(aside.resolve() / _ASIDE)
        (aside / _ASIDE).mkdir()
        try:
            minari.create_dataset_from_buffers(
                dataset,
                buffers,
                env=env,
                eval_env=env,
                algorithm_name=name,
                description=description,
                requirements=["hashgym"],
            )
            (aside / _ASIDE / dataset / "data").rename(aside / "data")
            shutil.rmtree(aside / _ASIDE)
        finally:
            os.environ["MINARI_DATASETS_PATH"] = str(options.out.resolve())
    return minari.load_dataset(dataset)


def _spoken(config: EnvConfig) -> Any:
    """Return the scenario as a dataset names it: one that ships by its name, else its content, which holds wherever it is recovered."""
    if isinstance(config.scenario, str) and config.scenario in scenarios.names():
        return config.scenario
    return config.scenario if isinstance(config.scenario, Mapping) else scenarios.read(str(config.scenario))


_ASIDE: Final = ".minari"
"""Folder of datasets that Minari writes one into, beside its final place."""


def _minari() -> Any:
    try:
        return importlib.import_module("minari")
    except ImportError:
        raise BadInputError("the library minari is not installed; run `pip install hashgym[offline]`") from None


def free_name(given: str | None, task: str, out: Path) -> str:
    """Return the name of a dataset that is to be; raises BadInputError of one that Minari does not take or that stands there."""
    dataset = given or default_name(task)
    if not re.fullmatch(r"([\w-]{2,}/)*[\w-]{2,}-v\d+", dataset):
        raise BadInputError(f"--dataset is {dataset!r}; it must be like hashgym/hashrate-tuning/rollouts-v0")
    if (out / dataset).exists():
        raise BadInputError(f"{out} has a dataset {dataset!r}; name another, or delete it by `minari delete`")
    return dataset
