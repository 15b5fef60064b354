"""The shield: of every action the nearest one that keeps the limits of a site, compiled, and what it changed.

It looks at what a site knows before the step and lowers only: set-points of machines, the temperature that their fans hold, what the battery draws.

Source:
    E. Dalal et al., "Safe exploration in continuous action spaces", arXiv:1801.08757, for the layer that projects actions; the projection on a sum
    within boxes is S. Boyd, L. Vandenberghe, Convex Optimization, ch. 5: one multiplier, found by bisection. A cone program finds the same (tests).
"""

from typing import Final, NamedTuple

import numpy as np

from ...sim.contract.channels import OUTDOOR_TEMP_C, WET_BULB_TEMP_C
from ...sim.contract.settlement import allowed_pu
from ...sim.cooling import container
from ...sim.cooling.air import supply_temp_c
from ...sim.cooling.loop import pumped_w_per_k
from ...sim.energy.battery import STEP_H, most_given_kwh
from ...sim.energy.interconnect import highest_power_w
from ...sim.foundation.jit import kernel
from ...sim.hardware import machine
from ...sim.hardware.firmware import ASLEEP, HASHING, commanded_mhz, setpoint_power_w
from .arrays import EnvBatch, EnvWorld
from .operating import renewable_w


class ShieldColumns(NamedTuple):
    """Columns of what a shield reports."""

    chip: int
    ramp: int
    site: int
    battery: int
    cooling: int


SHIELD: Final = {
    "chip": ("rated power", "set-points lowered so that no chip gets too hot"),
    "ramp": ("rated power", "set-points lowered so that power does not rise too fast"),
    "site": ("rated power", "machines lowered so that the site keeps its cap, its import limit and a curtailment call"),
    "battery": ("rated power", "what the battery draws less, or gives more, for the same"),
    "cooling": ("K", "temperature that the machines' fans hold, lowered, summed over zones"),
}
"""What a shield reports of a step, by name: unit and meaning."""

SHIELD_COLUMNS: Final = ShieldColumns(**{name: k for k, name in enumerate(SHIELD)})

CHIP_MARGIN_K: Final = 1.5
"""By how much the shield expects chips hotter than its balance says. assumed: what the inlet warms within a step, and the spread of machines."""

COOLANT_RISE_K: Final = 1.5
"""What a loop's coolant may warm within a step. assumed: its cooler answers within minutes."""

FAN_LAG: Final = 0.4
"""Share of a sudden warming of the supply that chips feel before their fans have answered. Measured: 0.15-0.35 where pads go dry."""

BISECTIONS: Final = 60
"""Halvings in the search of the multiplier. chosen: below the rounding of a float."""


@kernel
def warming_k(i: int, z: int, world: EnvWorld, batch: EnvBatch) -> float:
    """Return by how much the supply of zone `z` of environment `i` warms in the coming step by a command: pads that go dry, a target that rises. [K]"""
    zone, p, site = batch.sim.zone[i, z], world.sim.zones[z], batch.sim.site[i]
    if p["is_liquid"] > 0.0:
        return COOLANT_RISE_K
    if p["plant_kind"] != container.KIND:
        return max(0.0, zone["plant_shift_k"] - batch.scratch[i, 2, z])
    row = world.sim.values[site["series"], site["step"]]
    dries = zone["pad_on"] > 0.0 and row[OUTDOOR_TEMP_C] - zone["plant_shift_k"] <= p["pad_off_temp_c"]
    if not dries:
        return 0.0
    return row[OUTDOOR_TEMP_C] - supply_temp_c(row[OUTDOOR_TEMP_C], row[WET_BULB_TEMP_C], p["pad_effectiveness"])


@kernel
def remember(i: int, batch: EnvBatch) -> None:
    """Keep what environment `i` commanded its plants before an action."""
    for z in range(batch.sim.zone.shape[1]):
        batch.scratch[i, 2, z] = batch.sim.zone[i, z]["plant_shift_k"]


