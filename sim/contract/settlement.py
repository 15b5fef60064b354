"""The settlement of a power contract: one compiled function for the simulator, the environments and the monthly bill.

Charges on a month's highest power are booked in the interval in which the peak grows, so what is booked adds up to the
bill. A coincident peak is booked in the interval that turned out to be it, which nothing that is observed tells before.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..foundation.constants import KWH_PER_MWH, SECONDS_PER_HOUR
from ..foundation.errors import BadInputError
from ..foundation.jit import kernel
from ..history.history import History
from .channels import (
    BEGINS_DAY,
    BEGINS_MONTH,
    BEGINS_TERM,
    BLOCK_KWH,
    BLOCK_USD,
    CALL_PU,
    CAPACITY_USD,
    CARBON,
    CHANNELS,
    CLOCK,
    COINCIDENT_PRICE,
    DEMAND_PRICE,
    ENDS_INTERVAL,
    ENERGY_PRICE,
    EXPORT_PRICE,
    FIXED_USD,
    RESALE_PRICE,
    STEP_H,
    WINDOW_DEMAND_PRICE,
    bill_channels,
    interval_number,
    local_time,
)
from .contract import Contract

FloatArray = npt.NDArray[np.float64]

METER: Final = (
    ("interval_kwh", np.float64),
    ("peak_kw", np.float64),
    ("window_peak_kw", np.float64),
    ("withheld_frac", np.float64),
    ("next_withheld_frac", np.float64),
    ("term_offered_kwh", np.float64),
    ("term_available_kwh", np.float64),
    ("call_offered_kwh", np.float64),
    ("call_shed_kwh", np.float64),
    ("month_kwh", np.float64),
    ("use_kw", np.float64),
)
"""What the meter remembers, as fields of a record. interval_kwh: energy in the running clock interval; peak_kw, window_peak_kw: highest
interval means of the month so far, of each demand charge; withheld_frac: share of the curtailment programme's commitment
that is not offered today, next_withheld_frac: from the next local day on; term_offered_kwh, term_available_kwh: what was offered to the programme
in its term so far, and how much of it the load drew; call_offered_kwh, call_shed_kwh: the same of the running call; month_kwh, use_kw: energy and
demand of the month so far, by which a tariff of hours' use settles."""

_TONNES_PER_GRAM: Final = 1e-6
"""By definition."""


class Bill(NamedTuple):
    """Items of a bill. Costs are positive, what is earned is negative. [USD]"""

    energy_usd: float
    block_usd: float
    resale_usd: float
    fixed_usd: float
    demand_usd: float
    window_demand_usd: float
    coincident_usd: float
    capacity_usd: float
    credit_usd: float
    breach_usd: float
    carbon_usd: float
    hours_use_usd: float
    export_usd: float


@kernel
def hours_use_usd(energy_kwh: float, demand_kw: float, site: np.void) -> float:
    """Return what a month's energy costs beyond the last block's price, by hours' use of the demand. [USD]

    Args:
        energy_kwh: Energy of the month. [kWh]
        demand_kw: Highest interval mean of the month, or what past months oblige to. [kW]
        site: Parameters of the site, `HoursUseTariff.numbers` among them.

    Examples:
        >>> from hashgym.sim.contract.contract import HoursUseTariff
        >>> numbers = Contract(energy=HoursUseTariff()).numbers
        >>> site = np.array([tuple(numbers.values())], [(name, float) for name in numbers])[0]
        >>> round(hours_use_usd(3000.0, 100.0, site), 2)  # all in the first tier, 18.943 - 1.101 ¢/kWh
        535.26
    """
    first_kwh = min(energy_kwh, site["use_hours_0"] * demand_kw)
    usd = min(first_kwh, site["use_tier_kwh_0"]) * site["use_tier_usd_0"]
    usd += max(0.0, min(first_kwh, site["use_tier_kwh_1"]) - site["use_tier_kwh_0"]) * site["use_tier_usd_1"]
    usd += max(0.0, min(first_kwh, site["use_tier_kwh_2"]) - site["use_tier_kwh_1"]) * site["use_tier_usd_2"]
    usd += max(0.0, first_kwh - site["use_tier_kwh_2"]) * site["use_tier_usd_3"]
    second_kwh = max(0.0, min(energy_kwh, site["use_hours_1"] * demand_kw) - site["use_hours_0"] * demand_kw)
    third_kwh = max(0.0, min(energy_kwh, site["use_hours_2"] * demand_kw) - site["use_hours_1"] * demand_kw)
    return (usd + second_kwh * site["use_block_usd_0"] + third_kwh * site["use_block_usd_1"]) / KWH_PER_MWH


