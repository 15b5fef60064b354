"""The settlement of a power contract: one compiled function for the simulator, the environments and the monthly bill.

Charges on a month's highest power are booked in the interval in which the peak grows, so what is booked adds up to the
bill. A coincident peak is booked in the interval that turned out to be it, which nothing that is observed tells before.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..foundation.constants import CONTROL_STEP_S, KWH_PER_MWH, SECONDS_PER_HOUR
from ..foundation.errors import BadInputError
from ..foundation.jit import kernel
from ..history.history import History
from ..site.state import SITE_STATE
from ..site.world import BILL_CHANNELS, SIM_CHANNELS
from .contract import CoincidentPeakCharge, Contract

FloatArray = npt.NDArray[np.float64]

ENDS_INTERVAL: Final = 1
BEGINS_MONTH: Final = 2
BEGINS_DAY: Final = 4
"""Marks of a step in the channel `clock`, which holds their sum."""

STEP_H: Final = CONTROL_STEP_S / SECONDS_PER_HOUR

_PRICE: Final = SIM_CHANNELS.index("energy_price_usd_per_mwh")
_RESALE: Final = SIM_CHANNELS.index("resale_price_usd_per_mwh")
_BLOCK_KWH: Final = SIM_CHANNELS.index("block_kwh")
_BLOCK_USD: Final = SIM_CHANNELS.index("block_usd")
_FIXED: Final = SIM_CHANNELS.index("fixed_usd")
_COINCIDENT: Final = SIM_CHANNELS.index("coincident_usd_per_mwh")
_DEMAND: Final = SIM_CHANNELS.index("demand_usd_per_kw")
_WINDOW: Final = SIM_CHANNELS.index("window_demand_usd_per_kw")
_CLOCK: Final = SIM_CHANNELS.index("clock")
_CALL: Final = SIM_CHANNELS.index("call_pu")
_CAPACITY: Final = SIM_CHANNELS.index("capacity_usd")
_CARBON: Final = SIM_CHANNELS.index("carbon_g_per_kwh")

ITEMS: Final = (
    "energy_usd", "block_usd", "resale_usd", "fixed_usd", "demand_usd", "window_demand_usd", "coincident_usd",
    "capacity_usd", "credit_usd", "breach_usd", "carbon_usd",
)  # fmt: skip
"""Items of a bill as `book` returns them; costs are positive, what is earned is negative."""


@kernel
def book(
    energy_kwh: float, row: np.ndarray, s: np.void, rated_kwh: float, place: np.void
) -> tuple[float, float, float, float, float, float, float, float, float, float, float]:
    """Settle a step's energy; returns the ITEMS. [USD]

    Args:
        energy_kwh: Energy at the meter in the step. [kWh]
        row: Exogenous channels of the step.
        s: Parameters of the site.
        rated_kwh: The machines' rated energy in a step, by which calls and commitments are stated. [kWh]
        place: State of the site: running interval and peaks of the month.
    """
    clock = int(row[_CLOCK])
    if clock & BEGINS_DAY:
        place["withheld_frac"] = place["next_withheld_frac"]
    if clock & BEGINS_MONTH:
        place["peak_kw"] = 0.0
        place["window_peak_kw"] = 0.0
    place["interval_kwh"] += energy_kwh
    demand, window = 0.0, 0.0
    if clock & ENDS_INTERVAL:
        mean_kw = place["interval_kwh"] / s["interval_h"]
        place["interval_kwh"] = 0.0
        if row[_DEMAND] > 0.0 and mean_kw > place["peak_kw"]:
            demand = row[_DEMAND] * (mean_kw - place["peak_kw"])
            place["peak_kw"] = mean_kw
        if row[_WINDOW] > 0.0 and mean_kw > place["window_peak_kw"]:
            window = row[_WINDOW] * (mean_kw - place["window_peak_kw"])
            place["window_peak_kw"] = mean_kw
    over_kwh = energy_kwh - row[_BLOCK_KWH]
    energy = max(0.0, over_kwh) * row[_PRICE] / KWH_PER_MWH
    resale = min(0.0, over_kwh) * row[_RESALE] / KWH_PER_MWH
    credit, breach = 0.0, 0.0
    offered = 1.0 - place["withheld_frac"]
    if row[_CALL] < 1.0:
        # What is withheld of the commitment may be drawn in a call.
        allowed_kwh = (row[_CALL] + place["withheld_frac"] * s["committed_pu"]) * rated_kwh
        offered_kwh = s["committed_pu"] * rated_kwh * offered
        shed_kwh = min(offered_kwh, max(0.0, allowed_kwh + offered_kwh - energy_kwh))
        credit = -shed_kwh * s["credit_usd_per_mwh"] / KWH_PER_MWH
        breach = max(0.0, energy_kwh - allowed_kwh) * s["breach_usd_per_mwh"] / KWH_PER_MWH
    return (
        energy, row[_BLOCK_USD], resale, row[_FIXED], demand, window, energy_kwh * row[_COINCIDENT] / KWH_PER_MWH,
        -row[_CAPACITY] * offered, credit, breach, energy_kwh * row[_CARBON] * s["carbon_usd_per_t"] * 1e-6,
    )  # fmt: skip


@kernel
def _book_all(
    energy_kwh: np.ndarray, rows: np.ndarray, s: np.void, rated_kwh: float, places: np.ndarray, out: np.ndarray
) -> None:
    for step in range(energy_kwh.shape[0]):
        items = book(energy_kwh[step], rows[step], s, rated_kwh, places[0])
        for k, item in enumerate(items):
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
        The bill, a row for each local month: energy [kWh], highest interval means [kW], ITEMS and their total [USD]; and
        the ITEMS of each step, (n_steps, len(ITEMS)).

    Raises:
        BadInputError: Energy and history differ in length, a value is negative or not finite, or the history lacks a
            column that the contract needs.
    """
    if energy_kwh.shape != (len(history.frame),):
        raise BadInputError(f"energy_kwh has shape {energy_kwh.shape}; the history has {len(history.frame)} steps")
    bad = np.flatnonzero(~(np.isfinite(energy_kwh) & (energy_kwh >= 0.0)))
    if bad.size:
        raise BadInputError(f"energy_kwh[{bad[0]}] is {energy_kwh[bad[0]]!r}; it must be 0 or more")
    market = history.frame["market_price_usd_per_mwh"].to_numpy(np.float64)[None]
    values = channels(history, contract, rated_power_w, market)
    rows = np.zeros((len(energy_kwh), len(SIM_CHANNELS)))
    for name, value in values.items():
        rows[:, SIM_CHANNELS.index(name)] = value[0]
    items, numbers = np.zeros((len(energy_kwh), len(ITEMS))), contract.numbers
    record = np.array([tuple(numbers.values())], np.dtype([(name, np.float64) for name in numbers]))
    rated_kwh = rated_power_w / 1000.0 * STEP_H
    _book_all(energy_kwh, rows, record[0], rated_kwh, np.zeros(1, SITE_STATE), items)
    return _bill(contract, history, energy_kwh, items), items


