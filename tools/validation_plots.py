"""The page and the plots of the validation."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure

from hashgym.experiments.reports.figures import png
from hashgym.sim.hardware import catalogue
from tools import measurements, steady_points
from tools.maintenance_study import LIFE, WORK

SECTIONS: Final = {
    "power": "power of machines at published points",
    "heat": "temperatures of machines",
    "temperature": "power over a hot day",
    "chip": "single chips",
    "plant": "chillers, towers and an immersion container",
    "failures": "failures",
}
"""Sections of the page, and what the table of errors calls them."""

INTRO: Final = """# Validation: the simulator against measurements

Written by `python -m tools.validate`; do not edit. What is measured against what is in
[validation.json](validation.json), the comparison of maintenance rules in [maintenance.json](maintenance.json).
What the model predicted and what it was *set by* stand in tables of their own, and errors are counted over predictions alone.
Points were sorted into fitted, judged and contradictory before any fit (rules in `sim/hardware/machines.yaml`, roles in
`sim/hardware/steady.yaml`).

## How far predictions lie off

Rows that a parameter was set by are left out, and so are contradictory ones: published figures that others contradict, or that the chips cannot do.

{errors}
"""

POWER: Final = """## Power of machines

Every published operating point, at equal hashrate: all curves are on [machines.md](machines.md), with the errors at each
point when it is left out of the fit (over all fitted lists: median {median} %, worst {worst} % of watts).
"""

HEAT: Final = """## Heat of machines

Air flow and conductance of three chassis follow from one point each; the other points are predicted. Outlet sensors sit
on the boards and see no mixed air. The S21+ reports no fan speed, it is taken as full.

![steady points](validation/heat.png)
"""

HOT_DAY: Final = """## Wall power over a hot day

A T21 at a constant setting drew 7.3 % more in the hottest than in the coolest hour of a day. Neither temperatures nor
fans are reported: a day of 12 to 27 °C and fans at 90 % are assumed, and the leakage of its chips is *set* by this figure.
For the S19 family at a fixed frequency and voltage a chart shows the same tendency, without numbers in its text.
"""

CHIP: Final = """## Single chips (BM1370)

Three Bitaxe, one chip of the S21 Pro's kind each, over a sweep of frequency and voltage at 60 °C. Their firmware reports the
regulator's output plus a constant 5 W, so the constant says nothing; the switching term a f V² holds to {worst} % at any
set-point left out. Leakage cannot be told apart (frequency and voltage move together, temperature is held): power at fixed
frequency and voltage grows by 0.3 to 0.9 % per kelvin, of which the catalogue takes 0.3
(by a look at warm-ups and steady samples, not by this script).

![sweep](validation/chip.png)
"""

PLANT: Final = """## Chillers, towers and an immersion container

Two water-cooled chillers of 3.0 and 2.8 MW with towers, May and June 2018, steady rows. The Gordon-Ng model is fitted to
May and judged on June. Not covered: chilled water above 7 °C, loads above 76 %, condenser water above 34 °C. A second regime,
17 % lower in COP at high lift and half load (13 % of the first chiller's June), is not in the model (found by hand,
not by this script): it makes the 90 % figure.
`RoomParams` carries the first chiller's coefficients.

![chillers](validation/chiller.png)
"""

FAILURES: Final = """## Failures and maintenance

The lives of parts are *set* so that 5 % of a normal fleet, and 20 to 30 % of one with a bad batch of boards and supplies,
fail in their third year of service.

{ages}

A predictive rule (swap what warns, in weekly rounds, while there is more than one spare; clean a zone when dust has aged
its fans by 400 h) against run-to-failure (swap what failed; clean every 90 days): a thousand machines in ten containers,
two years old, Texas weather, {years:.0f} years, {n_seeds} pairs that meet the same lives and dust; change with 95 % interval:
"""

LEFT: Final = """
Parts do not live longer under this rule: it takes them out some days before their end and cleans less often than the
calendar. A rule that cleans at 100 h changes the life of a part by {often_life} and the technicians' work by {often_work}
against run-to-failure. Lives grow with what lowers temperatures, that is with the policy that sets profiles and fans, which
`simulate(ageing=…)` takes. How often parts warn, and how early, is assumed; nobody has published it.

## What could not be validated

