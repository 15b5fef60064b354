"""Tables of observations, actions and costs: the one source for spaces, kernels, policies and documentation."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ...sim.foundation.checks import require_known
from ...sim.history.history import Channel
from ...sim.market.coins import REFERENCE_HASHPRICE
from ...sim.series.exogenous import (
    CURVE_CHANNELS,
    FORECAST_CHANNELS,
    FORECAST_EDGES_H,
    HIGH_CHANNELS,
    LOW_CHANNELS,
    MODEL,
    RESERVE_CHANNELS,
    market_channel,
)
from ...sim.series.price_features import SEEN, TODAY
from ...sim.site.params import SiteParams
from ...sim.site.state import SITE_FLOW
from .arrays import COLUMNS

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Observed:
    """One entry of the observation vector, in physical units and clipped to its range.

    scale says how a policy normalises it: linear maps the range to [-1, 1]; asinh divides by `unit_size` and takes
    the inverse hyperbolic sine, which keeps sign and order of quantities that span decades.
    """

    name: str
    unit: str
    low: float
    high: float
    group: str
    meaning: str
    scale: Literal["linear", "asinh"] = "linear"
    unit_size: float = 1.0


@dataclass(frozen=True, slots=True)
class Cost:
    """One named cost: what is counted in a step, above which threshold, and the mean per step that is allowed."""

    name: str
    unit: str
    threshold: float
    limit: float
    meaning: str


def _price(name: str, meaning: str) -> Observed:
    return Observed(name, "USD/MWh", -1000.0, 10000.0, "market", meaning, "asinh", 30.0)


SITE_CHANNELS: Final = (
    _price("known_energy_price_usd_per_mwh", "last published price of energy, tariff included"),
    _price("energy_price_mean_1h_usd_per_mwh", "mean of the known price over the last hour"),
    _price("energy_price_mean_24h_usd_per_mwh", "mean of the known price over the last day"),
    Observed(
        "expected_hashprice_usd_per_ph_day",
        "USD/(PH/s)/day",
        0.0,
        500.0,
        "market",
        "expected revenue of hashing",
        "asinh",
        50.0,
    ),
    Observed("outdoor_temp_c", "°C", -40.0, 55.0, "weather", "dry-bulb temperature"),
    Observed("wet_bulb_temp_c", "°C", -40.0, 40.0, "weather", "wet-bulb temperature"),
    Observed("hour_sin", "1", -1.0, 1.0, "calendar", "sine of the local hour of day"),
    Observed("hour_cos", "1", -1.0, 1.0, "calendar", "cosine of the local hour of day"),
    Observed("weekday_sin", "1", -1.0, 1.0, "calendar", "sine of the local hour of week"),
    Observed("weekday_cos", "1", -1.0, 1.0, "calendar", "cosine of the local hour of week"),
)
"""Observations that are known channels of the exogenous world, in its order. Ranges are chosen, wider than the histories at hand hold; what
lies beyond is clipped."""

FORECAST_OBSERVATIONS: Final = tuple(
    Observed(name, "USD/MWh", -1000.0, 10000.0, "forecast", "mean price forecast for a span ahead", "asinh", 30.0)
    for name in FORECAST_CHANNELS
)

QUANTILE_OBSERVATIONS: Final = tuple(
    Observed(
        name, "USD/MWh", -1000.0, 10000.0, "forecast", f"{said} of the models' price for a span ahead", "asinh", 30.0
    )
    for names, said in ((LOW_CHANNELS, "10 % quantile"), (HIGH_CHANNELS, "90 % quantile"))
    for name in names
)
"""Observations of the forecast `model` beside the median. Ranges as those of prices."""

CONTRACT_OBSERVATIONS: Final = {
    "coincident_ratio": Observed(
        "coincident_ratio", "1", 0.0, 1.5, "market",
        "last known load of the grid over the month's highest so far; 0 in months without coincident peaks",
    ),
    "call_now": Observed("call_now", "1", 0.0, 1.0, "market", "1 in a curtailment call"),
    "reserve_price_usd_per_mw_h": Observed(
        "reserve_price_usd_per_mw_h", "USD/MW/h", 0.0, 10000.0, "market", "known price of this hour's reserve", "asinh", 10.0
    ),
    "reserve_price_mean_24h_usd_per_mw_h": Observed(
        "reserve_price_mean_24h_usd_per_mw_h", "USD/MW/h", 0.0, 10000.0, "market", "mean price of reserve over the last day", "asinh", 10.0
    ),
    "reserve_call": Observed("reserve_call", "1", 0.0, 1.0, "market", "1 while reserve is deployed"),
    "call_soon": Observed("call_soon", "1", 0.0, 1.0, "market", "1 in a call and from its announcement on"),
}  # fmt: skip
"""Observations that a contract adds, known channels as well. Ranges are chosen as above."""

DEMAND_OBSERVATIONS: Final = (
    Observed(
        "interval_pu", "rated power", 0.0, 3.0, "market", "energy of the running interval over that at rated power"
    ),
    Observed("month_peak_pu", "rated power", 0.0, 3.0, "market", "highest interval mean of the month that has a price"),
)
"""Observations that a demand charge adds, from the state of the meter. Ranges are chosen: a meter may read above the machines' rating."""