def _bill(contract: Contract, history: History, energy_kwh: FloatArray, items: FloatArray) -> pd.DataFrame:
    local = _local(history)
    frame = pd.DataFrame(items, columns=list(ITEMS), index=local)
    frame.insert(0, "energy_kwh", energy_kwh)
    by_month = frame.groupby(local.tz_localize(None).to_period("M")).sum()
    number = _interval_number(local, contract.interval_s)
    mean_kw = pd.Series(energy_kwh).groupby(number).sum() / (contract.interval_s / SECONDS_PER_HOUR)
    first = pd.Series(local.tz_localize(None).to_period("M")).groupby(number).first()
    by_month.insert(1, "peak_kw", mean_kw.groupby(first.to_numpy()).max())
    by_month["total_usd"] = by_month[list(ITEMS)].sum(axis=1)
    return by_month


def channels(
    history: History,
    contract: Contract,
    rated_power_w: float,
    market_usd_per_mwh: FloatArray,
    coincident_share: FloatArray | None = None,
) -> dict[str, FloatArray]:
    """Return what the settlement reads in each step, BILL_CHANNELS of (n_series, n_steps) or (1, n_steps) each.

    Args:
        history: Its clock, day-ahead price, load, calls and carbon intensity are read.
        contract: The contract.
        rated_power_w: The machines' rated power. [W]
        market_usd_per_mwh: The market's settlement price, (n_series, n_steps).
        coincident_share: How likely each step is of its month's coincident peak, (n_steps,); None: what the load says.

    Raises:
        BadInputError: Names the part of the contract that needs a column which the history lacks.
    """
    local, n_steps = _local(history), len(history.frame)
    settlement = contract.energy.settlement_usd_per_mwh(market_usd_per_mwh, local)
    result = {name: np.zeros((1, n_steps)) for name in BILL_CHANNELS}
    result["energy_price_usd_per_mwh"] = result["resale_price_usd_per_mwh"] = settlement
    result["clock"] = _clock(local, contract.interval_s)
    result["call_pu"] = np.ones((1, n_steps))
    result["fixed_usd"] = (contract.fixed_usd_per_month / _steps_of_month(local))[None]
    result["heat_usd_per_mwh"] = np.asarray(contract.heat_usd_per_mwh)[local.month.to_numpy() - 1][None]
    if contract.block is not None:
        result.update(_block(history, contract, settlement))
    for name, demand in zip(("demand_usd_per_kw", "window_demand_usd_per_kw"), contract.demand, strict=False):
        result[name] = np.where(demand.counts(local), demand.usd_per_kw, 0.0)[None]
    if contract.coincident_peak is not None:
        share = coincident_share
        if share is None:
            share = coincident_steps(history, contract.coincident_peak, contract.interval_s).astype(np.float64)
        per_mwh = contract.coincident_peak.usd_per_kw * KWH_PER_MWH / (contract.interval_s / SECONDS_PER_HOUR)
        result["coincident_usd_per_mwh"] = (share * per_mwh)[None]
    programme = contract.curtailment
    if programme is not None:
        called = _needed(history, "curtailment_call", "the curtailment programme") > 0.5
        result["call_pu"] = np.where(called, programme.allowed_pu, 1.0)[None]
        offered_mw = programme.committed_pu * rated_power_w / 1e6
        result["capacity_usd"] = np.full((1, n_steps), programme.capacity_usd_per_mw_h * offered_mw * STEP_H)
    if contract.carbon_usd_per_t > 0.0:
        result["carbon_g_per_kwh"] = _needed(history, "carbon_g_per_kwh", "the carbon price")[None]
    elif "carbon_g_per_kwh" in history.frame:
        result["carbon_g_per_kwh"] = history.frame["carbon_g_per_kwh"].to_numpy(np.float64)[None]
    return result


