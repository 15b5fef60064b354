"""Run a task under Hydra from the arguments of a `hashgym` command."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from hashgym.envs.scenario.scenario import resolved
from hashgym.sim.foundation.errors import HashGymError

Task = Callable[[dict[str, Any], Path], Any]


def _remove_if_empty(folder: Path) -> None:
    """Remove the folder that Hydra made for a job which then left nothing in it."""
    if folder.is_dir() and folder.resolve() != Path.cwd() and not any(folder.iterdir()):
        folder.rmdir()


def run(config_name: str, task: Task, args: list[str]) -> int:
    """Compose `config_name` with the overrides in `args` and call `task(config, output folder)`.

    In a single run an error of ours goes to the caller; in a sweep Hydra finishes the other jobs first.
    """
    failed: list[HashGymError] = []

    @hydra.main(version_base="1.3", config_path="../conf", config_name=config_name)
    def entry(config: DictConfig) -> Any:
        settings = HydraConfig.get()
        content: Any = OmegaConf.to_container(config, resolve=True)
        try:
            if "scenario" in content:
                content["scenario"] = resolved(content["scenario"])
            return task(content, Path(settings.runtime.output_dir))
        except HashGymError as error:
            if settings.mode == RunMode.MULTIRUN:
                raise
            failed.append(error)
            _remove_if_empty(Path(settings.runtime.output_dir))
            return None

    before = sys.argv
    sys.argv = [f"hashgym {config_name}", *args]
    try:
        entry()
    finally:
        sys.argv = before
    if failed:
        raise failed[0]
    return 0
