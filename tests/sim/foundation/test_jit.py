"""Compiled physics is never stale: an edit of a called file changes the folder of the cache."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hashgym.sim.foundation import jit, noise

ROOT = Path(jit.__file__).resolve().parents[2]
FOLDERS = ("sim", "envs", "agents", "evaluation")

PROBE = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from hashgym.sim.site.zone import board_heat
from hashgym.sim.site.params import ZONE_PARAMS
from hashgym.sim.site.state import ZONE_STATE
zone, p = np.zeros(1, ZONE_STATE), np.zeros(1, ZONE_PARAMS)
zone["chip_temp_c"], p["leak_w_per_v2"], p["floor_v"], p["boot_power_frac"] = 60.0, 1.0, 10.0, 1.0
print(board_heat(zone[0], p[0], 100.0, 1.0)[0])
"""


@pytest.mark.slow
def test_an_edited_physics_function_is_not_run_from_the_cache(tmp_path: Path) -> None:
    package = tmp_path / "hashgym"
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, package / folder, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "HASHGYM_CACHE_DIR": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}

    def heat_w() -> float:
        command = [
            sys.executable,
            "-S",
            "-c",
            f"import site; site.addsitedir({str(Path(jit.numba.__file__).parents[1])!r}); " + PROBE,
            str(tmp_path),
        ]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=tmp_path)
        return float(done.stdout)

    first = heat_w()
    assert heat_w() == first
    edited = package / "sim" / "hardware" / "machine.py"
    text = edited.read_text()
    stamp = edited.stat()
    edited.write_text(text.replace("w_per_v2 * rail_v * rail_v", "2.0 * w_per_v2 * rail_v * rail_v"))
    os.utime(edited, (stamp.st_atime, stamp.st_mtime))
    assert heat_w() == pytest.approx(2.0 * first)
    assert len(list((tmp_path / "cache" / "numba").iterdir())) == 2


def test_hash_depends_on_every_source(tmp_path: Path) -> None:
    for folder in FOLDERS:
        (tmp_path / folder).mkdir()
    (tmp_path / "sim" / "a.py").write_text("x = 1")
    first = jit.source_hash(tmp_path)
    (tmp_path / "envs" / "b.py").write_text("y = 1")
    second = jit.source_hash(tmp_path)
    (tmp_path / "sim" / "deep").mkdir()
    (tmp_path / "sim" / "deep" / "c.py").write_text("z = 1")
    assert len({first, second, jit.source_hash(tmp_path)}) == 3


def test_a_cache_that_cannot_be_written_falls_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("HASHGYM_CACHE_DIR", str(blocked))
    assert jit.cache_folder().is_dir()
    assert not str(jit.cache_folder()).startswith(str(blocked))


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_noise_is_a_function_of_its_key() -> None:
    import numpy as np

    def word(value: int) -> np.uint64:
        return np.uint64(value)

    keys = [word(noise.episode_key(word(seed), word(episode))) for seed in range(20) for episode in range(20)]
    assert len(set(keys)) == 400
    steps = [word(noise.combine(keys[0], word(step))) for step in range(4000)]
    draws = np.array([[noise.bell(step, word(stream)) for stream in range(3)] for step in steps])
    assert draws.mean(axis=0) == pytest.approx([0.0] * 3, abs=0.06)
    assert draws.std(axis=0) == pytest.approx([1.0] * 3, abs=0.04)
    assert abs(np.corrcoef(draws.T)[0, 1]) < 0.05
    uniform = np.array([noise.uniform(np.uint64(key), np.uint64(1)) for key in range(4000)])
    assert uniform.min() >= 0.0
    assert uniform.max() < 1.0
    assert uniform.mean() == pytest.approx(0.5, abs=0.02)
