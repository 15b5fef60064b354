"""From sound telemetry to the state of the simulator: what a zone's mean machine is doing now."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd

from ..sim.hardware.firmware import ASLEEP, HASHING, STARTING, TRIPPED
from ..sim.site.params import SiteParams, ZoneParams
from ..sim.site.state import NEVER_FAILED_MHZ, ZONE_STATE
from ..sim.site.zone import board_heat
from ..sim.telemetry.columns import STATUS


@dataclass(frozen=True, slots=True)
class Fleet:
    """What telemetry says of a site: the site with the machines that were heard of, and the state of its zones.

    site: of each zone, the machines that advice is for: those that do what most of them do. A clock that they are tuned to stands
    on their ladder beside its profiles. whole: the site with all machines that the telemetry names. silent: for zones of which nothing can be said, why. notes: machines that
    advice does not count on and what was put in for them, for the person on shift.
    """

    site: SiteParams
    whole: SiteParams
    zones: np.ndarray  # (n_zones,) of ZONE_STATE
    silent: dict[int, str]
    notes: tuple[str, ...]


def assess(
    rows: pd.DataFrame, site: SiteParams, outdoor_temp_c: float, longest_s: float, named: pd.DataFrame | None = None
) -> Fleet:
    """Return the fleet that sound rows describe.

    Args:
        rows: One sound row for each machine.
        site: The site of the policy; it is a site of these zones, whatever their numbers of machines.
        outdoor_temp_c: Outdoor temperature, for the evaporative wall's thermostat. [°C]
        longest_s: Longest time in a status that the policy has seen; longer ones are taken as this. [s]
        named: All readings, sound or not, which say how many machines there are; None: `rows`.
    """
    zones = np.zeros(len(site.zones), ZONE_STATE)
    params, whole, silent, notes = list(site.zones), list(site.zones), {}, list[str]()
    counts = (rows if named is None else named).groupby("zone")["machine_id"].nunique()
    for number, zone in enumerate(site.zones):
        n_named = int(counts.get(number, 0))
        part = rows[rows["zone"] == number]
        if part.empty:
            silent[number] = (
                f"no sound telemetry of zone {number}: of {n_named or zone.n_units} machines none can be used"
            )
            continue
        same, what = _largest_group(part, zone)
        notes += _notes(part, same, what, number, n_named, zone)
        status, freq_mhz = same["status"].iloc[0], float(same["freq_mhz"].median())
        whole[number] = _of_size(_with_clock(zone, status, freq_mhz), n_named)
        params[number] = _of_size(whole[number], len(same))
        zones[number] = _state(same, params[number], STATUS[status], freq_mhz, longest_s)[0]
        record = site.zone_record[number]  # where the thermostat is in doubt, the pads are taken as off
        zones[number]["pad_on"] = float(record["pad_effectiveness"] > 0.0 and outdoor_temp_c >= record["pad_on_temp_c"])
    return Fleet(replace(site, zones=tuple(params)), replace(site, zones=tuple(whole)), zones, silent, tuple(notes))


def _of_size(zone: ZoneParams, n_units: int) -> ZoneParams:
    """Return a zone of another number of machines, with as many slots for each."""
    if n_units == zone.n_units:
        return zone
    slots = None if zone.n_slots is None else max(n_units, round(zone.n_slots * n_units / zone.n_units))
    return replace(zone, n_units=n_units, n_slots=slots)


def _with_clock(zone: ZoneParams, status: str, freq_mhz: float) -> ZoneParams:
    """Return a zone whose ladder holds the clock that its machines are tuned to, if that is none of its profiles."""
    ladder = zone.ladder
    if status not in ("hashing", "starting") or ladder.is_profile(freq_mhz):
        return zone
    profiles = tuple(sorted({*zone.machine.profiles_mhz, round(freq_mhz, 2)}))
    return replace(zone, machine=replace(zone.machine, profiles_mhz=profiles))


def _largest_group(part: pd.DataFrame, zone: ZoneParams) -> tuple[pd.DataFrame, pd.Series]:
    """Return the machines of the largest group that do the same, and what each of all machines does, in words.

    Clocks are the same where the same profile is nearest: firmware that tunes board by board spreads them around it.
    """
    ladder = zone.ladder
    near = part["freq_mhz"].map(lambda clock: ladder.freq_mhz[ladder.nearest(clock)])
    runs = part["status"].isin(["hashing", "starting"])
    what = part["status"].where(~runs, part["status"] + near.map(" at {:g} MHz".format))
    same = what == what.value_counts().index[0]
    if runs[same].all():
        near_enough = (part["freq_mhz"] - part.loc[same, "freq_mhz"].median()).abs() <= 0.5 * ladder.step_mhz
        same |= near_enough & (part["status"] == part.loc[same, "status"].iloc[0])
    return part[same], what


def _notes(
    part: pd.DataFrame, same: pd.DataFrame, what: pd.Series, number: int, n_named: int, zone: ZoneParams
) -> list[str]:
    """Return what a person should know of a zone's machines: who tripped, who does otherwise, how many were not heard of."""
    notes = []
    tripped = part.loc[part["status"] == "tripped", "machine_id"].tolist()
    if tripped:
        some = ", ".join(map(str, tripped[:_NAMED])) + (" …" if len(tripped) > _NAMED else "")
        notes.append(f"zone {number}: {len(tripped)} machines are tripped ({some}); look at their cooling")
    others = what.drop(same.index).value_counts()
    if len(others):
        told = ", ".join(f"{n} {doing}" for doing, n in others.items())
        notes.append(f"zone {number}: {told}: set aside; advice is for the {len(same)} that are {what[same.index[0]]}")
    if len(part) < n_named:
        notes.append(f"zone {number}: {len(part)} of {n_named} machines have sound telemetry; advice counts on these")
    if n_named != zone.n_units:
        notes.append(
            f"zone {number}: the telemetry names {n_named} machines, the policy was made on {zone.n_units}; it sees them by the machine"
        )
    clock = float(same["freq_mhz"].median())
    if same["status"].iloc[0] in ("hashing", "starting") and not zone.ladder.is_profile(clock):
        power_w, hashrate_ths = zone.ladder.between(clock)
        notes.append(
            f"zone {number}: {len(same)} machines are tuned to {clock:.1f} MHz, between profiles; interpolated on the ladder "
            f"({power_w:,.0f} W, {hashrate_ths:.1f} TH/s)"
        )
    return notes


