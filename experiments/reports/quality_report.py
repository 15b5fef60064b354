"""The quality of an imported history as a page beside it: coverage, gaps, outliers, ranges and a plot of every column."""

import dataclasses
import json
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hashgym.experiments.reports import report
from hashgym.sim.foundation.wording import escaped
from hashgym.sources.assembly import Imported
from hashgym.sources.quality import Quality

NAME: Final = "quality.html"


def files(imported: Imported) -> dict[str, str]:
    """Return quality.html and quality.json, which stand beside a history, by their names."""
    entries = [dataclasses.asdict(entry) for entry in imported.quality]
    listed = json.dumps({"history": imported.history.hash, "columns": entries}, indent=2, allow_nan=False)
    history = imported.history
    lead = (
        f"Imported history {history.hash}, {history.start:%Y-%m-%d}…{history.end:%Y-%m-%d}, {history.timezone}. A value is held until "
        "the next; fresh steps have a value not older than its usual step."
    )
    sections = [
        ("Columns", _table(imported.quality)),
        (
            "Series",
            report.figure_block(
                lambda: draw(imported),
                "Daily means with the range between daily extremes; red below: days with a value held beyond its usual step.",
            ),
        ),
    ]
    return {NAME: report.page("Quality of a history", lead, sections), "quality.json": listed + "\n"}


def _table(quality: tuple[Quality, ...]) -> str:
    heads = (
        "column",
        "rows",
        "step, h",
        "fresh",
        "gaps",
        "longest hold, h",
        "outliers",
        "lowest",
        "median",
        "highest",
        "warnings",
    )
    rows = [
        (
            entry.column,
            f"{entry.rows}",
            f"{entry.usual_step_h:.2f}",
            f"{100 * entry.fresh_share:.2f} %",
            f"{entry.n_gaps}",
            f"{entry.longest_hold_h:.1f}",
            f"{entry.n_outliers}",
            f"{entry.low:.5g}",
            f"{entry.median:.5g}",
            f"{entry.high:.5g}",
            "; ".join(entry.warnings) or "none",
        )
        for entry in quality
    ]
    cells = ["<tr>" + "".join(f"<td>{escaped(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    return "<table><tr>" + "".join(f"<th>{head}</th>" for head in heads) + "</tr>" + "".join(cells) + "</table>"


def draw(imported: Imported) -> Figure:
    """Draw each column's days, and below it where values were held beyond their usual step."""
    frame = imported.history.frame
    stale = {entry.column: entry.stale_days for entry in imported.quality}
    figure = Figure(figsize=(9.0, 1.5 * frame.shape[1] + 0.6), layout="constrained")
    axes = np.atleast_1d(figure.subplots(frame.shape[1], 1, sharex=True))
    for axis, (name, column) in zip(axes, frame.items(), strict=True):
        days = column.resample("D").agg(["mean", "min", "max"])
        axis.fill_between(days.index, days["min"], days["max"], color=report.BLUE, alpha=0.25, lw=0)
        axis.plot(days.index, days["mean"], color=report.BLUE, lw=0.8)
        axis.set_ylabel(str(name).replace("$", r"\$").replace("_", "\n", 1), fontsize=7)
        axis.tick_params(labelsize=7)
        # A share of fees is made of fees; what else is not in the report is a constant.
        held = stale.get("fees_usd_per_day" if name == "fee_share" and "fee_share" not in stale else str(name))
        if held is not None and len(held):
            axis.plot(
                pd.DatetimeIndex(held, tz="UTC"), np.full(len(held), days["min"].min()), "|", color=report.RED, ms=5
            )
    return figure
