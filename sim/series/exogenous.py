"""From a history and a tariff to the exogenous world: what is in force, and beside it what is known of it.

Every known channel at step t is a function of what is published when step t begins. A test changes the future and
finds these channels unchanged.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contract.channels import CHANNELS, bill_channels
from ..contract.contract import CoincidentPeakCharge, Contract, RealTimeTariff, known_price_usd_per_mwh
from ..cooling.psychrometrics import wet_bulb_temp_c
from ..foundation.constants import CONTROL_STEP_S, SECONDS_PER_HOUR
from ..foundation.errors import BadInputError
from ..history.history import History
from ..history.publication import day_ahead_until, settled_until
from ..market.pools import Market, expected_usd_per_ph_day, realised_usd_per_ph_day
from ..site.params import SiteParams
from ..site.world import Exogenous

FloatArray = npt.NDArray[np.float64]

STEPS_PER_HOUR: Final = int(SECONDS_PER_HOUR / CONTROL_STEP_S)
STEPS_PER_DAY: Final = 24 * STEPS_PER_HOUR
WARM_UP_STEPS: Final = 2 * STEPS_PER_DAY
"""Steps at the start of a series in which trailing means and lagged prices are not yet complete: no episode there."""

FORECAST_EDGES_H: Final = (0, 1, 3, 6, 12, 24)
"""Borders of the spans ahead whose mean price is forecast. [h]"""

PUBLISHED: Final = ("none", "persistence", "day_ahead", "day_ahead_curve")
MODEL: Final = "model"
FORECASTS: Final = (*PUBLISHED, MODEL)
"""Forecasts by name: those that are made of what is published alone, and that of the project's models."""

RESERVE_CHANNELS: Final = ("reserve_price_usd_per_mw_h", "reserve_price_mean_24h_usd_per_mw_h", "reserve_call")
"""Known channels of a site that sells reserve."""

CURVE_HOURS: Final = 36
"""Hours of the day-ahead curve that are observed, from the running one on: to the last midnight that is known where the auction's result came at
noon. chosen."""

CURVE_CHANNELS: Final = tuple(f"day_ahead_{hour}h_usd_per_mwh" for hour in range(CURVE_HOURS))

FORECAST_CHANNELS: Final = tuple(
    f"energy_price_forecast_{first}_{last}h_usd_per_mwh" for first, last in pairwise(FORECAST_EDGES_H)
)

LOW_CHANNELS: Final = tuple(name.replace("forecast", "low") for name in FORECAST_CHANNELS)
HIGH_CHANNELS: Final = tuple(name.replace("forecast", "high") for name in FORECAST_CHANNELS)
"""Channels of the forecast `model` beside the median: the price that hours stay above nine times of ten, and below."""


@dataclass(frozen=True, slots=True, eq=False)
class PriceQuantiles:
    """What models say of the market's price in the hours ahead, at every `every`-th step of a history from the first on.

    usd_per_mwh: quantiles of the hourly means, low, middle and high, (n_origins, n_hours, 3); NaN where there was no model yet. [USD/MWh]
    """

    every: int
    usd_per_mwh: npt.NDArray[np.float32]