@kernel
def hottest_c(freq_mhz: float, limit_c: float, more_k: float, zone: np.void, p: np.void) -> float:
    """Return the temperature to which the hottest chip tends at a frequency, with its fans as fast as they must turn. [°C]

    The balance is that of `fans.holding_sink_pu` with leakage as of chips at the limit: chips below it leak less. The conductance is what shows
    in the machines' temperatures, power and fan speed, dust included.

    Args:
        freq_mhz: Frequency, above 0. [MHz]
        limit_c: Temperature of the leakage. [°C]
        more_k: What the supply warms in the step. [K]
        zone: State of the zone.
        p: Parameters of the zone.
    """
    rail_v = machine.rail_voltage_v(freq_mhz, p["ref_mhz"], p["ref_v"], p["slope_v_per_mhz"], p["floor_v"])
    heat_w = machine.switching_power_w(freq_mhz, rail_v, p["a_w_per_mhz_v2"], p["b_w_per_mhz"], p["base_w"])
    heat_w += machine.leakage_w(rail_v, limit_c, p["leak_w_per_v2"], p["leak_ref_temp_c"], p["leak_per_k"])
    if p["is_liquid"] > 0.0:
        chip_w_per_k = pumped_w_per_k(p, 1.0 + zone["pump_shift_pu"])
        return zone["sink_temp_c"] + more_k + heat_w * (1.0 / chip_w_per_k + p["hot_k_per_w"])
    sink_w_per_k = p["sink_full_w_per_k"] * (1.0 - zone["fouling_frac"]) * (1.0 + zone["sink_dev"])
    most = zone["inlet_temp_c"] + more_k + heat_w * (p["chip_k_per_w"] + 1.0 / sink_w_per_k)
    return max(most, p["fan_target_temp_c"] + zone["fan_shift_k"]) + CHIP_MARGIN_K


@kernel
def profile_within(i: int, z: int, freq_mhz: float, more_k: float, world: EnvWorld, batch: EnvBatch) -> float:
    """Return the highest frequency of the ladder, not above a set-point, at which chips stay below their limit; 0 where none is. [MHz]"""
    zone, p, limit_c = batch.sim.zone[i, z], world.sim.zones[z], world.env[0]["chip_limit_c"]
    if hottest_c(freq_mhz, limit_c, more_k, zone, p) <= limit_c:
        return freq_mhz
    for k in range(world.menus[z]["n_profiles"] - 1, -1, -1):
        own_mhz = world.profiles[z, k]["freq_mhz"]
        if own_mhz < freq_mhz and hottest_c(own_mhz, limit_c, more_k, zone, p) <= limit_c:
            return own_mhz
    return 0.0


@kernel
def profile_after(z: int, freq_mhz: float, zone: np.void, p: np.void, world: EnvWorld) -> float:
    """Return the highest frequency, not above a set-point, to which a hashing zone may rise in a step; at least the one it has. [MHz]"""
    now_mhz = zone["target_mhz"]
    if zone["mode"] != HASHING or commanded_mhz(zone, p, freq_mhz) <= now_mhz:
        return freq_mhz
    most_w = setpoint_power_w(now_mhz, p) + world.env[0]["ramp_limit_pu"] * p["rated_power_w"]
    if setpoint_power_w(freq_mhz, p) <= most_w:
        return freq_mhz
    for k in range(world.menus[z]["n_profiles"] - 1, -1, -1):
        own_mhz = world.profiles[z, k]["freq_mhz"]
        if now_mhz < own_mhz < freq_mhz and setpoint_power_w(own_mhz, p) <= most_w:
            return own_mhz
    return now_mhz


@kernel
def drawn_w(z: int, freq_mhz: float, zone: np.void, world: EnvWorld) -> float:
    """Return the most that a zone can draw at the meter in a step at a frequency, its plant and its network included. [W]"""
    p, site = world.sim.zones[z], world.sim.site[0]
    own_w = highest_power_w(freq_mhz, zone, p) + site["misc_w_per_unit"]
    return own_w * p["n_units"] * (1.0 + site["transformer_loss_frac"])


@kernel
def most_metered_w(i: int, world: EnvWorld, batch: EnvBatch) -> float:
    """Return the power at the meter that environment `i` may draw in the coming step: of its cap and of a call the lesser, beside sun and wind. [W]"""
    site, p = batch.sim.site[i], world.sim.site[0]
    row = world.sim.values[site["series"], site["step"]]
    most_w, left_pu = p["site_cap_w"], allowed_pu(row, p, site)
    if left_pu < 1.0:
        most_w = min(most_w, left_pu * world.env[0]["rated_kw"] * 1000.0)
    return most_w + renewable_w(batch.obs[i], world)


@kernel
def kept(wanted_w: float, least_w: float, multiplier_w: float) -> float:
    """Return a power that is lowered by the multiplier, not below its least."""
    return max(least_w, wanted_w - multiplier_w)


