"""Read a policy bundle and decide with it. Needs numpy and onnxruntime, nothing of what trains policies."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime

from ..sim.foundation.errors import BadInputError, BundleError
from . import manifest as manifests

MODEL, MANIFEST, CARD, SUMS = "policy.onnx", "manifest.json", "model_card.md", "SHA256SUMS"
REQUIRED: Final = (MODEL, MANIFEST, CARD)
FORECAST: Final = "forecast.json"
"""A forecaster that travels with the policy; deciding does not need it."""

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a policy decides for n sites.

    setpoint_mhz: frequency set-point of each zone's machines, 0 to sleep, (n, n_zones). [MHz] action: the same as an
    action of the environment, (n, n_zones). scores: logits of each choice of a discrete action, (n, n_zones, most
    choices), or a Box action before it is clipped or squashed, (n, n_zones).
    """

    setpoint_mhz: Float32Array
    action: npt.NDArray[Any]
    scores: Float32Array


class Bundle:
    """A policy that has left the workshop: checked files, tables and a session of onnxruntime."""

    def __init__(self, folder: str | Path) -> None:
        """Check every file of the folder against its sum, then load.

        Raises:
            BundleError: A file is missing, truncated or changed, the schema is another one, or graph and tables differ.
        """
        self.folder = Path(folder)
        content = _verified(self.folder)
        self.manifest: dict[str, Any] = manifests.read(content[MANIFEST], str(self.folder / MANIFEST))
        if hashlib.sha256(content[MODEL]).hexdigest() != self.manifest["model_sha256"]:
            raise BundleError(f"{self.folder / MANIFEST}: model_sha256 is not that of {MODEL}; they are of two exports")
        self.content = content
        self.observations: list[dict[str, Any]] = self.manifest["observations"]
        self.actions: list[dict[str, Any]] = self.manifest["actions"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(content[MODEL], options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises classes of its own, without a common base
            raise BundleError(f"{self.folder / MODEL}: onnxruntime refuses it ({error})") from error
        self._check_graph()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the observations, in order."""
        return tuple(entry["name"] for entry in self.observations)

    @property
    def n_zones(self) -> int:
        """Number of zones that the policy steers."""
        return len(self.actions)

    def decide(self, observation: npt.ArrayLike) -> Decision:
        """Return the decisions for observations in physical units, (n_observations,) or (n, n_observations).

        Raises:
            BadInputError: The shape is wrong or a value is not finite; names the observation.
        """
        try:
            values = np.atleast_2d(np.asarray(observation, dtype=np.float32))
        except (TypeError, ValueError) as error:
            raise BadInputError(f"observation is not an array of numbers ({error})") from error
        if values.ndim != 2 or values.shape[1] != len(self.observations):
            raise BadInputError(
                f"observation has shape {np.shape(observation)}; it must be (n, {len(self.observations)}), in the manifest's order"
            )
        if not np.isfinite(values).all():
            row, column = np.argwhere(~np.isfinite(values))[0]
            raise BadInputError(f"observation row {row}, {self.names[column]!r}: {values[row, column]} is not a number")
        return Decision(*self._session.run(None, {self._input: values}))

    def require_observations(self, names: Sequence[str]) -> None:
        """Refuse a bundle that was made for another observation table.

        Raises:
            BundleError: Names the first observation that differs.
        """
        if self.names == tuple(names):
            return
        for index in range(max(len(names), len(self.names))):
            here = self.names[index] if index < len(self.names) else "nothing"
            there = names[index] if index < len(names) else "nothing"
            if here != there:
                raise BundleError(
                    f"{self.folder}: made for another observation table: entry {index} is {here!r}, this version has {there!r}"
                )

    def _check_graph(self) -> None:
        inputs, outputs = self._session.get_inputs(), [output.name for output in self._session.get_outputs()]
        self._input = inputs[0].name
        wanted = ["setpoint_mhz", "action", "scores"]
        if len(inputs) != 1 or inputs[0].shape[1:] != [len(self.observations)] or outputs != wanted:
            raise BundleError(
                f"{self.folder / MODEL}: takes {[(i.name, i.shape) for i in inputs]} and gives {outputs}; the manifest has "
                f"{len(self.observations)} observations and the outputs {wanted}"
            )
        zones = self._session.get_outputs()[0].shape[1]
        if zones != self.n_zones:
            raise BundleError(f"{self.folder / MODEL}: steers {zones} zones; the manifest has {self.n_zones}")


def _verified(folder: Path) -> dict[str, bytes]:
    """Return the content of every file that the sums list, each checked."""
    try:
        text = (folder / SUMS).read_bytes().decode("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"{folder}: not a policy bundle, {SUMS} is missing or not readable ({error})") from error
    lines = text.split("\n")
    if lines.pop() != "":
        raise BundleError(f"{folder / SUMS}: the last line does not end; export the policy again")
    content: dict[str, bytes] = {}
    for number, line in enumerate(lines, 1):
        digest, _, name = line.partition("  ")
        path = folder / name
        if len(digest) != 64 or not name or not _is_inside(path, folder):
            raise BundleError(f"{folder / SUMS}, line {number}: {line!r} is not a SHA-256 sum and a file of the bundle")
        try:
            content[name] = path.read_bytes()
        except OSError as error:
            raise BundleError(f"{path}: missing or not readable ({error})") from error
        if hashlib.sha256(content[name]).hexdigest() != digest:
            raise BundleError(f"{path}: truncated or changed (SHA-256 differs from {SUMS}); export the policy again")
    for name in REQUIRED:
        if name not in content:
            raise BundleError(f"{folder / SUMS}: does not list {name}; export the policy again")
    return content


def _is_inside(path: Path, folder: Path) -> bool:
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # a loop of links, a null byte
        return False
