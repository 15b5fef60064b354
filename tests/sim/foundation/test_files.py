"""Files of a cache: whole or not at all, and not too many."""

import os
from pathlib import Path

import numpy as np

from hashgym.sim.foundation.files import keep_arrays


def test_a_cache_keeps_its_newest_arrays(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    for k in range(4):
        keep_arrays(folder / f"{k}.npz", 2, values=np.arange(k), number=k)
        os.utime(folder / f"{k}.npz", (k, k))
    assert sorted(path.name for path in folder.iterdir()) == ["2.npz", "3.npz"]
    with np.load(folder / "3.npz") as stored:
        assert (stored["values"].tolist(), int(stored["number"])) == ([0, 1, 2], 3)
    (tmp_path / "file").write_text("")
    keep_arrays(tmp_path / "file" / "a.npz", 2, values=np.arange(3))  # nowhere to write: nothing happens
    assert (tmp_path / "file").read_text() == ""
