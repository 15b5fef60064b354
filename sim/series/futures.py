"""The exogenous world of many futures that begin where a history stands."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contract.channels import coincident_steps
from ..contract.contract import Contract
from ..cooling.psychrometrics import wet_bulb_temp_c
from ..foundation.constants import CONTROL_STEP_S
from ..history.history import STEP, History, price_ahead
from ..history.publication import until
from ..site.params import SiteParams
from ..site.world import Exogenous
from . import exogenous
from .exogenous import STEPS_PER_DAY, WARM_UP_STEPS
from .price_features import with_seen

FloatArray = npt.NDArray[np.float64]


def build(
    history: History,
    origin: int,
    site: SiteParams,
    forecast: str,
    paths: dict[str, FloatArray],
    seen: tuple[bool, int] | None = None,
) -> Exogenous:
    """Return the world from step `origin` of a history on, one series for each path.

    Nothing of the history is read that is not known at the origin. What an operator will know inside a future follows
    from the path as it follows from a history: prices are published after their interval, means trail. Day-ahead prices
    that are not yet out are taken as the mean of the paths; humidity, load and carbon intensity of an hour as those of a
    day before; declared channels as they stand. Of calls, those in force or announced are there. An interval is counted as
    the month's coincident peak as often as intervals of that load and hour were, over the history before.

    Args:
        history: The history; the origin's row must be in it, and it may go on.
        origin: Step at which the futures begin, two days or more after the history's start.
        site: Its contract, markets and altitude are read.
        forecast: Forecast channels, as `exogenous.build` has them.
        paths: market_price_usd_per_mwh (of the market), expected_hashprice_usd_per_ph_day and outdoor_temp_c, each (n_paths, n_steps),
            for the steps from `origin` on; a day at most. Hashprice is that of the first market, after the pool.
        seen: How the operator's rule looks at published prices, as `price_features.with_seen` has it; percentiles of days past are of two days.

    Raises:
        ValueError: The origin has too little history before it, or the paths are longer than a day.
    """
    n_steps = paths["market_price_usd_per_mwh"].shape[1]
    if origin < WARM_UP_STEPS or n_steps > STEPS_PER_DAY:
        raise ValueError(
            f"origin is step {origin}, paths have {n_steps} steps; there must be {WARM_UP_STEPS} before it and {STEPS_PER_DAY} at most"
        )
    past = history.frame.iloc[origin - WARM_UP_STEPS : origin]
    clock = _clock(history, origin, past, paths, site.contract)
    humidity_pct = clock.frame["relative_humidity_pct"].to_numpy(np.float64)
    outdoor_temp_c = _joined(past["outdoor_temp_c"], paths["outdoor_temp_c"])
    before = exogenous.hashprice(replace(history, frame=past, ahead=None), site.markets[0])
    columns = {
        "outdoor_temp_c": outdoor_temp_c,
        "wet_bulb_temp_c": wet_bulb_temp_c(
            outdoor_temp_c, np.broadcast_to(humidity_pct, outdoor_temp_c.shape), site.altitude_m
        ),
        "market_price_usd_per_mwh": _joined(past["market_price_usd_per_mwh"], paths["market_price_usd_per_mwh"]),
        "expected_hashprice_usd_per_ph_day": _joined(before, paths["expected_hashprice_usd_per_ph_day"]),
    }
    of_peaks = _month_peak_mw(history, origin), _coincident_share(clock, site, history, origin)
    whole = exogenous.build(clock, site, forecast, dict(columns), *of_peaks)
    if seen is not None:
        curve, best = whole, exogenous.best_curve(history, site)
        if best != forecast:
            curve = exogenous.build(clock, site, best, dict(columns), *of_peaks)
        whole = with_seen(whole, curve, site, seen)
    span = slice(WARM_UP_STEPS, WARM_UP_STEPS + n_steps)
    return Exogenous(whole.values[:, span].copy(), whole.known[:, span].copy(), whole.channels)


def _clock(
    history: History, origin: int, past: pd.DataFrame, paths: dict[str, FloatArray], contract: Contract
) -> History:
    """Return two days of history and, after it, the futures' span twice, with what all futures share.

    The second time stands for the day after the futures' end, into which forecasts made inside them reach.
    """
    n_steps = 2 * paths["market_price_usd_per_mwh"].shape[1]
    stamps = pd.date_range(history.frame.index[0] + STEP * origin, periods=n_steps, freq=STEP)
    ahead = pd.DataFrame({name: past[name].iloc[-1] for name in past}, index=stamps)
    ahead["relative_humidity_pct"] = np.resize(past["relative_humidity_pct"].to_numpy()[-STEPS_PER_DAY:], n_steps)
    ahead.iloc[0, list(ahead.columns).index("relative_humidity_pct")] = history.frame["relative_humidity_pct"].iloc[
        origin
    ]
    for name in ("grid_load_mw", "carbon_g_per_kwh"):
        if name in past:
            ahead[name] = np.resize(past[name].to_numpy()[-STEPS_PER_DAY:], n_steps)
    if "curtailment_call" in past:  # what is in force or announced stands; no further call is expected
        programme = contract.curtailment
        known = 1 + (int(programme.notice_s // CONTROL_STEP_S) if programme is not None else 0)
        called = history.frame["curtailment_call"].to_numpy(np.float64)[origin : origin + known]
        ahead["curtailment_call"] = 0.0
        ahead.iloc[: len(called), list(ahead.columns).index("curtailment_call")] = called
    if "day_ahead_price_usd_per_mwh" in past:
        day_ahead = np.tile(paths["market_price_usd_per_mwh"].mean(axis=0), 2)
        if history.publication != "day_ahead":
            held = until(history, origin)
            published = price_ahead(held)[origin:][:n_steps]
            day_ahead[: len(published)] = published
        ahead["day_ahead_price_usd_per_mwh"] = day_ahead
    return replace(history, frame=pd.concat([past, ahead]), ahead=None)


def _month_peak_mw(history: History, origin: int) -> float:
    """Return the highest load of the month before the two days that stand before an origin. [MW]"""
    if "grid_load_mw" not in history.frame:
        return 0.0
    local = pd.DatetimeIndex(history.frame.index[:origin]).tz_convert(history.timezone)
    first = origin - WARM_UP_STEPS
    same = ((local.year == local[first].year) & (local.month == local[first].month))[:first]
    load_mw = history.frame["grid_load_mw"].to_numpy(np.float64)[:first]
    return float(load_mw[same].max(initial=0.0))


def _coincident_share(clock: History, site: SiteParams, history: History, origin: int) -> FloatArray | None:
    """Return how likely each step is of its month's coincident peak: the share of past days' like steps that were.

    Like steps are of the charged months, the same local hour, and a load as near to the month's highest so far.
    """
    charge = site.contract.coincident_peak
    if charge is None:
        return None
    before = replace(history, frame=history.frame.iloc[:origin], ahead=None)
    result = np.zeros(len(clock.frame))
    now = pd.DatetimeIndex(clock.frame.index).tz_convert(history.timezone)
    local = pd.DatetimeIndex(before.frame.index).tz_convert(history.timezone)
    month = local.year.to_numpy() * 12 + local.month.to_numpy()
    whole = np.isin(local.month.to_numpy(), charge.months) & (month != month[-1])
    wanted = np.isin(now.month.to_numpy(), charge.months)
    if not whole.any() or not wanted.any():
        return result
    flagged = coincident_steps(before, charge, site.contract.interval_s) & whole
    ratio = _of_month_peak(before.frame["grid_load_mw"].to_numpy(np.float64), month)
    joined = np.concatenate(
        [before.frame["grid_load_mw"].to_numpy(np.float64)[: origin - WARM_UP_STEPS], clock.frame["grid_load_mw"]]
    )
    months = np.concatenate([month[: origin - WARM_UP_STEPS], now.year.to_numpy() * 12 + now.month.to_numpy()])
    ahead = _of_month_peak(joined, months)[-len(result) :]
    edges = np.array([0.0, 0.9, 0.95, 0.98, 10.0])
    for low, high in pairwise(edges):
        for hour in range(24):
            like = whole & (local.hour.to_numpy() == hour) & (ratio >= low) & (ratio < high)
            here = wanted & (now.hour.to_numpy() == hour) & (ahead >= low) & (ahead < high)
            if like.any():
                result[here] = flagged[like].mean()
    return result


def _of_month_peak(load_mw: FloatArray, month: npt.NDArray[np.int64]) -> FloatArray:
    """Return each load over the highest of its month until then, itself included, (n,)."""
    highest = pd.Series(load_mw).groupby(month).cummax().to_numpy()
    return np.asarray(load_mw / np.maximum(highest, 1e-9))


def _joined(past: pd.Series | FloatArray, ahead: FloatArray) -> FloatArray:
    """Return a shared past followed by each path twice, (n_paths, steps)."""
    before = np.broadcast_to(np.asarray(past, dtype=np.float64), (len(ahead), len(past)))
    return np.concatenate([before, ahead, ahead], axis=1)
