"""The page of the scenarios and a plot of each one's last exogenous year: `python -m tools.scenario_pages`."""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hashgym.agents.rules import AlwaysOn, Menu, ProfileByPrice
from hashgym.envs.batch.config import EnvConfig
from hashgym.envs.batch.core import Batch
from hashgym.envs.scenario import scenario as scenarios
from hashgym.envs.scenario.scenario import Scenario
from hashgym.evaluation import paired
from hashgym.experiments.reports import report
from hashgym.experiments.reports.figures import png
from hashgym.sim.foundation.files import write_bytes, write_text
from hashgym.sim.market.pools import expected_usd_per_ph_day

DOCS: Final = Path(__file__).resolve().parent.parent / "docs"

HEAD: Final = """# Scenarios

A scenario is a YAML of `conf/scenario/`: site, tariff, markets, history, splits and length of an episode. Results carry its hash and that of its
history; a test holds both. Take one with `scenario=NAME`, or write your own beside it. Made by
`python -m tools.scenario_pages`; figures are of the test months. What a rule, a planner and foresight earn, and what nobody can exceed, are means
over drawn years, from [headroom](headroom.md).

Episodes are a week, or 28 days from the first of a month where the tariff charges the month's highest power.
"""

REPLAY: Final = """## Replays of real history

These need files that are not ours to ship (docs/history.md says where they come from). `hashgym data import` makes the history, `history=FOLDER`
names it.

| scenario | mappings | span | what it is |
|---|---|---|---|
"""


def shipped() -> list[str]:
    """Return the scenarios with a history of their own."""
    return [name for name in scenarios.names() if "mappings" not in scenarios.resolved(scenarios.read(name))["history"]]


def draw(world: Scenario) -> bytes:
    """Draw a scenario's last year: price, worth of hashes, weather, and what else settles or is called."""
    frame = world.history.frame.iloc[-365 * 288 :]
    local = frame.set_axis(pd.DatetimeIndex(frame.index).tz_convert(world.history.timezone).tz_localize(None))
    has_load = "grid_load_mw" in frame
    figure = Figure(figsize=(8.6, 5.4 + 1.2 * has_load), layout="constrained")
    axes = figure.subplots(3 + has_load, 1, sharex=True)
    _band(axes[0], local["market_price_usd_per_mwh"], report.BLUE)
    axes[0].set_yscale("asinh", linear_width=30.0)
    axes[0].set_ylabel("price\n[USD/MWh]", fontsize=8)
    for market, colour in zip(
        world.site.markets, (report.ORANGE, report.GREEN, report.BLUE, report.GREY), strict=False
    ):
        worth = pd.Series(expected_usd_per_ph_day(market, world.history)[-len(frame) :], local.index)
        axes[1].plot(worth.resample("D").mean(), lw=0.9, color=colour, label=market.name)
    axes[1].set_ylabel("hashprice\n[USD/(PH/s)/d]", fontsize=8)
    axes[1].legend(fontsize=6, ncols=2, frameon=False)
    _band(axes[2], local["outdoor_temp_c"], report.RED)
    axes[2].set_ylabel("outdoor\n[°C]", fontsize=8)
    if has_load:
        _band(axes[3], local["grid_load_mw"] / 1000.0, report.GREY)
        axes[3].set_ylabel("grid load\n[GW]", fontsize=8)
        if "curtailment_call" in local:
            called = local.index[local["curtailment_call"] > 0.0]
            axes[3].plot(
                called, np.full(len(called), local["grid_load_mw"].max() / 1000.0 * 1.03), "|", color=report.RED, ms=6
            )
            axes[3].set_ylabel("grid load\n[GW], calls", fontsize=8)
    for axis in axes:
        axis.tick_params(labelsize=7)
        axis.grid(alpha=0.25)
    return png(figure, 80)


def _band(axis: Any, values: pd.Series, colour: str) -> None:
    days = values.resample("D").agg(["mean", "min", "max"])
    axis.fill_between(days.index, days["min"], days["max"], color=colour, alpha=0.2, lw=0)
    axis.plot(days["mean"], color=colour, lw=0.9)


