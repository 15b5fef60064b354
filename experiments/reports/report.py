"""A self-contained HTML report with the plots of a run: no script, no file beside it."""

import base64
import io
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hashgym.experiments.reports.table import gain_cells
from hashgym.sim.foundation.wording import escaped

BLUE: Final = "#1f6feb"
ORANGE: Final = "#d9822b"
GREY: Final = "#8b949e"
GREEN: Final = "#2da44e"
RED: Final = "#cf222e"

_STYLE: Final = """
body{font:16px/1.55 system-ui,sans-serif;color:#1f2328;max-width:60rem;margin:2rem auto;padding:0 1.2rem}
h1{font-size:1.7rem;margin-bottom:.2rem}h2{font-size:1.2rem;margin-top:2.4rem}h3{font-size:1.02rem;margin:1.6rem 0 .3rem}
p.lead{color:#57606a;margin-top:0}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.35rem .6rem;text-align:right;border-bottom:1px solid #d0d7de}th:first-child,td:first-child{text-align:left}
th{font-weight:600;color:#57606a;font-size:.85rem}tr.best td{background:#ddf4ff}tr.bound td{color:#57606a;font-style:italic}
img{width:100%;height:auto;margin:.4rem 0}figcaption{color:#57606a;font-size:.9rem}figure{margin:1rem 0}
code{background:#f6f8fa;padding:.1rem .3rem;border-radius:4px}
"""


def image(figure: Figure) -> str:
    """Return a figure as an inline PNG image."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=130, bbox_inches="tight")
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}">'


def figure_block(draw: Callable[[], Figure], caption: str) -> str:
    """Return a figure with its caption as HTML."""
    return f"<figure>{image(draw())}<figcaption>{escaped(caption)}</figcaption></figure>"


def page(title: str, lead: str, sections: list[tuple[str, str]]) -> str:
    """Return a whole HTML page; titles and lead are escaped, the sections' bodies are HTML."""
    parts = "".join(f"<h2>{escaped(name)}</h2>{body}" for name, body in sections)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escaped(title)}</title><style>{_STYLE}</style></head><body><h1>{escaped(title)}</h1>"
        f'<p class="lead">{escaped(lead)}</p>{parts}</body></html>\n'
    )


def summary_table(summary: dict[str, Any]) -> str:
    """Return the policies of a summary as an HTML table, best first, with the bound below."""
    head = (
        "policy",
        "net profit<br>USD/day",
        "95 % interval",
        "gain over<br>always-on, %",
        "95 % interval",
        "starts<br>a week",
        "zone-steps<br>too hot, %",
        "trips",
    )
    entries = sorted(summary["policies"].items(), key=lambda item: -item[1]["net_profit_usd_per_day"]["mean"])
    rows = []
    best = next(name for name, _ in entries if not name.startswith("foresight"))
    for name, entry in entries:
        cells = [
            *_cells(name, entry),
            f"{entry['starts_per_week']:.2f}",
            f"{100.0 * entry['costs']['chip_over_temp']:.2f}",
        ]
        rows.append(_row([*cells, f"{entry['trips']:.0f}"], "best" if name == best else ""))
    if "bound" in summary:
        rows.append(_row([*_cells("bound (perfect foresight)", summary["bound"]), "", "", ""], "bound"))
    return f"<table><tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr>{''.join(rows)}</table>"


def _cells(name: str, entry: dict[str, Any]) -> list[str]:
    profit, gain = entry["net_profit_usd_per_day"], entry["gain_over_always_on_pct"]
    span = f"{profit['lo']:.1f} … {profit['hi']:.1f}"
    return [escaped(name), f"{profit['mean']:.1f}", span, *gain_cells(gain)]


def _row(cells: list[str], kind: str) -> str:
    return f'<tr class="{kind}">{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def stacked(figure: Figure, heights: list[float]) -> list[Axes]:
    """Return axes one above the other on one time axis, of the given relative heights."""
    axes = figure.subplots(len(heights), 1, sharex=True, gridspec_kw={"height_ratios": heights}, squeeze=False)[:, 0]
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="y", color="#eaeef2")
    return list(axes)


def draw_profit(summary: dict[str, Any]) -> Figure:
    """Draw net profit a day by policy with 95 % intervals, the bound beside."""
    entries = [(name, entry["net_profit_usd_per_day"]) for name, entry in summary["policies"].items()]
    entries.sort(key=lambda item: item[1]["mean"])
    if "bound" in summary:
        entries.append(("bound", summary["bound"]["net_profit_usd_per_day"]))
    figure = Figure(figsize=(9, 0.45 * len(entries) + 1))
    axis = stacked(figure, [1.0])[0]
    for row, (name, value) in enumerate(entries):
        color = (
            GREY
            if name == "bound"
            else BLUE
            if name.startswith(("ppo", "sac"))
            else ORANGE
            if name.startswith("foresight")
            else "#9aa4b2"
        )
        axis.barh(row, value["mean"], color=color, height=0.62)
        axis.plot([value["lo"], value["hi"]], [row, row], color="#1f2328", lw=1.4)
    axis.set_yticks(range(len(entries)), [name for name, _ in entries])
    axis.grid(axis="x", color="#eaeef2")
    axis.grid(axis="y", visible=False)
    axis.axvline(0.0, color="#1f2328", lw=0.8)
    axis.set_xlabel("net profit, USD a day")
    return figure


