"""What a hash is worth: subsidy, difficulty and hashprice."""

from typing import Final

import numpy as np
import numpy.typing as npt

from .constants import HASHES_PER_DIFFICULTY, SECONDS_PER_DAY, TERAHASH

FloatArray = npt.NDArray[np.float64]

INITIAL_SUBSIDY_BTC: Final = 50.0  # source as below
HALVING_INTERVAL_BLOCKS: Final = 210_000
"""Source: Bitcoin Core, `GetBlockSubsidy` and `CMainParams`."""

TERAHASH_PER_PETAHASH: Final = 1000.0  # by definition

KNOWN_HALVINGS_UTC: Final = ("2012-11-28T15:24:38", "2016-07-09T16:46:13", "2020-05-11T19:23:43", "2024-04-20T00:09:27")
"""Header times of blocks 210,000, 420,000, 630,000 and 840,000. Source: the Bitcoin block chain."""

NEXT_HALVINGS_UTC: Final = ("2028-04-17T00:00:00", "2032-04-01T00:00:00")
"""assumed: 210,000 blocks of ten minutes after the one before, less the drift of past epochs."""


def subsidy_btc(height: int) -> float:
    """Return the block subsidy at a height: 50 BTC, halved every 210,000 blocks. [BTC]"""
    if height < 0:
        raise ValueError(f"height is {height}; a block height is 0 or more")
    return INITIAL_SUBSIDY_BTC / 2.0 ** (height // HALVING_INTERVAL_BLOCKS)


def subsidy_btc_at(times_utc: npt.NDArray[np.datetime64]) -> FloatArray:
    """Return the block subsidy at each time, by the halvings known and expected. [BTC], shape of `times_utc`."""
    halvings = np.array(KNOWN_HALVINGS_UTC + NEXT_HALVINGS_UTC, dtype="datetime64[s]")
    count = np.searchsorted(halvings, times_utc.astype("datetime64[s]"), side="right")
    return np.asarray(INITIAL_SUBSIDY_BTC / np.exp2(count), dtype=np.float64)


def hashprice_usd_per_ph_day(
    coin_price_usd: FloatArray, difficulty: FloatArray, block_subsidy_btc: FloatArray, fee_share: FloatArray
) -> FloatArray:
    """Return the expected revenue of a petahash per second over a day. [USD/(PH/s)/day], broadcast shape.

    H = 10^15 · 86400 / (D · 2^32) · reward · price, with reward = subsidy / (1 - fee share).

    Args:
        coin_price_usd: Price of a coin. [USD]
        difficulty: Network difficulty, above 0.
        block_subsidy_btc: Subsidy of a block. [BTC]
        fee_share: Fees as a share of the block's whole reward, in [0, 1).

    Source:
        Expected hashes per block D·2^32 (Bitcoin Core, `GetBlockProof`); Luxor's definition of hashprice.
    """
    hashes_per_day = TERAHASH * TERAHASH_PER_PETAHASH * SECONDS_PER_DAY
    reward_btc = block_subsidy_btc / (1.0 - fee_share)
    return np.asarray(hashes_per_day / (difficulty * HASHES_PER_DIFFICULTY) * reward_btc * coin_price_usd)


RETARGET_TIMESPAN_S: Final = 14 * SECONDS_PER_DAY
RETARGET_CLAMP: Final = 4.0
"""Source: Bitcoin Core, `CalculateNextWorkRequired`, src/pow.cpp."""


def retarget(difficulty: float, actual_timespan_s: float) -> float:
    """Return the difficulty after an epoch of 2016 blocks.

    Args:
        difficulty: Difficulty of the ended epoch.
        actual_timespan_s: Time from the epoch's first to its last block, which are 2015 intervals; taken within a
            quarter and four times two weeks. [s]

    Source:
        Bitcoin Core, `CalculateNextWorkRequired`, src/pow.cpp.
    """
    low, high = RETARGET_TIMESPAN_S / RETARGET_CLAMP, RETARGET_TIMESPAN_S * RETARGET_CLAMP
    return difficulty * RETARGET_TIMESPAN_S / min(max(actual_timespan_s, low), high)