OFFER_OBSERVATIONS: Final = (
    Observed(
        "offer",
        "commitment",
        0.0,
        1.0,
        "market",
        "share of the curtailment programme's commitment that is offered today",
    ),
    Observed("next_offer", "commitment", 0.0, 1.0, "market", "share that is offered from the next local day on"),
)
"""Observations of an environment that offers load to a curtailment programme."""

BATTERY_OBSERVATIONS: Final = (
    Observed("battery_charge_pu", "1", 0.0, 1.0, "energy", "energy in the battery over what it holds"),
    Observed("battery_power_pu", "rated power", -1.1, 1.1, "energy", "power that the battery gave in the last step"),
)
"""Observations of a site with a battery. Ranges are chosen: those of its commands, and a tenth for its auxiliaries."""

NET_OBSERVATIONS: Final = (
    Observed(
        "net_power_pu",
        "limit",
        -5.0,
        5.0,
        "energy",
        "power at the meter in the last step over the import limit, or rated power",
    ),
)
"""Observation of a site with something behind the meter. Ranges are chosen: exports may be larger than what may be drawn."""

RESERVE_OBSERVATIONS: Final = (
    Observed("reserve_sold", "1", 0.0, 1.0, "market", "1 where this hour's reserve is sold"),
    Observed("reserve_next", "1", 0.0, 1.0, "market", "share of the hours of the next local day that are offered"),
)
"""Observations of a site that sells reserve."""

RENEWABLE_OBSERVATIONS: Final = {
    kind: (
        Observed(f"{kind}_now_pu", "rated power", 0.0, 1.2, "energy", f"power of the {kind} in the last step"),
        *(
            Observed(
                f"{kind}_forecast_{first}_{last}h_pu",
                "rated power",
                0.0,
                1.2,
                "energy",
                f"mean power of the {kind} forecast for a span ahead",
            )
            for first, last in pairwise(FORECAST_EDGES_H)
        ),
    )
    for kind in ("sun", "wind")
}
"""Observations of sun and wind, known channels. Ranges are chosen beyond rated power, as measured series may be."""

CURVE_OBSERVATIONS: Final = tuple(
    Observed(
        name, "USD/MWh", -1000.0, 10000.0, "forecast", "price of an hour ahead, of the running one first", "asinh", 30.0
    )
    for name in CURVE_CHANNELS
)
"""Observations of the forecast `day_ahead_curve`. Ranges as those of prices."""

SEEN_OBSERVATIONS: Final = (
    Observed(
        SEEN[0], "USD/MWh", -1000.0, 10000.0, "rule", "price of the running hour by the known curve", "asinh", 30.0
    ),
    Observed(SEEN[1], "h", 0.0, 24.0, "rule", "hours of this local day that are dearer by the known curve"),
    Observed(SEEN[2], "h", 0.0, 24.0, "rule", "hours of this local day that are cheaper by the known curve"),
    Observed(
        SEEN[3],
        "USD/MWh",
        0.0,
        11000.0,
        "rule",
        "mean of the day's two dearest hours less that of its two cheapest",
        "asinh",
        30.0,
    ),
    Observed(
        SEEN[4],
        "USD/MWh",
        -1000.0,
        10000.0,
        "rule",
        "mean price of the dearest hours that the rule looks at",
        "asinh",
        30.0,
    ),
    Observed(
        SEEN[5],
        "USD/MWh",
        -1000.0,
        10000.0,
        "rule",
        "mean price of the cheapest hours that the rule looks at",
        "asinh",
        30.0,
    ),
)
"""What the operator's rule for a battery sees of published prices, observed where an action moves the rule. Ranges are chosen as those of prices."""