def build(
    history: History,
    site: SiteParams,
    forecast: str = "none",
    columns: Mapping[str, FloatArray] | None = None,
    month_peak_mw: float = 0.0,
    coincident_share: FloatArray | None = None,
    quantiles: PriceQuantiles | None = None,
) -> Exogenous:
    """Return the exogenous array of one series, or of many futures on the clock of one history.

    Args:
        history: The history.
        site: Its contract, markets and altitude are read.
        forecast: "none"; "persistence" (the same span a day ago), "day_ahead" (published day-ahead prices, where not
            yet out those of a day before), "day_ahead_curve" (the same, and hour by hour), or "model" (`quantiles`).
        columns: What replaces the history's own: market_price_usd_per_mwh, expected_hashprice_usd_per_ph_day (of the
            first market, after the pool), outdoor_temp_c and wet_bulb_temp_c, each (n_series, n_steps).
        month_peak_mw: Highest load of the first month before the history begins. [MW]
        coincident_share: As `bill_channels` has it.
        quantiles: What the forecast "model" says along the history.

    Raises:
        BadInputError: The forecast is unknown, or forecast, contract or markets need a column that the history lacks.

    Examples:
        >>> from hashgym.sim import SiteParams, ZoneParams, firmware, machine
        >>> from hashgym.synthesis.generate import synthesize
        >>> site = SiteParams(zones=(ZoneParams(machine=machine("s21"), firmware=firmware("slow_tuner"), n_units=280),))
        >>> world = build(synthesize("ercot", "2025-01-01", "2025-01-03", seed=1), site, "persistence")
        >>> world.n_steps, world.channels[0]
        (576, 'known_energy_price_usd_per_mwh')
    """
    if forecast not in FORECASTS:
        raise BadInputError(f"forecast is {forecast!r}; it must be one of {', '.join(FORECASTS)}")
    if columns is None:
        world, expected = _columns(history, site), hashprice(history, site.markets[0])[None]
    else:
        world = dict(columns)
        expected = world["realised_hashprice_usd_per_ph_day"] = world.pop("expected_hashprice_usd_per_ph_day")
    contract = site.contract
    market = world.pop("market_price_usd_per_mwh")
    bill = bill_channels(history, contract, site.rated_power_w, market, coincident_share)
    local = pd.DatetimeIndex(history.frame.index).tz_convert(history.timezone)
    # A site that draws less than its block decides at the price at which the rest is sold.
    is_resold = contract.block is not None and contract.block.power_w >= site.rated_power_w
    decisive = bill["resale_price_usd_per_mwh"] if is_resold else bill["energy_price_usd_per_mwh"]
    is_known_ahead = contract.energy.is_known_ahead(history)
    known = known_price_usd_per_mwh(decisive, None if is_known_ahead else settled_until(history))
    observed: dict[str, FloatArray] = {
        "known_energy_price_usd_per_mwh": known,
        "energy_price_mean_1h_usd_per_mwh": _trailing_mean(known, STEPS_PER_HOUR),
        "energy_price_mean_24h_usd_per_mwh": _trailing_mean(known, STEPS_PER_DAY),
        "expected_hashprice_usd_per_ph_day": expected,
        "outdoor_temp_c": world["outdoor_temp_c"],
        "wet_bulb_temp_c": world["wet_bulb_temp_c"],
        **_calendar(local),
    }
    if forecast == "persistence":
        observed.update(_persistence(decisive, history, is_known_ahead=is_known_ahead))
    elif forecast == MODEL:
        before = best_forecast(history, site)
        observed.update(
            _persistence(decisive, history, is_known_ahead=is_known_ahead)
            if before == "persistence"
            else _day_ahead(decisive, history, contract, has_curve=False)
        )
        observed.update(_modelled(observed, history, contract, quantiles))
    elif forecast in ("day_ahead", "day_ahead_curve"):
        observed.update(_day_ahead(decisive, history, contract, has_curve=forecast == "day_ahead_curve"))
    observed.update(_of_contract(history, contract, local, month_peak_mw))
    for kind, part in (("sun", site.sun), ("wind", site.wind)):
        world[f"{kind}_power_w"] = np.zeros((1, 1))
        if part is not None:
            power_w = part.power_w_of(history)
            world[f"{kind}_power_w"] = power_w[None]
            observed.update(_renewable(kind, power_w / part.power_w))
    for m in range(1, len(site.markets)):
        observed[market_channel(m)] = hashprice(history, site.markets[m])
    observed.update({name: history.frame[name].to_numpy(np.float64) for name in history.channels})
    shape = market.shape
    in_force = {**world, **bill}
    rows = [np.broadcast_to(in_force[name], shape) for name in CHANNELS]
    rows += [np.broadcast_to(_realised(history, site, m), shape) for m in range(1, len(site.markets))]
    return Exogenous(
        np.stack(rows, axis=2),
        np.stack([np.broadcast_to(values, shape) for values in observed.values()], axis=2).astype(np.float32),
        tuple(observed),
    )


