"""A synthetic history: made from published levels and fitted structure, seed by seed, and marked as synthetic."""

from importlib import resources
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import yaml
from scipy import signal, special

from .constants import CONTROL_STEP_S
from .errors import BadInputError
from .history import STEP, History
from .market import hashprice_usd_per_ph_day, retarget, subsidy_btc_at
from .psychrometrics import relative_humidity_pct

FloatArray = npt.NDArray[np.float64]

_HOUR: Final = 12
"""Steps in an hour."""

_PRICE_PARTS: Final = ((0.42, 2.5), (0.33, 24.0), (0.25, 720.0))
"""Variance and correlation time [h] of the parts of the latent price. Fitted by hand to the autocorrelations of
asinh(price/20) of ERCOT real time: 0.96 at 15 min, 0.84 at 1 h, 0.49 at 24 h, 0.36 at 7 d."""

_DAY_AHEAD_KNOWS: Final = (0.2, 0.85, 1.0)
"""Weight of each part in the day-ahead price, which has a part of its own besides: gives the measured correlation of
0.81 between the two."""

_DAY_AHEAD_OWN: Final = (0.15, 8.0)
"""Variance and correlation time [h] of the day-ahead price's own part. Chosen to meet its quantiles."""

_SPREAD: Final = 1.06
"""Widening of the hours' spread, which median and 95 % quantile alone understate. Chosen by hand to meet the quantiles."""

_LARGEST_SHOCK: Final = 12.0
"""Largest hourly innovation in standard deviations. Source: extremes 2021-2026, -7.2 % and +6.3 % at 0.57 %."""


def synthesize(region: str, start: str, end: str, seed: int) -> History:
    """Make a synthetic history.

    Args:
        region: A region of catalogue/regions.yaml.
        start: First day, ISO date, UTC.
        end: Day after the last, ISO date, UTC.
        seed: Seed of every draw.

    Raises:
        BadInputError: The region is unknown or the span is empty.
    """
    text = resources.files("hashgym.sim").joinpath("catalogue").joinpath("regions.yaml").read_text(encoding="utf-8")
    catalogue = yaml.safe_load(text)
    coin = catalogue.pop("coin")
    if region not in catalogue:
        raise BadInputError(f"no region {region!r}; there are {', '.join(catalogue)}")
    index = pd.date_range(start, end, freq=STEP, inclusive="left", tz="UTC")
    if len(index) < 2 * 24 * _HOUR:
        raise BadInputError(f"span {start}…{end} is shorter than two days (or empty)")
    weather_rng, price_rng, coin_rng = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(3))
    spec = catalogue[region]
    frame = pd.DataFrame(index=index)
    frame["outdoor_temp_c"], frame["relative_humidity_pct"] = _weather(index, spec, weather_rng)
    real_time, day_ahead = _prices(index, frame["outdoor_temp_c"].to_numpy(np.float64), spec, price_rng)
    frame["price_usd_per_mwh"], frame["day_ahead_price_usd_per_mwh"] = real_time, day_ahead
    frame["coin_price_usd"], frame["difficulty"], frame["fee_share"] = _coin(index, coin, coin_rng)
    return History(
        frame=frame,
        kind="synthetic",
        publication="after_interval",
        price_interval_s=spec["price_interval_s"],
        timezone=spec["timezone"],
        provenance=[{"generator": "hashgym.sim.synthesis", "region": region, "start": start, "end": end, "seed": seed}],
    )


def _ar1(noise: FloatArray, phi: float) -> FloatArray:
    """Return a stationary AR(1) series of unit variance from unit noise, (n,)."""
    scale = np.sqrt(1.0 - phi * phi)
    start = noise[:1] * (1.0 / scale - 1.0)
    shaped = noise.copy()
    shaped[:1] += start
    return np.asarray(signal.lfilter([scale], [1.0, -phi], shaped))


def _monthly(index: pd.DatetimeIndex, values: list[float]) -> FloatArray:
    """Return monthly values interpolated between mid-months over the year, (n,)."""
    day = index.dayofyear.to_numpy() + index.hour.to_numpy() / 24.0
    mid = (np.arange(-1, 13) + 0.5) * 365.25 / 12.0
    return np.interp(day, mid, np.array([values[-1], *values, values[0]]))


def _to_steps(hourly: FloatArray, n_steps: int) -> FloatArray:
    """Interpolate hourly values to steps, (n_steps,)."""
    return np.interp(np.arange(n_steps) / _HOUR, np.arange(len(hourly)), hourly)


