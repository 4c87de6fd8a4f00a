"""Intervals of shares and of quantiles, which hold for every law of independent images."""

from __future__ import annotations

import numpy as np
from scipy.special import bdtr, betaincinv  # scipy.stats would take a second to import

from pseudodensity.report.statistics import CONFIDENCE

__all__ = ["quantile_interval", "share_interval"]

BEYOND = (1 - CONFIDENCE) / 2  # what either end may miss


def share_interval(hits: int, count: int) -> tuple[float, float]:
    """95 % interval of a probability from `hits` of `count` independent images (Clopper and Pearson 1934)."""
    low = betaincinv(hits, count - hits + 1, BEYOND) if hits else 0.0
    high = betaincinv(hits + 1, count - hits, 1 - BEYOND) if hits < count else 1.0
    return float(low), float(high)


def quantile_interval(values: np.ndarray, share: float, least: float) -> tuple[float, float]:
    """95 % interval of the quantile at `share` of the law of independent values (n,), between two of them.

    So many values lie below a quantile as a binomial number says. least: the least value that there can be,
    where too few are known for a lower end. The upper end is infinite where too few are known for it.
    """
    ordered, count = np.sort(values), len(values)
    below = bdtr(np.arange(count + 1, dtype=float), count, share)
    lower = int(np.searchsorted(below, BEYOND, side="right"))
    upper = int(np.searchsorted(below, 1 - BEYOND, side="left"))
    low = ordered[lower - 1] if lower else least
    return float(low), float(ordered[upper]) if upper < count else np.inf
