"""The operator's rule, compiled: machines by price with hysteresis, plants at constant set-points, the battery by two prices.

It is written once: a residual action moves it (zero is the rule itself), rules of a search run it with many settings side by side. It reads
an observation and nothing else, so that an exported policy can hold it.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from ...sim.contract.reserve import N_HOURS
from ...sim.foundation.constants import usd_per_th
from ...sim.foundation.errors import BadInputError
from ...sim.foundation.jit import kernel
from ...sim.foundation.records import float_record
from ...sim.series.price_features import SEEN
from .acting import (
    MOST_FLOOR_USD,
    RESERVE_WITHHELD,
    break_even_usd_per_mwh,
    myopic_profile,
)
from .arrays import EnvBatch, EnvWorld
from .tables import ZONE_COLUMNS

SCHEDULE: Final = 0.0
AHEAD_HOURS: Final = 1.0
PERCENTILES: Final = 2.0
"""Families of rules for a battery, numbers by definition: hours of the day by the known curve, with an override by spikes; the dearest hours
ahead as the price of what is stored; percentiles of the prices of days past."""

NEUTRAL: Final[dict[str, float]] = {
    "off_ratio": 1e9, "on_ratio": 1.0, "ride_ratio": 1.0, "peak_ratio": np.inf, "cap_pu": 1.0, "first_command": 0.0, "second_command": 0.0,
    "family": SCHEDULE, "sell_hours": 0.0, "buy_hours": 0.0, "spike_usd": 1e9, "cheap_usd": -1e9, "sell_share": 1.0, "buy_share": 1.0,
    "slope": 0.0, "least_spread_usd": 0.0, "reserve_pu": 0.0, "variant": 0.0, "store_first": 0.0,
    "reserve_floor_usd": np.inf, "reserve_withheld": 0.0, "reserve_share": 0.0,
}  # fmt: skip
"""A rule that never sleeps, leaves the plants as they are and the battery idle, by definition. What a setting means says `agents.operator_rules`."""

RULE: Final = float_record(*NEUTRAL)
"""Settings of a rule, as kernels read them."""

CAP_RESERVE: Final = 0.03
"""Share of a site's cap that rules leave free. chosen: what hot chips and fans draw above the published tables."""

PEAK_HOURS: Final = (14, 19)
"""Local hours in which the load of a grid has its peaks, first and the one after the last. Source: ERCOT's coincident peaks came between 15:00
and 17:30 (energyby5.com), with an hour on either side."""

CLOCK_SLACK_H: Final = 1e-3
"""Slack of the hour that float32 sine and cosine give. [h] assumed: they lose less than 4 s."""

_MIDDLE: Final = (0.5 * (PEAK_HOURS[0] + PEAK_HOURS[1]) - CLOCK_SLACK_H) / 24.0 * 2.0 * math.pi
PEAK_SIN: Final = math.sin(_MIDDLE)
PEAK_COS: Final = math.cos(_MIDDLE)
PEAK_LEAST: Final = math.cos(0.5 * (PEAK_HOURS[1] - PEAK_HOURS[0]) / 24.0 * 2.0 * math.pi)
"""Middle of PEAK_HOURS on the face of a clock of 24 hours, and the cosine of half their arc."""

WITHHELD_HOURS: Final = (15, 19)
"""Local hours in which reserve may be withheld in months with coincident peaks: those in which the grid has them and machines shed. Source: ERCOT's
four coincident peaks."""

MOST_LOG_RATIO: Final = 2.0
MOST_PROFILES: Final = 4.0
MOST_PEAK: Final = 0.05
MOST_CAP: Final = 0.25
MOST_PRICE_MOVE: Final = 2.5
PRICE_UNIT_USD: Final = 30.0
FARTHEST_USD: Final = 1000.0
STILL_BELOW: Final = 0.3
"""How far a residual action of 1 moves the rule. chosen: MOST_LOG_RATIO, natural logarithm of the factor on the price that machines see;
MOST_PROFILES, steps of the ladder; MOST_PEAK, of the share of the month's highest load from which the site sheds; MOST_CAP, of the cap on power;
MOST_PRICE_MOVE, of the battery's prices, measured as asinh(price / PRICE_UNIT_USD), where one beyond FARTHEST_USD counts as FARTHEST_USD; what
moves a command or an offer itself does nothing below STILL_BELOW, so that a learner's noise costs nothing."""


