"""What strangers hand over, and machines that are not as ours: each ends well or in one line, nothing half-written."""

import gzip
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from hashgym.advisor import telemetry, wording
from hashgym.advisor.packing import _card
from hashgym.experiments.cli import main
from hashgym.experiments.reports import quality_report, report
from hashgym.experiments.reports.table import policy_table
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.foundation.yamls import parse_yaml
from hashgym.sim.history.history import Channel, History
from hashgym.synthesis.generate import synthesize

NAME = "<script>alert(1)</script> \x1b[31m|`\u202egir\r\n"
LAUGHS = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{chr(97 + k)}: &{chr(97 + k)} [{', '.join([f'*{chr(96 + k)}'] * 10)}]\n" for k in range(1, 10)
)


def bounded() -> None:
    """Two gigabytes beyond what Python and its libraries map at rest, and a minute of the processor."""
    resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))


def command(*args: str, cwd: Path, **env: str | None) -> subprocess.CompletedProcess[str]:
    given = {**os.environ, **{key: value for key, value in env.items() if value is not None}}
    for key in (key for key, value in env.items() if value is None):
        given.pop(key, None)
    return subprocess.run(
        [sys.executable, "-m", "hashgym.experiments.cli", *args],
        cwd=cwd, env=given, capture_output=True, text=True, errors="replace", timeout=120, check=False, preexec_fn=bounded,
    )  # fmt: skip


def in_one_line(done: subprocess.CompletedProcess[str], message: str) -> None:
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("hashgym ")]
    assert len(lines) == 1, done.stderr
    assert message in done.stderr


def mapping(folder: Path, **change: object) -> Path:
    content = {
        "start": "2025-01-01", "end": "2025-01-02", "timezone": "UTC", "price": {"publication": "day_ahead", "interval_s": 3600},
        "series": [{"column": "market_price_usd_per_mwh", "files": ["a.csv"], "time": "when", "value": "v", "unit": "usd/mwh"}], **change,
    }  # fmt: skip
    (folder / "m.yaml").write_text(yaml.safe_dump(content))
    return folder / "m.yaml"


def laughing_scenario(folder: Path) -> list[str]:
    (folder / "s.yaml").write_text(LAUGHS + "name: *j\n")
    return ["train", "scenario=s.yaml", "tracking=none"]


def laughing_mapping(folder: Path) -> list[str]:
    (folder / "m.yaml").write_text(LAUGHS + "source: *j\n")
    return ["data", "import", "m.yaml", "--out", "h"]


def climbing_mapping(folder: Path) -> list[str]:
    series = [
        {
            "column": "market_price_usd_per_mwh",
            "files": ["../../../../etc/passwd"],
            "time": 0,
            "value": 1,
            "unit": "usd/mwh",
        }
    ]
    mapping(folder, series=series)
    return ["data", "import", "m.yaml", "--out", "h"]


def linked_mapping(folder: Path) -> list[str]:
    (folder / "a.csv").symlink_to("/etc/passwd")
    mapping(folder)
    return ["data", "import", "m.yaml", "--out", "h"]


def packed_csv(folder: Path) -> list[str]:
    with gzip.open(folder / "a.csv.gz", "wb", compresslevel=1) as file:
        file.write(b"when,v\n")
        for _ in range(40):
            file.write(b"2025-01-01T00:00Z,1\n" * 500_000)
    series = [
        {"column": "market_price_usd_per_mwh", "files": ["a.csv.gz"], "time": "when", "value": "v", "unit": "usd/mwh"}
    ]
    mapping(folder, series=series)
    return ["data", "import", "m.yaml", "--out", "h"]


def endless_mapping(folder: Path) -> list[str]:
    (folder / "m.yaml").symlink_to("/dev/zero")
    return ["data", "import", "m.yaml", "--out", "h"]


def wide_telemetry(folder: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(60_000_000, np.int8)), pa.array(["x"]))
    pq.write_table(pa.table({name: column for name in "abcd"}), folder / "t.parquet")
    return ["data", "telemetry", "t.parquet"]


def nested_config(folder: Path) -> list[str]:
    (folder / "run").mkdir()
    (folder / "run" / "config.json").write_text("[" * 200_000)
    return ["evaluate", "runs=run"]


