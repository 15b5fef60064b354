"""Pools: how they pay for hashes, what they keep, and what changing between them costs."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from .constants import CONTROL_STEP_S, SECONDS_PER_DAY, SECONDS_PER_HOUR
from .errors import BadInputError
from .history import History
from .market import COINS, coin_hashprice
from .unit import require, require_fraction

FloatArray = npt.NDArray[np.float64]

SCHEMES: Final = ("fpps", "pps+", "pplns", "solo")
"""fpps: subsidy and fees by expectation; pps+: subsidy by expectation, fees by the blocks found; pplns: all by the blocks found,
over a window of past shares; solo: all by the blocks that the site finds itself."""

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
    """Mean age of the shares that a PPLNS pool pays for, and so the time over which payouts follow a change. [h] assumed."""
    switching_loss_frac: float = 0.02
    """Hashes lost when a pool of several coins changes between them. assumed."""
    payout_interval_h: float = 24.0
    """Source: daily payouts of FPPS pools."""
    payout_threshold_coins: float = 0.005
    """Smallest balance that is paid out. Source: usual default of large pools. [coins]"""
    seed: int = 0
    """Seed of the pool's luck."""

    def __post_init__(self) -> None:
        """Check ranges; raises BadInputError."""
        require(self.scheme in SCHEMES, "Pool", "scheme", self.scheme, f"one of {', '.join(SCHEMES)}")
        require_fraction(self, "fee_frac", "stale_frac", "uptime_frac", "switching_loss_frac")
        require(0.0 < self.network_share <= 1.0, "Pool", "network_share", self.network_share, "in (0, 1]")
        for name in ("latency_ms", "bonus_frac", "payout_threshold_coins"):
            require(getattr(self, name) >= 0.0, "Pool", name, getattr(self, name), "0 or more")
        for name in ("window_h", "payout_interval_h"):
            require(getattr(self, name) > 0.0, "Pool", name, getattr(self, name), "above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """Where hashes can be sold: one coin, a merged pair, or several coins among which the pool switches, at one pool."""

    coins: tuple[str, ...] = ("btc",)
    pool: Pool = Pool()
    switch_s: float = 120.0
    """Time without paid hashes after a change to this market: machines restart their miner. [s] assumed: a restart of the mining process."""

    def __post_init__(self) -> None:
        """Check coins; raises BadInputError."""
        require(len(self.coins) >= 1, "Market", "coins", self.coins, "one coin or more")
        for coin in self.coins:
            known = all(part in COINS for part in coin.split("+"))
            require(known, "Market", "coins", coin, f"of {', '.join(COINS)}, or a sum like ltc+doge")
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

    @property
    def release_frac(self) -> float:
        """Share of the hashes that wait for payout that is paid in a step: 1, or a window's of PPLNS."""
        if self.pool.scheme != "pplns":
            return 1.0
        return float(1.0 - np.exp(-CONTROL_STEP_S / (self.pool.window_h * SECONDS_PER_HOUR)))


def usual_market(algorithm: str) -> Market:
    """Return the market that machines of an algorithm are made for: Bitcoin, or Litecoin and Dogecoin merged."""
    return Market() if algorithm == "sha256" else Market(coins=("ltc+doge",))


_STALE_PER_MS: Final = 1.0 / 600_000.0
"""Stale share per millisecond of delay: a block every 600 s ends the work on the one before. Source: Bitcoin's target spacing."""
_REFERENCE_MS: Final = 40.0
"""Delay at which `stale_frac` was measured. Source: as Pool.latency_ms."""


def paid_frac(pool: Pool, history: History) -> FloatArray:
    """Return what a pool pays of the expected value of hashes, before luck, (n_steps,)."""
    quantity = {name: _series(pool, name, history) for name in QUANTITIES}
    stale = quantity["stale_frac"] + _STALE_PER_MS * (quantity["latency_ms"] - _REFERENCE_MS)
    kept = (1.0 - quantity["fee_frac"]) * (1.0 - np.clip(stale, 0.0, 1.0))
    return kept * quantity["uptime_frac"] * (1.0 + quantity["bonus_frac"])


def _series(pool: Pool, name: str, history: History) -> FloatArray:
    column = f"pool_{pool.name}_{name}"
    if column in history.frame:
        return history.frame[column].to_numpy(np.float64)
    return np.full(len(history.frame), float(getattr(pool, name)))


def luck(pool: Pool, n_steps: int, own_share: float) -> FloatArray:
    """Return blocks found over blocks expected in each step, of mean 1, (n_steps,).

    Blocks are a Poisson process: of the pool, or, solo, of the site's own share of the network at rated hashrate.

    Args:
        pool: The pool.
        n_steps: Number of steps.
        own_share: The site's share of the network.
    """
    share = own_share if pool.scheme == "solo" else pool.network_share
    expected = share * 144.0 / STEPS_PER_DAY
    draws = np.random.default_rng(np.random.SeedSequence([pool.seed, n_steps])).poisson(expected, n_steps)
    return np.asarray(draws / expected)


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
    return value * paid_frac(market.pool, history)


def realised_usd_per_ph_day(market: Market, history: History, rated_hashrate_ths: float) -> FloatArray:
    """Return what a petahash per second over a day earns at a market with the pool's luck, (n_steps,)."""
    expected = expected_usd_per_ph_day(market, history)
    scheme = market.pool.scheme
    if scheme == "fpps":
        return expected
    own_share = np.clip(rated_hashrate_ths / _network_ths(market, history), 1e-12, 1.0)
    found = luck(market.pool, len(expected), float(own_share))
    if scheme != "pps+":
        return expected * found
    fee_share = history.frame[COINS[market.coins[0].split("+")[0]].columns[2]].to_numpy(np.float64)
    return expected * (1.0 - fee_share + fee_share * found)


def _network_ths(market: Market, history: History) -> float:
    coin = COINS[market.coins[0].split("+")[0]]
    difficulty = float(history.frame[coin.columns[1]].median())
    return difficulty * 2.0**32 / coin.spacing_s / 1e12


def payouts(earned_coins: FloatArray, pool: Pool) -> FloatArray:
    """Return what a pool sends in each step: the balance, at the end of each payout interval, if it reaches the threshold.

    Args:
        earned_coins: Coins earned in each step, (n_steps,).
        pool: The pool.

    Raises:
        BadInputError: A value is negative or not finite.
    """
    if not (np.isfinite(earned_coins) & (earned_coins >= 0.0)).all():
        raise BadInputError("payouts: earned coins must be finite and 0 or more")
    every = max(1, round(pool.payout_interval_h * SECONDS_PER_HOUR / CONTROL_STEP_S))
    sent, balance = np.zeros(len(earned_coins)), 0.0
    for first in range(0, len(earned_coins) - every + 1, every):
        balance += float(earned_coins[first : first + every].sum())
        if balance >= pool.payout_threshold_coins:
            sent[first + every - 1], balance = balance, 0.0
    return sent
