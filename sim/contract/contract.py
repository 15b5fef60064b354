"""What electricity costs: energy at a tariff, blocks bought ahead, charges on peaks, and pay for being ready to shed load.

A contract is composed of these parts; `settlement` settles it.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..foundation.checks import require, require_fraction
from ..foundation.constants import SECONDS_PER_HOUR
from ..history.history import History

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

HOURS_OF_DAY: Final = 24
MONTHS_OF_YEAR: Final = 12
ALL_YEAR: Final = tuple(range(1, 13))
INTERVALS_S: Final = (300, 900, 1800, 3600)
"""Lengths of an interval over which power is averaged for a charge on it. [s]"""


MOST_USD_PER_MWH: Final = 20_000.0
"""Beyond this a price is in other units. chosen: the highest price cap of a market is Australia's, 20,300 AUD in 2025, some 13,500 USD."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RealTimeTariff:
    """The history's settlement price plus an adder; known as the history says."""

    adder_usd_per_mwh: float = 15.0
    """Delivery charges and retail margin. [USD/MWh] assumed: large transmission-level load in ERCOT without 4CP."""
    markup_frac: float = 0.0
    """What is charged on the settlement price in proportion to it, as Alberta's operating reserve."""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        adder, markup = self.adder_usd_per_mwh, self.markup_frac
        require(np.isfinite(adder), "RealTimeTariff", "adder_usd_per_mwh", adder, "finite")
        require(0.0 <= markup <= 1.0, "RealTimeTariff", "markup_frac", markup, "between 0 and 1")

    def settlement_usd_per_mwh(self, market_usd_per_mwh: FloatArray, local: pd.DatetimeIndex) -> FloatArray:
        """Return the price of energy in each step, (…, n_steps), from the market's and the local time. [USD/MWh]"""
        return market_usd_per_mwh * (1.0 + self.markup_frac) + self.adder_usd_per_mwh

    def is_known_ahead(self, history: History) -> bool:
        """Tell whether the price of a step is known when the step begins."""
        return history.publication == "day_ahead"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatTariff:
    """One price for all time."""

    energy_price_usd_per_mwh: float
    """[USD/MWh]"""

    def __post_init__(self) -> None:
        """Check the range; raises BadInputError."""
        price = self.energy_price_usd_per_mwh
        is_price = -MOST_USD_PER_MWH <= price <= MOST_USD_PER_MWH
        name = "energy_price_usd_per_mwh"
        require(
            is_price, "FlatTariff", name, price, f"in ±{MOST_USD_PER_MWH:,.0f} USD/MWh, 1,000 times a price per kWh"
        )

    def settlement_usd_per_mwh(self, market_usd_per_mwh: FloatArray, local: pd.DatetimeIndex) -> FloatArray:
        """Return the price of energy in each step, (…, n_steps). [USD/MWh]"""
        return np.full(market_usd_per_mwh.shape, self.energy_price_usd_per_mwh)

    def is_known_ahead(self, history: History) -> bool:
        """Tell whether the price of a step is known when the step begins: always."""
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeOfUseTariff:
    """A calendar of prices by local hour, weekdays and season; known for all time.

    Examples:
        >>> night, day = (30.0,) * 8, (60.0,) * 16
        >>> tariff = TimeOfUseTariff(weekday_usd_per_mwh=night + day, weekend_usd_per_mwh=(30.0,) * 24)
        >>> local = pd.DatetimeIndex(["2025-01-06 07:55", "2025-01-06 08:00"], tz="America/Chicago")
        >>> tariff.settlement_usd_per_mwh(np.zeros(2), local).tolist()
        [30.0, 60.0]
    """

    weekday_usd_per_mwh: tuple[float, ...]
    """Price by local hour of a weekday, 24 values. [USD/MWh]"""
    weekend_usd_per_mwh: tuple[float, ...]
    """Price by local hour of a Saturday or Sunday, 24 values. [USD/MWh]"""
    summer_factor: float = 1.0
    """Factor in the summer months."""
    summer_months: tuple[int, ...] = (6, 7, 8, 9)

    def __post_init__(self) -> None:
        """Check lengths and months; raises BadInputError."""
        for name in ("weekday_usd_per_mwh", "weekend_usd_per_mwh"):
            values = getattr(self, name)
            require(len(values) == HOURS_OF_DAY, "TimeOfUseTariff", name, values, "24 prices, one for each local hour")
        _require_months(self, "summer_months")

    def settlement_usd_per_mwh(self, market_usd_per_mwh: FloatArray, local: pd.DatetimeIndex) -> FloatArray:
        """Return the price of energy in each step, (…, n_steps), by the local time. [USD/MWh]"""
        hour = local.hour.to_numpy()
        weekday = np.asarray(self.weekday_usd_per_mwh, dtype=np.float64)[hour]
        weekend = np.asarray(self.weekend_usd_per_mwh, dtype=np.float64)[hour]
        price = np.where(local.dayofweek.to_numpy() < 5, weekday, weekend)
        summer = np.isin(local.month.to_numpy(), self.summer_months)
        price = np.where(summer, price * self.summer_factor, price)
        return np.broadcast_to(price, market_usd_per_mwh.shape).copy()

    def is_known_ahead(self, history: History) -> bool:
        """Tell whether the price of a step is known when the step begins: always."""
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class HoursUseTariff:
    """Energy in blocks of hours' use of the month's demand: the longer a kilowatt of demand is used, the cheaper its energy.

    Source of the form and the defaults: Georgia Power, schedule PLL-18 (Power and Light Large), as repeated by bill calculators in 2025:
    first 200 hours in tiers of 18.943, 17.1794 and, beyond 200,000 kWh, 11.30 ¢/kWh, then 1.9458, 1.4671 and 1.101; the tier in between is
    assumed, as are the riders.
    """

    block_hours: tuple[float, ...] = (200.0, 400.0, 600.0)
    """Hours' use of the demand at which the first, second and third block end. [h] Source: as the class."""
    block_usd_per_mwh: tuple[float, ...] = (19.458, 14.671, 11.01)
    """Price in the second, third and last block. [USD/MWh] Source: as the class."""
    tier_kwh: tuple[float, ...] = (3_000.0, 10_000.0, 200_000.0)
    """Energy at which the first three tiers of the first block end. [kWh] Source: as the class."""
    tier_usd_per_mwh: tuple[float, ...] = (189.43, 171.794, 145.0, 113.0)
    """Price in the four tiers of the first block. [USD/MWh] Source: as the class, the third assumed."""
    riders_usd_per_mwh: float = 38.0
    """Fuel and other riders on all energy. [USD/MWh] assumed: 3 to 4.5 ¢/kWh."""
    ratchet_kw: float = 0.0
    """Demand that past months oblige to: 95 % of the last summer's highest. [kW]"""

    def __post_init__(self) -> None:
        """Check lengths and order; raises BadInputError."""
        for name, length in (("block_hours", 3), ("block_usd_per_mwh", 3), ("tier_kwh", 3), ("tier_usd_per_mwh", 4)):
            values = getattr(self, name)
            require(
                len(values) == length and min(values) >= 0.0,
                "HoursUseTariff",
                name,
                values,
                f"{length} numbers, 0 or more",
            )
        for name in ("block_hours", "tier_kwh"):
            values = getattr(self, name)
            require(list(values) == sorted(set(values)), "HoursUseTariff", name, values, "ascending")
        falls = max(self.block_usd_per_mwh) <= min(self.tier_usd_per_mwh)
        require(falls, "HoursUseTariff", "block_usd_per_mwh", self.block_usd_per_mwh, "below every tier's price")
        require(
            self.block_usd_per_mwh[-1] == min(self.block_usd_per_mwh),
            "HoursUseTariff",
            "block_usd_per_mwh",
            self.block_usd_per_mwh,
            "lowest in the last block",
        )
        require(self.ratchet_kw >= 0.0, "HoursUseTariff", "ratchet_kw", self.ratchet_kw, "0 or more")

    def settlement_usd_per_mwh(self, market_usd_per_mwh: FloatArray, local: pd.DatetimeIndex) -> FloatArray:
        """Return the price of the last block with its riders in each step, (…, n_steps): what more energy costs a site that runs all month.

        What earlier blocks cost beyond it is booked by the settlement as the month's energy and demand grow. [USD/MWh]
        """
        return np.full(market_usd_per_mwh.shape, self.block_usd_per_mwh[-1] + self.riders_usd_per_mwh)

    def is_known_ahead(self, history: History) -> bool:
        """Tell whether the price of a step is known when the step begins: always."""
        return True

    @property
    def numbers(self) -> dict[str, float]:
        """What the settlement reads, by name: prices over that of the last block."""
        last = self.block_usd_per_mwh[-1]
        named = {"use_ratchet_kw": self.ratchet_kw, "has_hours_use": 1.0}
        named |= {f"use_hours_{k}": hours for k, hours in enumerate(self.block_hours)}
        named |= {f"use_block_usd_{k}": price - last for k, price in enumerate(self.block_usd_per_mwh)}
        named |= {f"use_tier_kwh_{k}": kwh for k, kwh in enumerate(self.tier_kwh)}
        return named | {f"use_tier_usd_{k}": price - last for k, price in enumerate(self.tier_usd_per_mwh)}