@kernel
def term_usd(offered_kwh: float, available_kwh: float, site: np.void) -> float:
    """Return what a programme pays for a term: all of the capacity price above its pass mark, else by the square of the availability. [USD]"""
    if offered_kwh <= 0.0:
        return 0.0
    share = available_kwh / offered_kwh
    factor = 1.0 if share >= site["pass_frac"] else share * share
    return site["capacity_usd_per_mw_h"] * offered_kwh / KWH_PER_MWH * factor


@kernel
def settle_programme(
    energy_kwh: float, row: np.ndarray, site: np.void, rated_kwh: float, meter: np.void
) -> tuple[float, float, float]:
    """Book a step of a curtailment programme: what it pays for readiness, credits for shed energy, and what a failed call costs. [USD]

    What is booked of a term adds up to `term_usd`; a call is settled in the first step after it.
    """
    offered_kwh = site["committed_pu"] * rated_kwh * (1.0 - meter["withheld_frac"])
    before_usd = term_usd(meter["term_offered_kwh"], meter["term_available_kwh"], site)
    credit_usd, failed_usd, available_kwh = 0.0, 0.0, min(offered_kwh, max(0.0, energy_kwh))
    if row[CALL_PU] < 1.0:
        allowed_kwh = allowed_pu(row, site, meter) * rated_kwh
        shed_kwh = min(offered_kwh, max(0.0, allowed_kwh + offered_kwh - energy_kwh))
        credit_usd = shed_kwh * site["credit_usd_per_mwh"] / KWH_PER_MWH
        meter["call_offered_kwh"] += offered_kwh
        meter["call_shed_kwh"] += shed_kwh
        available_kwh = offered_kwh
    elif meter["call_offered_kwh"] > 0.0:
        share = meter["call_shed_kwh"] / meter["call_offered_kwh"]
        if share < site["pass_frac"]:
            suspended_kwh = offered_kwh / STEP_H * site["suspension_h"]
            failed_usd = (1.0 - share) * before_usd + site["capacity_usd_per_mw_h"] * suspended_kwh / KWH_PER_MWH
        meter["call_offered_kwh"] = 0.0
        meter["call_shed_kwh"] = 0.0
    meter["term_offered_kwh"] += offered_kwh
    meter["term_available_kwh"] += available_kwh
    return term_usd(meter["term_offered_kwh"], meter["term_available_kwh"], site) - before_usd, credit_usd, failed_usd


@kernel
def settle_hours_use(energy_kwh: float, mean_kw: float, site: np.void, meter: np.void) -> float:
    """Book a step of a tariff by hours' use: what the month's energy and demand, grown by the step's, cost more than before. [USD]

    Args:
        energy_kwh: Energy at the meter in the step. [kWh]
        mean_kw: Mean power of the clock interval that ends with the step, 0 if none does. [kW]
        site: Parameters of the site.
        meter: State with the fields of METER.
    """
    before_usd = hours_use_usd(meter["month_kwh"], max(meter["use_kw"], site["use_ratchet_kw"]), site)
    meter["month_kwh"] += max(0.0, energy_kwh)
    meter["use_kw"] = max(meter["use_kw"], mean_kw)
    return hours_use_usd(meter["month_kwh"], max(meter["use_kw"], site["use_ratchet_kw"]), site) - before_usd


@kernel
def allowed_pu(row: np.ndarray, site: np.void, meter: np.void) -> float:
    """Return the power that a call leaves, over rated power, 1 without a call: what is withheld of the commitment may be drawn.

    Args:
        row: Channels of the step.
        site: Parameters of the site.
        meter: State with the fields of METER.
    """
    return row[CALL_PU] + meter["withheld_frac"] * site["committed_pu"] if row[CALL_PU] < 1.0 else 1.0


