"""The pages of the machine catalogue: a table of every quantity with its source, and a plot of every model's curves."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from hashgym.experiments.reports.figures import png
from hashgym.sim.foundation.files import write_bytes, write_text
from hashgym.sim.hardware import catalogue, fitting

_UNITS = {
    "w": "W", "ths": "TH/s", "mhz": "MHz", "v": "V", "c": "°C", "k": "K", "w_per_k": "W/K", "j_per_k": "J/K", "k_per_w": "K/W",
    "m3_per_s": "m³/s", "per_k": "1/K", "frac": "1", "share": "1", "efficiency": "1",
}  # fmt: skip


def unit(name: str) -> str:
    """Return the unit that a quantity's name ends in."""
    endings = [ending for ending in _UNITS if name.endswith(f"_{ending}")]
    return _UNITS[max(endings, key=len)] if endings else ""


def draw(key: str) -> bytes:
    """Return a picture of a model: power and efficiency over hashrate, of its curves and of every published point."""
    figure = Figure(figsize=(7.2, 2.7), layout="constrained")
    power, efficiency = figure.subplots(1, 2)
    entry, fitted = catalogue.read("machines.yaml")["machines"][key], catalogue.read("fitted.yaml")[key]
    for name in fitted:
        machine = catalogue.machine(f"{key}/{name}")
        listed = [row[0] for row in entry.get("curves", {}).get(name, {}).get("points", [])]
        low, high = min([machine.profiles_mhz[0], *listed]), max([machine.profiles_mhz[-1], *listed])
        freq_mhz = np.linspace(low, high, 200)
        hashes = freq_mhz * machine.ths_per_mhz
        watts = fitting.model_w(fitted[name]["coefficients"], freq_mhz, catalogue.given(key))
        power.plot(hashes, watts, label=f"model, {name}")
        efficiency.plot(hashes, watts / hashes)
    values = catalogue.given(key)
    for name, curve in entry.get("curves", {}).items():
        points, is_fitted = fitting.Curve.read(curve["points"]), bool(curve.get("fitted", True))
        possible = points.computable(values["chips"], values.get("cores"))
        for part, text in ((possible & is_fitted, name), (~possible | (not is_fitted), f"{name}, not fitted")):
            shown = points.where(part)
            if len(shown):
                style = {"marker": "o" if text == name else "x", "linestyle": "", "markersize": 4}
                power.plot(shown.hashrate_ths, shown.power_w, label=text, **style)
                efficiency.plot(shown.hashrate_ths, shown.power_w / shown.hashrate_ths, **style)
    rated_w, rated_ths = entry["rated_power_w"][0], entry["rated_hashrate_ths"][0]
    power.plot(rated_ths, rated_w, "k*", label="rated")
    efficiency.plot(rated_ths, rated_w / rated_ths, "k*")
    for axes, label in ((power, "power [W]"), (efficiency, "efficiency [J/TH]")):
        axes.set_xlabel("hashrate [TH/s]")
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
    power.legend(fontsize=7)
    figure.suptitle(entry["name"], fontsize=10)
    return png(figure, 80)


def section(key: str) -> list[str]:
    """Return the section of a model."""
    entry, fitted = catalogue.read("machines.yaml")["machines"][key], catalogue.read("fitted.yaml")[key]
    lines = [f"## {entry['name']} (`{key}`)", "", f"![{entry['name']}](machines/{key}.png)", ""]
    for name, result in fitted.items():
        if name == "scaled":
            lines.append(f"- No list to fit: **scaled from `{result['scaled_from']}`** ({entry['scaled_from'][1]}).")
            continue
        lines.append(
            f"- `{key}/{name}`: {result['n_points']} points, {result['n_parameters']} parameters; error median "
            f"{result['median_error_pct']} %, worst {result['worst_error_pct']} %; left out, median "
            f"{result['left_out_median_error_pct']} %, worst {result['left_out_worst_error_pct']} %. Best J/TH at "
            f"{result['modelled_optimum_pct_of_rated']:.0f} % of rated power, in the list at {result['listed_optimum_pct_of_rated']:.0f} %."
        )
    for name, curve in entry.get("curves", {}).items():
        if not curve.get("fitted", True):
            lines.append(f"- List `{name}` is not fitted: {curve['reason']}.")
    if "note" in entry:
        lines.append(f"- {entry['note'][0].upper()}{entry['note'][1:]}.")
    lines += ["", "| quantity | value | unit | source |", "|---|---|---|---|"]
    own = {name: pair for name, pair in entry.items() if isinstance(pair, list) and name != "profiles_mhz"}
    lines += [f"| `{name}` | {pair[0]} | {unit(name)} | {pair[1]} |" for name, pair in own.items()]
    return [*lines, ""]


def page() -> str:
    """Return docs/machines.md."""
    content = catalogue.read("machines.yaml")
    lines = [
        "# The machine catalogue",
        "",
        "Written by `python -m tools.fit_machines`; do not edit. Values come from `sim/hardware/machines.yaml`,",
        "where the rules stand by which lists are fitted. Errors are of watts; *left out* are those at each point of a fit",
        "without it. A star is the rated point, a cross a published point that is not fitted.",
        "",
        "| model | curve | points | median / worst error | left out | optimum, model / list |",
        "|---|---|---|---|---|---|",
    ]
    for key, curves in catalogue.read("fitted.yaml").items():
        name = content["machines"][key]["name"]
        for curve, result in curves.items():
            if curve == "scaled":
                lines.append(f"| [{name}](#{_anchor(key)}) | scaled from `{result['scaled_from']}` | | | | |")
                continue
            lines.append(
                f"| [{name}](#{_anchor(key)}) | {curve} | {result['n_points']} | {result['median_error_pct']} / {result['worst_error_pct']} % "
                f"| {result['left_out_median_error_pct']} / {result['left_out_worst_error_pct']} % "
                f"| {result['modelled_optimum_pct_of_rated']:.0f} / {result['listed_optimum_pct_of_rated']:.0f} % of rated |"
            )
    lines += ["", "Sources:", "", *(f"- `{key}`: {text}" for key, text in content["sources"].items()), ""]
    for key in catalogue.machine_names():
        lines += section(key)
    lines += ["## What chassis have in common", ""]
    for name, chassis in {"every machine": content["common"], **content["chassis"]}.items():
        lines += [f"### {name}", "", "| quantity | value | unit | source |", "|---|---|---|---|"]
        lines += [
            f"| `{q}` | {pair[0]} | {unit(q)} | {pair[1]} |" for q, pair in chassis.items() if isinstance(pair, list)
        ]
        lines.append("")
    return "\n".join(lines)


def _anchor(key: str) -> str:
    """Return GitHub's anchor of a model's heading."""
    title = f"{catalogue.read('machines.yaml')['machines'][key]['name']} ({key})".lower()
    return "".join(c for c in title if c.isalnum() or c in " -_").replace(" ", "-")


def write(docs: Path) -> None:
    """Write the page and its pictures."""
    for key in catalogue.machine_names():
        write_bytes(docs / "machines" / f"{key}.png", draw(key))
    write_text(docs / "machines.md", page())