Tariff = RealTimeTariff | FlatTariff | TimeOfUseTariff | HoursUseTariff


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Power bought ahead at a fixed price, or at the day-ahead market's; what is not drawn is sold at the settlement price.

    Source of the form: Riot Platforms, 10-Q of September 2023, note on derivatives: 345 MW at fixed prices, the rest sold back to the market.
    """

    power_w: float
    """[W]"""
    strike_usd_per_mwh: float | None = None
    """Fixed price; None: the day-ahead price of the hour. [USD/MWh]"""
    resale_fee_usd_per_mwh: float = 0.0
    """What the seller keeps of resold energy. [USD/MWh]"""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        ok = np.isfinite(self.power_w) and self.power_w > 0.0
        require(ok, "Block", "power_w", self.power_w, "above 0")
        strike = self.strike_usd_per_mwh
        require(strike is None or np.isfinite(strike), "Block", "strike_usd_per_mwh", strike, "finite, or null")
        fee = self.resale_fee_usd_per_mwh
        require(np.isfinite(fee) and fee >= 0.0, "Block", "resale_fee_usd_per_mwh", fee, "0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandCharge:
    """A price on the month's highest power, averaged over clock intervals, within hours of a calendar."""

    usd_per_kw: float
    """For the highest average of a month. [USD/kW]"""
    hours: tuple[int, ...] = tuple(range(24))
    """Local hours in which power counts."""
    months: tuple[int, ...] = ALL_YEAR
    weekdays_only: bool = False

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        ok = np.isfinite(self.usd_per_kw) and self.usd_per_kw >= 0.0
        require(ok, "DemandCharge", "usd_per_kw", self.usd_per_kw, "0 or more")
        hours = len(self.hours) > 0 and all(hour in range(24) for hour in self.hours)
        require(hours, "DemandCharge", "hours", self.hours, "local hours from 0 to 23")
        _require_months(self, "months")

    def counts(self, local: pd.DatetimeIndex) -> BoolArray:
        """Tell for each step whether its power counts, (n_steps,)."""
        on = np.isin(local.hour.to_numpy(), self.hours) & np.isin(local.month.to_numpy(), self.months)
        return on & (local.dayofweek.to_numpy() < 5) if self.weekdays_only else on


