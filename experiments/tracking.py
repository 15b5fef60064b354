"""Where a run's parameters, curves and files go: MLflow, or nowhere."""

import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Final, Protocol

from filelock import FileLock

from hashgym.advisor.bundle import Bundle
from hashgym.agents import training
from hashgym.sim.foundation.errors import BadInputError

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

        The SQLite store is made or migrated by the first job that gets here; jobs of a sweep wait for each other, since
        MLflow fails when two processes make it at once.
        """
        self._client, experiment_id = _open_store(uri, experiment)
        if run_id is None:
            self._id = self._client.create_run(experiment_id, run_name=name).info.run_id
        else:
            self._id = run_id
            self._client.update_run(run_id, status="RUNNING")
        self.run_id: str | None = self._id

    def begin(self, params: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        """Log parameters and tags of a new run."""
        from mlflow.entities import Param, RunTag

        entries = [Param(key, str(value)[:500]) for key, value in params.items()]
        self._client.log_batch(self._id, params=entries, tags=[RunTag(key, value) for key, value in tags.items()])

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Log numbers of a step in one call."""
        import time

        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        self._client.log_batch(self._id, metrics=[Metric(key, value, now_ms, step) for key, value in values.items()])

    def artifact(self, path: Path) -> None:
        """Log a file."""
        self._client.log_artifact(self._id, str(path))

    def close(self, status: str) -> None:
        """End the run as FINISHED, FAILED or KILLED."""
        self._client.set_terminated(self._id, status)


def _open_store(uri: str | None, experiment: str) -> tuple[Any, str]:
    """Return a client of the store and the id of an experiment, which is made if it is not there."""
    import mlflow

    Path("outputs").mkdir(exist_ok=True)
    mlflow.set_tracking_uri(uri or DEFAULT_URI)
    with FileLock("outputs/.mlflow.lock"):
        client = mlflow.MlflowClient()
        found = client.get_experiment_by_name(experiment)
        artifacts = (Path("outputs") / "mlartifacts").resolve().as_uri() if uri is None else None
        return client, found.experiment_id if found else client.create_experiment(experiment, artifacts)


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
    with mlflow.start_run(run_id=run_id):
        logged = mlflow.pyfunc.log_model(
            name=name,
            python_model=str(Path(__file__).with_name("served_model.py")),
            artifacts={"bundle": str(bundle.folder.resolve())},
            signature=signature,
            input_example=pd.DataFrame([{entry["name"]: entry["trained_low"] for entry in bundle.observations}]),
            pip_requirements=[
                f"{part}=={metadata.version(part)}" for part in ("hashgym", "mlflow", "numpy", "onnxruntime", "pandas")
            ],
            registered_model_name=name,
        )
    version = str(logged.registered_model_version)
    client.set_registered_model_alias(name, alias, version)
    return version


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
        return {
            **tags,
            "git.revision": git("rev-parse", "HEAD"),
            "git.is_changed": str(bool(git("status", "--porcelain"))),
        }
    except (OSError, subprocess.CalledProcessError):
        return {**tags, "git.revision": "none"}
