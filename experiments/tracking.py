"""Where a run's parameters, curves and files go: MLflow, or nowhere."""

import math
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib import metadata
from pathlib import Path
from typing import Any, Final, Protocol

from filelock import FileLock, Timeout

from hashgym.advisor.bundle import Bundle
from hashgym.agents.learning import training
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.foundation.wording import plain

DEFAULT_URI: Final = "sqlite:///outputs/mlflow.db"
_VERSIONED: Final = ("hashgym", "gymnasium", "numpy", "numba", "pandas", "stable-baselines3", "torch", "mlflow")


class Tracker(training.Tracker, Protocol):
    """What a run tells, its curves, its files and how it ended."""

    def artifact(self, path: Path) -> None:
        """Log a file."""

    def close(self, status: str) -> None:
        """End the run as FINISHED, FAILED or KILLED."""


class NoTracker:
    """Tell nobody."""

    run_id: str | None = None

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Log nothing."""

    def artifact(self, path: Path) -> None:
        """Log nothing."""

    def close(self, status: str) -> None:
        """End nothing."""


class MlflowTracker:
    """Tell an MLflow server or the SQLite store."""

    def __init__(self, uri: str | None, experiment: str, name: str, run_id: str | None) -> None:
        """Open a run, or the run of `run_id` to go on with.

        The SQLite store is made or migrated by the first process that gets here; others wait for it, since
        MLflow fails when two make it at once. Runs whose process was killed are ended as that.
        """
        self._client, experiment_id = _open_store(uri, experiment)
        _end_killed(self._client, experiment_id, run_id)
        if run_id is None:
            self._id = self._client.create_run(experiment_id, run_name=name).info.run_id
        else:
            self._id = run_id
            try:
                self._client.update_run(run_id, status="RUNNING")
            except Exception as error:  # a class of MLflow's, which is loaded where it is used
                raise BadInputError(
                    f"tracking: run {run_id} is not in this store; name its own by tracking.uri, or go on with tracking=none"
                ) from error
        self.run_id: str | None = self._id

    def begin(self, params: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        """Log parameters and tags of a new run."""
        from mlflow.entities import Param, RunTag

        entries = [Param(_key(key), plain(str(value))[:500]) for key, value in params.items()]
        told = [RunTag(_key(key), plain(str(value))[:5000]) for key, value in tags.items()]
        self._client.log_batch(self._id, params=entries, tags=told)

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Log numbers of a step in one call; what is not finite is no number that a store keeps as it is."""
        import time

        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        finite = [Metric(key, value, now_ms, step) for key, value in values.items() if math.isfinite(value)]
        self._client.log_batch(self._id, metrics=finite)

    def artifact(self, path: Path) -> None:
        """Log a file."""
        self._client.log_artifact(self._id, str(path))

    def close(self, status: str) -> None:
        """End the run as FINISHED, FAILED or KILLED."""
        self._client.set_terminated(self._id, status)


def _open_store(uri: str | None, experiment: str) -> tuple[Any, str]:
    """Return a client of the store and the id of an experiment, which is made if it is not there.

    The store is that of `tracking.uri`, else of $MLFLOW_TRACKING_URI, else outputs/mlflow.db. Raises BadInputError if it cannot be opened.
    """
    import mlflow

    uri = _absolute(uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI)
    path = _sqlite_path(uri)
    try:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        with nullcontext() if path is None else FileLock(path.with_name(f".{path.name}.lock")):
            client = mlflow.MlflowClient(uri)
            found = client.get_experiment_by_name(experiment)
            artifacts = None if path is None else path.with_name("mlartifacts").as_uri()
            return client, found.experiment_id if found else client.create_experiment(experiment, artifacts)
    except (mlflow.MlflowException, OSError) as error:
        raise BadInputError(f"tracking: the store {uri} cannot be opened ({error}){_upgrade(uri, error)}") from error


FOLDER_TAG: Final = "hashgym.folder"
"""Tag of a run's folder, whose lock tells whether its process is alive."""
LOCK: Final = ".lock"


def _end_killed(client: Any, experiment_id: str, kept: str | None) -> None:
    """End the runs of this machine whose process is gone: the system frees the lock on a run's folder, however it ended."""
    words = f"attributes.status = 'RUNNING' and tags.`hashgym.host` = '{platform.node()}'"
    for run in client.search_runs([experiment_id], words):
        tag = run.data.tags.get(FOLDER_TAG)
        if not tag or run.info.run_id == kept or not (Path(tag) / LOCK).is_file():
            continue
        try:
            with FileLock(Path(tag) / LOCK, timeout=0):
                client.set_terminated(run.info.run_id, "KILLED")
        except (Timeout, OSError):
            continue


def _key(name: str) -> str:
    """Return a name as MLflow allows it."""
    return re.sub(r"[^\w\-./ ]", "_", name)[:250]


def _absolute(uri: str) -> str:
    """Return a store's URI with a SQLite file named from the root: a folder of work may change, a store may not."""
    path = _sqlite_path(uri)
    return uri if path is None else f"sqlite:///{path}"


def _sqlite_path(uri: str) -> Path | None:
    """Return the file of a SQLite store, None for any other store."""
    head = "sqlite:///"
    return Path(uri.removeprefix(head)).resolve() if uri.startswith(head) else None


