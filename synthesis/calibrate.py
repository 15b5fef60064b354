"""From a history to the region that the generator reads: every parameter is fitted anew."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import yaml
from scipy import optimize, special

from ..sim.foundation.errors import BadInputError
from ..sim.history.history import History
from ..sim.market.coins import coin_hashprice
from .coin import PRICE_LAGS_D, STEPS_PER_DAY, STEPS_PER_HOUR
from .electricity import PowerModel, fit_load, temperature_drivers
from .fitting import autocorrelation, fit
from .scores import ScoreModel
from .weather import WeatherModel, fit_weather, normal

FloatArray = npt.NDArray[np.float64]

LEAST_DAYS: Final = 90
"""Shortest history that a region is fitted to: a season's worth. chosen."""

VOL_TAUS_H: Final = (3.0, 30.0, 1500.0)
"""Correlation times among which the variance of log-volatility is shared. [h] chosen: of hours, days and months."""

STUDENT_NU: Final = 8.0
"""Degrees of freedom of an hour's innovation. chosen: with volatility parts and jumps it gives the kurtosis of hourly returns."""

_JUMP_AT: Final = 8.0
"""A return beyond this many bipower volatilities of the week before is a jump. Source: as the jump table of the calibration."""


def calibrate(history: History, coin: dict[str, Any], region: str) -> dict[str, Any]:
    """Fit a region to a history.

    Args:
        history: A history of 90 days or more.
        coin: The coin model's content; what the history is too short for is taken from it.
        region: Name, for the content.

    Raises:
        BadInputError: The history is too short.
    """
    days = len(history.frame) / STEPS_PER_DAY
    if days < LEAST_DAYS:
        raise BadInputError(f"a region is fitted to {LEAST_DAYS} days or more; the history has {days:.0f}")
    weather, power = fit_region(history)
    return {
        "region": region,
        "fitted_to": {
            "history": history.hash,
            "kind": history.kind,
            "start": str(history.start),
            "end": str(history.end),
        },
        "timezone": history.timezone,
        "weather": weather.as_dict(),
        "power": power.as_dict(),
        "coin": fit_coin(history, coin),
    }


def fit_region(history: History) -> tuple[WeatherModel, PowerModel]:
    """Fit weather and electricity of a history."""
    frame = history.frame
    hourly = frame.iloc[::STEPS_PER_HOUR]
    local = pd.DatetimeIndex(hourly.index).tz_convert(history.timezone)
    temp_c = hourly["outdoor_temp_c"].to_numpy(np.float64)
    weather = fit_weather(temp_c, hourly["relative_humidity_pct"].to_numpy(np.float64), local, 1.0)
    drivers = temperature_drivers(temp_c)
    stride = history.price_interval_s // 300
    price = frame["market_price_usd_per_mwh"].to_numpy(np.float64)
    day_ahead: ScoreModel | None = None
    settlement: ScoreModel | None = None
    first: FloatArray
    if history.publication == "day_ahead":
        first = price[::STEPS_PER_HOUR]
        day_ahead = fit(first, local, 1.0, drivers)
    else:
        own = pd.DatetimeIndex(frame.index[::stride]).tz_convert(history.timezone)
        if "day_ahead_price_usd_per_mwh" in frame:
            first = frame["day_ahead_price_usd_per_mwh"].to_numpy(np.float64)[::STEPS_PER_HOUR]
            day_ahead = fit(first, local, 1.0, drivers)
            score = np.repeat(normal(first), STEPS_PER_HOUR)[: len(frame)][::stride]
            settlement = fit(price[::stride], own, stride / STEPS_PER_HOUR, {"day_ahead": score})
        else:
            first = price[::STEPS_PER_HOUR]
            settled = temperature_drivers(frame["outdoor_temp_c"].to_numpy(np.float64)[::stride])
            settlement = fit(price[::stride], own, stride / STEPS_PER_HOUR, settled)
    carbon = load = None
    if "carbon_g_per_kwh" in frame:
        carbon = fit(hourly["carbon_g_per_kwh"].to_numpy(np.float64), local, 1.0, {"price": normal(first)})
    if "grid_load_mw" in frame:
        load = fit_load(hourly["grid_load_mw"].to_numpy(np.float64), local, temp_c, 1.0)
    calls = 0.0
    if "curtailment_call" in frame:
        begins = np.diff(frame["curtailment_call"].to_numpy(np.float64), prepend=0.0) > 0.0
        calls = float(begins.mean() * 8766.0 * STEPS_PER_HOUR)
    return weather, PowerModel(
        day_ahead=day_ahead,
        settlement=settlement,
        interval_s=history.price_interval_s,
        usd_per_unit=1.0,
        carbon=carbon,
        load=load,
        deployments_per_year=calls,
    )