def _weather(index: pd.DatetimeIndex, spec: dict[str, Any], rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Return dry bulb [°C] and relative humidity [%]: monthly and diurnal shape, weather systems, hourly noise."""
    n_steps = len(index)
    n_hours = n_steps // _HOUR + 2
    local = index.tz_convert(spec["timezone"])
    hour = (local.hour + local.minute / 60.0).to_numpy()
    mean_c = _monthly(local, spec["dry_bulb_monthly_c"])
    swing_c = 0.5 * _monthly(local, spec["diurnal_range_monthly_c"])
    diurnal = np.cos(2.0 * np.pi * (hour - spec["hour_of_max_temp"]) / 24.0)

    synoptic = _ar1(rng.standard_normal(n_hours), spec["residual_ar1_daily"] ** (1.0 / 24.0))
    local_noise = _ar1(rng.standard_normal(n_hours), spec["residual_ar1_hourly"])
    local_std_c = spec["hourly_noise_c"]
    month_std_c = _monthly(local, spec["residual_std_monthly_c"])
    system_std_c = np.sqrt(np.maximum(month_std_c**2 - local_std_c**2, 1.0))
    # Warm advection comes with a larger diurnal range; a bounded residual keeps records near the observed ones.
    residual = np.clip(_to_steps(synoptic, n_steps), -3.2, 2.6)
    dry_c = mean_c + swing_c * diurnal + system_std_c * residual + local_std_c * _to_steps(local_noise, n_steps)

    wet_gap_c = _monthly(local, spec["dry_bulb_monthly_c"]) - _monthly(local, spec["wet_bulb_monthly_c"])
    moisture = _ar1(rng.standard_normal(n_hours), spec["residual_ar1_daily"] ** (1.0 / 24.0))
    dew_c = (
        mean_c
        - 1.6 * wet_gap_c
        + spec["dew_point_std_c"] * _to_steps(moisture, n_steps)
        + 0.4 * system_std_c * residual
    )
    return dry_c, relative_humidity_pct(dry_c, np.minimum(dew_c, dry_c))


def _quantile_map(
    latent: FloatArray, probability: list[float], quantile_usd: list[float], low_usd: float, high_usd: float
) -> FloatArray:
    """Map a standard normal latent to prices through published quantiles, interpolated in asinh(price/20)."""
    scores = np.concatenate([[-5.0], special.ndtri(np.array(probability)), [5.0]])
    prices = np.arcsinh(np.array([low_usd, *quantile_usd, high_usd]) / 20.0)
    return 20.0 * np.sinh(np.interp(latent, scores, prices))


def _latent_of(price_usd: FloatArray, probability: list[float], quantile_usd: list[float]) -> FloatArray:
    """Return the latent score of prices inside the published quantiles."""
    return np.interp(
        np.arcsinh(price_usd / 20.0), np.arcsinh(np.array(quantile_usd) / 20.0), special.ndtri(np.array(probability))
    )


def _prices(
    index: pd.DatetimeIndex, temp_c: FloatArray, spec: dict[str, Any], rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return real-time and day-ahead prices [USD/MWh] by a Gaussian copula over published quantiles.

    The latent score has the hours' median and spread, a stress that rises with heat and cold, and parts that die out
    over hours, a day and a month. The day-ahead price knows the slow parts.
    """
    n_steps = len(index)
    quarter = spec["price_interval_s"] // int(CONTROL_STEP_S)
    n_quarters = n_steps // quarter + 1
    q_hours = spec["price_interval_s"] / 3600.0
    parts = np.stack(
        [
            np.sqrt(var) * _ar1(rng.standard_normal(n_quarters), float(np.exp(-q_hours / tau)))
            for var, tau in _PRICE_PARTS
        ]
    )
    stride = np.minimum(np.arange(n_quarters) * quarter, n_steps - 1)
    local = index.tz_convert(spec["timezone"])[stride]
    hour = local.hour.to_numpy()
    probability, quantile = spec["price_probability"], spec["price_quantile_usd"]
    middle = _latent_of(np.array(spec["price_median_by_hour_usd"], dtype=np.float64), probability, quantile)
    upper = _latent_of(np.array(spec["price_p95_by_hour_usd"], dtype=np.float64), probability, quantile)
    spread = _SPREAD * (upper - middle) / special.ndtri(0.95)
    stress = _stress(temp_c[stride], spec)

    own_var, own_tau = _DAY_AHEAD_OWN
    own = np.sqrt(own_var) * _ar1(rng.standard_normal(n_quarters), float(np.exp(-q_hours / own_tau)))

    def score(mixed: FloatArray) -> FloatArray:
        # The stress displaces a part of the variance: the published quantiles keep their shares over the year.
        combined = (mixed + stress) / np.sqrt(1.0 + float(np.var(stress)))
        return middle[hour] + spread[hour] * combined

    real_time = _quantile_map(
        score(parts.sum(axis=0)), probability, quantile, spec["price_low_usd"], spec["price_high_usd"]
    )
    known = np.tensordot(np.array(_DAY_AHEAD_KNOWS), parts, axes=1) + own
    known_var = own_var + sum(w * w * var for w, (var, _) in zip(_DAY_AHEAD_KNOWS, _PRICE_PARTS, strict=True))
    hourly = score(known / np.sqrt(known_var))
    per_hour = round(1.0 / q_hours)
    whole = len(hourly) // per_hour * per_hour
    hourly[:whole] = np.repeat(hourly[:whole].reshape(-1, per_hour).mean(axis=1), per_hour)
    day_ahead = _quantile_map(
        hourly, spec["day_ahead_probability"], spec["day_ahead_quantile_usd"], spec["day_ahead_low_usd"],
        spec["day_ahead_high_usd"],
    )  # fmt: skip
    return np.repeat(real_time, quarter)[:n_steps], np.repeat(day_ahead, quarter)[:n_steps]


def _stress(temp_c: FloatArray, spec: dict[str, Any]) -> FloatArray:
    """Return the latent stress of the grid by heat and cold, of mean 0."""
    heat = spec["heat_slope_per_k"] * np.maximum(0.0, temp_c - spec["hot_from_c"])
    cold = spec["cold_slope_per_k"] * np.maximum(0.0, spec["cold_from_c"] - temp_c)
    return heat + cold - float(np.mean(heat + cold))


def _coin(
    index: pd.DatetimeIndex, spec: dict[str, Any], rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return coin price [USD], difficulty and fee share; the hashprice follows its published quarterly level."""
    n_steps = len(index)
    n_hours = n_steps // _HOUR + 2
    difficulty, growth = _difficulty(n_steps, spec, rng)
    days = n_steps // (24 * _HOUR) + 2
    logit = spec["fee_logit_mean"] + spec["fee_logit_std"] * _ar1(rng.standard_normal(days), spec["fee_ar1_daily"])
    fee_share = special.expit(np.repeat(logit, 24 * _HOUR)[:n_steps])

    log_return = _garch(index[0], n_hours, spec, rng)
    # What the returns add to the level dies out slowly, so that the published level holds over quarters.
    decay = float(np.exp(-1.0 / (24.0 * spec["level_days"])))
    deviation = np.asarray(signal.lfilter([1.0], [1.0, -decay], log_return))
    seconds = index.as_unit("s").asi8.astype(np.float64)
    held = np.repeat(deviation, _HOUR)[:n_steps]
    return np.exp(np.interp(seconds, *_price_level(seconds, growth, spec)) + held), difficulty, fee_share


def _price_level(
    seconds: FloatArray, log_difficulty: FloatArray, spec: dict[str, Any]
) -> tuple[FloatArray, FloatArray]:
    """Return stamps [s] and the log coin price at which the hashprice has its published level there.

    The price is what is interpolated in between, so a halving shows in the hashprice and not in the price.
    """
    stamps = np.array(list(spec["hashprice_level"]), dtype="datetime64[s]")
    level = np.array(list(spec["hashprice_level"].values()), dtype=np.float64)
    first = float(seconds[0])
    slope = (log_difficulty[-1] - log_difficulty[0]) / (float(seconds[-1]) - first)
    at = stamps.astype(np.float64)
    beyond = slope * (at - np.clip(at, first, float(seconds[-1])))
    difficulty = np.exp(np.interp(at, seconds, log_difficulty) + beyond)
    typical_fee = np.full(len(at), special.expit(spec["fee_logit_mean"]))
    one_dollar = hashprice_usd_per_ph_day(np.ones(len(at)), difficulty, subsidy_btc_at(stamps), typical_fee)
    return at, np.log(level / one_dollar)


def _difficulty(n_steps: int, spec: dict[str, Any], rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Return difficulty by the consensus rule from a drifting network hashrate, and the log of its smooth trend."""
    epoch_s = 2016 * 600.0
    starts, values = [0.0], [float(spec["difficulty_start"])]
    log_rate = np.log(values[0])
    while starts[-1] < n_steps * CONTROL_STEP_S:
        log_rate += spec["difficulty_growth_per_epoch"] + spec["hashrate_noise_per_epoch"] * rng.standard_normal()
        luck = rng.gamma(2016.0) / 2016.0
        span_s = epoch_s * values[-1] / np.exp(log_rate) * luck
        starts.append(starts[-1] + span_s)
        values.append(retarget(values[-1], span_s * 2015.0 / 2016.0))
    seconds = np.arange(n_steps) * CONTROL_STEP_S
    position = np.searchsorted(np.array(starts), seconds, side="right") - 1
    middles = 0.5 * (np.array(starts)[1:] + np.array(starts)[:-1])
    trend = np.interp(seconds, middles, np.log(np.array(values)[:-1]))
    return np.array(values)[position], trend


def _garch(first: pd.Timestamp, n_hours: int, spec: dict[str, Any], rng: np.random.Generator) -> FloatArray:
    """Return hourly log returns: GARCH(1,1) with Student t innovations and an hour-of-week profile, (n_hours,)."""
    nu, alpha, beta = spec["student_nu"], spec["garch_alpha"], spec["garch_beta"]
    target = spec["hourly_vol"] ** 2
    shocks = np.clip(rng.standard_t(nu, n_hours) * np.sqrt((nu - 2.0) / nu), -_LARGEST_SHOCK, _LARGEST_SHOCK)
    variance, returns = target, np.empty(n_hours)
    for hour in range(n_hours):
        returns[hour] = np.sqrt(variance) * shocks[hour]
        variance = target * (1.0 - alpha - beta) + alpha * returns[hour] ** 2 + beta * variance
    stamps = pd.date_range(first, periods=n_hours, freq="h")
    profile = np.array(spec["vol_by_hour_utc"])[stamps.hour] * np.array(spec["vol_by_weekday"])[stamps.dayofweek]
    return returns * profile / float(np.sqrt(np.mean(profile**2)))
