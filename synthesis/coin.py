"""Coins: prices of stochastic volatility with jumps, a network whose hashrate answers, retargets by the rule, fees with bursts.

Log-volatility is a sum of Ornstein-Uhlenbeck parts (Taylor 1986; Ghysels, Harvey, Renault 1996), innovations are Student t, jumps a
Poisson process (Merton 1976), and the hour of the week scales all. The network's hashrate follows past prices by the
regression of difficulty changes on them. Bitcoin leads; other coins share its returns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import signal, special

from ..sim.foundation.constants import CONTROL_STEP_S, SECONDS_PER_DAY, SECONDS_PER_HOUR
from ..sim.market.coins import COINS, RETARGET_BLOCKS, hashprice_usd_per_ph_day, retarget
from .scores import ou

FloatArray = npt.NDArray[np.float64]

STEPS_PER_HOUR: Final = int(SECONDS_PER_HOUR / CONTROL_STEP_S)
STEPS_PER_DAY: Final = 24 * STEPS_PER_HOUR

HOURS_PER_YEAR: Final = 8766.0  # by definition, of 365.25 days

SPACING_S: Final = COINS["btc"].spacing_s

PARITY_HALF_LIFE_D: Final = 2.0
"""Half-life at which the difficulty of a coin of Bitcoin's algorithm follows what makes a hash worth as much as at Bitcoin. [d] Source: Bitcoin
Cash's ASERT (upgrade of November 2020), half-life of two days; miners switch for the better coin within hours."""

OTHERS_FADE_D: Final = 90.0
"""Days over which another coin's departure from its level dies out. assumed."""

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
    hashrate_of_hashprice: float
    fee_logit_std: float
    fee_ar1_daily: float
    fee_bursts_per_year: float
    fee_burst_logit: float
    fee_burst_days: float
    fee_halving_logit: float
    fee_halving_days: float
    fee_halvings_utc: tuple[str, ...]
    fee_median_by_year: dict[int, float]
    hashprice_level: dict[str, float]
    difficulty_by_quarter: dict[str, float]
    others_vol: float
    others: dict[str, dict[str, float]]

    @property
    def published_until(self) -> pd.Timestamp:
        """End of the last quarter that has a published hashprice."""
        return pd.Timestamp(max(self.hashprice_level)).to_period("Q").end_time.tz_localize("UTC")

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
    if is_free:
        published = np.log(_difficulty_at(model, seconds[:1]))
        first = float(np.exp(_price_level(model, seconds[:1], published)[0]))
        drift = model.drift_per_year / HOURS_PER_YEAR
        log_price = np.log(first) + np.cumsum(log_return + drift - 0.5 * model.hourly_vol**2)
        difficulty, _ = _difficulty(model, seconds, log_price, rng)
        return Drawn(_held(np.exp(log_price), n_steps), difficulty, fee_share)
    difficulty, trend = _difficulty(model, seconds, None, rng)
    deviation = _fading(log_return, 1.0 / (24.0 * model.level_days))
    price = np.exp(_price_level(model, seconds, trend) + _held(deviation, n_steps))
    return Drawn(price, difficulty, fee_share)


