"""Coins: prices of stochastic volatility with jumps, a network whose hashrate answers, retargets by the rule, fees with bursts.

Log-volatility is a sum of Ornstein-Uhlenbeck parts (Taylor 1986; Ghysels, Harvey, Renault 1996), innovations are Student t, jumps a
Poisson process (Merton 1976), and the hour of the week scales all. The network's hashrate follows past prices by the
regression of difficulty changes on them. Bitcoin leads; other coins share its returns.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import signal, special

from ..sim.constants import CONTROL_STEP_S, SECONDS_PER_DAY, SECONDS_PER_HOUR
from ..sim.market import (
    COINS,
    KNOWN_HALVINGS_UTC,
    NEXT_HALVINGS_UTC,
    RETARGET_BLOCKS,
    hashprice_usd_per_ph_day,
    retarget,
)
from .scores import ou

FloatArray = npt.NDArray[np.float64]

STEPS_PER_HOUR: Final = int(SECONDS_PER_HOUR / CONTROL_STEP_S)
STEPS_PER_DAY: Final = 24 * STEPS_PER_HOUR

PRICE_LAGS_D: Final = ((0, 14), (14, 28), (28, 56), (56, 112))
"""Spans before a retarget whose log price changes move the network's hashrate. [d]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoinModel:
    """Parameters of Bitcoin's price, network and fees; synthesis/coin.yaml says where each comes from."""

    hourly_vol: float
    student_nu: float
    vol_parts: tuple[tuple[float, float], ...]
    vol_by_hour_utc: tuple[float, ...]
    vol_by_weekday: tuple[float, ...]
    jumps_per_day: float
    jump_mean: float
    jump_std: float
    drift_per_year: float
    level_days: float
    hashrate_growth_per_epoch: float
    hashrate_std_per_epoch: float
    hashrate_of_price: tuple[float, ...]
    fee_logit_std: float
    fee_ar1_daily: float
    fee_bursts_per_year: float
    fee_burst_logit: float
    fee_burst_days: float
    fee_halving_logit: float
    fee_halving_days: float
    fee_median_by_year: dict[int, float]
    hashprice_level: dict[str, float]
    difficulty_by_quarter: dict[str, float]
    others: dict[str, dict[str, float]]

    @classmethod
    def parse(cls, entry: dict[str, Any]) -> "CoinModel":
        """Read the model from a YAML's content."""
        values: dict[str, Any] = {k: tuple(map(_plain, v)) if isinstance(v, list) else v for k, v in entry.items()}
        return cls(**values)


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def returns(model: CoinModel, first: pd.Timestamp, n_hours: int, rng: np.random.Generator) -> FloatArray:
    """Draw hourly log returns, (n_hours,)."""
    nu = model.student_nu
    shocks = rng.standard_t(nu, n_hours) * np.sqrt((nu - 2.0) / nu)
    log_vol = np.zeros(n_hours)
    for variance, tau_h in model.vol_parts:
        log_vol += np.sqrt(variance) * ou(rng.standard_normal(n_hours), 1.0 / tau_h)
    total = sum(variance for variance, _ in model.vol_parts)
    stamps = pd.date_range(first, periods=n_hours, freq="h")
    profile = np.array(model.vol_by_hour_utc)[stamps.hour] * np.array(model.vol_by_weekday)[stamps.dayofweek]
    profile = profile / np.sqrt(np.mean(profile**2))
    is_jump = rng.random(n_hours) < model.jumps_per_day / 24.0
    jumps = is_jump * (model.jump_mean + model.jump_std * rng.standard_normal(n_hours))
    jump_var = model.jumps_per_day / 24.0 * (model.jump_mean**2 + model.jump_std**2)
    body = np.sqrt(max(model.hourly_vol**2 - jump_var, 0.0))
    # exp(log_vol) has a mean square of exp(2 total): the body keeps its variance.
    return np.asarray(body * profile * np.exp(log_vol - total) * shocks + jumps)


@dataclass(frozen=True, slots=True)
class Drawn:
    """Price [USD], difficulty and fee share in each step, (n_steps,) each."""

    price_usd: FloatArray
    difficulty: FloatArray
    fee_share: FloatArray


