"""Checkpoints of our own: everything that a learner needs to go on as if it had never stopped. Nothing is unpickled."""

import hashlib
import io
import json
import os
import pickle
import random
import shutil
import struct
import tempfile
import zipfile
from collections import deque
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.save_util import recursive_getattr

from ...sim.foundation.errors import CheckpointError
from ...sim.foundation.foreign import read_file

SCHEMA: Final = 1
FILES: Final = ("tensors.pt", "arrays.npz")
MAX_BYTES: Final = 8 << 30
"""Most bytes of a file, unfolded. chosen: a replay buffer of ten million steps of a hundred observations."""
DAMAGE: Final = (
    RuntimeError, KeyError, TypeError, ValueError, AttributeError, EOFError, OverflowError, struct.error, pickle.UnpicklingError,
    zipfile.BadZipFile,
)  # fmt: skip
"""What reading a file that holds something else raises."""
Weights = dict[str, torch.Tensor]
_COUNTERS: Final = ("num_timesteps", "_n_updates", "_episode_num")
_KEEP: Final = 2
_REPLAY: Final = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts", "costs")


def save(
    folder: Path,
    model: BaseAlgorithm,
    env_state: dict[str, np.ndarray],
    extra: dict[str, Any],
    best: Weights | None = None,
) -> Path:
    """Write a checkpoint, whole or not at all, and remove all but the last two.

    Args:
        folder: Folder of checkpoints; this one becomes `step_000001234567` in it.
        model: The learner, at a rollout's start.
        env_state: State of its environment, arrays without objects.
        extra: Anything that JSON can hold.
        best: Weights of the best policy so far, if there are others than the learner's own.

    Returns:
        The checkpoint's folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=folder, prefix=".writing."))
    target = folder / f"step_{model.num_timesteps:012d}"
    tensors, arrays = io.BytesIO(), io.BytesIO()  # a full disk then is an OSError, not torch's
    torch.save({**_tensors(model), "best": best}, tensors)
    np.savez(arrays, allow_pickle=False, **_arrays(model, env_state))
    try:
        (aside / "tensors.pt").write_bytes(tensors.getbuffer())
        (aside / "arrays.npz").write_bytes(arrays.getbuffer())
        meta = {
            "schema": SCHEMA,
            "counters": {name: int(getattr(model, name)) for name in _COUNTERS},
            "episodes": list(model.ep_info_buffer or ()),
            "python_rng": _listed(random.getstate()),
            "action_rng": model.action_space.np_random.bit_generator.state,
            "extra": extra,
            "sha256": {name: _sha256(aside / name) for name in ("tensors.pt", "arrays.npz")},
        }
        (aside / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
        for path in aside.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        if target.exists():  # saved before a kill; training is deterministic, so it holds the same
            shutil.rmtree(aside)
        else:
            aside.chmod(0o755)
            aside.rename(target)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    for old in _complete(folder)[:-_KEEP]:
        shutil.rmtree(old, ignore_errors=True)
    for left in folder.glob(".writing.*"):
        shutil.rmtree(left, ignore_errors=True)
    return target


def latest(folder: Path) -> Path | None:
    """Return the newest checkpoint of a folder, None if there is none."""
    found = _complete(folder)
    return found[-1] if found else None


def read_meta(checkpoint: Path) -> dict[str, Any]:
    """Return a checkpoint's meta data after a check of its files.

    Raises:
        CheckpointError: A file is missing, truncated or changed, or of another schema.
    """
    try:
        meta: dict[str, Any] = json.loads(read_file(checkpoint / "meta.json", MAX_BYTES, checkpoint))
        expected = meta["sha256"]
        if set(expected) != set(FILES) or not isinstance(meta["extra"], dict):
            raise ValueError(f"it must name {' and '.join(FILES)}")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"{checkpoint / 'meta.json'}: missing or not readable ({error}); remove this folder to go on from the checkpoint before"
        ) from error
    if meta.get("schema") != SCHEMA:
        raise CheckpointError(f"{checkpoint}: schema is {meta.get('schema')!r}; this version reads {SCHEMA}")
    for name, digest in expected.items():
        path = checkpoint / name
        if not path.is_file() or path.is_symlink():
            raise CheckpointError(f"{path}: missing; remove this folder to go on from the checkpoint before")
        if _sha256(path) != digest:
            raise CheckpointError(
                f"{path}: truncated or changed (SHA-256 differs from meta.json); remove this folder to go on from the checkpoint before"
            )
    return meta


def load(checkpoint: Path, model: BaseAlgorithm) -> tuple[dict[str, np.ndarray], dict[str, Any], Weights | None]:
    """Put a learner into the state of a checkpoint, the random generators of the process included.

    Returns:
        The state of the environment, to be restored by the caller, and what `save` got as extra and as best.

    Raises:
        CheckpointError: The checkpoint is damaged or belongs to a learner of another form.
    """
    meta = read_meta(checkpoint)
    load_policy(checkpoint, model)
    try:
        return _restored(checkpoint, model, meta)
    except DAMAGE as error:
        raise CheckpointError(f"{checkpoint}: does not fit this learner ({str(error)[:200]})") from error


def _restored(
    checkpoint: Path, model: BaseAlgorithm, meta: dict[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any], Weights | None]:
    tensors = _read_tensors(checkpoint)
    for name, content in tensors["optimizers"].items():
        recursive_getattr(model, name).load_state_dict(content)
    for name, content in tensors["variables"].items():
        recursive_getattr(model, name).data.copy_(content)
    _require_bounded(checkpoint / "arrays.npz")
    with np.load(checkpoint / "arrays.npz", allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    model._last_obs = arrays["last_obs"]
    model._last_original_obs = arrays["last_obs"].copy() if "replay_observations" in arrays else None
    model._last_episode_starts = arrays["last_episode_starts"]
    for name in _COUNTERS:
        setattr(model, name, meta["counters"][name])
    model.ep_info_buffer = deque(meta["episodes"], maxlen=model._stats_window_size)
    model.ep_success_buffer = deque(maxlen=model._stats_window_size)
    if isinstance(model, OffPolicyAlgorithm):
        _fill_replay(model, arrays)
    model.action_space.np_random.bit_generator.state = meta["action_rng"]
    random.setstate(_tupled(meta["python_rng"]))
    position, has_gauss, cached_gauss = arrays["numpy_rng_rest"].tolist()
    np.random.set_state(("MT19937", arrays["numpy_rng_keys"], int(position), int(has_gauss), cached_gauss))  # noqa: NPY002
    torch.set_rng_state(tensors["torch_rng"])
    if tensors.get("memory"):
        own: Any = model
        own._last_lstm_states = type(own._last_lstm_states)(*(tuple(pair) for pair in tensors["memory"]))
    env_state = {name.removeprefix("env_"): array for name, array in arrays.items() if name.startswith("env_")}
    return env_state, meta["extra"], tensors["best"]


def load_policy(checkpoint: Path, model: BaseAlgorithm) -> None:
    """Load the network weights of a checkpoint into a learner; raises CheckpointError if they do not fit."""
    read_meta(checkpoint)
    try:
        model.policy.load_state_dict(_read_tensors(checkpoint)["policy"])
    except DAMAGE as error:
        raise CheckpointError(f"{checkpoint}: weights do not fit this learner ({str(error)[:200]})") from error


def _read_tensors(checkpoint: Path) -> dict[str, Any]:
    _require_bounded(checkpoint / "tensors.pt")
    content: dict[str, Any] = torch.load(checkpoint / "tensors.pt", weights_only=True)
    return content


def _require_bounded(path: Path) -> None:
    """Refuse an archive that unfolds to more than MAX_BYTES; raises ValueError."""
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > MAX_BYTES:
        raise ValueError(f"{path.name} unfolds to {size >> 20} MiB; at most {MAX_BYTES >> 20} are read")


def weights_hash(model: BaseAlgorithm) -> str:
    """Return a hash over the network weights, shortened to 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, tensor in model.policy.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def _tensors(model: BaseAlgorithm) -> dict[str, Any]:
    state_names, variable_names = model._get_torch_save_params()
    return {
        "policy": model.policy.state_dict(),
        "optimizers": {name: recursive_getattr(model, name).state_dict() for name in state_names if name != "policy"},
        "variables": {name: recursive_getattr(model, name).detach() for name in variable_names},
        "torch_rng": torch.get_rng_state(),
        "memory": [list(pair) for pair in getattr(model, "_last_lstm_states", None) or ()],
    }