@kernel
def multiplier_of(wanted_w: np.ndarray, least_w: np.ndarray, most_w: float) -> float:
    """Return by how much each of some powers is lowered, not below its least, so that their sum is a limit: the nearest ones that keep it.

    Args:
        wanted_w: Powers, (n,). [W]
        least_w: The least of each, (n,). [W]
        most_w: Limit of the sum; where all of the least exceed it, the largest gap is returned. [W]

    Examples:
        >>> round(multiplier_of(np.array([5.0, 3.0]), np.array([0.0, 2.5]), 6.5), 6)
        1.0
    """
    low, high = 0.0, 0.0
    for k in range(wanted_w.shape[0]):
        high = max(high, wanted_w[k] - least_w[k])
    for _ in range(BISECTIONS):
        middle, total = 0.5 * (low + high), 0.0
        for k in range(wanted_w.shape[0]):
            total += kept(wanted_w[k], least_w[k], middle)
        if total > most_w:
            low = middle
        else:
            high = middle
    return high


@kernel
def lowest_w(i: int, z: int, world: EnvWorld, batch: EnvBatch) -> float:
    """Return what zone `z` of environment `i` draws at most at its lowest profile. [W]"""
    return drawn_w(z, world.profiles[z, 0]["freq_mhz"], batch.sim.zone[i, z], world)


@kernel
def let_sleep(i: int, most_w: float, world: EnvWorld, batch: EnvBatch) -> None:
    """Let zones of environment `i` sleep until those that run fit a limit at their lowest profiles: who sleeps stays so, then who hashes least for a watt."""
    wanted_w, least_w = batch.scratch[i, 0], batch.scratch[i, 1]
    n = batch.sim.zone.shape[1]
    total_w = least_w[n]
    for z in range(n):
        total_w += least_w[z]
    for _ in range(n):
        if total_w <= most_w:
            return
        worst, least = -1, np.inf
        for z in range(n):
            worth = world.menus[z]["best_ths_per_w"] - (1.0 if batch.sim.zone[i, z]["mode"] == ASLEEP else 0.0)
            if batch.sim.setpoint_mhz[i, z] > 0.0 and worth < least:
                worst, least = z, worth
        if worst < 0:
            return
        asleep_w = drawn_w(worst, 0.0, batch.sim.zone[i, worst], world)
        total_w += asleep_w - least_w[worst]
        batch.shielded[i, SHIELD_COLUMNS.site] += (wanted_w[worst] - asleep_w) / (1000.0 * world.env[0]["rated_kw"])
        batch.sim.setpoint_mhz[i, worst] = 0.0
        wanted_w[worst] = least_w[worst] = asleep_w


@kernel
def weigh(i: int, yields: bool, world: EnvWorld, batch: EnvBatch) -> float:
    """Write what zones and battery of environment `i` would draw, and the least of each, into its scratch; returns the sum of the first. [W]"""
    wanted_w, least_w, p = batch.scratch[i, 0], batch.scratch[i, 1], world.sim.site[0]
    site, n = batch.sim.site[i], batch.sim.zone.shape[1]
    wanted_w[n], least_w[n] = 0.0, 0.0
    if p["battery_power_w"] > 0.0:
        least_w[n] = -most_given_kwh(site, p) / STEP_H * 1000.0
        wanted_w[n] = max(-site["battery_command"] * p["battery_power_w"], least_w[n])
        if yields:
            wanted_w[n] = min(wanted_w[n], 0.0)
    total_w = wanted_w[n]
    for z in range(n):
        wish_mhz = batch.sim.setpoint_mhz[i, z]
        wanted_w[z] = drawn_w(z, wish_mhz, batch.sim.zone[i, z], world)
        least_w[z] = min(wanted_w[z], lowest_w(i, z, world, batch)) if wish_mhz > 0.0 else wanted_w[z]
        total_w += wanted_w[z]
    return total_w