def fit_coin(history: History, coin: dict[str, Any]) -> dict[str, Any]:
    """Fit price, network, fees and levels to a history; returns the coin model's content."""
    frame = history.frame
    price = np.log(frame["coin_price_usd"].to_numpy(np.float64)[::STEPS_PER_HOUR])
    stamps = pd.DatetimeIndex(frame.index[::STEPS_PER_HOUR])
    result = {**coin, **fit_returns(np.diff(price), stamps[1:])}
    years = len(price) / 8766.0
    # The drift is that of the mean: a log price grows by half its variance less.
    growth = (price[-1] - price[0]) / years + 0.5 * 8766.0 * result["hourly_vol"] ** 2
    result["drift_per_year"] = round(float(np.clip(growth, -0.5, 0.5)), 3)
    difficulty = frame["difficulty"].to_numpy(np.float64)
    at = np.flatnonzero(np.diff(difficulty)) + 1
    if len(at) > 24:
        result.update(_fit_network(np.log(difficulty), at, price))
    result.update(
        _fit_fees(
            frame["fee_share"].to_numpy(np.float64)[::STEPS_PER_DAY],
            pd.DatetimeIndex(frame.index[::STEPS_PER_DAY]),
            coin,
        )
    )
    worth = pd.Series(coin_hashprice(history, "btc"), frame.index)
    for name, series in (("hashprice_level", worth), ("difficulty_by_quarter", pd.Series(difficulty, frame.index))):
        quarters = series.groupby(pd.DatetimeIndex(frame.index).tz_localize(None).to_period("Q"))
        found = {
            f"{(q.start_time + pd.DateOffset(months=1, days=14)):%Y-%m-%d}": float(f"{g.mean():.5g}")
            for q, g in quarters
            if len(g) > 45 * STEPS_PER_DAY
        }
        result[name] = dict(sorted({**coin[name], **found}.items()))
    return result