def _block(history: History, contract: Contract, settlement: FloatArray) -> dict[str, FloatArray]:
    block = contract.block
    assert block is not None
    block_kwh = block.power_w / 1000.0 * STEP_H
    if block.strike_usd_per_mwh is None:
        strike = _needed(history, "day_ahead_price_usd_per_mwh", "a block at the day-ahead price")
    else:
        strike = np.full(settlement.shape[-1], block.strike_usd_per_mwh)
    # Delivery is paid on what is drawn: the adder stands in the block's price and is given back on what is resold.
    adder = getattr(contract.energy, "adder_usd_per_mwh", 0.0)
    return {
        "block_kwh": np.full((1, settlement.shape[-1]), block_kwh),
        "block_usd": (block_kwh * (strike + adder) / KWH_PER_MWH)[None],
        "resale_price_usd_per_mwh": settlement - block.resale_fee_usd_per_mwh,
    }


def coincident_steps(history: History, charge: CoincidentPeakCharge, interval_s: int) -> npt.NDArray[np.bool_]:
    """Tell which steps are of an interval in which the grid's mean load has its highest of a month, (n_steps,).

    Args:
        history: Its column grid_load_mw is read.
        charge: Gives the months that count.
        interval_s: Length of an interval. [s]
    """
    load_mw = _needed(history, "grid_load_mw", "the coincident-peak charge")
    local = _local(history)
    number = _interval_number(local, interval_s)
    mean_mw = (np.bincount(number, load_mw) / np.bincount(number))[number]
    month = local.year.to_numpy() * 12 + local.month.to_numpy()
    flagged = np.zeros(len(load_mw), np.bool_)
    for which in np.unique(month[np.isin(local.month.to_numpy(), charge.months)]):
        steps = np.flatnonzero(month == which)
        first = int(steps[np.argmax(mean_mw[steps])])
        flagged |= (number == number[first]) & (month == which)
    return flagged


