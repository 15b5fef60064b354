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

AGREEING: Final = 0.9
"""Share of a zone's machines that must be in the same status and at the same profile: the policy steers zones as a whole. chosen: a few
machines are always being mended."""

REPORTING: Final = 0.5
"""Share of a zone's machines that must have a sound row. chosen: below half, the mean of those heard says little of the zone."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """What telemetry says of a site: the site with the machines that were heard of, and the state of its zones.

    whole: the site with all its machines. silent: for zones of which nothing can be said, why. notes: machines that
    advice does not count on, for the person on shift.
    """

    site: SiteParams
    whole: SiteParams
    zones: np.ndarray  # (n_zones,) of ZONE_STATE
    silent: dict[int, str]
    notes: tuple[str, ...]


def assess(rows: pd.DataFrame, site: SiteParams, outdoor_temp_c: float, longest_s: float) -> Fleet:
    """Return the fleet that sound rows describe.

    Args:
        rows: One sound row for each machine.
        site: The site of the policy; of each zone, only the machines that were heard of are counted on.
        outdoor_temp_c: Outdoor temperature, for the evaporative wall's thermostat. [°C]
        longest_s: Longest time in a status that the policy has seen; longer ones are taken as this. [s]
    """
    zones = np.zeros(len(site.zones), ZONE_STATE)
    params, silent, notes = list(site.zones), {}, list[str]()
    for number, zone in enumerate(site.zones):
        part = rows[rows["zone"] == number]
        notes += _notes(part, number, zone)
        reason = _silence(part, number, zone)
        if reason is not None:
            silent[number] = reason
            continue
        status, freq_mhz = part["status"].mode()[0], float(part["freq_mhz"].median())
        same = part[part["status"] == status]
        params[number] = replace(zone, n_units=len(same))
        zones[number] = _state(same, zone, STATUS[status], freq_mhz, longest_s)[0]
        record = site.zone_record[number]  # where the thermostat is in doubt, the pads are taken as off
        zones[number]["pad_on"] = float(record["pad_effectiveness"] > 0.0 and outdoor_temp_c >= record["pad_on_temp_c"])
    return Fleet(replace(site, zones=tuple(params)), site, zones, silent, tuple(notes))


def _notes(part: pd.DataFrame, number: int, zone: ZoneParams) -> list[str]:
    """Return what a person should know of a zone's machines: who tripped, and how many were not heard of."""
    notes = []
    tripped = part.loc[part["status"] == "tripped", "machine_id"].tolist()
    if tripped:
        some = ", ".join(map(str, tripped[:_NAMED])) + (" …" if len(tripped) > _NAMED else "")
        notes.append(f"zone {number}: {len(tripped)} machines are tripped ({some}); look at their cooling")
    if len(part) < zone.n_units:
        notes.append(
            f"zone {number}: {len(part)} of {zone.n_units} machines have sound telemetry; advice counts on these"
        )
    return notes


_NAMED: Final = 5


def _silence(part: pd.DataFrame, number: int, zone: ZoneParams) -> str | None:
    """Return why nothing can be said of a zone, None if something can."""
    if part.empty:
        return f"no sound telemetry of zone {number}: of {zone.n_units} machines none can be used"
    if len(part) > zone.n_units:
        return f"zone {number} has {zone.n_units} machines, {len(part)} report; the policy was made for another fleet"
    if len(part) < REPORTING * zone.n_units:
        return f"only {len(part)} of {zone.n_units} machines of zone {number} have sound telemetry; half of them are needed"
    shares = part["status"].value_counts(normalize=True)
    if shares.iloc[0] < AGREEING:
        text = ", ".join(f"{share:.0%} {name}" for name, share in shares.items())
        return f"zone {number} is mixed ({text}); the policy steers a zone as a whole"
    same = part.loc[part["status"] == shares.index[0], "freq_mhz"]
    if float((same - same.median()).abs().le(0.5).mean()) < AGREEING:
        return f"zone {number} runs several profiles ({same.min():g}…{same.max():g} MHz); the policy steers a zone as a whole"
    return None


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
