"""What a hash is worth: coins, subsidies, difficulty and hashprice."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..foundation.constants import HASHES_PER_DIFFICULTY, SECONDS_PER_DAY, TERAHASH
from ..foundation.errors import BadInputError
from ..history.history import History

FloatArray = npt.NDArray[np.float64]

INITIAL_SUBSIDY: Final = 50.0
"""Coins of a block of Bitcoin, Bitcoin Cash and Litecoin before the first halving. Source: Bitcoin Core, `GetBlockSubsidy`."""

TERAHASH_PER_PETAHASH: Final = 1000.0  # by definition

KNOWN_HALVINGS_UTC: Final = ("2012-11-28T15:24:38", "2016-07-09T16:46:13", "2020-05-11T19:23:43", "2024-04-20T00:09:27")
"""Header times of blocks 210,000, 420,000, 630,000 and 840,000. Source: the Bitcoin block chain."""

NEXT_HALVINGS_UTC: Final = ("2028-04-17T00:00:00", "2032-04-01T00:00:00")
"""assumed: 210,000 blocks of ten minutes after the one before, less the drift of past epochs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coin:
    """A coin that machines mine: its algorithm, its columns in a history, its subsidy and spacing of blocks.

    halvings_utc: times at which the subsidy, first_subsidy coins at the start, was or will be halved.
    """

    algorithm: str
    prefix: str
    first_subsidy: float
    halvings_utc: tuple[str, ...]
    spacing_s: float

    def subsidy_at(self, times_utc: npt.NDArray[np.datetime64]) -> FloatArray:
        """Return the subsidy of a block at each time. [coins], shape of `times_utc`."""
        halvings = np.array(self.halvings_utc, dtype="datetime64[s]")
        count = np.searchsorted(halvings, times_utc.astype("datetime64[s]"), side="right")
        return np.asarray(self.first_subsidy / np.exp2(count), dtype=np.float64)

    @property
    def columns(self) -> tuple[str, str, str]:
        """Columns of a history with price [USD], difficulty and fees as a share of the block's reward."""
        price = f"{self.prefix}price_usd" if self.prefix else "coin_price_usd"
        return price, f"{self.prefix}difficulty", f"{self.prefix}fee_share"


COINS: Final = {
    "btc": Coin(
        algorithm="sha256", prefix="", first_subsidy=INITIAL_SUBSIDY, spacing_s=600.0,
        halvings_utc=KNOWN_HALVINGS_UTC + NEXT_HALVINGS_UTC,
    ),
    "bch": Coin(
        algorithm="sha256", prefix="bch_", first_subsidy=INITIAL_SUBSIDY, spacing_s=600.0,
        halvings_utc=("2012-11-28T15:24:38", "2016-07-09T16:46:13", "2020-04-08T12:18:00", "2024-04-04T00:00:00", "2028-03-29T00:00:00"),
    ),
    "ltc": Coin(
        algorithm="scrypt", prefix="ltc_", first_subsidy=INITIAL_SUBSIDY, spacing_s=150.0,
        halvings_utc=("2015-08-25T00:00:00", "2019-08-05T10:16:00", "2023-08-02T15:00:00", "2027-07-25T00:00:00"),
    ),
    "doge": Coin(algorithm="scrypt", prefix="doge_", first_subsidy=10_000.0, spacing_s=60.0, halvings_utc=()),
}  # fmt: skip
"""Source: Bitcoin Core, Bitcoin Cash Node, Litecoin Core and Dogecoin Core, chain parameters (210,000 blocks a halving; Litecoin
840,000; Dogecoin's subsidy is fixed since block 600,000); days of halvings from the chains; those to come are assumed."""

REFERENCE_HASHPRICE: Final = {"sha256": 50.0, "scrypt": 1.5e6}
"""Typical hashprice of an algorithm, for scales. [USD/(PH/s)/day] Source: shared calibration, 2024-2025, and, of scrypt, assumed: a
machine of 9.5 GH/s at 14 USD a day."""


