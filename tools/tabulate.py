"""Write docs/environments/*.md from docstrings and tables, so that they cannot drift.

Run it after a change of the tables: `python -m tools.tabulate`.
"""

import inspect
from pathlib import Path
from typing import Any, Final

import gymnasium as gym

import hashgym.envs  # noqa: F401
from hashgym.envs.batch import tables
from hashgym.envs.batch.actions import Acted
from hashgym.envs.chip import kernels
from hashgym.sim.foundation.files import write_text

TARGET: Final = Path(__file__).resolve().parent.parent / "docs" / "environments"

SHOWN: Final[dict[str, tuple[tuple[str, dict[str, Any]], ...]]] = {
    "HashrateTuning": (("west_texas_air", {}),),
    "CoolingControl": (("georgia_room", {"scenario": "georgia_room"}), ("nordic_hydro", {"scenario": "nordic_hydro"})),
    "SiteOperation": (
        ("west_texas_air", {}),
        ("pv_battery_tight", {"scenario": "pv_battery_tight"}),
        ("scrypt_shed, coin_choice=True", {"scenario": "scrypt_shed", "coin_choice": True}),
    ),
    "CoinSwitching": (("scrypt_shed", {}),),
    "ChipTuning": (("s19j_pro", {}),),
}
"""Environments, and for which options their tables are shown."""


def page(name: str) -> str:
    """Return the documentation page of an environment."""
    lines: list[str] = []
    for title, options in SHOWN[name]:
        env: Any = gym.make(f"hashgym/{name}-v0", **options).unwrapped
        if not lines:
            lines = [f"# hashgym/{name}-v0", "", inspect.cleandoc(type(env).__doc__ or ""), ""]
        lines += [f"## Table of actions ({title}): `{env.action_space}`", "", *_actions(env.actions), ""]
        lines += [f"## Table of observations ({title})", "", *_observations(env.table), ""]
    costs = kernels.COSTS if name == "ChipTuning" else tables.COSTS
    keys = kernels.FLOW.names if name == "ChipTuning" else tables.INFO_KEYS
    lines += ["## Table of costs", "", "| name | unit | threshold | limit per step | counts |", "|---|---|---|---|---|"]
    lines += [f"| `{c.name}` | {c.unit} | {c.threshold:g} | {c.limit:g} | {c.meaning} |" for c in costs]
    lines += ["", "## Info", ""]
    lines.append(
        "`info` holds on every step, the last one included: "
        + ", ".join(f"`{key}`" for key in keys)
        + ", `cost` (sum of the costs) and `costs` (by name)."
    )
    return "\n".join(lines) + "\n"


def _actions(entries: tuple[Acted, ...]) -> list[str]:
    head = ["| # | name | unit | lowest … highest | meaning |", "|---|---|---|---|---|"]
    return head + [
        f"| {k} | `{e.name}` | {e.unit} | {e.low:g} … {e.high:g} | {e.meaning} |" for k, e in enumerate(entries)
    ]


def _observations(entries: tuple[tables.Observed, ...]) -> list[str]:
    lines = ["| # | name | unit | range | group | scale | meaning |", "|---|---|---|---|---|---|---|"]
    for k, e in enumerate(entries):
        scale = e.scale if e.scale == "linear" else f"asinh({e.unit_size:g})"
        lines.append(f"| {k} | `{e.name}` | {e.unit} | {e.low:g} … {e.high:g} | {e.group} | {scale} | {e.meaning} |")
    return lines


def main() -> None:
    """Write the pages."""
    for name in SHOWN:
        write_text(TARGET / f"{name}.md", page(name))


if __name__ == "__main__":
    main()