@kernel
def settle_energy(energy_kwh: float, row: np.ndarray, site: np.void, rated_kwh: float, meter: np.void) -> Bill:
    """Settle a step's energy.

    Args:
        energy_kwh: Energy at the meter in the step, what is exported negative. Peaks and carbon are of what is drawn. [kWh]
        row: Channels of the step.
        site: Parameters of the site, `Contract.numbers` among them.
        rated_kwh: The machines' rated energy in a step, by which calls and commitments are stated. [kWh]
        meter: State with the fields of METER; it takes the step in.
    """
    clock = int(row[CLOCK])
    if clock & BEGINS_DAY:
        meter["withheld_frac"] = meter["next_withheld_frac"]
    if clock & BEGINS_MONTH:
        meter["peak_kw"] = 0.0
        meter["window_peak_kw"] = 0.0
        meter["month_kwh"] = 0.0
        meter["use_kw"] = 0.0
    if clock & BEGINS_TERM:
        meter["term_offered_kwh"] = 0.0
        meter["term_available_kwh"] = 0.0
    before_kwh = max(0.0, meter["interval_kwh"])
    meter["interval_kwh"] += energy_kwh
    coincident_kwh = max(0.0, meter["interval_kwh"]) - before_kwh
    demand_usd, window_usd, mean_kw = 0.0, 0.0, 0.0
    if clock & ENDS_INTERVAL:
        mean_kw = max(0.0, meter["interval_kwh"]) / site["interval_h"]
        meter["interval_kwh"] = 0.0
        if row[DEMAND_PRICE] > 0.0 and mean_kw > meter["peak_kw"]:
            demand_usd = row[DEMAND_PRICE] * (mean_kw - meter["peak_kw"])
            meter["peak_kw"] = mean_kw
        if row[WINDOW_DEMAND_PRICE] > 0.0 and mean_kw > meter["window_peak_kw"]:
            window_usd = row[WINDOW_DEMAND_PRICE] * (mean_kw - meter["window_peak_kw"])
            meter["window_peak_kw"] = mean_kw
    drawn_kwh = max(0.0, energy_kwh)
    over_kwh = drawn_kwh - row[BLOCK_KWH]
    capacity_usd, credit_usd, failed_usd, use_usd = 0.0, 0.0, 0.0, 0.0
    if site["committed_pu"] > 0.0:
        capacity_usd, credit_usd, failed_usd = settle_programme(energy_kwh, row, site, rated_kwh, meter)
    if site["has_hours_use"] > 0.0:
        use_usd = settle_hours_use(energy_kwh, mean_kw, site, meter)
    return Bill(
        max(0.0, over_kwh) * row[ENERGY_PRICE] / KWH_PER_MWH,
        row[BLOCK_USD],
        min(0.0, over_kwh) * row[RESALE_PRICE] / KWH_PER_MWH,
        row[FIXED_USD],
        demand_usd,
        window_usd,
        coincident_kwh * row[COINCIDENT_PRICE] / KWH_PER_MWH,
        -capacity_usd,
        -credit_usd,
        failed_usd,
        drawn_kwh * row[CARBON] * site["carbon_usd_per_t"] * _TONNES_PER_GRAM,
        use_usd,
        min(0.0, energy_kwh) * row[EXPORT_PRICE] / KWH_PER_MWH,
    )


@kernel
def _settle_all(
    energy_kwh: np.ndarray, rows: np.ndarray, site: np.void, rated_kwh: float, meter: np.void, out: np.ndarray
) -> None:
    for step in range(energy_kwh.shape[0]):
        bill = settle_energy(energy_kwh[step], rows[step], site, rated_kwh, meter)
        for k, item in enumerate(bill):
            out[step, k] = item