def draw_others(
    model: CoinModel,
    names: Sequence[str],
    index: pd.DatetimeIndex,
    bitcoin_return: FloatArray,
    bitcoin: Drawn,
    rng: np.random.Generator,
) -> dict[str, Drawn]:
    """Draw other coins: they share Bitcoin's returns by their beta; a network answers to what its coins are worth.

    Coins of one algorithm that are mined together share one network. A coin that Bitcoin's machines can mine has the hashprice of
    Bitcoin's within days, by arbitrage: its difficulty follows that of parity. Difficulty of the others follows the coins' prices at a
    half-life of a month by the half, and retargets every three and a half days (Litecoin) or daily (others, which do it block by block).

    Args:
        model: The model.
        names: Coins.
        index: Steps, UTC.
        bitcoin_return: Hourly returns, those of `returns`.
        bitcoin: What was drawn of Bitcoin.
        rng: Generator of the draws.
    """
    n_steps, n_hours = len(index), len(bitcoin_return)
    days, hours = n_hours // 24 + 2, np.arange(n_hours)
    children = dict(zip((*names, "sha256", "scrypt"), rng.spawn(len(names) + 2), strict=True))
    prices, luck = {}, {}
    for name in names:
        spec, own = model.others[name], returns(model, index[0], n_hours, children[name])
        # The figures of a coin are of years in which Bitcoin's own volatility was `others_vol`; ratios to it are kept.
        rest = np.sqrt(max((spec["hourly_vol"] / model.others_vol) ** 2 - spec["beta"] ** 2, 0.0))
        prices[name] = _fading(spec["beta"] * bitcoin_return + rest * own, 1.0 / (24.0 * OTHERS_FADE_D))
        luck[name] = children[name].standard_normal(days)
    answer = {}
    for algorithm in ("sha256", "scrypt"):
        mined = [name for name in names if COINS[name].algorithm == algorithm]
        if mined:
            worth = np.interp(np.arange(days) * 24.0, hours, np.mean([prices[name] for name in mined], axis=0))
            slow = ou(children[algorithm].standard_normal(days), 1.0 / 60.0) * model.others[mined[0]]["hashrate_std"]
            answer[algorithm] = 0.5 * np.asarray(pd.Series(worth).ewm(halflife=30.0).mean()) + slow
    result = {}
    for name in names:
        spec = model.others[name]
        price_usd = _held(spec["price_usd"] * np.exp(prices[name]), n_steps)
        fee_share = np.full(n_steps, spec["fee_share"])
        if COINS[name].algorithm == COINS["btc"].algorithm:
            noise = 1.0 + spec["luck_std"] * np.repeat(luck[name], STEPS_PER_DAY)[:n_steps]
            result[name] = Drawn(price_usd, noise * _parity(name, index, price_usd, fee_share, bitcoin), fee_share)
            continue
        knots = np.arange(0.0, days, spec["retarget_days"])
        held = np.interp(knots, np.arange(days), answer[COINS[name].algorithm])
        values = spec["difficulty"] * np.exp(held) * (1.0 + spec["luck_std"] * luck[name][: len(knots)])
        position = np.searchsorted(knots, np.arange(n_steps) / STEPS_PER_DAY, side="right") - 1
        result[name] = Drawn(price_usd, values[position], fee_share)
    return result


def _parity(
    name: str, index: pd.DatetimeIndex, price_usd: FloatArray, fee_share: FloatArray, bitcoin: Drawn
) -> FloatArray:
    """Return the difficulty of a coin that follows the one at which a hash earns what it earns at Bitcoin, (n_steps,)."""
    times = index.tz_localize(None).to_numpy()
    own, lead = (COINS[coin].subsidy_at(times) for coin in (name, "btc"))
    at_one = hashprice_usd_per_ph_day(price_usd, np.ones(len(index)), own, fee_share)
    wanted = np.log(at_one / hashprice_usd_per_ph_day(bitcoin.price_usd, bitcoin.difficulty, lead, bitcoin.fee_share))
    return np.exp(np.asarray(pd.Series(wanted).ewm(halflife=PARITY_HALF_LIFE_D * STEPS_PER_DAY, adjust=False).mean()))


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
    halvings = pd.to_datetime(list(model.fee_halvings_utc), utc=True)
    logit = logit + _fading(
        np.asarray(np.isin(days, halvings) * model.fee_halving_logit, dtype=np.float64), 1.0 / model.fee_halving_days
    )
    day = (index.normalize() - days[0]) // pd.Timedelta(days=1)
    return np.asarray(special.expit(logit)[day.to_numpy()])


def _difficulty_at(model: CoinModel, seconds: FloatArray) -> FloatArray:
    """Return the published difficulty, interpolated in its logarithm, (n,)."""
    stamps = np.array(list(model.difficulty_by_quarter), dtype="datetime64[s]").astype(np.float64)
    return np.asarray(np.exp(np.interp(seconds, stamps, np.log(list(model.difficulty_by_quarter.values())))))


