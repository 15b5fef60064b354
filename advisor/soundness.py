"""Whether a machine's reading can be right: what contradicts itself, its model or its own past, each named with both numbers."""

from collections.abc import Hashable, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from ..sim.cooling.loop import LoopParams
from ..sim.foundation.constants import CONTROL_STEP_S, SECONDS_PER_HOUR
from ..sim.hardware import catalogue
from ..sim.hardware.params import PROFILE_CHIP_TEMP_C, PROFILE_FAN_PU
from ..sim.site.params import SiteParams, ZoneParams
from ..sim.telemetry.reported import N_BOARDS

Misfit = tuple[str, str, str]
"""Column, reason with this row's numbers, and the kind of reason."""

OVER_RATED: Final = 2.0
"""Readings above this multiple of a machine's rated hashrate or power are wrong. chosen: no firmware profile
reaches it."""

HALF: Final = 0.5
"""A hashing machine below this share of its clock's hashrate, or off its power by more than it, has a fault. chosen:
one lost board of three stays above it."""

IDLE_PU: Final = 0.1
"""A machine that draws more than this share of rated power neither sleeps nor is tripped. chosen: fans take 3 %."""

BOARD_TOLERANCE: Final = 0.08
"""A hashrate is that of fewer boards if its share of the clock's is as near as this to theirs. chosen: luck of five minutes 2 %,
silicon and tuning 5 %."""

MORE_PU: Final = 0.12
"""Share by which a hashrate may lie above what its clock makes. chosen: luck of five minutes 5 %, silicon and tuning 5 %."""
MOST_PU: Final = 1.5
"""Hashrate over the rated one above which a reading is wrong rather than a clock counted otherwise. chosen: firmware tunes to 1.35."""

STILL_S: Final = 1800.0
"""Readings that repeat to the last digit for this long stand still. [s] chosen: five minutes' hashrate scatters by 1.5 %."""
STILL_READINGS: Final = 3

DAY_S: Final = 86400.0
COLDER_K: Final = 2.0
"""A hashing machine's hottest chip below its inlet by more than this is a wrong sensor. [K] chosen: sensors differ by a kelvin."""
COLDER_ASLEEP_K: Final = 10.0
"""The same of a machine that does not hash, whose chips may lag behind the air. chosen."""

SETTLED_S: Final = 3600.0
"""Time in its status of a machine that does not report it. [s] chosen: boot and ramp are over."""

MODELLED: Final = {
    "status": "from hashrate and power",
    "status_s": "machines are taken to be an hour in their status",
    "freq_mhz": "the profile nearest to the hashrate is taken",
    "power_w": "the catalogue's at their clock is taken",
    "hot_temp_c": "the firmware's target is taken while hashing, the inlet else",
    "inlet_temp_c": "the outdoor temperature is taken, on a loop its set-point",
    "fan_pu": f"{PROFILE_FAN_PU:g} is taken while hashing, 0 else",
}
"""What stands for a column that no machine reports."""


def modelled(rows: pd.DataFrame, zone: ZoneParams, wanted: Sequence[str], outdoor_temp_c: float) -> pd.DataFrame:
    """Return the rows of a zone with absent columns, and power where it is missing, put in from the zone's model."""
    rows, machine, firmware, ladder = rows.copy(), zone.machine, zone.firmware, zone.ladder
    if "status" in wanted:
        busy = rows["power_w"] > IDLE_PU * machine.rated_power_w
        hashes = rows["hashrate_ths"] > 0.01 * machine.rated_hashrate_ths
        rows["status"] = np.where(hashes, "hashing", np.where(busy, "starting", "asleep"))
    if "status_s" in wanted:
        rows["status_s"] = SETTLED_S
    hashing = rows["status"] == "hashing"
    if "freq_mhz" in wanted:
        # Machines whose hashrate is about the usual one run the same profile: five minutes' luck is wider than its neighbours' distance.
        usual_ths = rows.loc[hashing, "hashrate_ths"].median()
        is_usual = (rows["hashrate_ths"] - usual_ths).abs() < BOARD_TOLERANCE * usual_ths
        near = _nearest_mhz(rows["hashrate_ths"], zone)
        # One that makes what two boards of three would, for more power than its own profile takes, lacks a board rather than a clock.
        for left in range(1, N_BOARDS):
            is_part = (rows["hashrate_ths"] / usual_ths - left / N_BOARDS).abs() < BOARD_TOLERANCE
            own_w = near.map(lambda clock: ladder.between(clock)[0])
            is_usual |= is_part & (rows["power_w"] > (1.0 + MORE_PU) * own_w)
        near = _nearest_mhz(rows["hashrate_ths"].mask(is_usual, usual_ths), zone)
        rows["freq_mhz"] = np.where(rows["status"].isin(["hashing", "starting"]), near, 0.0)
    if "inlet_temp_c" in wanted:
        is_loop = isinstance(zone.plant, LoopParams)
        rows["inlet_temp_c"] = zone.plant.coolant_target_c if is_loop else outdoor_temp_c  # type: ignore[union-attr]
    if "fan_pu" in wanted:
        rows["fan_pu"] = np.where(hashing & (machine.n_fans > 0.0), PROFILE_FAN_PU, 0.0)
    if "hot_temp_c" in wanted:
        rows["hot_temp_c"] = np.where(hashing, firmware.fan_target_temp_c, rows["inlet_temp_c"])
    lacking = rows["power_w"].isna()
    if lacking.any():
        idle = {"starting": firmware.boot_power_frac * machine.rated_power_w}
        drawn = [
            machine.power_w(clock, PROFILE_CHIP_TEMP_C, PROFILE_FAN_PU)
            if status == "hashing" and np.isfinite(clock)
            else idle.get(status, firmware.sleep_w)
            for status, clock in zip(rows["status"], rows["freq_mhz"], strict=True)
        ]
        rows["power_w"] = rows["power_w"].where(~lacking, np.round(drawn))
    return rows


