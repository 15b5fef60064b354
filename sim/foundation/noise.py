"""Noise as a pure function of a key: no generator, no state, the same on every thread and in every batch.

Source: S. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014 (SplitMix64),
used as a counter-based generator in the sense of J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from typing import Final

import numpy as np

from .jit import kernel

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)
_SHIFT_30: Final = np.uint64(30)
_SHIFT_27: Final = np.uint64(27)
_SHIFT_31: Final = np.uint64(31)
_SHIFT_11: Final = np.uint64(11)
_SHIFT_16: Final = np.uint64(16)
_SHIFT_32: Final = np.uint64(32)
_SHIFT_48: Final = np.uint64(48)
_MASK_16: Final = np.uint64(0xFFFF)
_TWO_POW_MINUS_53: Final = 1.0 / 9007199254740992.0
_TWO_POW_MINUS_16: Final = 1.0 / 65536.0
_PER_SUM_OF_FOUR_STD: Final = 1.7320508075688772
"""One over the standard deviation of the sum of four uniforms on [0, 1), exactly sqrt(12/4)."""

STREAM_START: Final = np.uint64(1)
STREAM_SERIES: Final = np.uint64(2)
STREAM_CHIP_SENSOR: Final = np.uint64(3)
STREAM_POWER_SENSOR: Final = np.uint64(4)
STREAM_HASHRATE_SENSOR: Final = np.uint64(5)
STREAM_PEAK: Final = np.uint64(6)
STREAM_ROUGHNESS: Final = np.uint64(7)
STREAM_POWER_DEV: Final = np.uint64(8)
STREAM_HASHRATE_DEV: Final = np.uint64(9)
STREAM_SINK_DEV: Final = np.uint64(10)


@kernel
def mix(value: np.uint64) -> np.uint64:
    """Return the SplitMix64 finaliser of a 64-bit word."""
    value = (value ^ (value >> _SHIFT_30)) * _MIX_1
    value = (value ^ (value >> _SHIFT_27)) * _MIX_2
    return value ^ (value >> _SHIFT_31)


@kernel
def combine(key: np.uint64, word: np.uint64) -> np.uint64:
    """Return a new key from a key and a word; neighbouring words give unrelated keys."""
    # From Python an unsigned word comes back as a signed one, whose shifts would keep the sign.
    return mix(np.uint64(key) ^ mix(np.uint64(word) + _GOLDEN))


@kernel
def episode_key(seed: np.uint64, episode: np.uint64) -> np.uint64:
    """Return the key of one episode of one environment."""
    return combine(combine(_GOLDEN, seed), episode)


@kernel
def uniform(step_key: np.uint64, stream: np.uint64) -> float:
    """Return a uniform draw on [0, 1) for a stream of a step, whose key is `combine(episode's key, step)`."""
    return float(combine(step_key, stream) >> _SHIFT_11) * _TWO_POW_MINUS_53


@kernel
def bell(step_key: np.uint64, stream: np.uint64) -> float:
    """Return a bell-shaped draw of mean 0 and standard deviation 1, bounded by ±3.47.

    The sum of four 16-bit uniforms from one word (Irwin-Hall, n = 4): a sensor's noise without its
    unphysical tails, at the cost of one hash.
    """
    word = combine(step_key, stream)
    low = (word & _MASK_16) + ((word >> _SHIFT_16) & _MASK_16)
    high = ((word >> _SHIFT_32) & _MASK_16) + (word >> _SHIFT_48)
    return ((float(low + high) + 2.0) * _TWO_POW_MINUS_16 - 2.0) * _PER_SUM_OF_FOUR_STD