PRICE_OBSERVATIONS: Final = (
    Observed(
        "rule_sell_price_usd_per_mwh",
        "USD/MWh",
        -1000.0,
        10000.0,
        "rule",
        "price above which the rule's battery sells",
        "asinh",
        30.0,
    ),
    Observed(
        "rule_buy_price_usd_per_mwh",
        "USD/MWh",
        -1000.0,
        10000.0,
        "rule",
        "price below which the rule's battery buys",
        "asinh",
        30.0,
    ),
)
"""The rule's prices for the battery at its charge, observed where an action moves them. Ranges are chosen as those of prices."""

TODAY_OBSERVATIONS: Final = tuple(
    Observed(name, "USD/MWh", -1000.0, 10000.0, "rule", "known curve of the local day", "asinh", 30.0) for name in TODAY
)
"""The curve of the local day, observed where an action moves a rule that sells reserve."""

COOLING_OBSERVATIONS: Final = (
    Observed("exhaust_temp_c", "°C", -40.0, 120.0, "zone", "air that leaves the zone"),
    Observed("pad_on", "1", 0.0, 1.0, "zone", "1 with wet pads"),
)
"""Observations of each zone that an environment with cooling adds. Ranges are chosen beyond what a plant reaches."""

EVENT_OBSERVATIONS: Final = (
    Observed("online_frac", "1", 0.0, 1.0, "zone", "share of the machines that work"),
    Observed("alarm", "1", 0.0, 1.0, "zone", "1 after a trip, or with fans at full speed"),
)
"""Observations of each zone where something may befall it."""

SITE_EVENT_OBSERVATIONS: Final = (
    Observed("grid_on", "1", 0.0, 1.0, "market", "1 with grid power in the last step"),
    Observed("pool_frac", "1", 0.0, 1.0, "market", "share of the last step with a pool"),
)
"""Observations of a site that something may befall."""

DERIVED: Final = (
    Observed(
        "break_even_usd_per_mwh", "USD/MWh", 0.0, 1000.0, "market",
        "price at which the site's best profile earns nothing", "asinh", 50.0,
    ),
    Observed("price_ratio", "1", -20.0, 200.0, "market", "known price over break-even price", "asinh", 0.5),
)  # fmt: skip
"""Observations that are computed from known channels. Ranges are chosen as above."""

ZONE_OBSERVATIONS: Final = (
    Observed("asleep", "1", 0.0, 1.0, "zone", "1 while the machines sleep"),
    Observed("starting", "1", 0.0, 1.0, "zone", "1 while the machines start"),
    Observed("hashing", "1", 0.0, 1.0, "zone", "1 while the machines hash"),
    Observed("tripped", "1", 0.0, 1.0, "zone", "1 after a thermal trip"),
    Observed("mode_h", "h", 0.0, 1000.0, "zone", "time in this mode", "asinh", 0.5),
    Observed(
        "start_rest_s", "s", 0.0, 14400.0, "zone", "rest of start-up, tuning or the hold after a trip", "asinh", 300.0
    ),
    Observed("target_pu", "1", 0.0, 1.0, "zone", "commanded profile, from lowest to highest"),
    Observed("cap_pu", "1", 0.0, 1.0, "zone", "highest profile that the firmware's throttle allows"),
    Observed("myopic_pu", "1", 0.0, 1.0, "zone", "profile that earns most at the known price, never off"),
    Observed("power_w", "W", 0.0, 8000.0, "zone", "measured power of a machine, mean of the last step"),
    Observed("hashrate_ths", "TH/s", 0.0, 600.0, "zone", "measured hashrate of a machine, mean of the last step"),
    Observed("hot_temp_c", "°C", -40.0, 120.0, "zone", "measured temperature of the hottest chips"),
    Observed("inlet_temp_c", "°C", -40.0, 80.0, "zone", "inlet air temperature"),
    Observed("fan_pu", "1", 0.0, 1.0, "zone", "speed of the machine fans"),
)
"""Observations of each zone. Ranges are chosen, wider than the catalogue's machines and firmware reach; what lies beyond is clipped."""