def require_settings(names: Iterable[str]) -> None:
    """Raise BadInputError if a name is no setting of the operator's rule."""
    for name in names:
        if name not in NEUTRAL:
            raise BadInputError(f"no setting {name!r} of the operator's rule; there are {', '.join(NEUTRAL)}")


def rule_record(settings: Mapping[str, npt.NDArray[np.float64]] | Mapping[str, float], n: int = 1) -> np.ndarray:
    """Return settings as kernels read them, (n,) of RULE, those that are not given neutral; raises BadInputError.

    Args:
        settings: Numbers, or (n,) of them.
        n: Number of rules.
    """
    require_settings(settings)
    record = np.zeros(n, RULE)
    for name, value in NEUTRAL.items():
        record[name] = settings.get(name, value)
    return record


def as_texts(rule: Mapping[str, float]) -> dict[str, float | str]:
    """Return settings of a rule as JSON takes them: those without an end are texts."""
    return {name: value if math.isfinite(value) else str(value) for name, value in rule.items()}


N_SEEN: Final = len(SEEN)


def looks_at(rule: Mapping[str, float] | None) -> tuple[bool, int] | None:
    """Return how a rule looks at published prices, as `price_features.with_seen` has it; None where there is no rule."""
    if rule is None:
        return None
    return rule.get("family", NEUTRAL["family"]) == PERCENTILES, int(rule.get("variant", NEUTRAL["variant"]))


@kernel
def moved(moves: np.ndarray, column: int) -> float:
    """Return an entry of a residual action within [-1, 1], 0 where there is none."""
    return min(max(moves[column], -1.0), 1.0) if column >= 0 else 0.0


@kernel
def beyond_still(move: float) -> float:
    """Return a move beyond STILL_BELOW, stretched to [-1, 1].

    Examples:
        >>> beyond_still(0.3), beyond_still(-1.0)
        (0.0, -1.0)
    """
    return math.copysign(max(0.0, abs(move) - STILL_BELOW) / (1.0 - STILL_BELOW), move)


@kernel
def between(base: float, move: float) -> float:
    """Return a command of [-1, 1] moved towards its highest value at 1, towards its lowest at -1.

    Examples:
        >>> between(0.5, 0.0), between(0.5, 1.0), between(0.5, -1.0)
        (0.5, 1.0, -1.0)
    """
    return base + (move * (1.0 - base) if move > 0.0 else move * (base + 1.0))


@kernel
def moved_price(price_usd_per_mwh: float, move: float) -> float:
    """Return a price of the battery, moved; a move of 0 leaves it exactly as it is. [USD/MWh]"""
    if move == 0.0:
        return price_usd_per_mwh
    held = min(max(price_usd_per_mwh, -FARTHEST_USD), FARTHEST_USD)
    return math.sinh(math.asinh(held / PRICE_UNIT_USD) + MOST_PRICE_MOVE * move) * PRICE_UNIT_USD


@kernel
def is_peak_hour(hour_sin: float, hour_cos: float) -> bool:
    """Tell whether the local hour, of which sine and cosine are given, is one in which the grid has its peaks: an arc of the clock's face."""
    return hour_sin * PEAK_SIN + hour_cos * PEAK_COS > PEAK_LEAST


@kernel
def market_price(obs: np.ndarray, world: EnvWorld) -> float:
    """Return the last known price of the market, without what the tariff adds. [USD/MWh]"""
    env = world.env[0]
    return (obs[env["known_energy_price_usd_per_mwh"]] - env["adder_usd_per_mwh"]) / (1.0 + env["markup_frac"])


@kernel
def renewable_w(obs: np.ndarray, world: EnvWorld) -> float:
    """Return the power of sun and wind in the last step. [W]"""
    env, total = world.env[0], 0.0
    if env["sun_now_pu"] >= 0:
        total += obs[env["sun_now_pu"]] * env["sun_w"]
    if env["wind_now_pu"] >= 0:
        total += obs[env["wind_now_pu"]] * env["wind_w"]
    return total