def pipe_history(folder: Path) -> list[str]:
    synthesize("ercot", "2025-01-01", "2025-01-04", seed=1).save(folder / "h")
    (folder / "h" / "history.parquet").unlink()
    os.mkfifo(folder / "h" / "history.parquet")
    return ["data", "show", "h"]


def linked_history(folder: Path) -> list[str]:
    synthesize("ercot", "2025-01-01", "2025-01-04", seed=1).save(folder / "h")
    shutil.move(folder / "h" / "history.parquet", folder / "elsewhere.parquet")
    (folder / "h" / "history.parquet").symlink_to(folder / "elsewhere.parquet")
    return ["data", "show", "h"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("craft", "message"),
    [
        (laughing_scenario, "s.yaml: not a readable scenario (its aliases unfold to more than"),
        (laughing_mapping, "m.yaml: not a readable mapping (its aliases unfold to more than"),
        (climbing_mapping, "leads out of"),
        (linked_mapping, "leads out of"),
        (packed_csv, "holds more than 256 MiB"),
        (endless_mapping, "it is no file"),
        (wide_telemetry, "unfolds to 240000000 cells"),
        (nested_config, "config.json: not readable"),
        (pipe_history, "no history.parquet"),
        (linked_history, "leads out of h"),
    ],
)
def test_what_grows_climbs_or_waits_is_refused_in_a_line(
    craft: Callable[[Path], list[str]], message: str, tmp_path: Path
) -> None:
    in_one_line(command(*craft(tmp_path), cwd=tmp_path), message)
    assert not (tmp_path / "h" / "quality.html").exists()


def test_an_alias_within_itself_ends() -> None:
    with pytest.raises(BadInputError, match="an alias stands within what it names"):
        parse_yaml("a: &a [*a]\n", "x")


def printable(text: str) -> bool:
    return all(sign.isprintable() or sign == "\n" for sign in text)


def test_names_of_machines_steer_no_terminal() -> None:
    frame = pd.DataFrame([{"time_utc": "2025-01-01T00:00Z", "machine_id": NAME, "model": NAME, "hashrate_ths": 1.0}])
    given = telemetry.of_frame(frame)
    rejected = [
        telemetry.Rejected(
            1, str(given.frame["machine_id"][0]), "model", f"{given.frame['model'][0]!r} is not in the catalogue"
        )
    ]
    for line in wording.grouped(rejected):
        assert printable(line)
        assert "\n" not in line


def test_names_are_escaped_on_pages_and_cards() -> None:
    interval = {"mean": 1.0, "lo": 0.0, "hi": 2.0}
    entry = {
        "net_profit_usd_per_day": interval, "gain_over_always_on_pct": interval, "starts_per_week": 0.0,
        "costs": {"chip_over_temp": 0.0}, "trips": 0.0,
    }  # fmt: skip
    table = report.summary_table({"policies": {NAME: entry}})
    page = report.page(NAME, NAME, [(NAME, table)])
    assert "<script" not in page
    assert printable(page)
    manifest = {
        "name": NAME, "site": NAME, "env": {"id": "x", "action": "a", "forecast": "f", "step_s": 300.0}, "observations": [], "actions": [],
        "metrics": {"values": {NAME: interval}}, "history": {"kind": "synthetic", "hash": "x"}, "config_hash": "x",
        "envelope": {"max_rise_pu_per_step": 0.1},
    }  # fmt: skip
    card = _card(manifest)
    assert "<script" not in card
    assert printable(card)
    assert "\\|" in card
    assert policy_table  # the text's names are of our own or of run folders


def test_channels_that_cannot_be_printed_are_refused() -> None:
    history = synthesize("ercot", "2025-01-01", "2025-01-04", seed=1)
    with pytest.raises(BadInputError, match="it must be text that can be printed"):
        Channel(unit=NAME, low=0.0, high=1.0)
    frame = history.frame.assign(**{NAME: 0.5})
    with pytest.raises(BadInputError, match="neither a known one nor declared"):
        History(
            frame=frame, kind="imported", publication="day_ahead", price_interval_s=3600, timezone="UTC",
            channels={NAME: Channel(unit="1", low=0.0, high=1.0)},
        )  # fmt: skip
    assert quality_report.NAME == "quality.html"