class ZoneColumns(NamedTuple):
    """Columns of a zone's entries among them, those of an environment with cooling last."""

    asleep: int
    starting: int
    hashing: int
    tripped: int
    mode_h: int
    start_rest_s: int
    target_pu: int
    cap_pu: int
    myopic_pu: int
    power_w: int
    hashrate_ths: int
    hot_temp_c: int
    inlet_temp_c: int
    fan_pu: int
    exhaust_temp_c: int
    pad_on: int


ZONE_COLUMNS: Final = ZoneColumns(
    **{entry.name: k for k, entry in enumerate((*ZONE_OBSERVATIONS, *COOLING_OBSERVATIONS))}
)
"""Where a kernel writes each entry of a zone: a name that the tables lack, or that they have more, fails here."""


@dataclass(frozen=True, slots=True)
class Form:
    """What fixes an observation table beside its numbers: zones, forecast, algorithm, contract and declared channels.

    known: names of the contract's known channels; declared: a history's own channels with their unit and usual range; energy: what stands behind
    the meter, of battery, sun, wind, net and reserve; seen: what the operator's rule sees of published prices, where an action moves it.
    """

    n_zones: int
    forecast: str = "none"
    algorithm: str = "sha256"
    known: tuple[str, ...] = ()
    declared: tuple[tuple[str, Channel], ...] = ()
    has_demand: bool = False
    n_markets: int = 1
    has_offer: bool = False
    has_cooling: bool = False
    energy: tuple[str, ...] = ()
    has_events: bool = False
    seen: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        site: SiteParams,
        channels: Mapping[str, Channel],
        forecast: str,
        *,
        has_offer: bool = False,
        has_cooling: bool = False,
        has_events: bool = False,
        seen: tuple[str, ...] = (),
    ) -> "Form":
        """Return the form of a site's table over a history with some declared channels, for an action of some form."""
        contract = site.contract
        peaks = ("coincident_ratio",) if contract.coincident_peak is not None else ()
        calls = ("call_now", "call_soon") if contract.curtailment is not None else ()
        algorithm = site.zones[0].machine.algorithm
        return cls(
            len(site.zones),
            forecast,
            algorithm,
            peaks + calls + (RESERVE_CHANNELS if contract.reserve is not None else ()),
            tuple(channels.items()),
            bool(contract.demand),
            len(site.markets),
            has_offer,
            has_cooling,
            tuple(
                name
                for name, there in (
                    ("battery", site.battery is not None),
                    ("sun", site.sun is not None),
                    ("wind", site.wind is not None),
                    ("net", site.has_energy),
                    ("reserve", site.contract.reserve is not None),
                )
                if there
            ),
            has_events,
            seen,
        )


def _scaled(entry: Observed, scale: float) -> Observed:
    return replace(entry, high=entry.high * scale, unit_size=entry.unit_size * scale)


_HASHPRICE: Final = "expected_hashprice_usd_per_ph_day"