@kernel
def margin_price(obs: np.ndarray, world: EnvWorld) -> float:
    """Return what a megawatt-hour more costs the machines: its export price where sun and wind give more than they all draw. [USD/MWh]"""
    env, price = world.env[0], float(obs[world.env[0]["known_energy_price_usd_per_mwh"]])
    if env["sun_now_pu"] < 0 and env["wind_now_pu"] < 0:
        return price
    if renewable_w(obs, world) < env["top_w"]:
        return price
    return max(0.0, market_price(obs, world) + env["export_adder_usd_per_mwh"])


@kernel
def keep_cap(row: np.ndarray, cap_w: float, world: EnvWorld) -> None:
    """Lower the profiles of a row, (n_entries,) with a choice at each zone's act_power, where a watt earns least, until the cap holds; off at last."""
    env, profiles = world.env[0], world.profiles
    while True:
        total_w, worst, least = 0.0, -1, np.inf
        for z in range(profiles.shape[0]):
            k = int(row[z * env["act_per_zone"]])
            if k == 0:
                continue
            now_w, now_ths = profiles[z, k - 1]["meter_power_w"], profiles[z, k - 1]["paid_hashrate_ths"]
            total_w += now_w
            below_w = profiles[z, k - 2]["meter_power_w"] if k > 1 else 0.0
            below_ths = profiles[z, k - 2]["paid_hashrate_ths"] if k > 1 else 0.0
            loss = (now_ths - below_ths) / (now_w - below_w)
            if loss < least:
                worst, least = z, loss
        if total_w <= cap_w or worst < 0:
            return
        row[worst * env["act_per_zone"]] -= 1.0


@kernel
def keep_share(row: np.ndarray, cap_w: float, world: EnvWorld) -> None:
    """Lower the highest choice of a row step by step until the profiles' power keeps a cap; the lowest profile stays."""
    env, profiles = world.env[0], world.profiles
    while True:
        total_w, highest, top = 0.0, -1, 1.0
        for z in range(profiles.shape[0]):
            k = row[z * env["act_per_zone"]]
            if k > 0.0:
                total_w += profiles[z, int(k) - 1]["meter_power_w"]
            if k > top:
                highest, top = z, k
        if total_w <= cap_w or highest < 0:
            return
        row[highest * env["act_per_zone"]] -= 1.0


@kernel
def choose_profiles(obs: np.ndarray, rule: np.void, moves: np.ndarray, world: EnvWorld, row: np.ndarray) -> bool:
    """Write each zone's choice into a row, 0 for off; returns whether the grid may have its peak."""
    env, profiles = world.env[0], world.profiles
    margin = margin_price(obs, world)
    terahash_usd = usd_per_th(float(obs[env["expected_hashprice_usd_per_ph_day"]]))
    is_peak = False
    if env["coincident_ratio"] >= 0 and is_peak_hour(obs[env["hour_sin"]], obs[env["hour_cos"]]):
        least = rule["peak_ratio"] + MOST_PEAK * moved(moves, env["move_peak"])
        is_peak = obs[env["coincident_ratio"]] >= least
    is_called = env["call_soon"] >= 0 and obs[env["call_soon"]] > 0.0
    first, base = env["zones"], 0
    for z in range(profiles.shape[0]):
        is_asleep = obs[first + ZONE_COLUMNS.asleep] > 0.5
        even = max(break_even_usd_per_mwh(world.menus[z], terahash_usd), 1e-9)
        ratio = margin / even * math.exp(MOST_LOG_RATIO * moved(moves, env["move_ratio"] + base))
        off, on = rule["off_ratio"], rule["on_ratio"]
        shift = round(MOST_PROFILES * moved(moves, env["move_ratio"] + base + 1)) if env["move_ratio"] >= 0 else 0
        best = myopic_profile(z, profiles, world.menus, margin, terahash_usd) + shift
        choice = min(max(best, 0), world.menus[z]["n_profiles"] - 1) + 1
        if is_asleep:
            choice = 0 if ratio >= min(on, off) else choice
        elif ratio > off:
            choice = 1 if ratio <= off * rule["ride_ratio"] else 0
        row[z * env["act_per_zone"]] = 0.0 if is_peak or is_called else choice
        first += env["per_zone"]
        base += env["move_per_zone"]
    if env["rule_cap_w"] < np.inf:
        keep_cap(row, env["rule_cap_w"], world)
    cap_pu = min(1.0, rule["cap_pu"] * (1.0 + MOST_CAP * moved(moves, env["move_cap"])))
    if cap_pu < 1.0:
        keep_share(row, cap_pu * env["top_w"], world)
    return is_peak


