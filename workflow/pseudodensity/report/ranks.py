"""Statistics that depend on the order of values alone: medians, chances to exceed, rank correlations."""

from __future__ import annotations

import numpy as np
from scipy.special import bdtr, ndtr, ndtri

from pseudodensity.report.statistics import CONFIDENCE, Estimate, Mean, clipped, difference

__all__ = [
    "chance_to_exceed",
    "correlation_interval",
    "distance_of_laws",
    "median_interval",
    "rank_correlation",
]


def median_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Median of independent values (n,) with its 95 % interval between two of them: (median, low, high).

    It holds the median of any continuous law at least as often as it says (the sign test turned round). NaN
    ends for fewer than 6 values, which have no such interval.
    """
    ordered, count = np.sort(values), len(values)
    # Values below the median are as many as heads of a fair coin.
    beyond = int((bdtr(np.arange(count), count, 0.5) <= (1 - CONFIDENCE) / 2).sum())
    middle = float(np.median(ordered))
    if beyond == 0:
        return middle, np.nan, np.nan
    return middle, float(ordered[beyond - 1]), float(ordered[count - beyond])


def chance_to_exceed(values: np.ndarray, others: np.ndarray) -> Estimate:
    """How likely a value of one sample (n,) is to be greater than one of another (m,), ties counted half.

    The interval, within [0, 1], and the p-value of one half are those of Brunner and Munzel (2000). These know
    no variance where one sample lies above the other as a whole: there they are the exact ones (Clopper and
    Pearson 1934) of min(n, m) pairs without a common value, all of which tell the same.
    """
    placed, others_placed = _shares_below(values, others), _shares_below(others, values)
    chance = float(placed.mean())
    if chance in (0, 1):
        pairs, level = min(len(values), len(others)), (1 - CONFIDENCE) / 2
        ends = (level ** (1 / pairs), 1.0) if chance else (0.0, 1 - level ** (1 / pairs))
        return Estimate(chance, *ends, 0.5 ** (pairs - 1))
    spread = Mean(0.5, Mean.of(others_placed).error, len(others))
    found = difference(Mean.of(placed), spread)
    low, high = clipped(found.low + 0.5, found.high + 0.5, (0, 1))
    return Estimate(chance, low, high, found.p)


def _shares_below(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Of each value the share of the others that are smaller; equal ones count half."""
    ordered = np.sort(others)
    sides = [np.searchsorted(ordered, values, side) for side in ("left", "right")]
    return np.mean(sides, axis=0) / len(others)


def distance_of_laws(values: np.ndarray, others: np.ndarray) -> float:
    """Largest difference of the distribution functions of two samples (n,) and (m,), from 0 to 1
    (Kolmogorov and Smirnov)."""
    places = np.concatenate([values, others])
    shares = [np.searchsorted(np.sort(own), places, "right") / len(own) for own in (values, others)]
    return float(np.abs(shares[0] - shares[1]).max())


def rank_correlation(first: np.ndarray, second: np.ndarray) -> Estimate:
    """Spearman's rank correlation of n pairs, (n,) each, with `correlation_interval`. NaN where all values of
    one side are the same."""
    from scipy.stats import spearmanr  # two seconds that no other table need spend

    varied = min(len(np.unique(first)), len(np.unique(second))) > 1
    spearman = float(spearmanr(first, second).statistic) if varied else np.nan
    return Estimate(spearman, *correlation_interval(spearman, len(first)))


def correlation_interval(spearman: float, count: int) -> tuple[float, float, float]:
    """Low and high end of the 95 % interval of a rank correlation of `count` pairs, and the p-value of 0.

    Fisher's transformation with the variance of Bonett and Wright (2000), (1 + r^2 / 2) / (n - 3), and
    1 / (n - 3) under the null. NaN for fewer than 5 pairs.
    """
    if count < 5 or np.isnan(spearman):
        return np.nan, np.nan, np.nan
    centre = np.arctanh(np.clip(spearman, -1 + 1e-12, 1 - 1e-12))
    half = ndtri(0.5 + CONFIDENCE / 2) * np.sqrt((1 + spearman**2 / 2) / (count - 3))
    p = 2 * ndtr(-abs(centre) * np.sqrt(count - 3))
    return float(np.tanh(centre - half)), float(np.tanh(centre + half)), float(p)