def observation_table(form: Form) -> tuple[Observed, ...]:
    """Return the table of an observation vector: site channels, forecast, contract, declared, derived, then each zone."""
    # A scrypt machine makes fewer and dearer hashes: ranges of hashrate and hashprice move with what a hash is worth.
    scale = REFERENCE_HASHPRICE[form.algorithm] / REFERENCE_HASHPRICE["sha256"]
    site = tuple(_scaled(entry, scale) if entry.name == _HASHPRICE else entry for entry in SITE_CHANNELS)
    forecasts = () if form.forecast == "none" else FORECAST_OBSERVATIONS
    forecasts += CURVE_OBSERVATIONS if form.forecast == "day_ahead_curve" else ()
    forecasts += QUANTILE_OBSERVATIONS if form.forecast == MODEL else ()
    known = tuple(CONTRACT_OBSERVATIONS[name] for name in form.known)
    known += tuple(entry for kind in ("sun", "wind") if kind in form.energy for entry in RENEWABLE_OBSERVATIONS[kind])
    declared = tuple(
        Observed(name, channel.unit, channel.low, channel.high, "declared", "a series of the history")
        for name, channel in form.declared
    )
    further = tuple(
        replace(_scaled(SITE_CHANNELS[3], scale), name=market_channel(m), meaning=f"expected revenue at market {m}")
        for m in range(1, form.n_markets)
    )
    meter = (DEMAND_OBSERVATIONS if form.has_demand else ()) + (OFFER_OBSERVATIONS if form.has_offer else ())
    meter += BATTERY_OBSERVATIONS if "battery" in form.energy else ()
    meter += PRICE_OBSERVATIONS if "battery" in form.energy and form.seen else ()
    meter += RESERVE_OBSERVATIONS if "reserve" in form.energy else ()
    meter += NET_OBSERVATIONS if "net" in form.energy else ()
    meter += SITE_EVENT_OBSERVATIONS if form.has_events else ()
    meter += _markets(form.n_markets) if form.n_markets > 1 else ()
    zone = tuple(_scaled(entry, 1.0 / scale) if entry.name == "hashrate_ths" else entry for entry in ZONE_OBSERVATIONS)
    zone += COOLING_OBSERVATIONS if form.has_cooling else ()
    zone += EVENT_OBSERVATIONS if form.has_events else ()
    zones = tuple(replace(entry, name=f"zone{z}_{entry.name}") for z in range(form.n_zones) for entry in zone)
    rule = tuple(entry for entry in (*SEEN_OBSERVATIONS, *TODAY_OBSERVATIONS) if entry.name in form.seen)
    return site + forecasts + known + further + declared + rule + DERIVED + meter + zones


def _markets(n_markets: int) -> tuple[Observed, ...]:
    at = tuple(
        Observed(f"at_market{m}", "1", 0.0, 1.0, "market", f"1 while hashes are sold at market {m}")
        for m in range(n_markets)
    )
    return (*at, Observed("switch_rest_s", "s", 0.0, 3600.0, "market", "rest of a change of market", "asinh", 60.0))


def observation_columns(table: tuple[Observed, ...], n_zones: int) -> np.ndarray:
    """Return where kernels write an observation, (1,) of COLUMNS, whose columns of the action are still to be filled.

    Args:
        table: The table of one observation, not stacked.
        n_zones: Zones of the site.
    """
    column = {entry.name: k for k, entry in enumerate(table)}
    columns = np.full(1, -1, COLUMNS)
    for name in COLUMNS.names or ():
        columns[name] = column.get(name, -1)
    columns["zones"] = column[f"zone0_{ZONE_OBSERVATIONS[0].name}"]
    names = [entry.name for entry in table[int(columns["zones"][0]) :]]
    columns["zone_online"] = names.index("zone0_online_frac") if "zone0_online_frac" in names else -1
    columns["per_zone"] = (len(table) - columns["zones"]) // n_zones
    return columns


def places(table: tuple[Observed, ...], chosen: Sequence[str]) -> list[int]:
    """Return the places of the chosen observations in a table, in the table's order; none chosen is all.

    A name stands for itself, and for those of every zone: "power_w" is zone0_power_w, zone1_power_w and so on.

    Raises:
        BadInputError: A name is none of the table's.
    """
    if not chosen:
        return list(range(len(table)))
    found = set[int]()
    for name in chosen:
        these = [
            k
            for k, entry in enumerate(table)
            if entry.name == name or re.fullmatch(rf"zone\d+_{re.escape(name)}", entry.name)
        ]
        if not these:
            require_known("observations: unknown name", [name], [entry.name for entry in table])
        found |= set(these)
    return sorted(found)


def stacked(table: tuple[Observed, ...], depth: int) -> tuple[Observed, ...]:
    """Return the table of the last `depth` observations at once, the newest last, under its own names."""
    past = tuple(replace(entry, name=f"{entry.name}_t-{k}") for k in range(depth - 1, 0, -1) for entry in table)
    return past + table


