"""Reserve that machines sell: awards, what a load that sells must draw and shed, and what it costs not to."""

from typing import Final

import numpy as np

from ..foundation.constants import CONTROL_STEP_S, KWH_PER_MWH
from ..foundation.jit import kernel
from .channels import BEGINS_DAY, CLOCK, HOUR_TIMES, RESERVE_CALL, RESERVE_PRICE, STEP_H

N_HOURS: Final = 24  # by definition, offers for the hours of a local day

RESERVE_STATE: Final = (
    ("reserve_floor", np.float64, (N_HOURS,)),
    ("reserve_next", np.float64, (N_HOURS,)),
    ("reserve_base_kwh", np.float64),
    ("reserve_call_s", np.float64),
    ("reserve_rest_s", np.float64),
    ("reserve_offered_kwh", np.float64),
    ("reserve_shed_kwh", np.float64),
)
"""What a site that sells reserve remembers. reserve_floor, reserve_next: price from which each hour of this and of the next local day is sold,
infinite: not at all [USD/MW-h]; reserve_base_kwh: load of the last step without a deployment; reserve_call_s: time since the deployment; reserve_rest_s:
rest of the time in which the load need not be back; reserve_offered_kwh, reserve_shed_kwh: sold and shed in the running deployment."""


@kernel
def awarded_kwh(row: np.ndarray, site: np.void, state: np.void, rated_kwh: float) -> float:
    """Return the reserve that is sold in a step, as energy: all that is qualified where the hour's price reaches the offer. [kWh]"""
    hour = int(row[CLOCK]) // HOUR_TIMES
    if site["reserve_pu"] <= 0.0 or row[RESERVE_PRICE] < state["reserve_floor"][hour]:
        return 0.0
    return site["reserve_pu"] * rated_kwh


@kernel
def turn_page(row: np.ndarray, state: np.void) -> None:
    """Let the offers for the next day stand for this one when a local day begins."""
    if int(row[CLOCK]) & BEGINS_DAY:
        for hour in range(N_HOURS):
            state["reserve_floor"][hour] = state["reserve_next"][hour]


@kernel
def settle_reserve(load_kwh: float, row: np.ndarray, site: np.void, rated_kwh: float, state: np.void) -> float:
    """Settle a step of a reserve programme: pay for what is sold and drawn, less what is sold and missing, less what a failed deployment costs. [USD]

    What is sold and not drawn is bought back: it earns nothing and costs its price. A deployment is judged from the time to shed on; it is
    settled in the first step after it.

    Args:
        load_kwh: What the machines and their plants draw in the step. [kWh]
        row: Channels of the step.
        site: Parameters of the site, `ReserveProgramme.numbers` among them.
        rated_kwh: The machines' rated energy in a step. [kWh]
        state: State with the fields of RESERVE_STATE; it takes the step in.
    """
    turn_page(row, state)
    sold_kwh = awarded_kwh(row, site, state, rated_kwh)
    per_kwh = row[RESERVE_PRICE] / KWH_PER_MWH
    if row[RESERVE_CALL] > 0.0:
        state["reserve_call_s"] += CONTROL_STEP_S
        if sold_kwh > 0.0 and state["reserve_call_s"] > site["reserve_shed_s"]:
            state["reserve_offered_kwh"] += sold_kwh
            state["reserve_shed_kwh"] += min(sold_kwh, max(0.0, state["reserve_base_kwh"] - load_kwh))
        state["reserve_rest_s"] = site["reserve_return_s"]
        return sold_kwh * per_kwh
    usd = 0.0
    if state["reserve_offered_kwh"] > 0.0:
        share = state["reserve_shed_kwh"] / state["reserve_offered_kwh"]
        if share < site["reserve_pass_frac"]:
            usd -= site["reserve_suspension_usd_per_mw"] * site["reserve_pu"] * rated_kwh / STEP_H / KWH_PER_MWH
        state["reserve_offered_kwh"] = 0.0
        state["reserve_shed_kwh"] = 0.0
    state["reserve_call_s"] = 0.0
    missing_kwh = max(0.0, sold_kwh - load_kwh) if state["reserve_rest_s"] <= 0.0 else 0.0
    state["reserve_rest_s"] = max(0.0, state["reserve_rest_s"] - CONTROL_STEP_S)
    state["reserve_base_kwh"] = load_kwh
    return usd + (sold_kwh - 2.0 * missing_kwh) * per_kwh