def fit_returns(log_return: FloatArray, stamps: pd.DatetimeIndex) -> dict[str, Any]:
    """Fit hourly returns: profile of the week, jumps, and volatility parts by the autocorrelation of their size.

    For a log-volatility g of autocovariance c(k), corr(|r|, |r'|) = (e^c(k) - 1) / (κ e^c(0) - 1) with κ = E ε² / (E |ε|)² of the
    innovations (Taylor 1986).
    """
    size = np.abs(log_return)
    by_hour = np.array([size[stamps.hour == h].mean() for h in range(24)]) / size.mean()
    by_day = np.array([size[stamps.dayofweek == d].mean() for d in range(7)]) / size.mean()
    profile = by_hour[stamps.hour] * by_day[stamps.dayofweek]
    flat = log_return / profile
    bipower = np.sqrt(
        np.pi / 2.0 * pd.Series(np.abs(flat) * np.abs(np.roll(flat, 1))).rolling(168).mean().shift(1).to_numpy()
    )
    is_jump = np.nan_to_num(np.abs(flat) / np.where(bipower > 0.0, bipower, np.inf)) > _JUMP_AT
    jumps, calm = log_return[is_jump], np.where(is_jump, 0.0, flat)
    lags = np.array([1, 2, 3, 6, 12, 24, 48, 96, 168, 336, 720])
    found = np.array([autocorrelation(np.abs(calm), int(lag)) for lag in lags if lag < len(calm) // 4])
    lags = lags[: len(found)]
    nu = STUDENT_NU
    mean_abs = 2.0 * np.sqrt(nu) * special.gamma((nu + 1) / 2) / (np.sqrt(np.pi) * special.gamma(nu / 2) * (nu - 1))
    kappa = (nu / (nu - 2.0)) / mean_abs**2
    variances = np.full(len(VOL_TAUS_H), 0.05)
    for _ in range(40):  # c(0) stands on both sides
        covariance = np.log1p(np.clip(found, 0.0, None) * (kappa * np.exp(variances.sum()) - 1.0))
        basis = np.exp(-lags[:, None] / np.array(VOL_TAUS_H)[None, :])
        variances = 0.5 * variances + 0.5 * np.clip(optimize.nnls(basis, covariance)[0], 0.0, 0.6)
    return {
        "hourly_vol": round(float(log_return.std()), 6),
        "student_nu": nu,
        "vol_parts": [[round(float(v), 4), tau] for v, tau in zip(variances, VOL_TAUS_H, strict=True)],
        "vol_by_hour_utc": np.round(by_hour, 3).tolist(),
        "vol_by_weekday": np.round(by_day, 3).tolist(),
        "jumps_per_day": round(24.0 * float(is_jump.mean()), 4),
        "jump_mean": round(float(jumps.mean()), 5) if len(jumps) else 0.0,
        "jump_std": round(float(jumps.std()), 5) if len(jumps) > 1 else 0.0,
    }


def _fit_network(log_difficulty: FloatArray, at: npt.NDArray[np.int64], log_price: FloatArray) -> dict[str, Any]:
    """Fit the growth of the network by retargets at steps `at`, and its answer to the price by ridge regression."""
    change = log_difficulty[at] - log_difficulty[at - 1]
    hour = at // STEPS_PER_HOUR
    rows = np.array(
        [[log_price[max(h - 24 * a, 0)] - log_price[max(h - 24 * b, 0)] for a, b in PRICE_LAGS_D] for h in hour]
    )
    design = np.column_stack([np.ones(len(rows)), rows])
    # Few epochs say little: the prior is no answer, with the weight of a dozen epochs.
    penalty = np.diag([0.0, *[12.0 * float(rows.var())] * rows.shape[1]])
    beta = np.linalg.solve(design.T @ design + penalty, design.T @ change)
    luck_var = 2.0 / 2016.0
    return {
        "hashrate_growth_per_epoch": round(float(beta[0]), 5),
        "hashrate_std_per_epoch": round(float(np.sqrt(max(change.var() - luck_var, 1e-5))), 5),
        "hashrate_of_price": np.round(beta[1:], 4).tolist(),
    }


def _fit_fees(fee_share: FloatArray, days: pd.DatetimeIndex, coin: dict[str, Any]) -> dict[str, Any]:
    logit = special.logit(np.clip(fee_share, 1e-5, 0.95))
    medians = {
        int(y): round(float(np.median(fee_share[days.year == y])), 5)
        for y in np.unique(days.year)
        if (days.year == y).sum() > 60
    }
    middle = pd.Series(logit).groupby(np.asarray(days.year)).transform("median").to_numpy()
    rest = logit - middle
    calm = rest[np.abs(rest) < np.quantile(np.abs(rest), 0.95)]
    return {
        "fee_median_by_year": dict(sorted({**coin["fee_median_by_year"], **medians}.items())),
        "fee_logit_std": round(float(calm.std()), 4),
        "fee_ar1_daily": round(float(np.clip(autocorrelation(rest, 1), 0.3, 0.99)), 4),
    }


class _Flow(yaml.SafeDumper):
    """Writes lists in one line, dictionaries of dictionaries in many."""


_Flow.add_representer(list, lambda d, x: d.represent_sequence("tag:yaml.org,2002:seq", x, flow_style=True))


def dump(content: dict[str, Any]) -> str:
    """Return a region as YAML."""
    return yaml.dump(content, Dumper=_Flow, sort_keys=False, width=10_000)