def draw_bitcoin(
    model: CoinModel, index: pd.DatetimeIndex, log_return: FloatArray, rng: np.random.Generator, *, is_free: bool
) -> Drawn:
    """Draw Bitcoin over a span.

    Args:
        model: The model.
        index: Steps, UTC.
        log_return: Hourly returns, those of `returns`.
        rng: Generator of the draws.
        is_free: A random walk from the published level at the start on; else the hashprice keeps to the published
            quarters, from which the price departs for weeks.
    """
    n_steps = len(index)
    seconds = index.as_unit("s").asi8.astype(np.float64)
    fee_share = _fees(model, index, rng)
    start = _difficulty_at(model, seconds[0])
    if is_free:
        first = float(np.exp(_price_level(model, seconds[:1], np.log(np.full(1, start)))[0]))
        drift = model.drift_per_year / 8766.0
        price = first * np.exp(np.cumsum(log_return + drift - 0.5 * model.hourly_vol**2))
        difficulty, _ = _difficulty(model, n_steps, start, np.log(price), rng)
        return Drawn(_held(price, n_steps), difficulty, fee_share)
    difficulty, trend = _difficulty(model, n_steps, start, None, rng)
    decay = 1.0 / (24.0 * model.level_days)
    deviation = _fading(log_return, decay)
    price = np.exp(_price_level(model, seconds, trend) + _held(deviation, n_steps))
    return Drawn(price, difficulty, fee_share)


def draw_other(
    name: str, model: CoinModel, index: pd.DatetimeIndex, bitcoin_return: FloatArray, rng: np.random.Generator
) -> Drawn:
    """Draw another coin: it shares Bitcoin's returns by its beta; its network keeps it as profitable as its level says.

    Difficulty follows the price within days and retargets every three and a half days (Litecoin) or daily (others, which do
    it block by block).
    """
    spec, n_steps, n_hours = model.others[name], len(index), len(bitcoin_return)
    own = returns(model, index[0], n_hours, rng)
    own_vol = np.sqrt(max(spec["hourly_vol"] ** 2 - (spec["beta"] * model.hourly_vol) ** 2, 0.0)) / model.hourly_vol
    price = spec["price_usd"] * np.exp(_fading(spec["beta"] * bitcoin_return + own_vol * own, 1.0 / (24.0 * 90.0)))
    days = n_hours // 24 + 2
    slow = ou(rng.standard_normal(days), 1.0 / 60.0) * spec["hashrate_std"]
    daily = np.log(np.interp(np.arange(days) * 24.0, np.arange(n_hours), price) / spec["price_usd"])
    lagged = np.asarray(pd.Series(daily).ewm(halflife=30.0).mean())
    epoch_days = spec["retarget_days"]
    knots = np.arange(0.0, days, epoch_days)
    held = np.interp(knots, np.arange(days), 0.5 * lagged + slow)
    position = np.searchsorted(knots, np.arange(n_steps) / STEPS_PER_DAY, side="right") - 1
    luck = 1.0 + spec["luck_std"] * rng.standard_normal(len(knots))
    difficulty = spec["difficulty"] * np.exp(held)[position] * luck[position]
    fee = np.full(n_steps, spec["fee_share"])
    return Drawn(_held(price, n_steps), difficulty, fee)


def _held(hourly: FloatArray, n_steps: int) -> FloatArray:
    return np.repeat(hourly, STEPS_PER_HOUR)[:n_steps]


def _fading(steps: FloatArray, rate: float) -> FloatArray:
    """Return the sum of steps, each of which fades at a rate per step, (n,)."""
    return np.asarray(signal.lfilter([1.0], [1.0, -float(np.exp(-rate))], steps))