def _price_level(model: CoinModel, seconds: FloatArray, log_difficulty: FloatArray) -> FloatArray:
    """Return the log price at which the hashprice has its published level, interpolated in price between quarters.

    A halving therefore shows in the hashprice and not in the price. The published level is a quarter's mean: so is the
    subsidy that it is divided by.
    """
    stamps = np.array(list(model.hashprice_level), dtype="datetime64[s]")
    at = stamps.astype(np.float64)
    level = np.array(list(model.hashprice_level.values()), dtype=np.float64)
    # Where the drawn network leaves the published one, the price follows it.
    departure = np.interp(at, seconds, log_difficulty - np.log(_difficulty_at(model, seconds)))
    difficulty = np.log(_difficulty_at(model, at)) + departure
    years = np.array(sorted(model.fee_median_by_year))
    fee = np.interp(
        1970.0 + at / (365.25 * SECONDS_PER_DAY), years + 0.5, [model.fee_median_by_year[int(y)] for y in years]
    )
    days = np.timedelta64(1, "D") * np.arange(-45, 46)
    subsidy = np.mean([COINS["btc"].subsidy_at(stamps + day) for day in days], axis=0)
    one_dollar = hashprice_usd_per_ph_day(np.ones(len(at)), np.exp(difficulty), subsidy, fee)
    return np.interp(seconds, at, np.log(level / one_dollar))


def _difficulty(
    model: CoinModel, seconds: FloatArray, log_price: FloatArray | None, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return difficulty by the consensus rule from a network, and the log of its smooth trend, (n_steps,) each.

    With prices the network grows, answers to them, and slows where a hash earns less than at the start; without, it keeps to
    the published quarters, from which it departs for `level_days`.

    Args:
        model: The model.
        seconds: Steps since 1970. [s]
        log_price: Hourly log price from the first step on, or None.
        rng: Generator of the draws.
    """
    epoch_s, zero_s = RETARGET_BLOCKS * SPACING_S, seconds[0]
    fades = float(np.exp(-epoch_s / SECONDS_PER_DAY / model.level_days))
    start = float(_difficulty_at(model, seconds[:1])[0])
    starts, values, rates, departure = [zero_s - epoch_s * rng.random()], [start], [np.log(start)], 0.0
    while starts[-1] < seconds[-1] + CONTROL_STEP_S:
        shock = model.hashrate_std_per_epoch * rng.standard_normal()
        ends_s = starts[-1] + epoch_s
        if log_price is None:
            departure = fades * departure + shock
            rates.append(float(np.log(_difficulty_at(model, np.array([ends_s]))[0])) + departure)
        else:
            growth = model.hashrate_growth_per_epoch + _answer(model, log_price, ends_s - zero_s)
            rates.append(
                rates[-1] + growth + model.hashrate_of_hashprice * _worth(log_price, rates, ends_s, zero_s) + shock
            )
        luck = rng.gamma(RETARGET_BLOCKS - 1.0) / (RETARGET_BLOCKS - 1.0)
        span_s = epoch_s * values[-1] / np.exp(rates[-1]) * luck
        starts.append(starts[-1] + span_s)
        values.append(retarget(values[-1], span_s * (RETARGET_BLOCKS - 1.0) / RETARGET_BLOCKS))
    position = np.searchsorted(np.array(starts), seconds, side="right") - 1
    return np.array(values)[position], np.interp(seconds, np.array(starts), np.array(rates))


def _worth(log_price: FloatArray, rates: list[float], ends_s: float, zero_s: float) -> float:
    """Return the log of what a hash earns at the end of an epoch over what it earned at the start."""
    hour = int(np.clip((ends_s - zero_s) / SECONDS_PER_HOUR, 0, len(log_price) - 1))
    now, then = (
        COINS["btc"].subsidy_at(np.array([second], dtype="datetime64[s]"))[0] for second in (int(ends_s), int(zero_s))
    )
    return float(log_price[hour] - log_price[0] + np.log(now / then) - (rates[-1] - rates[0]))


def _answer(model: CoinModel, log_price: FloatArray, second: float) -> float:
    """Return the growth of hashrate in an epoch by the price changes before it."""
    hour = int(second / SECONDS_PER_HOUR)
    at = [float(log_price[np.clip(hour - 24 * lag, 0, len(log_price) - 1)]) for lag in (0, 14, 28, 56, 112)]
    return float(sum(b * (at[k] - at[k + 1]) for k, b in enumerate(model.hashrate_of_price)))