def settle(
    contract: Contract, history: History, energy_kwh: FloatArray, rated_power_w: float
) -> tuple[pd.DataFrame, FloatArray]:
    """Settle metered energy of whole months; a month that is cut off is settled as if it were whole.

    Args:
        contract: The contract.
        history: Prices, calls and load of the same steps.
        energy_kwh: Energy at the meter in each step of the history, (n_steps,), what is exported negative. [kWh]
        rated_power_w: The machines' rated power, by which calls and commitments are stated. [W]

    Returns:
        The bill, a row for each local month: energy [kWh], highest interval means [kW], the items of `Bill` and their total [USD]; and
        the items of each step, (n_steps, n_items) in the order of `Bill`.

    Raises:
        BadInputError: Energy and history differ in length, a value is not finite, or the history lacks a
            column that the contract needs.

    Examples:
        >>> from hashgym.sim.contract.contract import FlatTariff
        >>> from hashgym.synthesis.generate import synthesize
        >>> history = synthesize("ercot", "2025-01-01", "2025-01-03", seed=1)
        >>> contract = Contract(energy=FlatTariff(energy_price_usd_per_mwh=50.0))
        >>> bill, items = settle(contract, history, np.full(576, 100.0), rated_power_w=1.2e6)
        >>> float(round(items.sum(), 6))  # 57.6 MWh at 50 USD
        2880.0
    """
    if energy_kwh.shape != (len(history.frame),):
        raise BadInputError(f"energy_kwh has shape {energy_kwh.shape}; the history has {len(history.frame)} steps")
    bad = np.flatnonzero(~np.isfinite(energy_kwh))
    if bad.size:
        raise BadInputError(f"energy_kwh[{bad[0]}] is {energy_kwh[bad[0]]}; it must be finite")
    market = history.frame["market_price_usd_per_mwh"].to_numpy(np.float64)[None]
    rows = np.zeros((len(energy_kwh), len(CHANNELS)))
    for name, value in bill_channels(history, contract, rated_power_w, market).items():
        rows[:, CHANNELS.index(name)] = value[0]
    items, numbers = np.zeros((len(energy_kwh), len(Bill._fields))), contract.numbers
    record = np.array([tuple(numbers.values())], np.dtype([(name, np.float64) for name in numbers]))
    rated_kwh = rated_power_w / 1000.0 * STEP_H
    _settle_all(energy_kwh, rows, record[0], rated_kwh, np.zeros(1, np.dtype(list(METER)))[0], items)
    return _monthly(contract, history, energy_kwh, items), items


def _monthly(contract: Contract, history: History, energy_kwh: FloatArray, items: FloatArray) -> pd.DataFrame:
    local = local_time(history)
    frame = pd.DataFrame(items, columns=list(Bill._fields), index=local)
    frame.insert(0, "energy_kwh", energy_kwh)
    by_month = frame.groupby(local.tz_localize(None).to_period("M")).sum()
    number = interval_number(local, contract.interval_s)
    mean_kw = pd.Series(energy_kwh).groupby(number).sum() / (contract.interval_s / SECONDS_PER_HOUR)
    first = pd.Series(local.tz_localize(None).to_period("M")).groupby(number).first()
    by_month.insert(1, "peak_kw", mean_kw.groupby(first.to_numpy()).max())
    by_month["total_usd"] = by_month[list(Bill._fields)].sum(axis=1)
    return by_month


def marginal_usd_per_mwh(values: FloatArray, carbon_usd_per_t: float) -> FloatArray:
    """Return a price below which no megawatt-hour more is had, for rows of channels, (n_steps,). [USD/MWh]

    Within a block it is the resale price; the bill of any energy is at least `energy · marginal + standing`, apart from
    demand charges and breaches, which are never negative, and credits.
    """
    price = np.where(values[:, BLOCK_KWH] > 0.0, values[:, RESALE_PRICE], values[:, ENERGY_PRICE])
    return price + values[:, COINCIDENT_PRICE] + values[:, CARBON] * carbon_usd_per_t / KWH_PER_MWH


def standing_usd(values: FloatArray, credit_usd_per_mwh: float, offered_kwh: float) -> FloatArray:
    """Return what is due in each step whatever is drawn, less the most that a call can credit, (n_steps,). [USD]"""
    block = values[:, BLOCK_USD] - values[:, BLOCK_KWH] * values[:, RESALE_PRICE] / KWH_PER_MWH
    credit = np.where(values[:, CALL_PU] < 1.0, credit_usd_per_mwh * offered_kwh / KWH_PER_MWH, 0.0)
    return block + values[:, FIXED_USD] - values[:, CAPACITY_USD] - credit
