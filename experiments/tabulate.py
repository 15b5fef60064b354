"""Write docs/hashrate_tuning.md from the environment's docstring and tables, so that it cannot drift.

Run it after a change of the tables: `python -m hashgym.experiments.tabulate`.
"""

import inspect
from pathlib import Path

from hashgym.envs import tables
from hashgym.envs.hashrate import HashrateTuningEnv
from hashgym.experiments.files import write_text

TARGET = Path(__file__).resolve().parent.parent / "docs" / "hashrate_tuning.md"


def page() -> str:
    """Return the documentation page of `hashgym/HashrateTuning-v0`."""
    lines = ["# hashgym/HashrateTuning-v0", "", inspect.cleandoc(HashrateTuningEnv.__doc__ or ""), ""]
    lines += ["## Table of observations (one zone, with forecast)", ""]
    lines += ["| # | name | unit | range | group | scale | meaning |", "|---|---|---|---|---|---|---|"]
    for index, entry in enumerate(tables.observation_table(tables.Form(1, "day_ahead"))):
        scale = entry.scale if entry.scale == "linear" else f"asinh({entry.unit_size:g})"
        span = f"{entry.low:g} … {entry.high:g}"
        lines.append(
            f"| {index} | `{entry.name}` | {entry.unit} | {span} | {entry.group} | {scale} | {entry.meaning} |"
        )
    lines += [
        "",
        "## Table of costs",
        "",
        "| name | unit | threshold | limit per step | counts |",
        "|---|---|---|---|---|",
    ]
    for cost in tables.COSTS:
        lines.append(f"| `{cost.name}` | {cost.unit} | {cost.threshold:g} | {cost.limit:g} | {cost.meaning} |")
    lines += [
        "",
        "## Info",
        "",
        "`info` holds on every step, the last one included: " + ", ".join(f"`{key}`" for key in tables.INFO_KEYS),
    ]
    lines[-1] += ", `cost` (sum of the costs) and `costs` (by name)."
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the page."""
    write_text(TARGET, page())


if __name__ == "__main__":
    main()