def _nearest_mhz(hashrate_ths: pd.Series, zone: ZoneParams) -> pd.Series:
    """Return the clocks of the profiles that lie nearest to hashrates. [MHz]"""
    ladder, per_mhz = zone.ladder, zone.machine.ths_per_mhz
    return hashrate_ths.fillna(0.0).map(lambda ths: ladder.freq_mhz[ladder.nearest(ths / per_mhz)])


def clock_note(rows: pd.DataFrame, zone: ZoneParams) -> str:
    """Return a note of machines that make more than their clock allows by the catalogue, empty if there are none.

    After a set-point has fallen that is so for minutes; else firmware and catalogue count clocks by other measures.
    """
    ladder, rated_ths = zone.ladder, zone.machine.rated_hashrate_ths
    made = rows["freq_mhz"].map(lambda clock: ladder.between(clock)[1] if ladder.has(clock) else np.inf)
    above = (rows["hashrate_ths"] > (1.0 + MORE_PU) * made) & (rows["hashrate_ths"] < MOST_PU * rated_ths)
    above &= rows["status"] == "hashing"
    if not above.any():
        return ""
    told, ths = float(rows.loc[above, "freq_mhz"].median()), float(rows.loc[above, "hashrate_ths"].median())
    clock = ths / zone.machine.ths_per_mhz
    return (
        f"{int(above.sum())} machines make {ths:.1f} TH/s at {told:g} MHz, where the catalogue's make {float(made[above].median()):.1f}; "
        f"if their set-point has not just fallen, clocks are counted otherwise there, and {clock:.0f} MHz would be the catalogue's"
    )


def unit_hint(column: str, value: float, model: str) -> str:
    """Return what an error says of a hashrate that is in gigahashes or megahashes, else nothing."""
    key = catalogue.key_of(model)
    if column != "hashrate_ths" or key is None or not np.isfinite(value):
        return ""
    rated_ths = catalogue.machine(key).rated_hashrate_ths
    for unit, per_ths in (("GH/s", 1e3), ("MH/s", 1e6)):
        if 0.1 * rated_ths < value / per_ths < OVER_RATED * rated_ths:
            return f"; as {unit} it would be {value / per_ths:.4g} TH/s, which fits: divide by {per_ths:g}"
    return ""


def misplaced(model: str, zone: float, site: SiteParams) -> Misfit | None:
    """Return why a machine is none of the site's or not of its zone, None if it is or its zone is not known."""
    key = catalogue.key_of(model)
    if key is None:
        return (
            "model",
            f"{model!r} is not in the catalogue; {catalogue.nearest_names(model)}",
            f"{model!r} is not in the catalogue",
        )
    name = catalogue.machine(key).name
    homes = [number for number, params in enumerate(site.zones) if params.machine.name == name]
    if not homes:
        there = ", ".join(dict.fromkeys(params.machine.name for params in site.zones))
        reason = f"{model!r} stands in no zone that the policy was made for; its zones are of {there}"
        return "model", reason, reason
    if not np.isfinite(zone):
        reason = f"{name} stands in zones {' and '.join(map(str, homes))}: zone must say in which"
        return ("zone", reason, reason) if len(homes) > 1 else None
    if int(zone) != zone or not 0 <= zone < len(site.zones):
        reason = f"{zone:g} is no zone of this site; it has 0…{len(site.zones) - 1}"
        return "zone", reason, "no zone of this site"
    if int(zone) not in homes:
        reason = f"{model!r} in zone {zone:g}, which is of {site.zones[int(zone)].machine.name}; it belongs to {' or '.join(map(str, homes))}"
        return "zone", reason, reason
    return None


def misfit(row: dict[Hashable, Any], site: SiteParams) -> Misfit | None:
    """Return the column and the reason for which a row of a machine in its zone cannot be right, None if it can."""
    return _contradiction(row, site.zones[int(row["zone"])])


