"""Pools: how they pay for hashes, what they keep, and what changing between them costs."""

import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..foundation.checks import require, require_fraction
from ..foundation.constants import CONTROL_STEP_S, HASHES_PER_DIFFICULTY, SECONDS_PER_DAY, SECONDS_PER_HOUR, TERAHASH
from ..history.history import History
from .coins import COINS, Coin, coin_hashprice

FloatArray = npt.NDArray[np.float64]

SCHEMES: Final = ("fpps", "pps+", "pplns", "solo")
"""fpps: subsidy and fees by expectation; pps+: subsidy by expectation, fees by the blocks found; pplns: all by the blocks found,
over a window of past shares; solo: all by the blocks that the site finds itself. Hashes are booked when they are made, at what
they will be paid: the luck of the window after them. When the cash comes is not modelled."""

MOST_MARKETS: Final = 6
"""Markets that a site may choose among. chosen: size of a field of the state."""

STEPS_PER_DAY: Final = SECONDS_PER_DAY / CONTROL_STEP_S

QUANTITIES: Final = ("fee_frac", "uptime_frac", "latency_ms", "stale_frac", "bonus_frac")
"""Quantities of a pool that a history may carry as series, in columns `pool_NAME_QUANTITY`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A mining pool. What a history carries as `pool_NAME_QUANTITY` replaces the constant of that name."""

    name: str = "pool"
    scheme: str = "fpps"
    fee_frac: float = 0.02
    """Source: 2 % FPPS (Okminer help page)."""
    stale_frac: float = 0.002
    """Stale and rejected shares at reference latency. Source: 0.11-0.20 % in live telemetry (256foundation/asic-rs)."""
    latency_ms: float = 40.0
    """Round trip to the pool. Source: 38 ms in the same telemetry."""
    uptime_frac: float = 1.0
    bonus_frac: float = 0.0
    """Payout on top, as from transactions that miners are paid for outside the chain."""
    network_share: float = 0.1
    """Share of the network's blocks that the pool finds: the smaller, the rougher its luck. assumed; Source of the range: 5-30 %
    of blocks each, 2025-2026, of the six largest."""
    window_h: float = 8.0
    """Mean age of the shares that a PPLNS pool pays for, and so the time over which what it pays follows a change. [h] assumed."""
    switching_loss_frac: float = 0.02
    """Hashes lost when a pool of several coins changes between them. assumed."""
    seed: int = 0
    """Seed of the pool's luck; pools of other names have other luck."""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        require(self.scheme in SCHEMES, "Pool", "scheme", self.scheme, f"one of {', '.join(SCHEMES)}")
        require_fraction(self, "fee_frac", "stale_frac", "uptime_frac", "switching_loss_frac")
        require(0.0 < self.network_share <= 1.0, "Pool", "network_share", self.network_share, "in (0, 1]")
        for name in ("latency_ms", "bonus_frac"):
            require(getattr(self, name) >= 0.0, "Pool", name, getattr(self, name), "0 or more")
        ok = isinstance(self.seed, int) and self.seed >= 0
        require(ok, "Pool", "seed", self.seed, "a whole number, 0 or more")
        require(self.window_h > 0.0, "Pool", "window_h", self.window_h, "above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """Where hashes can be sold: one coin, a merged pair, or several coins among which the pool switches, at one pool."""

    coins: tuple[str, ...] = ("btc",)
    pool: Pool = Pool()
    switch_s: float = 120.0
    """Time without paid hashes after a change to this market: machines restart their miner. [s] assumed: a restart of the mining process."""

    def __post_init__(self) -> None:
        """Check coins; raises BadInputError."""
        require(isinstance(self.coins, tuple), "Market", "coins", self.coins, "a list of coins")
        require(len(self.coins) >= 1, "Market", "coins", self.coins, "one coin or more")
        for coin in self.coins:
            parts = str(coin).split("+")
            known = all(part in COINS for part in parts) and len(set(parts)) == len(parts)
            require(known, "Market", "coins", coin, f"of {', '.join(COINS)}, or a sum like ltc+doge")
            merged = len(parts) == 1 or COINS[parts[0]].algorithm == "scrypt"
            require(merged, "Market", "coins", coin, "coins that are mined merged: ltc+doge")
        require(len(self.algorithms) == 1, "Market", "coins", self.coins, "of one algorithm")
        require(self.switch_s >= 0.0, "Market", "switch_s", self.switch_s, "0 or more")

    @property
    def algorithms(self) -> set[str]:
        """Algorithms of its coins: one."""
        return {COINS[part].algorithm for coin in self.coins for part in coin.split("+")}

    @property
    def name(self) -> str:
        """Name in tables: coins and pool."""
        return f"{'|'.join(self.coins)}@{self.pool.name}"


def usual_market(algorithm: str) -> Market:
    """Return the market that machines of an algorithm are made for: Bitcoin, or Litecoin and Dogecoin merged."""
    return Market() if algorithm == "sha256" else Market(coins=("ltc+doge",))


_REFERENCE_MS: Final = 40.0
"""Delay at which `stale_frac` was measured. Source: as Pool.latency_ms."""


def paid_frac(pool: Pool, history: History, spacing_s: float) -> FloatArray:
    """Return what a pool pays of the expected value of hashes, before luck, (n_steps,).

    Work is stale for as long as the news of a block is under way: each millisecond is a share of the coin's spacing.
    """
    quantity = {name: _series(pool, name, history) for name in QUANTITIES}
    stale = quantity["stale_frac"] + (quantity["latency_ms"] - _REFERENCE_MS) / (1000.0 * spacing_s)
    kept = (1.0 - quantity["fee_frac"]) * (1.0 - np.clip(stale, 0.0, 1.0))
    return kept * quantity["uptime_frac"] * (1.0 + quantity["bonus_frac"])


def _series(pool: Pool, name: str, history: History) -> FloatArray:
    column = f"pool_{pool.name}_{name}"
    if column in history.frame:
        return history.frame[column].to_numpy(np.float64)
    return np.full(len(history.frame), float(getattr(pool, name)))


def luck(pool: Pool, n_steps: int, own_share: float, spacing_s: float, first_step: int) -> FloatArray:
    """Return blocks found over blocks expected in each step, of mean 1, (n_steps,).

    Blocks are a Poisson process: of the pool, or, solo, of the site's own share of the network at rated hashrate.

    Args:
        pool: The pool.
        n_steps: Number of steps.
        own_share: The site's share of the network.
        spacing_s: Time between the coin's blocks. [s]
        first_step: Number of the first step since 1970: a day has the same luck in every history.
    """
    share = own_share if pool.scheme == "solo" else pool.network_share
    expected = share * CONTROL_STEP_S / spacing_s
    name = zlib.crc32(pool.name.encode())
    per_day = int(STEPS_PER_DAY)
    days = range(first_step // per_day, (first_step + n_steps - 1) // per_day + 1)
    draws = [np.random.default_rng([pool.seed, name, day]).poisson(expected, per_day) for day in days]
    skipped = first_step % per_day
    return np.asarray(np.concatenate(draws)[skipped : skipped + n_steps] / expected)


def expected_usd_per_ph_day(market: Market, history: History) -> FloatArray:
    """Return what a petahash per second over a day is expected to earn at a market, after the pool, (n_steps,).

    A pool of several coins mines the one whose hashprice was highest a step ago, and loses a part where it changes.
    """
    values = np.stack([coin_hashprice(history, coin) for coin in market.coins])
    value = values[0]
    if len(values) > 1:
        best = np.argmax(values, axis=0)
        mined = np.concatenate([best[:1], best[:-1]])
        changed = np.concatenate([[False], mined[1:] != mined[:-1]])
        value = values[mined, np.arange(values.shape[1])] * np.where(
            changed, 1.0 - market.pool.switching_loss_frac, 1.0
        )
    return value * paid_frac(market.pool, history, _lead(market).spacing_s)


def realised_usd_per_ph_day(market: Market, history: History, rated_hashrate_ths: float) -> FloatArray:
    """Return what a petahash per second over a day earns at a market with the pool's luck, (n_steps,)."""
    expected = expected_usd_per_ph_day(market, history)
    scheme = market.pool.scheme
    if scheme == "fpps":
        return expected
    own_share = np.clip(rated_hashrate_ths / _network_ths(market, history), 1e-12, 1.0)
    first_step = int(history.start.timestamp() // CONTROL_STEP_S)
    found = luck(market.pool, len(expected), float(own_share), _lead(market).spacing_s, first_step)
    if scheme == "pplns":
        found = _over_window(found[::-1], market.pool.window_h)[::-1]
    if scheme != "pps+":
        return expected * found
    fee_share = history.frame[_lead(market).columns[2]].to_numpy(np.float64)
    return expected * (1.0 - fee_share + fee_share * found)


def _over_window(values: FloatArray, window_h: float) -> FloatArray:
    """Return the mean of each value and those before it, by weights that fade over the window, (n,)."""
    steps = window_h * SECONDS_PER_HOUR / CONTROL_STEP_S
    return np.asarray(pd.Series(values).ewm(alpha=1.0 - np.exp(-1.0 / steps)).mean())


def _lead(market: Market) -> Coin:
    """Return the coin whose blocks and network stand for a market."""
    return COINS[market.coins[0].split("+")[0]]


def _network_ths(market: Market, history: History) -> float:
    coin = _lead(market)
    difficulty = float(history.frame[coin.columns[1]].median())
    return difficulty * HASHES_PER_DIFFICULTY / coin.spacing_s / TERAHASH
