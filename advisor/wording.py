"""How advice reads: sentences for its reasons and steps, and the whole as text that a person acts on."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..sim.series.exogenous import STEPS_PER_HOUR
from .records import Advice, AdviceReport
from .situation import Situation
from .telemetry import Rejected
from .whatif import Outcome


def utc(stamp: pd.Timestamp) -> str:
    """Return a time as ISO 8601 in UTC."""
    return stamp.tz_convert("UTC").strftime("%Y-%m-%dT%H:%M:%SZ")


def profile(situation: Situation, z: int, setpoint_mhz: float) -> str:
    """Return a set-point in words: frequency and power of a machine, or sleep."""
    if setpoint_mhz <= 0.0:
        return "sleep"
    ladder = situation.scenario.site.zones[z].ladder
    k = ladder.nearest(setpoint_mhz)
    power_w, hashrate_ths = ladder.setpoint_power_w[k], ladder.nominal_hashrate_ths[k]
    return f"{ladder.freq_mhz[k]:g} MHz ({power_w:,.0f} W, {hashrate_ths:.0f} TH/s)"


def steps(situation: Situation, z: int, setpoints_mhz: Sequence[float]) -> list[str]:
    """Return what to do: the set-points that the rate limit allows, one after the other."""
    zone, heard = situation.whole.zones[z], situation.scenario.site.zones[z].n_units
    number = f"{zone.n_units}" if heard == zone.n_units else f"{heard} of {zone.n_units}"
    machines = f"the {number} machines ({zone.machine.name}) of zone {z}"
    if setpoints_mhz[0] <= 0.0:
        texts = [f"now: put {machines} to sleep"]
    else:
        texts = [f"now: set {machines} to {profile(situation, z, setpoints_mhz[0])}"]
    if len(setpoints_mhz) > 1:
        rest = ", ".join(f"{setpoint:g}" for setpoint in setpoints_mhz[1:])
        texts.append(f"then, every 5 minutes, go on to {rest} MHz, where it stays")
    return texts


def prices(situation: Situation, z: int) -> list[str]:
    """Return what energy costs now and in the next hour, against what it may cost."""
    low, middle, high = situation.hour_ahead_usd_per_mwh()
    return [
        f"Energy costs {situation.known_price_usd_per_mwh:.1f} USD/MWh (last published), zone {z} breaks even at {situation.break_even_usd_per_mwh(z):.1f}.",
        f"Forecast for the next hour: {middle:.1f} USD/MWh, 80 % within {low:.1f}…{high:.1f}.",
    ]


def market_prices(situation: Situation) -> list[str]:
    """Return what exported energy pays now and may pay over the next day."""
    world = situation.world.in_force("export_price_usd_per_mwh")
    best = np.sort(world.reshape(len(world), -1, STEPS_PER_HOUR).mean(axis=2), axis=1)[:, -2:].mean(axis=1)
    low, middle, high = np.quantile(best, [0.1, 0.5, 0.9])
    hour_low, hour_middle, hour_high = np.quantile(world[:, :STEPS_PER_HOUR].mean(axis=1), [0.1, 0.5, 0.9])
    return [
        f"Energy costs {situation.known_price_usd_per_mwh:.1f} USD/MWh (last published), the battery is {situation.charge_pu or 0.0:.0%} full.",
        f"Forecast of what exported energy pays in the next hour: {hour_middle:.1f} USD/MWh, 80 % within {hour_low:.1f}…{hour_high:.1f}.",
        f"The two dearest of the next 24 hours: {middle:.1f} USD/MWh, 80 % within {low:.1f}…{high:.1f}.",
    ]


def battery_steps(situation: Situation, command: float, hold_h: float) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what to do with the battery, and how to undo it."""
    battery = situation.scenario.site.battery
    power_kw = abs(command) * (battery.power_w if battery is not None else 0.0) / 1000.0
    verb, end = ("discharge", "empty") if command > 0.0 else ("charge", "full")
    steps = (
        f"now: {verb} the battery at {power_kw:,.0f} kW",
        f"hold it for {hold_h:g} h, or until it is {end}, unless newer advice says otherwise",
    )
    return steps, ("now: let the battery stand",)


def day_prices(situation: Situation) -> list[str]:
    """Return what energy is forecast to cost over the next day."""
    mean = situation.world.in_force("energy_price_usd_per_mwh").mean(axis=1)
    low, middle, high = np.quantile(mean, [0.1, 0.5, 0.9])
    return [f"Forecast for the mean of the next 24 h: {middle:.1f} USD/MWh, 80 % within {low:.1f}…{high:.1f}."]