def market_channel(number: int) -> str:
    """Return the name of the known channel of a further market's expected hashprice."""
    return f"market{number}_expected_hashprice_usd_per_ph_day"


def best_forecast(history: History, site: SiteParams) -> str:
    """Return the best forecast that a history's own publications give: day_ahead, or persistence where nothing is published."""
    is_published = history.publication == "day_ahead" or "day_ahead_price_usd_per_mwh" in history.frame
    is_calendar = not isinstance(site.contract.energy, RealTimeTariff)
    return "day_ahead" if is_published or is_calendar else "persistence"


def best_curve(history: History, site: SiteParams) -> str:
    """Return the same hour by hour: day_ahead_curve, or persistence where nothing is published."""
    best = best_forecast(history, site)
    return "day_ahead_curve" if best == "day_ahead" else best


def _columns(history: History, site: SiteParams) -> dict[str, FloatArray]:
    """Return what a history holds of weather, market and hashprice, each (1, n_steps)."""
    frame = history.frame
    outdoor_temp_c = frame["outdoor_temp_c"].to_numpy(np.float64)
    humidity_pct = frame["relative_humidity_pct"].to_numpy(np.float64)
    return {
        "outdoor_temp_c": outdoor_temp_c[None],
        "wet_bulb_temp_c": wet_bulb_temp_c(outdoor_temp_c, humidity_pct, site.altitude_m)[None],
        "market_price_usd_per_mwh": frame["market_price_usd_per_mwh"].to_numpy(np.float64)[None],
        "realised_hashprice_usd_per_ph_day": _realised(history, site, 0)[None],
    }


def hashprice(history: History, market: Market) -> FloatArray:
    """Return the expected payout of a market in each step of a history, after its pool, (n_steps,). [USD/(PH/s)/day]"""
    return expected_usd_per_ph_day(market, history)


def _realised(history: History, site: SiteParams, number: int) -> FloatArray:
    return realised_usd_per_ph_day(site.markets[number], history, site.rated_hashrate_ths)