@dataclass(frozen=True, slots=True, kw_only=True)
class CoincidentPeakCharge:
    """A price on the power drawn while the grid's load has its monthly peak.

    Source of the form: ERCOT's four coincident peaks, PUCT 16 TAC §25.192: next year's transmission charge follows the mean
    power in the four 15-minute peaks of June to September.
    """

    usd_per_kw_year: float = 65.0
    """For the mean of the months' coincident powers. [USD/kW-year] assumed; 40-150 are named (Oncor 2014: 42; consultants: 50-150)."""
    months: tuple[int, ...] = (6, 7, 8, 9)

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        ok = np.isfinite(self.usd_per_kw_year) and self.usd_per_kw_year >= 0.0
        require(ok, "CoincidentPeakCharge", "usd_per_kw_year", self.usd_per_kw_year, "0 or more")
        _require_months(self, "months")

    @property
    def usd_per_kw(self) -> float:
        """Price of a kilowatt in one month's peak. [USD/kW]"""
        return self.usd_per_kw_year / len(self.months)


@dataclass(frozen=True, slots=True, kw_only=True)
class CurtailmentProgramme:
    """Pay for being ready to shed load when called, by how available the load was, and suspension where a call is not obeyed.

    A term's pay is the capacity price times what was offered, if the load drew what it offers to shed in 95 % of the time; below,
    times the square of that share. A call, deployment or test alike, is passed with 95 % of the obligation; else the term's pay falls by
    what was missing, and the programme suspends the load for half a year: what it would have paid is booked at once.

    Source of the form: ERCOT Emergency Response Service, 16 TAC §25.507 and Nodal Protocols 8.1.3 (availability and event performance
    factors, suspension, tests); Riot's demand response credits. Deployed on 13 July 2022, 14:58 to 18:44, and on 6 September 2023.
    """

    committed_pu: float = 0.7
    """Power that is offered, over the site's rated power. chosen: what a site sheds by sleeping, with room for a part of it in repair."""
    baseline_pu: float = 1.0
    """Power from which shedding is counted, declared ahead, over the site's rated power."""
    capacity_usd_per_mw_h: float = 7.0
    """For each megawatt offered and hour. [USD/MW-h] Source: 60-70 kUSD a megawatt and year (loadvizpro.com, ERS)."""
    credit_usd_per_mwh: float = 0.0
    """For energy shed in a call, up to what is offered. [USD/MWh]"""
    notice_s: float = 600.0
    """Time by which a call is announced. [s] Source: ERS-10, ten minutes (ERS-30: thirty)."""
    pass_frac: float = 0.95
    """Share of availability, and of an obligation, that counts as all of it. Source: ERCOT Nodal Protocols 8.1.3."""
    suspension_days: float = 180.0
    """Suspension after a call that was not passed. [d] Source: as above, some six months until a test for reinstatement."""
    term_months: tuple[int, ...] = (4, 6, 10, 12)
    """Months with which contract terms begin. Source: ERCOT's four standard terms, December to March and so on."""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        ok = max(0.0, self.baseline_pu - 1.0) < self.committed_pu <= self.baseline_pu
        allowed = "above 0, baseline_pu at most, and so much that a call leaves less than rated power"
        require(ok, "CurtailmentProgramme", "committed_pu", self.committed_pu, allowed)
        require_fraction(self, "pass_frac")
        _require_months(self, "term_months")
        for name in ("capacity_usd_per_mw_h", "credit_usd_per_mwh", "suspension_days", "notice_s"):
            value = getattr(self, name)
            require(np.isfinite(value) and value >= 0.0, "CurtailmentProgramme", name, value, "0 or more")

    @property
    def allowed_pu(self) -> float:
        """Power that a call leaves, over the site's rated power."""
        return self.baseline_pu - self.committed_pu