MAKE = ("data", "synthesize", "--start", "2025-01-01", "--end", "2025-01-04", "--out")


@pytest.mark.slow
@pytest.mark.parametrize(
    "env",
    [
        {"HOME": None, "XDG_CACHE_HOME": None},
        {"TZ": "Asia/Kolkata"},
        {"LC_ALL": "C", "PYTHONUTF8": "0"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"},
    ],
    ids=lambda env: ",".join(env),
)
def test_another_home_clock_and_tongue(env: dict[str, str | None], tmp_path: Path) -> None:
    folder = tmp_path / "w x ümläut"
    folder.mkdir()
    done = command(*MAKE, "hü story", cwd=folder, **env)
    assert done.returncode == 0, done.stderr
    done = command("data", "show", "hü story", cwd=folder, **env)
    assert done.returncode == 0, done.stderr
    assert History.load(folder / "hü story").hash in done.stdout
    assert synthesize("ercot", "2025-01-01", "2025-01-04", 0).hash == History.load(folder / "hü story").hash


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("setpriv") is None and os.getuid() == 0, reason="root writes everywhere")
@pytest.mark.parametrize(
    "args",
    [
        (*MAKE, "h"),
        ("train", "experiment=smoke", "tracking=none", "progress=false"),
        ("train", "experiment=smoke", "progress=false"),
        ("data", "rollouts", "--policy", "always_on", "--episodes", "1", "--steps", "2", "--out", "d"),
        ("film", "--steps", "1", "--out", "f.html"),
        ("new", "site", "s"),
    ],
    ids=lambda args: args[0] + str(len(args)),
)
def test_a_folder_that_cannot_be_written_is_said_at_once(args: tuple[str, ...], tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    lowered = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]
    start = [*lowered, sys.executable] if os.getuid() == 0 else [sys.executable]
    done = subprocess.run(
        [*start, "-m", "hashgym.experiments.cli", *args],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    tmp_path.chmod(0o755)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "ermission denied" in done.stderr
    assert list(tmp_path.iterdir()) == []


def no_space() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))


@pytest.mark.slow
@pytest.mark.parametrize(
    "args",
    [
        (*MAKE, "h"),
        (
            "train",
            "experiment=smoke",
            "tracking=none",
            "progress=false",
            "warm_start.teacher=null",
            "validations=0",
            "hydra.run.dir=run",
        ),
        ("new", "site", "s"),
    ],
    ids=["synthesize", "train", "new"],
)
def test_a_disk_that_is_full_ends_in_a_line(args: tuple[str, ...], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hashgym.experiments.cli", *args],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False, preexec_fn=no_space,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "File too large" in done.stderr
    left = [
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and path.name not in ("config.json", "tracked.json", ".lock", "mapping.yaml")
    ]
    assert left == []


@pytest.mark.slow
def test_two_processes_write_one_history(tmp_path: Path) -> None:
    loop = (
        "import sys; from pathlib import Path; from hashgym.synthesis.generate import synthesize\n"
        "history = synthesize('ercot', '2025-01-01', '2025-01-03', seed=int(sys.argv[1]))\n"
        "for _ in range(60): history.save(Path('h'))\n"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", loop, str(k)], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        for k in (1, 2)
    ]
    seen = set()
    while any(process.poll() is None for process in both):
        if (tmp_path / "h").exists():
            seen.add(History.load(tmp_path / "h").hash)
    for process in both:
        _, said = process.communicate()
        assert process.returncode == 0, said
    assert seen | {History.load(tmp_path / "h").hash} <= {
        synthesize("ercot", "2025-01-01", "2025-01-03", seed=k).hash for k in (1, 2)
    }
    assert [path.name for path in tmp_path.iterdir()] == ["h"]


def test_a_service_of_a_stranger_gets_no_key_of_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "theirs.yaml").write_text(
        json.dumps({"title": "t", "url": "http://127.0.0.1:1", "key": "eia", "values": {}, "series": []})
    )
    args = [
        "data",
        "fetch",
        str(tmp_path / "theirs.yaml"),
        "--start",
        "2024-01-01",
        "--end",
        "2024-01-02",
        "--cache",
        str(tmp_path / "c"),
    ]
    assert main(args) == 2
    assert "a service of one's own has a key of its own name, 'theirs'" in capsys.readouterr().err