@kernel
def keep_site(i: int, most_w: float, yields: bool, world: EnvWorld, batch: EnvBatch) -> None:
    """Lower machines and battery of environment `i` to the nearest that keep a limit at the meter, and report it.

    Powers are lowered alike, the battery's down to all that it can give, machines' to their lowest profiles; they take the profile below what is
    left, and go up again where there is room. Zones sleep only where lowest profiles do not fit.

    Args:
        i: Environment.
        most_w: Limit. [W]
        yields: Whether a battery that charges counts nothing: at an interconnect's limit it charges less by itself.
        world: The world.
        batch: The batch.
    """
    wanted_w, least_w, p = batch.scratch[i, 0], batch.scratch[i, 1], world.sim.site[0]
    n, rated_w = batch.sim.zone.shape[1], p["battery_power_w"]
    side_w = p["battery_auxiliary_frac"] * rated_w
    total_w = side_w + weigh(i, yields, world, batch)
    if total_w <= most_w:
        return
    let_sleep(i, most_w - side_w, world, batch)
    lowered_w, total_w = multiplier_of(wanted_w, least_w, most_w - side_w), side_w
    if rated_w > 0.0:
        least_w[n] = kept(wanted_w[n], least_w[n], lowered_w)
        batch.shielded[i, SHIELD_COLUMNS.battery] += (wanted_w[n] - least_w[n]) / rated_w
        batch.sim.site[i]["battery_command"] = min(1.0, -least_w[n] / rated_w)
    for z in range(n):
        if batch.sim.setpoint_mhz[i, z] > 0.0:
            least_w[z] = set_within(i, z, kept(wanted_w[z], least_w[z], lowered_w), world, batch)
    for k in range(n + 1):
        total_w += least_w[k]
    for z in range(n):
        if batch.sim.setpoint_mhz[i, z] > 0.0:
            before_w = least_w[z]
            least_w[z] = set_within(i, z, min(wanted_w[z], before_w + most_w - total_w), world, batch)
            total_w += least_w[z] - before_w
            lowered_pu = (wanted_w[z] - least_w[z]) / (1000.0 * world.env[0]["rated_kw"])
            batch.shielded[i, SHIELD_COLUMNS.site] += lowered_pu


@kernel
def set_within(i: int, z: int, most_w: float, world: EnvWorld, batch: EnvBatch) -> float:
    """Set zone `z` of environment `i` to its highest profile that draws no more than a power, to the lowest at least; returns what it draws. [W]"""
    zone = batch.sim.zone[i, z]
    for k in range(world.menus[z]["n_profiles"] - 1, -1, -1):
        own_w = drawn_w(z, world.profiles[z, k]["freq_mhz"], zone, world)
        if own_w <= most_w or k == 0:
            batch.sim.setpoint_mhz[i, z] = world.profiles[z, k]["freq_mhz"]
            return own_w
    return 0.0


@kernel
def shield(i: int, world: EnvWorld, batch: EnvBatch) -> None:
    """Lower the commands of environment `i` to the nearest that keep its limits, and report what was changed."""
    env, report = world.env[0], batch.shielded[i]
    report[:] = 0.0
    for z in range(batch.sim.zone.shape[1]):
        zone, p = batch.sim.zone[i, z], world.sim.zones[z]
        more_k = warming_k(i, z, world, batch)
        if p["is_liquid"] <= 0.0:
            ahead_k = CHIP_MARGIN_K + FAN_LAG * more_k
            over_k = p["fan_target_temp_c"] + zone["fan_shift_k"] + ahead_k - env["chip_limit_c"]
            if over_k > 0.0:
                zone["fan_shift_k"] -= over_k
                report[SHIELD_COLUMNS.cooling] += over_k
        wish_mhz = batch.sim.setpoint_mhz[i, z]
        if wish_mhz <= 0.0:
            continue
        per_rated = p["n_units"] / (1000.0 * env["rated_kw"])
        cool_mhz = profile_within(i, z, wish_mhz, more_k, world, batch)
        now_mhz = profile_after(z, cool_mhz, zone, p, world) if cool_mhz > 0.0 else 0.0
        if now_mhz < wish_mhz:
            wish_w, cool_w = setpoint_power_w(wish_mhz, p), setpoint_power_w(cool_mhz, p) if cool_mhz > 0.0 else 0.0
            now_w = setpoint_power_w(now_mhz, p) if now_mhz > 0.0 else 0.0
            report[SHIELD_COLUMNS.chip] += (wish_w - cool_w) * per_rated
            report[SHIELD_COLUMNS.ramp] += (cool_w - now_w) * per_rated
            batch.sim.setpoint_mhz[i, z] = now_mhz
    most_w, import_w = most_metered_w(i, world, batch), world.sim.site[0]["import_limit_w"]
    if most_w < np.inf:
        keep_site(i, most_w, False, world, batch)
    if import_w < np.inf:
        keep_site(i, import_w + renewable_w(batch.obs[i], world), True, world, batch)
