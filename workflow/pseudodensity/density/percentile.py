"""Percentiles of a data set's densities: the threshold tau at one, and the percentile of an image.

The two are one definition read in both directions: for every p of at most two decimals, an image
has a percentile >= p exactly when its density is >= the threshold at p, also among equal densities.
"""

import numpy as np

# What can be told apart: the percents that a config names and a table prints.
_PERCENTS = np.arange(10_001) / 100


def threshold(labels: np.ndarray, percent: float) -> float:
    """tau at a percentile of the densities `labels` (N,): sorted(labels)[int(p N)].

    The convention of the paper's code; 100 gives the largest label.
    ValueError: no labels, or a percent outside 0..100.
    """
    if not 0 <= percent <= 100:
        raise ValueError(f"a threshold is a percentage in 0..100, got {percent}")
    return float(_sorted(labels)[_rank(percent, len(labels))])


def percentile(labels: np.ndarray, densities: np.ndarray) -> np.ndarray:
    """Percentile of each of `densities` (m,) among `labels` (N,): (m,) float64, two decimals.

    The largest percent p, in hundredths, whose threshold the density reaches: 100 for the densest
    of the labels. A density below all labels reaches no threshold, and has 0.
    ValueError: no labels.
    """
    reached = np.searchsorted(_sorted(labels), densities, side="right")
    # Percents rise with their ranks: those of rank < reached come first.
    ranks = _rank(_PERCENTS, len(labels))
    return _PERCENTS[np.maximum(np.searchsorted(ranks, reached) - 1, 0)]


def _rank(percent: float | np.ndarray, count: int) -> np.ndarray:
    """Place of a percentile among `count` sorted labels, from 0."""
    return np.minimum((np.asarray(percent) / 100 * count).astype(np.int64), count - 1)


def _sorted(labels: np.ndarray) -> np.ndarray:
    if len(labels) == 0:
        raise ValueError("there are no densities to take a percentile of")
    return np.sort(labels)
