"""Read a policy bundle and decide with it. Needs numpy and onnxruntime, nothing of what trains policies."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime

from ..sim.foundation.errors import BadInputError, BundleError
from ..sim.foundation.foreign import read_file
from . import manifest as manifests

MODEL, MANIFEST, CARD, SUMS = "policy.onnx", "manifest.json", "model_card.md", "SHA256SUMS"
REQUIRED: Final = (MODEL, MANIFEST, CARD)
FORECAST: Final = "forecast.json"
"""A forecaster that travels with the policy; deciding does not need it."""

MAX_SUMS_BYTES: Final = 64 << 10
MAX_BYTES: Final = 64 << 20
"""Largest file of a bundle. chosen: a net of 256-256 takes 1 MB, a forecast 5."""
OPERATORS: Final = frozenset(
    [
        "Abs",
        "Add",
        "And",
        "ArgMax",
        "ArgMin",
        "Asinh",
        "Cast",
        "Clip",
        "Concat",
        "Constant",
        "Div",
        "Equal",
        "Erf",
        "Exp",
        "Expand",
        "Flatten",
        "Gather",
        "GatherElements",
        "GatherND",
        "Gemm",
        "Greater",
        "GreaterOrEqual",
        "Identity",
        "Less",
        "LessOrEqual",
        "Log",
        "MatMul",
        "Max",
        "Min",
        "Mul",
        "Neg",
        "Not",
        "Or",
        "Pad",
        "Pow",
        "Reciprocal",
        "ReduceMean",
        "ReduceSum",
        "Relu",
        "Reshape",
        "Round",
        "Shape",
        "Sigmoid",
        "Sign",
        "Slice",
        "Softmax",
        "Softplus",
        "Split",
        "Sqrt",
        "Squeeze",
        "Sub",
        "Tanh",
        "Transpose",
        "Unsqueeze",
        "Where",
    ]
)
"""Operators that graphs of policies may hold: those that exports have, and their like."""

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a policy decides for n sites.

    setpoint_mhz: frequency set-point of each zone's machines, 0 to sleep, (n, n_zones). [MHz] action: the same as an
    action of the environment, (n, n_zones). scores: logits of each choice of a discrete action, (n, n_zones, most
    choices), or a Box action before it is clipped or squashed, (n, n_zones). commands: what residual actions come to, entries of the manifest's
    `commands`, (n, n_commands); None of other actions.
    """

    setpoint_mhz: Float32Array
    action: npt.NDArray[Any]
    scores: Float32Array
    commands: Float32Array | None = None


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
        # Weights lie inside the model, whose sum is checked: none are read from files beside it.
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
        _require_known_operators(content[MODEL], str(self.folder / MODEL))
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
        try:
            return Decision(*self._session.run(None, {self._input: values}))
        except Exception as error:  # as above
            raise BundleError(f"{self.folder / MODEL}: cannot decide ({str(error)[:200]})") from error

    @property
    def task(self) -> str:
        """What the policy does: hashrate, or operation, which steers plants and a battery as well."""
        return "operation" if str(self.manifest["env"]["id"]).startswith("hashgym/SiteOperation") else "hashrate"

    @property
    def has_rule(self) -> bool:
        """Whether the policy moves the operator's rule, which its graph holds."""
        return bool(self.manifest["env"]["action"] == "residual")

    @property
    def rule(self) -> dict[str, float] | None:
        """Settings of the operator's rule that the policy moves, None if it moves none."""
        found = self.manifest["env"].get("rule") if self.has_rule else None
        return None if found is None else {name: float(value) for name, value in found.items()}

    @property
    def has_events(self) -> bool:
        """Whether the policy sees what befalls the site: outages, and machines that are out of work."""
        return bool(self.manifest["scenario"].get("events", "none") != "none")

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
        wanted = ["setpoint_mhz", "action", "scores", *(["commands"] if self.has_rule else [])]
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
        text = read_file(folder / SUMS, MAX_SUMS_BYTES, folder).decode("ascii")
    except (BadInputError, UnicodeDecodeError) as error:
        raise BundleError(f"{folder}: not a policy bundle, {SUMS} is missing or not readable ({error})") from error
    lines = text.split("\n")
    if lines.pop() != "":
        raise BundleError(f"{folder / SUMS}: the last line does not end; export the policy again")
    content: dict[str, bytes] = {}
    for number, line in enumerate(lines, 1):
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name or name != Path(name).name or name in content:
            raise BundleError(
                f"{folder / SUMS}, line {number}: {line!r:.200} is not a SHA-256 sum and a file of the bundle"
            )
        try:
            content[name] = read_file(folder / name, MAX_BYTES, folder)
        except BadInputError as error:
            raise BundleError(f"{folder / name}: missing or not readable ({error})") from error
        if hashlib.sha256(content[name]).hexdigest() != digest:
            raise BundleError(
                f"{folder / name}: truncated or changed (SHA-256 differs from {SUMS}); export the policy again"
            )
    for name in REQUIRED:
        if name not in content:
            raise BundleError(f"{folder / SUMS}: does not list {name}; export the policy again")
    return content


def _require_known_operators(model: bytes, name: str) -> None:
    """Refuse a graph that holds other operators than exports have: loops and branches run as long as they like.

    Source: ONNX, onnx.proto3: ModelProto.graph is field 7, GraphProto.node 1, NodeProto.op_type 4 and domain 7.
    """
    try:
        nodes = [node for graph in _fields(model, 7) for node in _fields(graph, 1)]
        used = {(*_fields(node, 4), b"")[0].decode("ascii") for node in nodes}
        foreign = any(domain not in (b"", b"ai.onnx") for node in nodes for domain in _fields(node, 7))
        functions = any(True for _ in _fields(model, 25))
    except (ValueError, IndexError) as error:
        raise BundleError(f"{name}: no model of ONNX ({error})") from error
    strange = sorted(used - OPERATORS)
    if strange or foreign or functions:
        raise BundleError(f"{name}: has operators that no export has ({', '.join(strange) or 'of another domain'})")


def _fields(message: bytes, wanted: int) -> Iterator[bytes]:
    """Yield the values of a field of a message of protocol buffers whose values are strings or messages.

    Source: Protocol Buffers, Encoding: a key is a number and a wire type; 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        size = 0
        if kind == 0:
            _, at = _varint(message, at)
        elif kind == 2:
            size, at = _varint(message, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind} at byte {at}")
        if at + size > len(message):
            raise ValueError(f"ends within a field at byte {at}")
        if kind == 2 and key >> 3 == wanted:
            yield message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError(f"a number too long at byte {at}")