def headroom(name: str) -> list[tuple[str, str]]:
    """Return what the best rule, the planner and foresight earn on a scenario, and its bound, where they were measured."""
    every = json.loads((DOCS / "headroom.json").read_text(encoding="utf-8"))
    own = {row["policy"]: row for row in every if row["scenario"] == name}
    if not own:
        return []
    best = next(row for row in own.values() if row["is_best_rule"])
    names = (best["policy"], "planner_day_ahead", "foresight_24h", "bound")
    earned = [f"{own[policy]['usd_per_day']:,.0f}" for policy in names if policy in own]
    labels = [f"best rule (`{names[0]}`)", "planner", "foresight of 24 h", "bound"]
    return [("; ".join(labels[: len(earned)]), "; ".join(earned) + " USD/d")]


def section(name: str, world: Scenario) -> list[str]:
    """Return a scenario's section."""
    config = EnvConfig(scenario=world, split="test", action="profile")
    batch, history = Batch(config), world.history
    first, last = world.rows("test")
    frame = history.frame.iloc[first:last]
    price = frame["market_price_usd_per_mwh"]
    menu = Menu.of(batch.site)
    even = batch.exogenous.known[0, first:last, 3] * batch.menus["best_ths_per_w"].max() / 0.024
    rows = [
        ("site", "; ".join(f"{zone.n_units} {zone.machine.name}" for zone in world.site.zones)),
        ("rated power; at the meter, full", f"{world.site.rated_power_w / 1e3:.0f}; {batch.full_power_w / 1e3:.0f} kW"),
        ("price known", f"{history.publication.replace('_', ' ')}, intervals of {history.price_interval_s // 60} min"),
        ("market price, mean; 5, 50, 95 %", f"{price.mean():.1f}; " + ", ".join(f"{v:.1f}" for v in price.quantile([0.05, 0.5, 0.95]))),
        ("break-even of the best profile, mean", f"{even.mean():.0f} USD/MWh"),
        ("outdoor temperature, 1, 50, 99 %", ", ".join(f"{v:.1f}" for v in frame["outdoor_temp_c"].quantile([0.01, 0.5, 0.99])) + " °C"),
        ("episodes", f"{len(paired.episode_starts(config, batch))} of {batch.episode_steps / 288:g} days"),
    ]  # fmt: skip
    for rule in (AlwaysOn(menu), ProfileByPrice(menu)):
        trace = paired.run(rule, config, 0)
        usd_per_mw = trace.usd_per_day.mean() / (batch.full_power_w / 1e6)
        margin = 100.0 * trace.profit_usd.sum() / trace.revenue_usd.sum()
        rows.append((f"`{trace.name}`", f"{usd_per_mw:.0f} USD/(MW d), {margin:.0f} % of revenue"))
    rows += headroom(name)
    rows.append(("hash; of the history", f"`{world.config_hash}`; `{history.hash}` ({history.kind})"))
    content = scenarios.read(name)
    return [
        f"## {name}",
        "",
        content["about"],
        "",
        f"![{name}](scenarios/{name}.png)",
        "",
        "| | |",
        "|---|---|",
        *(f"| {key} | {value} |" for key, value in rows),
        "",
    ]


def page(worlds: dict[str, Scenario]) -> str:
    """Return the page."""
    lines = [HEAD]
    for name, world in worlds.items():
        lines += section(name, world)
    lines.append(REPLAY.rstrip("\n"))
    for name in scenarios.names():
        if name not in worlds:
            content = scenarios.read(name)
            history = content["history"]
            lines.append(
                f"| `{name}` | {', '.join(f'`{entry}`' for entry in history['mappings'])} | {history['start']}…{history['end']} | {content['about']} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the page and its pictures."""
    worlds = {name: scenarios.load(name) for name in shipped()}
    for name, world in worlds.items():
        write_bytes(DOCS / "scenarios" / f"{name}.png", draw(world))
    write_text(DOCS / "scenarios.md", page(worlds))


if __name__ == "__main__":
    main()