_NAMED: Final = 5


def _state(same: pd.DataFrame, zone: ZoneParams, mode: float, freq_mhz: float, longest_s: float) -> np.ndarray:
    """Return the mean machine's state; temperatures inside it follow from the hottest chip at steady state."""
    state, record = np.zeros(1, ZONE_STATE), SiteParams(zones=(zone,)).zone_record
    hot_c = float(same["hot_temp_c"].mean())
    state["mode"], state["mode_s"] = mode, min(float(same["status_s"].median()), longest_s)
    if mode == STARTING:
        state["timer_s"] = max(0.0, zone.firmware.boot_s + zone.firmware.stagger_s - float(same["status_s"].median()))
    if mode == TRIPPED:
        state["timer_s"] = max(0.0, zone.firmware.trip_hold_s - float(same["status_s"].median()))
    # A tripped machine keeps its set-point and starts by itself when it has cooled.
    nearest_mhz = float(zone.ladder.freq_mhz[zone.ladder.nearest(freq_mhz)])
    state["target_mhz"] = nearest_mhz if mode != ASLEEP and freq_mhz > 0.0 else 0.0
    state["freq_mhz"] = nearest_mhz if mode == HASHING else 0.0
    state["cap_mhz"] = zone.max_mhz
    state["tuned_low_mhz"], state["tuned_high_mhz"] = zone.tuned_mhz
    state["failed_mhz"] = NEVER_FAILED_MHZ
    state["hot_temp_c"] = state["chip_temp_c"] = state["sink_temp_c"] = hot_c
    if mode == HASHING:
        heat_w, _ = board_heat(state[0], record[0], nearest_mhz, 1.0)
        state["chip_temp_c"] = hot_c - zone.machine.hot_k_per_w * heat_w
        state["sink_temp_c"] = hot_c - zone.chip_k_per_w * heat_w
    for name in ("inlet_temp_c", "fan_pu", "power_w", "hashrate_ths"):
        state[name] = float(same[name].mean())
    state["exhaust_temp_c"] = state["inlet_temp_c"] + state["power_w"] * zone.kelvin_per_w
    return state