def _upgrade(uri: str, error: Exception) -> str:
    return f"; run `mlflow db upgrade {uri}`" if "out-of-date" in str(error) else ""


def register(tracking: Mapping[str, Any], bundle: Bundle, name: str, alias: str, run_id: str | None) -> str:
    """Log a bundle as a model from code, register it and give the new version an alias; returns the version.

    Args:
        tracking: Where MLflow is.
        bundle: The bundle.
        name: Registered model.
        alias: Alias of the new version.
        run_id: The training run that the model belongs to; None makes a run of its own.
    """
    import mlflow
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    mlflow.environment_variables.MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)  # type: ignore[no-untyped-call]
    client, experiment_id = _open_store(tracking["uri"], tracking["experiment"])
    if run_id is None:
        run_id = client.create_run(experiment_id, run_name=f"export {name}").info.run_id
    outputs = [f"zone{z}_{what}" for z in range(bundle.n_zones) for what in ("setpoint_mhz", "action")]
    signature = ModelSignature(
        Schema([ColSpec("double", column) for column in bundle.names]),
        Schema([ColSpec("double", column) for column in outputs]),
    )
    before = client.get_run(run_id).info
    with (
        _usual_store(client.tracking_uri),
        _as_it_ended(client, before),
        _loader_sources() as sources,
        mlflow.start_run(run_id=run_id),
    ):
        logged = mlflow.pyfunc.log_model(
            name=name,
            python_model=str(Path(__file__).with_name("served_model.py")),
            artifacts={"bundle": str(bundle.folder.resolve())},
            signature=signature,
            input_example=pd.DataFrame([{entry["name"]: entry["trained_low"] for entry in bundle.observations}]),
            code_paths=[str(sources)],
            pip_requirements=[
                f"{part}=={metadata.version(part).partition('+')[0]}"
                for part in ("mlflow", "numpy", "onnxruntime", "pandas")
            ],
            registered_model_name=name,
        )
    version = str(logged.registered_model_version)
    client.set_registered_model_alias(name, alias, version)
    return version


@contextmanager
def _usual_store(uri: str) -> Iterator[None]:
    """Make a store MLflow's usual one for a while; MLflow writes the usual one into the environment, where later runs would find it."""
    import mlflow

    named = os.environ.get("MLFLOW_TRACKING_URI")
    before: Any = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None  # type: ignore[no-untyped-call]
    before = None if before == named else before
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        if named is not None:
            os.environ["MLFLOW_TRACKING_URI"] = named


@contextmanager
def _as_it_ended(client: Any, info: Any) -> Iterator[None]:
    """Keep the end of a run that is opened once more: a run ended when its training did."""
    try:
        yield
    finally:
        if info.end_time is not None:
            client.set_terminated(info.run_id, info.status, info.end_time)


LOADER: Final = (
    "advisor/__init__.py",
    "advisor/bundle.py",
    "advisor/manifest.py",
    "sim/__init__.py",
    "sim/foundation/__init__.py",
    "sim/foundation/errors.py",
    "sim/foundation/foreign.py",
)
"""What of hashgym reads a bundle. It goes with the model, which then loads where hashgym is not installed."""


@contextmanager
def _loader_sources() -> Iterator[Path]:
    """Give a package `hashgym_bundle` of the sources that read a bundle.

    MLflow puts it on Python's path of whoever loads the model, where a package `hashgym` would hide the rest of an installed one.
    """
    root = Path(__file__).resolve().parents[1]
    with tempfile.TemporaryDirectory() as folder:
        for name in LOADER:
            target = Path(folder) / "hashgym_bundle" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, target)
        yield Path(folder) / "hashgym_bundle"


def open_tracker(
    tracking: Mapping[str, Any], name: str, params: Mapping[str, Any], tags: Mapping[str, str], run_id: str | None
) -> Tracker:
    """Open the tracker that a config names; raises BadInputError if it names none."""
    if tracking["kind"] == "none":
        return NoTracker()
    if tracking["kind"] != "mlflow":
        raise BadInputError(f"tracking.kind is {tracking['kind']!r}; it must be mlflow or none")
    tracker = MlflowTracker(tracking["uri"], tracking["experiment"], name, run_id)
    if run_id is None:
        tracker.begin(params, tags)
    return tracker


def flatten(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested mapping as one level with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def provenance() -> dict[str, str]:
    """Return git revision, whether the tree was changed, and the versions of Python and of what results depend on."""
    tags = {"python": platform.python_version(), "platform": platform.platform()}
    for name in _VERSIONED:
        tags[f"version.{name}"] = metadata.version(name)
    root = Path(__file__).resolve().parent.parent

    def git(*args: str) -> str:
        return subprocess.run(["git", *args], cwd=root, capture_output=True, text=True, check=True).stdout.strip()

    try:
        # Installed from a wheel, the package may lie in an environment inside somebody else's repository.
        if Path(git("rev-parse", "--show-toplevel")) != root:
            return {**tags, "git.revision": "none"}
        revision = git("rev-parse", "HEAD")
        return {
            **tags,
            "git.revision": revision,
            "git.is_changed": str(bool(git("status", "--porcelain"))),
            "mlflow.source.git.commit": revision,
        }
    except (OSError, subprocess.CalledProcessError):
        return {**tags, "git.revision": "none"}