def _arrays(model: BaseAlgorithm, env_state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    _, keys, *rest = np.random.get_state()  # noqa: NPY002
    arrays = {f"env_{name}": array for name, array in env_state.items()}
    arrays["last_obs"] = np.asarray(model._last_obs)
    arrays["last_episode_starts"] = np.asarray(model._last_episode_starts)
    arrays["numpy_rng_keys"], arrays["numpy_rng_rest"] = np.asarray(keys), np.array(rest, dtype=np.float64)
    if isinstance(model, OffPolicyAlgorithm):
        buffer: Any = model.replay_buffer
        arrays["replay_position"] = np.array([buffer.pos, int(buffer.full)])
        rows = buffer.buffer_size if buffer.full else buffer.pos
        arrays |= {f"replay_{name}": getattr(buffer, name)[:rows] for name in _REPLAY if hasattr(buffer, name)}
    return arrays


def _fill_replay(model: OffPolicyAlgorithm, arrays: dict[str, np.ndarray]) -> None:
    buffer: Any = model.replay_buffer
    buffer.pos, buffer.full = int(arrays["replay_position"][0]), bool(arrays["replay_position"][1])
    for name in _REPLAY:
        if hasattr(buffer, name):
            stored = arrays[f"replay_{name}"]
            getattr(buffer, name)[: len(stored)] = stored


def _complete(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("step_*") if (path / "meta.json").is_file())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _listed(value: object) -> object:
    return [_listed(entry) for entry in value] if isinstance(value, tuple) else value


def _tupled(value: Any) -> Any:
    return tuple(_tupled(entry) for entry in value) if isinstance(value, list) else value
