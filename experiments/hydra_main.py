"""Run a task under Hydra from the arguments of a `hashgym` command."""

import hashlib
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hashgym.envs.scenario import scenario as scenarios
from hashgym.sim.foundation.errors import BadInputError, HashGymError
from hashgym.sim.foundation.files import write_text

Task = Callable[[dict[str, Any], Path], Any]

FAILED: Final = "failed.txt"
"""File of a sweep's job that failed: its overrides and the reason."""
OPTIONAL_GROUPS: Final = ("forecast", "experiment")
"""Groups that `GROUP=null` leaves out."""

log = logging.getLogger(__name__)


def run(config_name: str, task: Task, args: list[str]) -> int:
    """Compose `config_name` with the overrides in `args` and call `task(config, output folder)`.

    In a single run an error of ours goes to the caller. In a sweep Hydra finishes the other jobs first; one that fails leaves its reason
    in its folder, and the same command, which has the same folder, does what is missing.
    """
    failed: list[Exception] = []

    @hydra.main(version_base="1.3", config_path="../conf", config_name=config_name)
    def entry(config: DictConfig) -> Any:
        settings = HydraConfig.get()
        folder = Path(settings.runtime.output_dir)
        is_sweep = settings.mode == RunMode.MULTIRUN
        with _job_log(folder) if is_sweep else nullcontext():
            try:
                content: Any = OmegaConf.to_container(config, resolve=True)
                if "scenario" in content:
                    content["scenario"] = scenarios.resolved(content["scenario"])
                return task(content, folder)
            except Exception as error:
                is_ours = isinstance(error, HashGymError | OSError)
                if is_sweep:
                    raise _told(error, str(error) if is_ours else traceback.format_exc()) from error
                if not is_ours:
                    raise
                failed.append(error)
        _remove_if_empty(folder)
        return None

    before = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = [f"hashgym {config_name}", *_overrides(args)]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra else prints a traceback and leaves the process itself
    try:
        entry()
    except (HydraException, OmegaConfBaseException) as error:
        raise BadInputError(_plainly(str(error), config_name)) from error
    finally:
        sys.argv = before[0]
        del os.environ["HYDRA_FULL_ERROR"]
        if before[1] is not None:
            os.environ["HYDRA_FULL_ERROR"] = before[1]
    if failed:
        raise failed[0]
    return 0


def _overrides(args: list[str]) -> list[str]:
    """Return the overrides as Hydra takes them.

    Scenarios that are named by files become configurations of their group; GROUP=null leaves a group out; a sweep gets a folder that is the
    same for the same command.
    """
    found = [_of_file(arg) for arg in args]
    if {"-m", "--multirun"} & set(args) and not any(arg.startswith("hydra.sweep.dir=") for arg in args):
        name = hashlib.sha256("\0".join(sorted(args)).encode()).hexdigest()[:10]
        found.append(f"hydra.sweep.dir=outputs/sweep/{name}")
    return found


def _of_file(arg: str) -> str:
    key, sign, value = arg.partition("=")
    if sign and value == "null" and key in OPTIONAL_GROUPS:
        return f"~{key}"
    if key != "scenario" or value.startswith("{"):
        return arg
    names: dict[str, str] = {}
    for given in value.split(","):
        name = given.strip("'\" ")
        if scenarios.is_file(name):
            content, stem = scenarios.read(name), Path(name).stem
            if names.get(stem, name) != name or stem in scenarios.names():
                raise BadInputError(f"scenario={value}: {name} is one of two scenarios named {stem!r}; rename the file")
            names[stem] = name
            ConfigStore.instance().store(group="scenario", name=stem, node=content, provider="file")
        else:
            names[name] = name
    return f"scenario={','.join(names)}"


def _plainly(said: str, config_name: str) -> str:
    """Return what Hydra says, on one margin, with the nearest name where there is none such, and no hint that leads nowhere."""
    said = re.sub(r"\n\s*", "\n", said.replace("\t", " ").partition("Config search path")[0]).strip()
    if found := re.match(r"Could not override '(.+?)'\.", said):
        return f"no key {found[1]!r}; `hashgym {config_name} --cfg job` shows those there are"
    if found := re.match(r"In .*?: Could not find '(.+?)/(.+?)'", said, re.DOTALL):
        near = get_close_matches(found[2], said.partition("Available options in")[2].split(), 1)
        said += f"\ndid you mean {found[1]}={near[0]}?" if near else ""
        said += "\na scenario of your own is named by its file, scenario=FILE.yaml" if found[1] == "scenario" else ""
    return said


def _told(error: Exception, reason: str) -> BadInputError:
    """Write down and return why a job of a sweep failed."""
    settings = HydraConfig.get()
    overrides, folder = " ".join(settings.overrides.task), Path(settings.runtime.output_dir)
    write_text(folder / FAILED, f"{overrides}\n{reason}\n")
    said = BadInputError(f"job {settings.job.num} ({overrides}) failed: {error}; {folder / FAILED}")
    log.error("%s", said)
    return said


@contextmanager
def _job_log(folder: Path) -> Iterator[None]:
    """Keep what a job of a sweep says in its folder as well."""
    (folder / FAILED).unlink(missing_ok=True)
    handler = logging.FileHandler(folder / "job.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


def _remove_if_empty(folder: Path) -> None:
    """Remove the folder that Hydra made for a job which then left nothing in it."""
    if folder.is_dir() and folder.resolve() != Path.cwd() and not any(folder.iterdir()):
        folder.rmdir()