@kernel
def battery_prices(charge_pu: float, seen: np.ndarray, rule: np.void) -> tuple[float, float]:
    """Return the prices above which the battery sells and below which it buys. [USD/MWh]

    Args:
        charge_pu: Energy in the battery over what it holds.
        seen: Of published prices, (6,) of `price_features.SEEN`.
        rule: Settings.
    """
    hour, dear, cheap = float(seen[0]), float(seen[4]), float(seen[5])
    sell, buy = rule["spike_usd"], rule["cheap_usd"]
    if rule["family"] == SCHEDULE:
        if seen[3] >= rule["least_spread_usd"]:
            if seen[1] < rule["sell_hours"] and charge_pu > rule["reserve_pu"]:
                sell = min(sell, max(rule["sell_share"] * hour, rule["cheap_usd"]))
            if seen[2] < rule["buy_hours"]:
                buy = max(buy, rule["buy_share"] * hour)
        return sell, buy
    tilt = rule["slope"] * (0.5 - charge_pu)
    high = dear * rule["sell_share"] * (1.0 + tilt)
    low = cheap * rule["buy_share"] + tilt * abs(cheap)
    if high - low >= rule["least_spread_usd"]:
        return min(sell, max(high, 0.0, rule["cheap_usd"])), max(buy, low)
    return sell, buy


@kernel
def run_battery(
    obs: np.ndarray,
    seen: np.ndarray,
    rule: np.void,
    moves: np.ndarray,
    world: EnvWorld,
    row: np.ndarray,
) -> float:
    """Return the battery's command for machines at the choices of a row."""
    env = world.env[0]
    market = market_price(obs, world)
    sell, buy = battery_prices(float(obs[env["battery_charge_pu"]]), seen, rule)
    sell = moved_price(sell, moved(moves, env["move_sell"]))
    buy = moved_price(buy, moved(moves, env["move_buy"]))
    command = 0.0
    if market > sell:
        command = 1.0
    elif market < buy:
        command = -1.0
    if env["sun_now_pu"] >= 0 or env["wind_now_pu"] >= 0:
        load_w = 0.0
        for z in range(world.profiles.shape[0]):
            k = int(row[z * env["act_per_zone"]])
            load_w += world.profiles[z, k - 1]["meter_power_w"] if k > 0 else 0.0
        taken_w = 0.0 if rule["store_first"] > 0.0 else env["export_w"]
        spilled_w = max(0.0, renewable_w(obs, world) - load_w - taken_w)
        if spilled_w > 0.0 and command <= 0.0:
            command = min(command, -min(1.0, spilled_w / env["battery_w"]))
    return min(max(command + 2.0 * beyond_still(moved(moves, env["move_battery"])), -1.0), 1.0)


@kernel
def reserve_offer(
    obs: np.ndarray, saved_usd: float, rule: np.void, moves: np.ndarray, hour: int, world: EnvWorld
) -> float:
    """Return the action that offers an hour's reserve, -1 where none is sold.

    Args:
        obs: Observation.
        saved_usd: What a megawatt-hour costs in that hour beyond what machines make of it. [USD/MWh]
        rule: Settings.
        moves: Residual action.
        hour: Local hour.
        world: The world.
    """
    env = world.env[0]
    is_withheld = rule["reserve_withheld"] > 0.0 and WITHHELD_HOURS[0] <= hour < WITHHELD_HOURS[1]
    if is_withheld and env["coincident_ratio"] >= 0 and obs[env["coincident_ratio"]] > 0.0:
        return -1.0
    floor = rule["reserve_floor_usd"] + rule["reserve_share"] * max(0.0, saved_usd)
    move = beyond_still(moved(moves, env["move_reserve"]))
    if move < 0.0 or floor < np.inf:
        floor = max(0.0, min(floor, MOST_FLOOR_USD) + MOST_FLOOR_USD * move)
    if floor == np.inf or (floor > MOST_FLOOR_USD and move > 0.0):
        return -1.0
    share = math.sqrt(min(floor, MOST_FLOOR_USD) / MOST_FLOOR_USD)
    return RESERVE_WITHHELD + (1.0 - RESERVE_WITHHELD) * share