- *Transients*: no series of chip temperatures after a step of power was found; heat capacities are masses times specific
  heats, assumed.
- *Whatsminer, L7, L9, hydro and immersion curves*: no lists with five points; they are scaled from relatives.
- *Frequencies and voltages of the S21 Pro's list*, which its chips cannot do; its watts and hashrates are used.
- *Containers*: recirculation, pads and intake fans follow handbooks; no measured container was found. PUE and WUE of
  sites are not published, beside the one immersion container above.
- *Machines in liquid*: conductances from chips to coolant are assumed.
- *Wear*: activation energy, voltage and cycle terms are those of handbooks; no fleet's failures by temperature are public.
- *S19j Pro at 2,700 W, chips 60-79 °C*: the inlet temperature is not known. *944 W, outlet 40 °C at 6 °C ambient and 25 %
  fans*: the machine is not named.
"""


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Return rows as a Markdown table."""
    lines = ["| what | quantity | measured | modelled | error | |", "|---|---|---|---|---|---|"]
    for r in rows:
        error = f"{r['error_k']:+.1f} K" if "error_k" in r else f"{r['error_pct']:+.1f} %"
        if "error_p90_pct" in r:
            error = f"median {r['error_pct']} %, 90 % within {r['error_p90_pct']} %"
        if "error_worst_pct" in r:
            error = f"median {r['error_pct']} %, worst {r['error_worst_pct']} %"
        note = "contradictory" if r["contradictory"] else ""
        lines.append(
            f"| {r['model']} | {r['quantity']} | {_number(r['measured'])} | {_number(r['modelled'])} | {error} | {note} |"
        )
    return [*lines, ""]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000.0 else f"{value:.4g}"


def tables(rows: list[dict[str, Any]]) -> list[str]:
    """Return what was predicted as a table and, below it, what the model was set by."""
    predicted, fitted = ([r for r in rows if r["fitted"] is is_fitted] for is_fitted in (False, True))
    lines = ["Predicted:", "", *table(predicted)] if predicted else []
    return lines + (["Set by these measurements, and not counted above:", "", *table(fitted)] if fitted else [])


def errors(rows: list[dict[str, Any]]) -> str:
    """Return the errors of what was predicted by section, as a Markdown table."""
    lines = ["| predictions | rows | median error | worst |", "|---|---|---|---|"]
    for section, title in SECTIONS.items():
        for key, unit in (("error_pct", "%"), ("error_k", "K")):
            kept = [
                r for r in rows if r["section"] == section and key in r and not r["fitted"] and not r["contradictory"]
            ]
            if kept:
                values = np.abs([r[key] for r in kept])
                lines.append(f"| {title} | {len(kept)} | {np.median(values):.1f} {unit} | {values.max():.1f} {unit} |")
    return "\n".join(lines)


def page(rows: list[dict[str, Any]], study: dict[str, Any]) -> str:
    """Return docs/validation.md of the rows of validation.json and the study of maintenance.json."""
    sections = {name: [r for r in rows if r["section"] == name] for name in SECTIONS}
    results = [r for curves in catalogue.read("fitted.yaml").values() for r in curves.values() if "n_points" in r]
    median = np.median([r["left_out_median_error_pct"] for r in results])
    worst = max(r["left_out_worst_error_pct"] for r in results)
    sweep_worst = max(r["error_worst_pct"] for r in sections["chip"] if "error_worst_pct" in r)
    lines = [INTRO.format(errors=errors(rows)), POWER.format(median=f"{median:.1f}", worst=f"{worst:.1f}")]
    lines += ["The worst point of each list.", "", *tables(_worst_of_each(sections["power"]))]
    lines += [HEAT, *tables(sections["heat"]), HOT_DAY, *tables(sections["temperature"])]
    lines += [CHIP.format(worst=f"{sweep_worst:.1f}"), *tables(sections["chip"]), PLANT, *tables(sections["plant"])]
    lines += [FAILURES.format(ages=_ages(study), years=study["years"], n_seeds=study["n_seeds"]), *_study(study)]
    often = study["cleaned often"]
    lines += [
        *tables(sections["failures"]),
        LEFT.format(
            often_life=f"{often[LIFE]['change_pct']:+.0f} %",
            often_work=f"{often[WORK]['change_pct']:+.0f} %",
        ),
    ]
    return "\n".join(lines)


