"""The table of policies, as text."""

from typing import Any

_HEADER = (
    "policy",
    "net profit $/day",
    "95 % interval",
    "gain over always_on %",
    "95 % interval",
    "starts/week",
    "too hot",
    "trips",
)


def policy_table(summary: dict[str, Any]) -> str:
    """Return the policies of a summary as an aligned table, best first, with the bound below."""
    entries = sorted(summary["policies"].items(), key=lambda item: -item[1]["net_profit_usd_per_day"]["mean"])
    rows = [_row(name, entry) for name, entry in entries]
    if "bound" in summary:
        rows.append(_row("bound", summary["bound"]))
    widths = [max(len(row[k]) for row in (_HEADER, *rows)) for k in range(len(_HEADER))]
    lines = [
        "  ".join(
            cell.ljust(w) if k == 0 else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in (_HEADER, *rows)
    ]
    about = f"{summary['episodes']} episodes of {summary['episode_days']:g} days, {summary['history']['kind']} history {summary['history']['hash']}"
    about += (
        f", {summary['years']} drawn years" if summary["years"] > 1 else ", one year: intervals say nothing of others"
    )
    lines += ["", *_against_rule(summary)]
    return "\n".join([about, "", lines[0], "-" * len(lines[0]), *lines[1:]])


def _against_rule(summary: dict[str, Any]) -> list[str]:
    """Return a line for each policy that is not a rule: its paired gain over the best rule."""
    lines = []
    for name, entry in summary["policies"].items():
        if "gain_over_best_rule_pct" in entry:
            lines.append(f"{name} over {summary['best_rule']}: {over_rule(entry)}")
    return lines


def over_rule(entry: dict[str, Any]) -> str:
    """Return a policy's paired gain over the best rule: in percent, or in dollars where the rule earns nothing."""
    gain, unit = entry["gain_over_best_rule_pct"], "%"
    if gain["mean"] is None:
        gain, unit = entry["usd_per_day_over_best_rule"], "USD a day (the rule earns nothing)"
    return f"{gain['mean']:+.2f} {unit} ({gain['lo']:+.2f} … {gain['hi']:+.2f})"


def gain_cells(gain: dict[str, float | None]) -> tuple[str, str]:
    """Return a gain in percent and its interval, dashes where there is no percentage."""
    if gain["mean"] is None:
        return "–", "–"
    return f"{gain['mean']:.1f}", f"{gain['lo']:.1f} … {gain['hi']:.1f}"


def _row(name: str, entry: dict[str, Any]) -> tuple[str, ...]:
    profit, gain = entry["net_profit_usd_per_day"], entry["gain_over_always_on_pct"]
    rest = ("", "", "")
    if "costs" in entry:
        rest = (f"{entry['starts_per_week']:.2f}", f"{entry['costs']['chip_over_temp']:.4f}", f"{entry['trips']:.0f}")
    return (
        name,
        f"{profit['mean']:.1f}",
        f"{profit['lo']:.1f} … {profit['hi']:.1f}",
        *gain_cells(gain),
        *rest,
    )