def _fees(model: CoinModel, index: pd.DatetimeIndex, rng: np.random.Generator) -> FloatArray:
    """Draw fees as a share of the block's reward, held for a day: a level by years, an AR(1), bursts, the halving's days."""
    days = pd.date_range(index[0].normalize(), periods=len(index) // STEPS_PER_DAY + 2, freq="D")
    years = np.array(sorted(model.fee_median_by_year))
    medians = special.logit(np.array([model.fee_median_by_year[int(year)] for year in years]))
    middle = np.interp(days.year + (days.dayofyear - 1) / 365.25, years + 0.5, medians)
    rate = -np.log(model.fee_ar1_daily)
    logit = middle + model.fee_logit_std * ou(rng.standard_normal(len(days)), rate)
    bursts = rng.random(len(days)) < model.fee_bursts_per_year / 365.25
    logit = logit + _fading(np.asarray(bursts * model.fee_burst_logit, dtype=np.float64), 1.0 / model.fee_burst_days)
    halvings = pd.to_datetime([*KNOWN_HALVINGS_UTC, *NEXT_HALVINGS_UTC], utc=True).normalize()
    logit = logit + _fading(
        np.asarray(np.isin(days, halvings) * model.fee_halving_logit, dtype=np.float64), 1.0 / model.fee_halving_days
    )
    day = (index.normalize() - days[0]) // pd.Timedelta(days=1)
    return np.asarray(special.expit(logit)[day.to_numpy()])


def _difficulty_at(model: CoinModel, second: float) -> float:
    stamps = np.array(list(model.difficulty_by_quarter), dtype="datetime64[s]").astype(np.float64)
    return float(np.exp(np.interp(second, stamps, np.log(list(model.difficulty_by_quarter.values())))))


def _price_level(model: CoinModel, seconds: FloatArray, log_difficulty: FloatArray) -> FloatArray:
    """Return the log price at which the hashprice has its published level, interpolated in price between quarters.

    A halving therefore shows in the hashprice and not in the price.
    """
    stamps = np.array(list(model.hashprice_level), dtype="datetime64[s]")
    at = stamps.astype(np.float64)
    level = np.array(list(model.hashprice_level.values()), dtype=np.float64)
    inside = (at >= seconds[0]) & (at <= seconds[-1])
    published = np.array([np.log(_difficulty_at(model, t)) for t in at])
    difficulty = np.where(inside, np.interp(at, seconds, log_difficulty), published)
    # Outside the span the drawn network is carried on in parallel to the published one.
    for side, edge in ((at < seconds[0], 0), (at > seconds[-1], -1)):
        difficulty[side] += log_difficulty[edge] - np.log(_difficulty_at(model, seconds[edge]))
    years = np.array(sorted(model.fee_median_by_year))
    fee = np.interp(
        1970.0 + at / (365.25 * SECONDS_PER_DAY), years + 0.5, [model.fee_median_by_year[int(y)] for y in years]
    )
    one_dollar = hashprice_usd_per_ph_day(np.ones(len(at)), np.exp(difficulty), COINS["btc"].subsidy_at(stamps), fee)
    return np.interp(seconds, at, np.log(level / one_dollar))


def _difficulty(
    model: CoinModel, n_steps: int, start: float, log_price: FloatArray | None, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return difficulty by the consensus rule from a network that grows, and the log of its smooth trend, (n_steps,) each.

    Args:
        model: The model.
        n_steps: Number of steps.
        start: Difficulty at the start.
        log_price: Hourly log price that the network answers to; None: none.
        rng: Generator of the draws.
    """
    epoch_s = RETARGET_BLOCKS * 600.0
    starts, values, rates = [-epoch_s * rng.random()], [start], [np.log(start)]
    while starts[-1] < n_steps * CONTROL_STEP_S:
        step = model.hashrate_growth_per_epoch + model.hashrate_std_per_epoch * rng.standard_normal()
        if log_price is not None:
            step += _answer(model, log_price, starts[-1])
        rates.append(rates[-1] + step)
        luck = rng.gamma(RETARGET_BLOCKS - 1.0) / (RETARGET_BLOCKS - 1.0)
        span_s = epoch_s * values[-1] / np.exp(rates[-1]) * luck
        starts.append(starts[-1] + span_s)
        values.append(retarget(values[-1], span_s * (RETARGET_BLOCKS - 1.0) / RETARGET_BLOCKS))
    seconds = np.arange(n_steps) * CONTROL_STEP_S
    position = np.searchsorted(np.array(starts), seconds, side="right") - 1
    trend = np.interp(seconds, np.array(starts), np.array(rates))
    return np.array(values)[position], trend


def _answer(model: CoinModel, log_price: FloatArray, second: float) -> float:
    """Return the growth of hashrate in an epoch by the price changes before it."""
    hour = int(second / SECONDS_PER_HOUR)
    at = [float(log_price[np.clip(hour - 24 * lag, 0, len(log_price) - 1)]) for lag in (0, 14, 28, 56, 112)]
    return float(sum(b * (at[k] - at[k + 1]) for k, b in enumerate(model.hashrate_of_price)))