def trade(outcome: Outcome, plan: int) -> str:
    """Return what a plan gives up and what it saves against "keep", means over the paths."""
    parts = {
        name: float(outcome.gain(name, plan).mean()) for name in ("revenue_usd", "energy_usd", "water_usd", "wear_usd")
    }
    rest = parts["water_usd"] + parts["wear_usd"]
    return f"Against keep, over the horizon: revenue {parts['revenue_usd']:+.2f} USD, energy bill {parts['energy_usd']:+.2f} USD, water and wear {rest:+.2f} USD."


def as_text(report: AdviceReport) -> str:
    """Return a report as text for the person on shift."""
    lines = [f"Advice for {report.site} at {report.at_utc} (clock: {report.clock})", ""]
    for number, advice in enumerate(report.advice, 1):
        lines += [*_one(number, advice), ""]
    if not report.advice and report.is_judged:
        lines += ["No advice: nothing that was tried is clearly better than leaving the site as it is.", ""]
    elif not report.advice:
        lines += ["No advice can be given.", ""]
    lines += [f"NOTE {note}." for note in report.notes]
    for abstention in report.abstentions:
        lines.append(f"No {abstention.kind} advice for {abstention.target}: {abstention.reason}.")
    if report.rejected_rows:
        n = len(report.rejected_rows)
        lines += ["", f"{n} row{'s' * (n > 1)} of telemetry {'were' if n > 1 else 'was'} set aside:"]
        lines += [f"  {text}" for text in grouped(report.rejected_rows)]
    return "\n".join(lines).rstrip() + "\n"


def grouped(rejected: Sequence[Rejected]) -> list[str]:
    """Return rows that were set aside, those of one kind in one line with the first of them as the example."""
    groups: dict[tuple[str, str], list[Rejected]] = {}
    for entry in rejected:
        groups.setdefault((entry.column, entry.kind or entry.reason), []).append(entry)
    texts = []
    for (column, kind), rows in sorted(groups.items(), key=lambda pair: -len(pair[1])):
        first = rows[0]
        place = f"row {first.row} ({first.machine_id})"
        if len(rows) == 1:
            texts.append(f"{place}, {column}: {first.reason}")
        else:
            example = "" if first.reason == kind else f": {first.reason}"
            texts.append(f"{len(rows)} rows, {column}: {kind}; as {place}{example}")
    return texts


def _one(number: int, advice: Advice) -> list[str]:
    profit = advice.effect["profit_usd"]
    lines = [f"{number}. {advice.kind}, {advice.target}"]
    if "power_limit_w" in advice.recommended:
        now_kw, limit_kw = (values["power_limit_w"] / 1000.0 for values in (advice.current, advice.recommended))
        lines.append(f"   DO    limit the site to {limit_kw:.0f} kW at the meter, it is at {now_kw:.0f}: that is,")
    lines += [f"   DO    {step}" for step in advice.steps]
    lines.append(
        f"   WORTH {profit.mean:+.2f} USD over {advice.horizon_h:g} h against leaving it (80 % within {profit.lo:+.2f}…{profit.hi:+.2f})"
    )
    lines.append(
        f"   SURE  better on {advice.confidence:.0%} of the paths; worst tenth {advice.risk['mean_of_worst_tenth_usd']:+.2f} USD on average"
    )
    # The sum with 0 keeps a rounded -0.0 from being printed.
    hotter_k = round(advice.effect["max_chip_temp_c"].mean, 1) + 0.0
    energy, hashes = advice.effect["energy_kwh"], advice.effect["hash_th"]
    lines.append(
        f"   MOVES energy {energy.mean:+,.0f} kWh, hashes {hashes.mean / 1e6:+,.1f} EH, hottest chip {hotter_k:+.1f} K"
    )
    lines += [f"   WHY   {reason}" for reason in advice.reasons]
    lines += [f"   UNDO  {step}" for step in advice.undo_steps]
    if advice.excludes:
        lines.append(
            f"   OR    {' or '.join(advice.excludes)}, not both: they set the same machines, and their worth does not add up"
        )
    lines.append(f"   Void after {advice.expires_utc}; automation: {advice.automation.replace('_', ' ')}")
    return lines