RULE_AT_FIRST: Final = "rule/validation/profit_usd_per_day"
"""Column of a curve that holds what the rule earned with which a run began."""


def draw_learning(curve: list[dict[str, float]], rule_usd: float) -> Figure:
    """Draw the learning curve: profit while exploring the training months, and on the validation months beside the rule.

    Of a run that began as the operator's rule, that rule is drawn and `rule_usd`, of hysteresis, is not looked at.
    """
    first = next((row[RULE_AT_FIRST] for row in curve if RULE_AT_FIRST in row), None)
    selected = "training months" if first is None else "drawn years that are not learnt from"
    figure = Figure(figsize=(9, 4.6))
    exploring, checked = stacked(figure, [1.0, 1.0])
    explored = [row for row in curve if "train/profit_usd_per_day" in row]
    steps = [row["step"] / 1e6 for row in explored]
    exploring.plot(
        steps,
        [row["train/profit_usd_per_day"] for row in explored],
        color="#57606a",
        lw=1.2,
        label="training months, exploring",
    )
    rows = [row for row in curve if "validation/profit_usd_per_day" in row]
    exploring.plot(
        [row["step"] / 1e6 for row in rows],
        [row["selection/profit_usd_per_day"] for row in rows],
        color=GREEN,
        marker="o",
        lw=2,
        label=f"{selected}, not exploring; the best is kept",
    )
    checked.plot(
        [row["step"] / 1e6 for row in rows],
        [row["validation/profit_usd_per_day"] for row in rows],
        color=BLUE,
        marker="o",
        lw=2,
        label="validation months",
    )
    label = "tuned hysteresis, validation months" if first is None else "operator's rule, validation months"
    checked.axhline(rule_usd if first is None else first, color=ORANGE, ls="--", label=label)
    checked.set_xlabel("million environment steps")
    for axis in (exploring, checked):
        axis.set_ylabel("USD a day")
        _legend(axis)
    figure.align_ylabels()
    figure.tight_layout()
    return figure


def _legend(axis: Axes) -> None:
    """Put the legend above the axes, where no line passes."""
    axis.legend(
        frameon=False, ncols=4, loc="lower left", bbox_to_anchor=(0.0, 0.98), borderaxespad=0.2, fontsize="small"
    )


def draw_week(week: pd.DataFrame, limit_c: float) -> Figure:
    """Draw a week of decisions: price against break-even, power, hottest chip, profit so far.

    Args:
        week: Indexed by local time; energy_price_usd_per_mwh, break_even_usd_per_mwh, power_kw, max_chip_temp_c,
            outdoor_temp_c, profit_usd, always_on_usd.
        limit_c: Threshold of the chip temperature in this environment. [°C]
    """
    figure = Figure(figsize=(9, 8.2))
    price, power, heat, money = stacked(figure, [1.3, 1.0, 1.0, 1.0])
    times = week.index
    price.step(times, week["energy_price_usd_per_mwh"], where="post", color=ORANGE, lw=1.1, label="price paid")
    price.step(
        times,
        week["break_even_usd_per_mwh"],
        where="post",
        color="#1f2328",
        lw=1.1,
        ls="--",
        label="break-even of the best profile",
    )
    price.set_yscale("symlog", linthresh=100.0)
    price.set_ylabel("USD/MWh")
    _legend(price)
    power.fill_between(times, week["power_kw"], step="post", color=BLUE, alpha=0.35, lw=0)
    power.step(times, week["power_kw"], where="post", color=BLUE, lw=1.0)
    is_export = float(week["power_kw"].min()) < 0.0
    power.set_ylabel("power at the meter, kW" if is_export else "power, kW")
    if not is_export:
        power.set_ylim(0.0)
    heat.plot(times, week["max_chip_temp_c"], color=RED, lw=1.1, label="hottest chip")
    heat.plot(times, week["outdoor_temp_c"], color=GREY, lw=1.1, label="outdoor")
    heat.axhline(limit_c, color=RED, ls=":", lw=1.0)
    heat.set_ylabel("°C")
    _legend(heat)
    money.plot(times, week["profit_usd"].cumsum(), color=BLUE, lw=1.6, label="policy")
    money.plot(times, week["always_on_usd"].cumsum(), color=GREY, lw=1.6, label="always on")
    money.set_ylabel("profit so far, USD")
    _legend(money)
    figure.align_ylabels()
    figure.tight_layout()
    return figure


def draw_temperatures(by_policy: dict[str, np.ndarray], limit_c: float) -> Figure:
    """Draw how the hottest chip is spread over the held-out months, by policy."""
    figure = Figure(figsize=(9, 3.4))
    axis = stacked(figure, [1.0])[0]
    colors = [BLUE, ORANGE, GREEN, GREY]
    edges = np.arange(20.0, 92.0, 0.5)
    for color, (name, temps_c) in zip(colors, by_policy.items(), strict=False):
        axis.hist(temps_c, bins=edges.tolist(), histtype="step", color=color, lw=1.6, label=name, density=True)
    axis.axvline(limit_c, color=RED, ls=":", lw=1.4, label=f"limit {limit_c:g} °C")
    axis.set_yscale("log")
    axis.set_xlabel("hottest chip in a step, °C")
    axis.set_ylabel("share of steps per K")
    axis.legend(frameon=False, ncols=2)
    return figure