@kernel
def run_zones(rule: np.void, moves: np.ndarray, world: EnvWorld, row: np.ndarray) -> None:
    """Write into a row what zones have beside power: set-points of their plants, shares of the load, technicians."""
    env = world.env[0]
    for z in range(world.profiles.shape[0]):
        at, move = z * env["act_per_zone"], z * env["move_per_zone"]
        if env["act_cooling"] >= 0:
            k, column = at + env["act_cooling"], env["move_cooling"] + move if env["move_cooling"] >= 0 else -1
            row[k] = between(rule["first_command"], moved(moves, column))
            row[k + 1] = between(rule["second_command"], moved(moves, column + 1 if column >= 0 else -1))
        if env["move_share"] >= 0:
            row[at + env["act_share"]] = moved(moves, env["move_share"] + move)
        if env["move_service"] >= 0:
            row[at + env["act_service"]] = moved(moves, env["move_service"] + move)


@kernel
def sell_power(
    obs: np.ndarray, seen: np.ndarray, rule: np.void, moves: np.ndarray, world: EnvWorld, row: np.ndarray
) -> None:
    """Write into a row what is offered to programmes, what is left of sun and wind, and where hashes are sold."""
    env = world.env[0]
    if env["act_offer"] >= 0:
        row[env["act_offer"]] = between(1.0, -abs(beyond_still(moved(moves, env["move_offer"]))))
    if env["act_curtail"] >= 0:
        row[env["act_curtail"]] = max(0.0, beyond_still(moved(moves, env["move_curtail"])))
    if env["act_reserve"] >= 0:
        even, terahash_usd = 0.0, usd_per_th(float(obs[env["expected_hashprice_usd_per_ph_day"]]))
        for z in range(world.menus.shape[0]):
            even = max(even, break_even_usd_per_mwh(world.menus[z], terahash_usd))
        for hour in range(N_HOURS):
            saved_usd = seen[N_SEEN + hour] + env["adder_usd_per_mwh"] - even
            row[env["act_reserve"] + hour] = reserve_offer(obs, saved_usd, rule, moves, hour, world)
    if env["act_market"] >= 0:
        # Bins of [-1, 1] choose the market: the rule stays at the first.
        row[env["act_market"]] = 2.0 * max(0.0, moved(moves, env["move_market"])) - 1.0


@kernel
def operate(
    obs: np.ndarray, seen: np.ndarray, rule: np.void, moves: np.ndarray, world: EnvWorld, row: np.ndarray
) -> None:
    """Write what the rule does, moved by a residual action, as an action of the form `setpoints`.

    Args:
        obs: Observation of one environment, (n_observations,).
        seen: What the rule sees of published prices, (0,), (6,) or (30,) of `price_features.SEEN` and `TODAY`.
        rule: Settings.
        moves: Residual action, (n_moves,), of `actions.residual_table`.
        world: The world.
        row: Result, (n_actions,).
    """
    env, is_peak = world.env[0], False
    row[:] = 0.0
    if env["act_power"] >= 0:
        is_peak = choose_profiles(obs, rule, moves, world, row)
    run_zones(rule, moves, world, row)
    if env["act_battery"] >= 0:
        row[env["act_battery"]] = 1.0 if is_peak else run_battery(obs, seen, rule, moves, world, row)
    sell_power(obs, seen, rule, moves, world, row)


@kernel
def operate_rows(world: EnvWorld, observations: np.ndarray, moves: np.ndarray, rows: np.ndarray) -> None:
    """Write what the world's rule does in observations, (n, n_observations), moved by residual actions, (n, n_moves), into rows, (n, n_actions)."""
    first = max(world.env[0]["curve_now_usd_per_mwh"], 0)
    for i in range(rows.shape[0]):
        operate(observations[i], observations[i, first:], world.rules[0], moves[i], world, rows[i])


@kernel
def operate_all(world: EnvWorld, batch: EnvBatch, rules: np.ndarray, seen: np.ndarray, rows: np.ndarray) -> None:
    """Write what the rule does in every environment.

    Args:
        world: The world.
        batch: The batch, in the form `setpoints`.
        rules: Settings, (1,) or (n_envs,) of RULE.
        seen: As `operate` has it, (n_envs, n_seen).
        rows: Result, (n_envs, n_actions).
    """
    for i in range(rows.shape[0]):
        operate(batch.obs[i], seen[i], rules[min(i, rules.shape[0] - 1)], batch.moves[i], world, rows[i])