def _of_contract(
    history: History, contract: Contract, local: pd.DatetimeIndex, month_peak_mw: float
) -> dict[str, FloatArray]:
    """Return what an operator knows of calls and of the grid's load, by name."""
    result: dict[str, FloatArray] = {}
    if contract.coincident_peak is not None:
        result["coincident_ratio"] = _coincident_ratio(history, contract.coincident_peak, local, month_peak_mw)
    if contract.curtailment is not None:
        called = history.frame["curtailment_call"].to_numpy(np.float64)
        ahead = int(contract.curtailment.notice_s // CONTROL_STEP_S)
        padded = np.concatenate([called, np.zeros(ahead)])
        result["call_now"] = called
        result["call_soon"] = np.lib.stride_tricks.sliding_window_view(padded, ahead + 1).max(axis=1)
    if contract.reserve is not None:
        # Prices of a day's hours are out the day before; a deployment is known when it begins.
        price = history.frame["reserve_price_usd_per_mw_h"].to_numpy(np.float64)
        result["reserve_price_usd_per_mw_h"] = price
        result["reserve_price_mean_24h_usd_per_mw_h"] = _trailing_mean(price, STEPS_PER_DAY)
        result["reserve_call"] = history.frame["reserve_call"].to_numpy(np.float64)
    return result


def _renewable(kind: str, power_pu: FloatArray) -> dict[str, FloatArray]:
    """Return what is known of sun or wind: the last step's power, and each span's a day ago, moved by how today differs from yesterday.

    The difference of the last hours over the same a day ago counts in full for the next hour and fades by half with every six.
    """
    last = np.concatenate([power_pu[:1], power_pu[:-1]])
    result = {f"{kind}_now_pu": last}
    now, hours = np.arange(len(power_pu)), _RENEWABLE_HOURS * STEPS_PER_HOUR
    more = _span_mean(last, now - hours + 1, now + 1) - _span_mean(
        last, now - hours + 1 - STEPS_PER_DAY, now + 1 - STEPS_PER_DAY
    )
    more[:STEPS_PER_DAY] = 0.0
    for first_h, last_h in pairwise(FORECAST_EDGES_H):
        at = now - STEPS_PER_DAY
        usual = _span_mean(power_pu, at + first_h * STEPS_PER_HOUR, at + last_h * STEPS_PER_HOUR)
        fades = 0.5 ** (0.5 * (first_h + last_h) / 6.0)
        # Where there was no sun a day ago there is none today.
        moved = usual + fades * more if kind == "wind" else np.where(usual > 0.0, usual + fades * more, 0.0)
        result[f"{kind}_forecast_{first_h}_{last_h}h_pu"] = np.clip(moved, 0.0, 1.0)
    return result


_RENEWABLE_HOURS: Final = 2
"""Hours by which today is compared with yesterday. chosen: clouds and fronts last for hours."""


def _coincident_ratio(
    history: History, charge: CoincidentPeakCharge, local: pd.DatetimeIndex, month_peak_mw: float
) -> FloatArray:
    """Return the last step's load over the highest of the month until then; 0 in months that do not count."""
    load_mw = history.frame["grid_load_mw"].to_numpy(np.float64)
    last = np.concatenate([load_mw[:1], load_mw[:-1]])
    month = (local.year * 12 + local.month).to_numpy()
    start = np.concatenate([[0], np.flatnonzero(np.diff(month)) + 1, [len(month)]])
    highest = np.empty(len(last))
    for first, end in pairwise(start):
        least = month_peak_mw if first == 0 else 0.0
        highest[first:end] = np.maximum(np.maximum.accumulate(last[first:end]), least)
    counts = np.isin(local.month.to_numpy(), charge.months)
    return np.where(counts, last / np.maximum(highest, 1e-9), 0.0)


def _trailing_mean(values: FloatArray, n_steps: int) -> FloatArray:
    """Return the mean over the last n_steps values, the present one included; over fewer where there are no more."""
    now = np.arange(values.shape[-1])
    return _span_mean(values, now - n_steps + 1, now + 1)


def _span_mean(values: FloatArray, first: npt.NDArray[np.int64], last: npt.NDArray[np.int64]) -> FloatArray:
    """Return the mean of values[..., first:last] for each pair; spans are cut at the array's start."""
    total = _running_total(values)
    first, last = np.maximum(first, 0), np.maximum(last, 1)
    return (total[..., last] - total[..., first]) / np.maximum(last - first, 1)


def _running_total(values: FloatArray) -> FloatArray:
    """Return the sum of all values before each position, one longer than the values."""
    return np.concatenate([np.zeros((*values.shape[:-1], 1)), np.cumsum(values, axis=-1)], axis=-1)


def _calendar(local: pd.DatetimeIndex) -> dict[str, FloatArray]:
    day_frac = (local.hour + local.minute / 60.0).to_numpy() / 24.0
    week_frac = (local.dayofweek.to_numpy() + day_frac) / 7.0
    return {
        "hour_sin": np.sin(2.0 * np.pi * day_frac),
        "hour_cos": np.cos(2.0 * np.pi * day_frac),
        "weekday_sin": np.sin(2.0 * np.pi * week_frac),
        "weekday_cos": np.cos(2.0 * np.pi * week_frac),
    }


def _persistence(settlement: FloatArray, history: History, *, is_known_ahead: bool) -> dict[str, FloatArray]:
    """Forecast each span by the same span a day ago, moved back by the publication delay."""
    delay = 0 if is_known_ahead else history.price_interval_s // int(CONTROL_STEP_S)
    base = np.arange(settlement.shape[-1]) - STEPS_PER_DAY - delay
    result = {}
    for name, (first_h, last_h) in zip(FORECAST_CHANNELS, pairwise(FORECAST_EDGES_H), strict=True):
        result[name] = _span_mean(settlement, base + first_h * STEPS_PER_HOUR, base + last_h * STEPS_PER_HOUR)
    return result


def _modelled(
    observed: Mapping[str, FloatArray], history: History, contract: Contract, quantiles: PriceQuantiles | None
) -> dict[str, FloatArray]:
    """Forecast each span by the mean of the models' quantiles over its hours, as they stood when the running hour began, plus what the tariff adds.

    Where there is no model yet, and where a tariff is a calendar, all three are what is published.

    Args:
        observed: What is published, in the channels of the median.
        history: The history.
        contract: Its tariff is read.
        quantiles: What the models say of the market's price.

    Raises:
        BadInputError: There are no quantiles, though the price is the market's.
    """
    tariff = contract.energy
    low_middle_high = (LOW_CHANNELS, FORECAST_CHANNELS, HIGH_CHANNELS)
    said = {
        name: observed[plain] for names in low_middle_high for name, plain in zip(names, FORECAST_CHANNELS, strict=True)
    }
    if not isinstance(tariff, RealTimeTariff):
        return said
    if quantiles is None:
        raise BadInputError(
            "forecast 'model' needs quantiles of the market's price; a scenario makes them of its history"
        )
    rows = np.arange(len(history.frame)) // quantiles.every
    for (first_h, last_h), *names in zip(pairwise(FORECAST_EDGES_H), *low_middle_high, strict=True):
        means = quantiles.usd_per_mwh[:, first_h:last_h].mean(axis=1, dtype=np.float64)[rows]
        energy = means * (1.0 + tariff.markup_frac) + tariff.adder_usd_per_mwh
        for column, name in enumerate(names):
            said[name] = np.where(np.isnan(energy[:, column]), said[name], energy[:, column])
    return said


def _day_ahead(
    settlement: FloatArray, history: History, contract: Contract, *, has_curve: bool
) -> dict[str, FloatArray]:
    """Forecast each span by published day-ahead prices plus what the tariff adds to the market price.

    A tariff that is a calendar is its own forecast.
    """
    frame, n_steps, tariff = history.frame, settlement.shape[-1], contract.energy
    if not isinstance(tariff, RealTimeTariff):
        energy, published = settlement, np.full(n_steps, n_steps + STEPS_PER_DAY)
    elif "day_ahead_price_usd_per_mwh" in frame:
        market = frame["day_ahead_price_usd_per_mwh"].to_numpy(np.float64)[None]
        local = pd.DatetimeIndex(frame.index).tz_convert(history.timezone)
        energy = tariff.settlement_usd_per_mwh(market, local)
        published = np.minimum(day_ahead_until(history), n_steps)
    elif history.publication == "day_ahead":
        energy, published = settlement, np.minimum(day_ahead_until(history), n_steps)
    else:
        raise BadInputError("forecast 'day_ahead' needs the column 'day_ahead_price_usd_per_mwh' in the history")
    # Beyond what is published, and beyond the history's end, the price of a day before stands.
    total = _running_total(np.concatenate([energy, energy[:, -STEPS_PER_DAY:]], axis=-1))
    total_before = _running_total(np.concatenate([energy[:, :STEPS_PER_DAY], energy], axis=-1))
    now = np.arange(n_steps)
    result = {}
    for name, (first_h, last_h) in zip(FORECAST_CHANNELS, pairwise(FORECAST_EDGES_H), strict=True):
        first, last = now + first_h * STEPS_PER_HOUR, now + last_h * STEPS_PER_HOUR
        middle = np.clip(published, first, last)
        sums = total[:, middle] - total[:, first] + total_before[:, last] - total_before[:, middle]
        result[name] = sums / (last - first)
    if has_curve:
        known_until = np.minimum(published, n_steps)
        begun = now - pd.DatetimeIndex(frame.index).minute.to_numpy() * STEPS_PER_HOUR // 60
        for hour, name in enumerate(CURVE_CHANNELS):
            # An hour that is not out yet has the price of the last day that is.
            first = begun + hour * STEPS_PER_HOUR
            late = np.maximum(0, first + STEPS_PER_HOUR - known_until)
            at = np.maximum(0, first - -(-late // STEPS_PER_DAY) * STEPS_PER_DAY)
            result[name] = (total[:, at + STEPS_PER_HOUR] - total[:, at]) / STEPS_PER_HOUR
    return result