def bounds(table: tuple[Observed, ...]) -> tuple[Float32Array, Float32Array]:
    """Return lower and upper bounds of a table, each (n,) float32.

    Examples:
        >>> low, high = bounds(ZONE_OBSERVATIONS[:2])
        >>> low.tolist(), high.tolist()
        ([0.0, 0.0], [1.0, 1.0])
    """
    low = np.array([entry.low for entry in table], dtype=np.float32)
    high = np.array([entry.high for entry in table], dtype=np.float32)
    return low, high


DISCRETE_OFFSETS: Final = (-2, -1, 0, 1, 2)
"""Offsets from the myopic profile that the discrete action offers beside off."""

BOX_SLEEP_BELOW: Final = -0.8
BOX_WAKE_ABOVE: Final = -0.4
"""Sleep band of the Box action: below the first a zone sleeps, above the second it wakes, in between it stays. chosen: a tenth of the range
for sleep, and a band of twice that against flicker."""

MIN_SLEEP_S: Final = 3600.0
"""Shortest sleep under the discrete and the Box action. [s] A learner that tries sleep for one step pays for a start and
saves nothing; an hour shows it what sleep is worth. Source of the form: Braiins DPS, `shutdown_duration` in hours."""

COSTS: Final = (
    Cost("chip_over_temp", "zones", 80.0, 0.0, "zones whose hottest chip exceeded the threshold [°C] within the step"),
    Cost("power_ramp", "rated power", 0.2, 0.0, "rise of a hashing zone's power set-point above the threshold, summed"),
    Cost("starts", "zones", 0.0, 0.01, "zones that left sleep"),
    Cost("site_cap", "cap", 0.0, 0.0, "mean power at the meter above the site's cap, as a share of the cap"),
    Cost(
        "curtailment_breach",
        "rated power",
        0.0,
        0.0,
        "mean power above what a curtailment call allows, over rated power",
    ),
    Cost(
        "inlet_range",
        "K",
        0.0,
        0.0,
        "kelvins by which running zones' air lies outside 5…45 °C, or coolant outside 20…50 °C",
    ),
    Cost(
        "temp_gradient",
        "K",
        5.0,
        0.0,
        "difference of the hottest chips of neighbouring running zones above the threshold, summed",
    ),
    Cost("load_missed", "plan", 0.0, 0.0, "share of the plan's power that the zones' profiles do not add up to"),
    Cost(
        "interconnect_breach",
        "import limit",
        0.0,
        0.0,
        "mean power beyond a limit of the interconnect, after all that can be shed was, over the import limit",
    ),
)
"""Named costs in the order of every cost array. `info["cost"]` is their sum.

Source of the thresholds of chip_over_temp, power_ramp and temp_gradient: the project's brief, safety limits (80 °C in training, ramp
0.2, gradient 5). The limits, means per step, are chosen: nothing is allowed but a start in a hundred steps of a zone, about three a day.
"""

ADJUSTABLE: Final = ("chip_over_temp", "power_ramp", "temp_gradient")
"""Costs whose threshold an environment option may replace."""

LOOSEST: Final = {"chip_over_temp": 85.0, "power_ramp": 1.0, "temp_gradient": 20.0}
"""Loosest thresholds. Source: 85 °C is the hard limit of the project's brief and the least step-down limit of the catalogue's firmware; the
others are chosen: a ramp of all rated power never counts, and 20 K are four times the usual threshold."""

INLET_C: Final = (5.0, 45.0)
"""Inlet air. [°C] Source: nominal range of Bitmain air chassis."""
COOLANT_C: Final = (20.0, 50.0)
"""Coolant on its way to the machines. [°C] Source: alarm below 20 (miningos, Antspace); 50 normal (Whatsminer hydro)."""

COST_NAMES: Final = tuple(cost.name for cost in COSTS)


class CostColumns(NamedTuple):
    """Columns of the named costs."""

    chip_over_temp: int
    power_ramp: int
    starts: int
    site_cap: int
    curtailment_breach: int
    inlet_range: int
    temp_gradient: int
    load_missed: int
    interconnect_breach: int


COST_COLUMNS: Final = CostColumns(**{name: k for k, name in enumerate(COST_NAMES)})
"""Where a kernel writes each cost: a name that the table lacks, or that it has more, fails here."""

INFO_KEYS: Final = tuple(SITE_FLOW.names or ())
"""Site flows of a step as they stand in `info`."""
