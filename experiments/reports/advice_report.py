"""The advice section of a report: what to do, what it is worth, and the futures behind it."""

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hashgym.advisor.records import Advice, AdviceReport
from hashgym.advisor.situation import Situation
from hashgym.experiments.reports import report as pages
from hashgym.sim.foundation.wording import escaped
from hashgym.sim.history.history import STEP
from hashgym.sim.series.exogenous import STEPS_PER_DAY

_BANDS = ((0.1, 0.9, 0.18), (0.25, 0.75, 0.3))
"""Quantiles and shade of the fans."""


def section(report: AdviceReport, came_usd: dict[str, float], how: str) -> str:
    """Return the section's HTML.

    Args:
        report: What the advisor said.
        came_usd: By kind of advice, what it turned out to be worth on the history, which the advisor had not seen.
        how: How the moment was chosen.
    """
    parts = [f"<p>{escaped(how)}</p>"]
    parts += [_card(advice, came_usd.get(advice.kind)) for advice in report.advice]
    if not report.advice:
        why = (
            "nothing that was tried is clearly better than leaving the site as it is"
            if report.is_judged
            else "none can be given"
        )
        parts.append(f"<p><b>No advice:</b> {why}.</p>")
    reasons = [f"{a.kind} for {a.target}: {a.reason}" for a in report.abstentions]
    reasons += list(report.notes)
    reasons += [
        f"telemetry row {row.row} ({row.machine_id}), {row.column}: {row.reason}" for row in report.rejected_rows
    ]
    if reasons:
        items = "".join(f"<li>{escaped(text)}</li>" for text in reasons)
        parts.append(f"<p>Not advised, and rows of telemetry set aside:</p><ul>{items}</ul>")
    situation = report.situation
    if situation is not None:
        parts.append(
            pages.figure_block(
                lambda: draw_futures(situation),
                f"{situation.paths.n_paths} joint paths from {report.at_utc}: median, middle half and 80 % of them, three single ones, and what "
                "came (black), which the advisor had not seen. Local time.",
            )
        )
    if report.advice:
        parts.append(
            pages.figure_block(
                lambda: draw_gains(report.advice, came_usd),
                "Gain of each change over keep, path by path: shaded the 80 % interval, black what came.",
            )
        )
    return "".join(parts)


def _card(advice: Advice, came_usd: float | None) -> str:
    profit = advice.effect["profit_usd"]
    names = [name for name in advice.recommended if name in advice.current]
    rows = "".join(
        f"<tr><td>{escaped(name)}</td><td>{advice.current[name]:,.6g}</td><td>{advice.recommended[name]:,.6g}</td></tr>"
        for name in names
        if advice.current[name] != advice.recommended[name]
    )
    came = "" if came_usd is None else f" It came to {came_usd:+.2f} USD."
    steps = "".join(f"<li>{escaped(step)}</li>" for step in advice.steps)
    why = "".join(f"<li>{escaped(reason)}</li>" for reason in advice.reasons)
    return (
        f"<h3>{escaped(advice.kind)}, {escaped(advice.target)}</h3>"
        f"<p><b>{profit.mean:+.2f} USD</b> over {advice.horizon_h:g} h against leaving it (80 %: {profit.lo:+.2f} … {profit.hi:+.2f}), "
        f"better on {advice.confidence:.0%} of the paths.{came}</p><ol>{steps}</ol>"
        f"<table><tr><th></th><th>now</th><th>advised</th></tr>{rows}</table><ul>{why}</ul>"
    )


def draw_futures(situation: Situation) -> Figure:
    """Draw the paths of price, hashprice and temperature, half a day of history before them and what came."""
    history, step = situation.scenario.history, situation.step
    first, last = step - STEPS_PER_DAY // 2, min(step + STEPS_PER_DAY, len(history.frame))
    times = _times(history.start, history.timezone, range(first, last))
    ahead = _times(history.start, history.timezone, range(step, step + situation.paths.n_steps))
    figure = Figure(figsize=(9, 7.4))
    axes = pages.stacked(figure, [1.4, 1.0, 1.0])
    charts = (
        ("market_price_usd_per_mwh", "market price, USD/MWh", pages.ORANGE),
        ("expected_hashprice_usd_per_ph_day", "hashprice, USD/(PH/s)/d", pages.GREEN),
        ("outdoor_temp_c", "outdoor, °C", pages.RED),
    )
    for axis, (name, label, color) in zip(axes, charts, strict=True):
        paths = situation.paths.values[name]
        _fan(axis, ahead, paths, color)
        axis.plot(times, situation.published.series[name].values[first:last], color="#1f2328", lw=1.1)
        axis.axvline(mdates.date2num(ahead[0]), color=pages.GREY, ls=":", lw=1.0)  # type: ignore[no-untyped-call]
        axis.set_ylabel(label)
    axes[0].set_yscale("symlog", linthresh=100.0)
    figure.align_ylabels()
    figure.tight_layout()
    return figure


def _fan(axis: Axes, times: pd.DatetimeIndex, paths: np.ndarray, color: str) -> None:
    for low, high, shade in _BANDS:
        bottom, top = np.quantile(paths, [low, high], axis=0)
        axis.fill_between(times, bottom, top, color=color, alpha=shade, lw=0, step="post")
    for path in paths[:3]:
        axis.step(times, path, where="post", color=color, lw=0.5, alpha=0.7)
    axis.step(times, np.median(paths, axis=0), where="post", color=color, lw=1.8)


def _times(start: pd.Timestamp, timezone: str, steps: range) -> pd.DatetimeIndex:
    stamps = pd.date_range(start + STEP * steps.start, periods=len(steps), freq=STEP)
    return stamps.tz_convert(timezone).tz_localize(None)


def draw_gains(advice: tuple[Advice, ...], came_usd: dict[str, float]) -> Figure:
    """Draw how the paired gain of each piece of advice is spread over the paths."""
    figure = Figure(figsize=(9, 2.6))
    axes = figure.subplots(1, len(advice), squeeze=False)[0]
    for axis, entry in zip(axes, advice, strict=True):
        profit = entry.effect["profit_usd"]
        axis.hist(entry.tried.gains_usd, bins=30, color=pages.BLUE, alpha=0.75)
        axis.axvspan(profit.lo, profit.hi, color=pages.BLUE, alpha=0.12, lw=0)
        axis.axvline(0.0, color=pages.RED, lw=1.0, ls=":")
        if entry.kind in came_usd:
            axis.axvline(came_usd[entry.kind], color="#1f2328", lw=1.6)
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_title(f"{entry.kind}, {entry.target}", fontsize="medium", loc="left")
        axis.set_xlabel("gain over keep, USD")
        axis.set_ylabel("paths")
    figure.tight_layout()
    return figure
