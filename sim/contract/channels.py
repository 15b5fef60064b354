"""What a site reads in each step: names and columns of the channels in force, and those that a contract makes of a history."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..foundation.constants import CONTROL_STEP_S, KWH_PER_MWH, SECONDS_PER_HOUR
from ..foundation.errors import BadInputError
from ..history.history import History
from .contract import CoincidentPeakCharge, Contract

FloatArray = npt.NDArray[np.float64]

BILL_CHANNELS: Final = (
    "energy_price_usd_per_mwh",
    "resale_price_usd_per_mwh",
    "export_price_usd_per_mwh",
    "block_kwh",
    "block_usd",
    "fixed_usd",
    "coincident_usd_per_mwh",
    "demand_usd_per_kw",
    "window_demand_usd_per_kw",
    "clock",
    "call_pu",
    "reserve_price_usd_per_mw_h",
    "reserve_call",
    "capacity_usd",
    "carbon_g_per_kwh",
    "heat_usd_per_mwh",
)
"""Channels that the settlement reads, made by `bill_channels`: prices of energy drawn beyond a block, resold of it, and exported, the block
and its cost in a step, fixed charge of a step, price of energy in a coincident peak, prices of a kilowatt of the month's
peaks, marks of interval and month, power that a call leaves over rated power, price of reserve and 1 while it is deployed, pay for readiness in a step, carbon
intensity, price of heat."""

CHANNELS: Final = (
    "outdoor_temp_c",
    "wet_bulb_temp_c",
    "realised_hashprice_usd_per_ph_day",
    "sun_power_w",
    "wind_power_w",
    *BILL_CHANNELS,
)
"""Channels in force, in the order of every row; realised hashprices of further markets follow them."""

N_CHANNELS: Final = len(CHANNELS)

OUTDOOR_TEMP_C: Final = CHANNELS.index("outdoor_temp_c")
WET_BULB_TEMP_C: Final = CHANNELS.index("wet_bulb_temp_c")
REALISED_HASHPRICE: Final = CHANNELS.index("realised_hashprice_usd_per_ph_day")
SUN_POWER_W: Final = CHANNELS.index("sun_power_w")
WIND_POWER_W: Final = CHANNELS.index("wind_power_w")
ENERGY_PRICE: Final = CHANNELS.index("energy_price_usd_per_mwh")
RESALE_PRICE: Final = CHANNELS.index("resale_price_usd_per_mwh")
EXPORT_PRICE: Final = CHANNELS.index("export_price_usd_per_mwh")
BLOCK_KWH: Final = CHANNELS.index("block_kwh")
BLOCK_USD: Final = CHANNELS.index("block_usd")
FIXED_USD: Final = CHANNELS.index("fixed_usd")
COINCIDENT_PRICE: Final = CHANNELS.index("coincident_usd_per_mwh")
DEMAND_PRICE: Final = CHANNELS.index("demand_usd_per_kw")
WINDOW_DEMAND_PRICE: Final = CHANNELS.index("window_demand_usd_per_kw")
CLOCK: Final = CHANNELS.index("clock")
CALL_PU: Final = CHANNELS.index("call_pu")
RESERVE_PRICE: Final = CHANNELS.index("reserve_price_usd_per_mw_h")
RESERVE_CALL: Final = CHANNELS.index("reserve_call")
CAPACITY_USD: Final = CHANNELS.index("capacity_usd")
CARBON: Final = CHANNELS.index("carbon_g_per_kwh")
HEAT_PRICE: Final = CHANNELS.index("heat_usd_per_mwh")
"""Columns of the channels in a row."""

ENDS_INTERVAL: Final = 1
BEGINS_MONTH: Final = 2
BEGINS_DAY: Final = 4
BEGINS_TERM: Final = 8
HOUR_TIMES: Final = 16
"""Marks of a step in the channel `clock`, which holds their sum, plus the local hour times HOUR_TIMES."""

STEP_H: Final = CONTROL_STEP_S / SECONDS_PER_HOUR


def bill_channels(
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
    local, n_steps = local_time(history), len(history.frame)
    settlement = contract.energy.settlement_usd_per_mwh(market_usd_per_mwh, local)
    result = {name: np.zeros((1, n_steps)) for name in BILL_CHANNELS}
    result["energy_price_usd_per_mwh"] = result["resale_price_usd_per_mwh"] = settlement
    result["export_price_usd_per_mwh"] = market_usd_per_mwh + contract.export_adder_usd_per_mwh
    terms = contract.curtailment.term_months if contract.curtailment is not None else ()
    result["clock"] = _clock(local, contract.interval_s, terms)
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
    if contract.reserve is not None:
        price = _needed(history, "reserve_price_usd_per_mw_h", "the reserve programme")
        result["reserve_price_usd_per_mw_h"] = np.maximum(0.0, price)[None]
        result["reserve_call"] = (_needed(history, "reserve_call", "the reserve programme") > 0.5).astype(np.float64)[
            None
        ]
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
    local = local_time(history)
    number = interval_number(local, interval_s)
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


def local_time(history: History) -> pd.DatetimeIndex:
    """Return the stamps of a history in its local time, (n_steps,)."""
    return pd.DatetimeIndex(history.frame.index).tz_convert(history.timezone)


def _ends_interval(local: pd.DatetimeIndex, interval_s: int) -> npt.NDArray[np.int64]:
    seconds = local.tz_localize(None).as_unit("s").asi8 + int(CONTROL_STEP_S)
    return np.asarray(seconds % interval_s == 0, dtype=np.int64)


def interval_number(local: pd.DatetimeIndex, interval_s: int) -> npt.NDArray[np.int64]:
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


def _clock(local: pd.DatetimeIndex, interval_s: int, term_months: tuple[int, ...]) -> FloatArray:
    month, day = local.month.to_numpy(), local.day.to_numpy()
    begins_month, begins_day = (np.concatenate([[False], part[1:] != part[:-1]]) for part in (month, day))
    marks = ENDS_INTERVAL * _ends_interval(local, interval_s) + BEGINS_MONTH * begins_month + BEGINS_DAY * begins_day
    marks = marks + BEGINS_TERM * (begins_month & np.isin(month, term_months)) + HOUR_TIMES * local.hour.to_numpy()
    return marks[None].astype(np.float64)
