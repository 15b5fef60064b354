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
)
"""What the meter remembers, as fields of a record. interval_kwh: energy in the running clock interval; peak_kw, window_peak_kw: highest
interval means of the month so far, of each demand charge; withheld_frac: share of the curtailment programme's commitment
that is not offered today, next_withheld_frac: from the next local day on."""

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
        energy_kwh: Energy at the meter in the step. [kWh]
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
    meter["interval_kwh"] += energy_kwh
    demand_usd, window_usd = 0.0, 0.0
    if clock & ENDS_INTERVAL:
        mean_kw = meter["interval_kwh"] / site["interval_h"]
        meter["interval_kwh"] = 0.0
        if row[DEMAND_PRICE] > 0.0 and mean_kw > meter["peak_kw"]:
            demand_usd = row[DEMAND_PRICE] * (mean_kw - meter["peak_kw"])
            meter["peak_kw"] = mean_kw
        if row[WINDOW_DEMAND_PRICE] > 0.0 and mean_kw > meter["window_peak_kw"]:
            window_usd = row[WINDOW_DEMAND_PRICE] * (mean_kw - meter["window_peak_kw"])
            meter["window_peak_kw"] = mean_kw
    over_kwh = energy_kwh - row[BLOCK_KWH]
    credit_usd, breach_usd = 0.0, 0.0
    offered_frac = 1.0 - meter["withheld_frac"]
    if row[CALL_PU] < 1.0:
        allowed_kwh = allowed_pu(row, site, meter) * rated_kwh
        offered_kwh = site["committed_pu"] * rated_kwh * offered_frac
        shed_kwh = min(offered_kwh, max(0.0, allowed_kwh + offered_kwh - energy_kwh))
        credit_usd = -shed_kwh * site["credit_usd_per_mwh"] / KWH_PER_MWH
        breach_usd = max(0.0, energy_kwh - allowed_kwh) * site["breach_usd_per_mwh"] / KWH_PER_MWH
    return Bill(
        max(0.0, over_kwh) * row[ENERGY_PRICE] / KWH_PER_MWH,
        row[BLOCK_USD],
        min(0.0, over_kwh) * row[RESALE_PRICE] / KWH_PER_MWH,
        row[FIXED_USD],
        demand_usd,
        window_usd,
        energy_kwh * row[COINCIDENT_PRICE] / KWH_PER_MWH,
        -row[CAPACITY_USD] * offered_frac,
        credit_usd,
        breach_usd,
        energy_kwh * row[CARBON] * site["carbon_usd_per_t"] * _TONNES_PER_GRAM,
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
        energy_kwh: Energy at the meter in each step of the history, (n_steps,). [kWh]
        rated_power_w: The machines' rated power, by which calls and commitments are stated. [W]

    Returns:
        The bill, a row for each local month: energy [kWh], highest interval means [kW], the items of `Bill` and their total [USD]; and
        the items of each step, (n_steps, n_items) in the order of `Bill`.

    Raises:
        BadInputError: Energy and history differ in length, a value is negative or not finite, or the history lacks a
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
    bad = np.flatnonzero(~(np.isfinite(energy_kwh) & (energy_kwh >= 0.0)))
    if bad.size:
        raise BadInputError(f"energy_kwh[{bad[0]}] is {energy_kwh[bad[0]]!r}; it must be 0 or more")
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