def coin_hashprice(history: History, coin: str) -> FloatArray:
    """Return the expected revenue of hashing a coin, or coins merged with "+", over a history, (n_steps,). [USD/(PH/s)/day]

    Merged mining (AuxPoW) earns every coin of the sum with the same hashes.

    Raises:
        BadInputError: The coin is unknown, or the history lacks a column of it.
    """
    total = np.zeros(len(history.frame))
    times = pd.DatetimeIndex(history.frame.index).tz_localize(None).to_numpy()
    for name in coin.split("+"):
        if name not in COINS:
            raise BadInputError(f"no coin {name!r}; there are {', '.join(COINS)}, and sums like ltc+doge")
        columns = COINS[name].columns
        for column in columns:
            if column not in history.frame:
                raise BadInputError(f"coin {name!r} needs the column {column!r}; the history lacks it")
        price, difficulty, fee_share = (history.frame[column].to_numpy(np.float64) for column in columns)
        total += hashprice_usd_per_ph_day(price, difficulty, COINS[name].subsidy_at(times), fee_share)
    return total


def hashprice_usd_per_ph_day(
    coin_price_usd: FloatArray, difficulty: FloatArray, block_subsidy: FloatArray, fee_share: FloatArray
) -> FloatArray:
    """Return the expected revenue of a petahash per second over a day. [USD/(PH/s)/day], broadcast shape.

    H = 10^15 · 86400 / (D · 2^32) · reward · price, with reward = subsidy / (1 - fee share).

    Args:
        coin_price_usd: Price of a coin. [USD]
        difficulty: Network difficulty, above 0.
        block_subsidy: Subsidy of a block. [coins]
        fee_share: Fees as a share of the block's whole reward, in [0, 1).

    Source:
        Expected hashes per block D·2^32 (Bitcoin Core, `GetBlockProof`); Luxor's definition of hashprice.

    Examples:
        >>> price, difficulty, subsidy, fees = (np.array([x]) for x in (100_000.0, 1e14, 3.125, 0.02))
        >>> hashprice_usd_per_ph_day(price, difficulty, subsidy, fees).round(2)
        array([64.15])
    """
    hashes_per_day = TERAHASH * TERAHASH_PER_PETAHASH * SECONDS_PER_DAY
    reward = block_subsidy / (1.0 - fee_share)
    return np.asarray(hashes_per_day / (difficulty * HASHES_PER_DIFFICULTY) * reward * coin_price_usd)


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

    Examples:
        >>> retarget(100.0, 7 * 86400)  # blocks came twice as fast
        200.0
    """
    low, high = RETARGET_TIMESPAN_S / RETARGET_CLAMP, RETARGET_TIMESPAN_S * RETARGET_CLAMP
    return difficulty * RETARGET_TIMESPAN_S / min(max(actual_timespan_s, low), high)


RETARGET_BLOCKS: Final = 2016
"""Source: as above, `DifficultyAdjustmentInterval`."""


def difficulty_of_blocks(
    height: npt.NDArray[np.int64], time_s: FloatArray, first_difficulty: float
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Return the difficulty of each epoch that blocks show, from their header times by the consensus rule.

    Args:
        height: Heights of blocks that follow each other, (n,); the first epoch whose first block is among them is the
            first of the result.
        time_s: Header times, (n,); they may run backwards for a block or two. [s]
        first_difficulty: Difficulty of that epoch.

    Returns:
        Heights at which the epochs begin, and their difficulties, (n_epochs,) each. The time from an epoch's first to
        its last block covers 2015 intervals.

    Raises:
        BadInputError: Heights do not follow each other, or hold no whole epoch.
    """
    if len(height) < RETARGET_BLOCKS or (np.diff(height) != 1).any():
        row = int(np.flatnonzero(np.diff(height) != 1)[0]) + 1 if len(height) >= RETARGET_BLOCKS else len(height)
        raise BadInputError(
            f"blocks: heights must follow each other over {RETARGET_BLOCKS} or more; row {row} does not"
        )
    first = int(-height[0] % RETARGET_BLOCKS)
    starts, values = [int(height[first])], [first_difficulty]
    for at in range(first, len(height) - RETARGET_BLOCKS + 1, RETARGET_BLOCKS):
        span_s = float(time_s[at + RETARGET_BLOCKS - 1] - time_s[at])
        starts.append(int(height[at]) + RETARGET_BLOCKS)
        values.append(retarget(values[-1], span_s))
    return np.array(starts), np.array(values)