def _contradiction(row: dict[Hashable, Any], params: ZoneParams) -> Misfit | None:
    machine, status = params.machine, row["status"]
    for column, rated in (("hashrate_ths", machine.rated_hashrate_ths), ("power_w", machine.rated_power_w)):
        if row[column] > OVER_RATED * rated:
            hint = unit_hint(column, row[column], row["model"])
            kind = f"above {OVER_RATED:g} times the rated {rated:g}"
            return column, f"{row[column]:g} is {kind}{hint}", kind
    ladder = params.ladder
    if status in ("hashing", "starting") and not ladder.has(row["freq_mhz"]):
        profiles = ", ".join(f"{f:g}" for f in ladder.freq_mhz)
        return (
            "freq_mhz",
            f"{row['freq_mhz']:g} MHz while {status} is no profile; there are {profiles}",
            "no profile of the machine",
        )
    colder_k = row["inlet_temp_c"] - row["hot_temp_c"]
    if colder_k > (COLDER_K if status == "hashing" else COLDER_ASLEEP_K):
        what = "inlet" if machine.cooling == "air" else "coolant"
        reason = f"{row['hot_temp_c']:g} °C is below the {what} of {row['inlet_temp_c']:g}: one of the sensors is wrong"
        return "hot_temp_c", reason, f"chips colder than their {what}"
    if row["status_s"] < CONTROL_STEP_S:  # means of five minutes still hold what was before
        return None
    if status in ("asleep", "tripped") and row["hashrate_ths"] > 0.0:
        return (
            "hashrate_ths",
            f"{row['hashrate_ths']:g} TH/s while {status}: the status is wrong",
            f"hashes while {status}",
        )
    if status in ("asleep", "tripped") and row["power_w"] > IDLE_PU * machine.rated_power_w:
        reason = f"{row['power_w']:g} W while {status}: the status or the meter is wrong"
        return "power_w", reason, f"draws power while {status}"
    if status == "hashing":
        return _off_profile(row, params)
    return None


def _off_profile(row: dict[Hashable, Any], params: ZoneParams) -> Misfit | None:
    """Return why a hashing machine is not doing what its clock says, None if it is."""
    power_w, hashrate_ths = params.ladder.between(row["freq_mhz"])
    share, drawn = row["hashrate_ths"] / hashrate_ths, row["power_w"] / power_w
    made = f"{row['hashrate_ths']:g} TH/s at {row['power_w']:g} W while hashing, the profile makes {hashrate_ths:.0f} at {power_w:.0f}"
    running = row["status_s"] / DAY_S
    is_mean_of_day = abs(share - running) < 0.2 * running + 0.01 and share < 1.0 - BOARD_TOLERANCE
    if is_mean_of_day and drawn > 1.0 - 2.0 * BOARD_TOLERANCE:
        hours = row["status_s"] / SECONDS_PER_HOUR
        kind = "looks like a mean of 24 hours after a restart; give that of five minutes"
        return "hashrate_ths", f"{made}, and it runs for {hours:.1f} h: {kind}", kind
    for left in range(1, N_BOARDS):
        of_all = left / N_BOARDS
        if abs(share - of_all) < BOARD_TOLERANCE and drawn < 1.0 + 2.0 * BOARD_TOLERANCE:
            kind = f"{N_BOARDS - left} of {N_BOARDS} boards stand still"
            return "hashrate_ths", f"{made}: {kind}", kind
    if share < HALF:
        kind = "a fault, not a set-point"
        return "hashrate_ths", f"{made}: {kind}", kind
    if not HALF <= drawn <= 1.0 / HALF:
        kind = "the meter or the status is wrong"
        return "power_w", f"{row['power_w']:g} W while hashing, the profile draws {power_w:.0f}: {kind}", kind
    return None


def standing_still(frame: pd.DataFrame) -> dict[int, Misfit]:
    """Return the machines whose readings have repeated to the last digit for half an hour, by the row of their last one.

    Temperatures in whole degrees repeat by themselves and do not count; a machine that does not hash has nothing to scatter.

    Args:
        frame: Readings of the present and before, typed.
    """
    found: dict[int, Misfit] = {}
    if frame.empty or not frame["machine_id"].duplicated().any():
        return found
    ordered = frame.sort_values(["machine_id", "time_utc"], kind="stable")
    lasts = ordered.groupby("machine_id").tail(1)
    hashing = set(lasts.loc[lasts["status"] == "hashing", "machine_id"])
    ordered = ordered[ordered["machine_id"].isin(hashing)]
    machines = ordered.groupby("machine_id", sort=False)
    for column, unit in (("hashrate_ths", "TH/s"), ("hot_temp_c", "°C"), ("inlet_temp_c", "°C")):
        last = machines[column].transform("last")
        other = ordered["time_utc"].where(ordered[column] != last).groupby(ordered["machine_id"]).transform("max")
        same = ordered[other.isna() | (ordered["time_utc"] > other)].groupby("machine_id")
        for _, rows in same:
            value, end = float(rows[column].iloc[-1]), rows["time_utc"].iloc[-1]
            lasting_s = (end - rows["time_utc"].iloc[0]).total_seconds()
            is_whole = unit == "°C" and value == np.trunc(value)
            if len(rows) >= STILL_READINGS and lasting_s >= STILL_S and value != 0.0 and not is_whole:
                kind = "a reading that stands still"
                reason = (
                    f"{value:g} {unit} to the last digit for {lasting_s / 60.0:.0f} min in {len(rows)} readings: {kind}"
                )
                found.setdefault(int(rows.index[-1]), (column, reason, kind))
    return found
