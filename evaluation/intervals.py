"""Confidence intervals: the one bootstrap behind every figure of the evaluation and of back-tests."""

from typing import Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

SAMPLES: Final = 10_000
CONFIDENCE: Final = 0.95
"""Of the intervals of all summaries. chosen: the usual ones; the error of the ends by resampling is a hundredth of the width."""


def interval(
    values: FloatArray, rng: np.random.Generator, scale: float = 1.0, years: IntArray | None = None
) -> dict[str, float]:
    """Return the mean and its bootstrap 95 % interval over episodes, as mean, lo and hi.

    Args:
        values: One value for each episode; for a comparison, the paired differences.
        rng: Draws the resamples; the same generator state gives paired resamples.
        scale: What the results are divided by. It is not resampled: a reference near 0 would make the ratio meaningless.
        years: Year of each episode, (n,); of several, years are drawn first and then episodes within each.
    """
    if years is not None and len(np.unique(years)) > 1:
        low, high = nested_bootstrap(values, years, rng)
    else:
        low, high = bootstrap(values, np.ones(len(values), np.int64), rng)
    return {"mean": float(values.mean()) / scale, "lo": low / scale, "hi": high / scale}


def block_interval(values: FloatArray, blocks: IntArray, rng: np.random.Generator) -> dict[str, float | None]:
    """Return the mean and its bootstrap 95 % interval where neighbouring values hang together: whole blocks are drawn.

    Args:
        values: The values, (n,).
        blocks: Number of the block of each, (n,), as the week it lies in.
        rng: Draws the resamples.

    Returns:
        mean, lo and hi; of one block nothing can be said, so that lo and hi are None.
    """
    _, index = np.unique(blocks, return_inverse=True)
    counts: IntArray = np.bincount(index)
    sums = np.bincount(index, values).astype(np.float64)
    low, high = bootstrap(sums, counts, rng) if len(counts) > 1 else (None, None)
    return {"mean": float(values.mean()), "lo": low, "hi": high}


def nested_bootstrap(values: FloatArray, years: IntArray, rng: np.random.Generator) -> tuple[float, float]:
    """Return the bootstrap 95 % interval of a mean: years are drawn with replacement, then episodes within each drawn year.

    Source:
        A. Davison, D. Hinkley, Bootstrap Methods and their Application, 1997, sec. 3.8 (hierarchical data).
    """
    _, index, counts = np.unique(years, return_inverse=True, return_counts=True)
    ordered, first = values[np.argsort(index, kind="stable")], np.concatenate([[0], np.cumsum(counts)[:-1]])
    n_years, n_episodes = len(counts), int(counts.max())
    means = np.empty(SAMPLES)
    for part in np.array_split(np.arange(SAMPLES), max(1, SAMPLES * n_years * n_episodes // _CHUNK)):
        picked = rng.integers(0, n_years, (len(part), n_years))
        within = (rng.random((len(part), n_years, n_episodes)) * counts[picked][..., None]).astype(np.int64)
        means[part] = ordered[first[picked][..., None] + within].mean(axis=(1, 2))
    low, high = np.quantile(means, [(1.0 - CONFIDENCE) / 2.0, (1.0 + CONFIDENCE) / 2.0])
    return float(low), float(high)


def over_seeds(values: FloatArray, years: IntArray, scale: float, seed: int = 0) -> dict[str, float]:
    """Return the interquartile mean over runs of training and its bootstrap 95 % interval: runs, years and episodes within each are drawn anew.

    Args:
        values: Of each run in each episode, (n_runs, n_episodes); the episodes are the same for all runs.
        years: Year of each episode, (n_episodes,).
        scale: What the results are divided by.
        seed: Of the draws.

    Source:
        R. Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice", NeurIPS 2021 (interquartile means, stratified
        bootstrap).
    """
    rng, n_runs = np.random.default_rng(seed), len(values)
    _, index = np.unique(years, return_inverse=True)
    ordered = values[:, np.argsort(index, kind="stable")]
    counts = np.bincount(index)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    means = np.empty(RUN_SAMPLES)
    for k in range(RUN_SAMPLES):
        drawn = rng.integers(0, len(counts), len(counts))
        within = [first[year] + rng.integers(0, counts[year], counts[year]) for year in drawn]
        of_run = ordered[:, np.concatenate(within)].mean(axis=1)
        means[k] = _interquartile(of_run[rng.integers(0, n_runs, n_runs)])
    low, high = np.quantile(means, [(1.0 - CONFIDENCE) / 2.0, (1.0 + CONFIDENCE) / 2.0]) / scale
    return {"iqm": float(_interquartile(values.mean(axis=1))) / scale, "lo": float(low), "hi": float(high)}


RUN_SAMPLES: Final = 4000
"""Resamples of runs, years and episodes. chosen: the ends of the interval err by a fiftieth of its width."""


def _interquartile(values: FloatArray) -> float:
    """Return the mean of the middle half of some values; of fewer than four, of all."""
    cut = len(values) // 4
    return float(np.sort(values)[cut : len(values) - cut].mean())


_CHUNK: Final = 2_000_000
"""Draws that are held at once. chosen: 16 MB."""


def bootstrap(sums: FloatArray, counts: IntArray, rng: np.random.Generator) -> tuple[float, float]:
    """Return the bootstrap 95 % interval of a mean over blocks that are drawn whole.

    Args:
        sums: Sum of the values of each block, (n_blocks,).
        counts: Number of values in each block, (n_blocks,).
        rng: Draws the resamples.

    Source:
        B. Efron, R. Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13 (percentile interval).
    """
    picks = rng.integers(0, len(counts), (SAMPLES, len(counts)))
    means = sums[picks].sum(axis=1) / counts[picks].sum(axis=1)
    low, high = np.quantile(means, [(1.0 - CONFIDENCE) / 2.0, (1.0 + CONFIDENCE) / 2.0])
    return float(low), float(high)
