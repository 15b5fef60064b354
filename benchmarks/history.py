"""The speed of HashGym from revision to revision: each run appends a line to benchmarks/history.jsonl.

    python -m benchmarks.history                   # measures as `hashgym bench` does, appends, prints the table
    python -m benchmarks.history --from bench.json # appends what `hashgym bench --json bench.json` measured
    python -m benchmarks.history --table           # prints the table alone

Take an entry on a quiet machine from a committed tree. Ratios to peers that were measured in the same run come first: they say
more than rates, which go with the machine.
"""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from hashgym.experiments import bench
from hashgym.experiments.tracking import provenance
from hashgym.sim.foundation.errors import BadInputError
from hashgym.sim.foundation.files import write_text

FILE: Final = Path(__file__).with_name("history.jsonl")

RATIOS: Final = ("single_over_pendulum", "batched_over_envpool_pendulum")
RATES: Final = (
    "single_env_steps_per_s",
    "batched_env_steps_per_s",
    "zone_steps_per_s",
    "ppo_rollout_steps_per_s",
    "ppo_train_steps_per_s",
    "bundle_decisions_per_s",
    "pendulum_single_steps_per_s",
    "envpool_pendulum_steps_per_s",
)
"""Figures of `hashgym bench` that an entry keeps; a rate of a peer that is not installed is null."""


def entry(result: dict[str, Any], tags: dict[str, str], at: datetime) -> dict[str, Any]:
    """Return the line of a measurement.

    Args:
        result: What `hashgym bench` measured.
        tags: Git revision, whether the tree was changed, versions.
        at: When it was measured.

    Raises:
        BadInputError: The result lacks a figure.
    """
    missing = [name for name in (*RATES, "machine", "ratios") if name not in result]
    missing += [name for name in RATIOS if name not in result.get("ratios", {})]
    if missing:
        raise BadInputError(
            f"the result of hashgym bench lacks {', '.join(missing)}; measure with `hashgym bench --json`"
        )
    return {
        "date": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ"),
        "revision": tags["git.revision"],
        "changed": tags.get("git.is_changed") == "True",
        "machine": result["machine"],
        "ratios": {name: result["ratios"][name] for name in RATIOS},
        "figures": {name: result[name] for name in RATES},
    }


def read(path: Path = FILE) -> list[dict[str, Any]]:
    """Return all entries, oldest first; none where there is no file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def append(new: dict[str, Any], path: Path = FILE) -> None:
    """Append an entry; the file is replaced as a whole."""
    write_text(path, "".join(json.dumps(line, allow_nan=False) + "\n" for line in [*read(path), new]))


def table(entries: list[dict[str, Any]]) -> str:
    """Return the entries as a Markdown table, ratios first."""
    lines = [
        "| date | revision | one, of Pendulum | batch, of EnvPool's Pendulum | one, steps/s | batch, steps/s | zones, steps/s |"
        " PPO, steps/s | machine |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for line in entries:
        ratios, figures, machine = line["ratios"], line["figures"], line["machine"]
        names = ("single_env_steps_per_s", "batched_env_steps_per_s", "zone_steps_per_s", "ppo_train_steps_per_s")
        cells = [line["date"][:10], line["revision"][:9] + ("+" if line["changed"] else "")]
        cells += ["" if ratios[name] is None else f"{ratios[name]:.2f}" for name in RATIOS]
        cells += [f"{figures[name]:,.0f}" for name in names]
        cells += [f"{machine['cores']} cores, {machine['processor']}, Python {machine['python']}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main(args: list[str] | None = None) -> int:
    """Append an entry unless the table alone is asked for, and print the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="result", type=Path, metavar="FILE", help="a result of `hashgym bench --json`")
    parser.add_argument("--file", type=Path, default=FILE, help="the history, by default benchmarks/history.jsonl")
    parser.add_argument("--table", action="store_true", help="print the table and measure nothing")
    options = parser.parse_args(args)
    if not options.table:
        result = json.loads(options.result.read_text(encoding="utf-8")) if options.result else bench.measure()
        append(entry(result, provenance(), datetime.now(UTC)), options.file)
    sys.stdout.write(table(read(options.file)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