def _needed(history: History, column: str, part: str) -> FloatArray:
    if column not in history.frame:
        raise BadInputError(
            f"tariff: {part} needs the column {column!r}; the {history.kind} history {history.hash} has none. "
            "Import such a series, or leave that part out of the tariff"
        )
    return history.frame[column].to_numpy(np.float64)


def _local(history: History) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(history.frame.index).tz_convert(history.timezone)


def _ends_interval(local: pd.DatetimeIndex, interval_s: int) -> npt.NDArray[np.int64]:
    seconds = local.tz_localize(None).as_unit("s").asi8 + int(CONTROL_STEP_S)
    return np.asarray(seconds % interval_s == 0, dtype=np.int64)


def _interval_number(local: pd.DatetimeIndex, interval_s: int) -> npt.NDArray[np.int64]:
    """Return the number of the clock interval that each step lies in, from 0, (n_steps,)."""
    ends = _ends_interval(local, interval_s)
    return np.asarray(np.cumsum(ends) - ends)


def _steps_of_month(local: pd.DatetimeIndex) -> FloatArray:
    """Return the number of steps that each step's local month has, changes of clocks counted, (n_steps,)."""
    months = local.tz_localize(None).to_period("M")
    counts = {}
    for month in months.unique():
        ends = [stamp.tz_localize(local.tz) for stamp in (month.start_time, (month + 1).start_time)]
        counts[month] = (ends[1] - ends[0]).total_seconds() / CONTROL_STEP_S
    return months.map(counts).to_numpy(np.float64)


def _clock(local: pd.DatetimeIndex, interval_s: int) -> FloatArray:
    month, day = local.month.to_numpy(), local.day.to_numpy()
    begins_month, begins_day = (np.concatenate([[False], part[1:] != part[:-1]]) for part in (month, day))
    marks = ENDS_INTERVAL * _ends_interval(local, interval_s) + BEGINS_MONTH * begins_month + BEGINS_DAY * begins_day
    return marks[None].astype(np.float64)


def marginal_usd_per_mwh(values: FloatArray, carbon_usd_per_t: float) -> FloatArray:
    """Return a price below which no megawatt-hour more is had, for rows of channels, (n_steps,). [USD/MWh]

    Within a block it is the resale price; the bill of any energy is at least `energy · marginal + standing`, apart from
    demand charges and breaches, which are never negative, and credits.
    """
    price = np.where(values[:, _BLOCK_KWH] > 0.0, values[:, _RESALE], values[:, _PRICE])
    return price + values[:, _COINCIDENT] + values[:, _CARBON] * carbon_usd_per_t / KWH_PER_MWH


def standing_usd(values: FloatArray, credit_usd_per_mwh: float, offered_kwh: float) -> FloatArray:
    """Return what is due in each step whatever is drawn, less the most that a call can credit, (n_steps,). [USD]"""
    block = values[:, _BLOCK_USD] - values[:, _BLOCK_KWH] * values[:, _RESALE] / KWH_PER_MWH
    credit = np.where(values[:, _CALL] < 1.0, credit_usd_per_mwh * offered_kwh / KWH_PER_MWH, 0.0)
    return block + values[:, _FIXED] - values[:, _CAPACITY] - credit