def _worst_of_each(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    worst: dict[tuple[str, str, bool], dict[str, Any]] = {}
    for r in rows:
        key = r["model"], r["quantity"].partition("list ")[2], bool(r["fitted"])
        if key not in worst or abs(r["error_pct"]) > abs(worst[key]["error_pct"]):
            worst[key] = r
    return list(worst.values())


def _ages(study: dict[str, Any]) -> str:
    ages = study["failed_pct"]
    lines = [
        "| years of service | " + " | ".join(f"{float(age):g}" for age in ages) + " |",
        "|---" * (len(ages) + 1) + "|",
    ]
    for text, key in (("normal, fail in the year", "failed_pct"), ("bad batch", "bad_failed_pct")):
        lines.append(f"| {text} | " + " | ".join(f"{value:.1f} %" for value in study[key].values()) + " |")
    return "\n".join(lines)


def _study(study: dict[str, Any]) -> list[str]:
    lines = ["| measure | normal fleet | | change | bad batch | | change |", "|---|---|---|---|---|---|---|"]
    lines.append("| | run to failure | predictive | | run to failure | predictive | |")
    for measure, normal in study["normal"].items():
        cells = [measure]
        for part in (normal, study["bad batch"][measure]):
            cells += [_number(part["run_to_failure"]), _number(part["predictive"])]
            cells.append(f"{part['change_pct']:+.0f} % ({part['lo']:+.0f}…{part['hi']:+.0f})")
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def draw_all(data: Path) -> dict[str, bytes]:
    """Return the pictures of the page by name."""
    return {"heat": draw_heat(), "chip": draw_chip(data), "chiller": draw_chiller(data)}


def draw_heat() -> bytes:
    """Return modelled against measured temperatures of the steady points."""
    figure = Figure(figsize=(5.2, 4.0), layout="constrained")
    axes = figure.subplots()
    for is_fitted, color in ((True, "#8b949e"), (False, "#1f6feb")):
        rows = [r for r in steady_points.rows() if r["fitted"] is is_fitted]
        axes.plot(
            [r["measured"] for r in rows],
            [r["modelled"] for r in rows],
            "o",
            color=color,
            label="fitted" if is_fitted else "predicted",
        )
    span = np.array([35.0, 75.0])
    axes.plot(span, span, "k-", linewidth=0.8)
    axes.fill_between(span, span - 3.0, span + 3.0, alpha=0.12, color="k", label="± 3 K")
    axes.set_xlabel("measured [°C]")
    axes.set_ylabel("modelled [°C]")
    axes.legend()
    return png(figure, 90)


def draw_chip(data: Path) -> bytes:
    """Return the power of single chips over f V²."""
    figure = Figure(figsize=(6.2, 3.6), layout="constrained")
    axes = figure.subplots()
    for sweep in measurements.bitaxe(data):
        x = sweep.freq_mhz * sweep.core_v**2
        axes.plot(x, sweep.power_w, "o", markersize=3, label=sweep.name)
        axes.plot(np.sort(x), np.polyval(np.polyfit(x, sweep.power_w, 1), np.sort(x)), "k-", linewidth=0.6)
    axes.set_xlabel("f V² [MHz V²]")
    axes.set_ylabel("reported power [W]")
    axes.legend()
    return png(figure, 90)


def draw_chiller(data: Path) -> bytes:
    """Return COP of June over condenser water, measured and modelled, for both chillers."""
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    for axes, number in zip(figure.subplots(1, 2, sharey=True), ("1", "2"), strict=True):
        rows = measurements.chiller(data, number)
        modelled = measurements.gordon_ng(rows, measurements.fit_chiller(rows))
        june = rows.is_june
        x = measurements.celsius(rows.condenser_k[june])
        axes.plot(x, rows.cop[june], ".", markersize=3, label="measured", color="#8b949e")
        axes.plot(x, modelled[june], ".", markersize=2, label="modelled, fitted to May", color="#1f6feb")
        axes.set_title(f"chiller {number}, June", fontsize=10)
        axes.set_xlabel("condenser water [°C]")
        axes.legend()
    figure.axes[0].set_ylabel("COP")
    return png(figure, 90)