@dataclass(frozen=True, slots=True, kw_only=True)
class ReserveProgramme:
    """Reserve that machines sell to the grid's operator by the hour: a load that stands ready to be shed, and must draw what it sells.

    Offers for the hours of the next local day stand until offers_due_h; an hour is awarded whole where its price reaches the offer's. Under
    `five_minute` an offer is awarded anew in each step, as since ERCOT's co-optimisation in real time.

    Source of the form: ERCOT Nodal Protocols 4.4.7 and 8.1.1 (load resources in RRS, ECRS and Non-Spin; results at 13:30), real-time co-optimisation
    live since 5 December 2025.
    """

    capacity_pu: float = 0.8
    """Power that is qualified, over the site's rated power. chosen: what sleeping sheds, with room for machines in repair."""
    is_five_minute: bool = False
    """Awarded anew in each step, instead of by the hour of the next day."""
    offers_due_h: int = 10
    """Local hour at which the offers for the next day are taken. Source: ERCOT's day-ahead market closes at 10:00."""
    shed_s: float = 600.0
    """Time to shed after a deployment. [s] Source: ten minutes (RRS and ECRS by instruction; Non-Spin thirty)."""
    return_s: float = 10800.0
    """Time after a deployment in which the load need not be back. [s] Source: three hours (Nodal Protocols 8.1.1)."""
    pass_frac: float = 0.95
    """Share of what was sold that must be shed. Source: as above."""
    suspension_days: float = 60.0
    """Time without awards after a failed deployment, until a new test. [d] assumed."""
    suspension_usd_per_mw_h: float = 9.6
    """Price at which an hour without awards is reckoned. [USD/MW-h] Source: ECRS in 2024, mean of ERCOT's market monitor."""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        require_fraction(self, "capacity_pu", "pass_frac")
        require(
            self.offers_due_h in range(24), "ReserveProgramme", "offers_due_h", self.offers_due_h, "an hour, 0 to 23"
        )
        require(self.capacity_pu > 0.0, "ReserveProgramme", "capacity_pu", self.capacity_pu, "above 0")
        for name in ("shed_s", "return_s", "suspension_days", "suspension_usd_per_mw_h"):
            value = getattr(self, name)
            require(np.isfinite(value) and value >= 0.0, "ReserveProgramme", name, value, "0 or more")

    @property
    def numbers(self) -> dict[str, float]:
        """What the settlement reads, by name."""
        return {
            "reserve_pu": self.capacity_pu,
            "reserve_is_five_minute": float(self.is_five_minute),
            "reserve_due_h": float(self.offers_due_h),
            "reserve_shed_s": self.shed_s,
            "reserve_return_s": self.return_s,
            "reserve_pass_frac": self.pass_frac,
            "reserve_suspension_usd_per_mw": self.suspension_days * HOURS_OF_DAY * self.suspension_usd_per_mw_h,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """All that a site pays and earns for power: energy, a block, charges on peaks, a programme, and the rest."""

    energy: Tariff = RealTimeTariff()
    block: Block | None = None
    demand: tuple[DemandCharge, ...] = ()
    """Two at most: as a rule one of all hours and one of the peak hours."""
    coincident_peak: CoincidentPeakCharge | None = None
    curtailment: CurtailmentProgramme | None = None
    reserve: ReserveProgramme | None = None
    export_adder_usd_per_mwh: float = -2.0
    """What is added to the market's price for exported energy. [USD/MWh] assumed: a scheduler's fee."""
    interval_s: int = 900
    """Clock interval over which power is averaged for charges on peaks. [s] Source: 15 min in ERCOT and Riot's 10-Q."""
    fixed_usd_per_month: float = 0.0
    """Meter and customer charge. [USD/month]"""
    carbon_usd_per_t: float = 0.0
    """Price of the grid's direct emissions. [USD/t]"""
    heat_usd_per_mwh: tuple[float, ...] = (0.0,) * MONTHS_OF_YEAR
    """Price of the heat that liquid-cooled zones deliver, January to December. [USD/MWh]"""
    heat_min_temp_c: float = 35.0
    """Temperature of the coolant on its way back from the machines from which heat can be sold. [°C] assumed: low-temperature networks
    with a heat pump."""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        require(len(self.demand) <= 2, "Contract", "demand", len(self.demand), "two charges at most")
        require(self.interval_s in INTERVALS_S, "Contract", "interval_s", self.interval_s, f"one of {INTERVALS_S}")
        require(
            len(self.heat_usd_per_mwh) == MONTHS_OF_YEAR,
            "Contract",
            "heat_usd_per_mwh",
            self.heat_usd_per_mwh,
            "12 prices",
        )
        ok = np.isfinite(self.heat_min_temp_c)
        require(bool(ok), "Contract", "heat_min_temp_c", self.heat_min_temp_c, "finite")
        for name in ("fixed_usd_per_month", "carbon_usd_per_t"):
            value = getattr(self, name)
            require(np.isfinite(value) and value >= 0.0, "Contract", name, value, "0 or more")
        ok = self.block is None or isinstance(self.energy, RealTimeTariff)
        require(
            ok, "Contract", "block", self.block, "with the energy tariff real_time; others have no price to resell at"
        )

    @property
    def numbers(self) -> dict[str, float]:
        """What the settlement reads beside the channels, by name."""
        programme, hours_use = self.curtailment, dict.fromkeys(HoursUseTariff().numbers, 0.0)
        if isinstance(self.energy, HoursUseTariff):
            hours_use = self.energy.numbers
        return {
            **hours_use,
            **(self.reserve.numbers if self.reserve is not None else dict.fromkeys(ReserveProgramme().numbers, 0.0)),
            "interval_h": self.interval_s / SECONDS_PER_HOUR,
            "carbon_usd_per_t": self.carbon_usd_per_t,
            "heat_min_temp_c": self.heat_min_temp_c,
            "committed_pu": programme.committed_pu if programme else 0.0,
            "credit_usd_per_mwh": programme.credit_usd_per_mwh if programme else 0.0,
            "capacity_usd_per_mw_h": programme.capacity_usd_per_mw_h if programme else 0.0,
            "pass_frac": programme.pass_frac if programme else 0.0,
            "suspension_h": programme.suspension_days * HOURS_OF_DAY if programme else 0.0,
        }


def _require_months(owner: object, name: str) -> None:
    months = getattr(owner, name)
    ok = len(months) > 0 and all(month in ALL_YEAR for month in months) and len(set(months)) == len(months)
    require(ok, type(owner).__name__, name, months, "months from 1 to 12, each once")


def known_price_usd_per_mwh(settlement: FloatArray, settled_until: npt.NDArray[np.int64] | None) -> FloatArray:
    """Return the last price that is published when each step begins, (…, n_steps). [USD/MWh]

    Args:
        settlement: Price in force, (…, n_steps). [USD/MWh]
        settled_until: For each step, the step before which prices are out, (n_steps,); None where the price in force is
            always known. Nothing is known before the first interval has ended; there the first price stands, and
            episodes start later.
    """
    if settled_until is None:
        return settlement.copy()
    return settlement[..., np.maximum(settled_until - 1, 0)]
