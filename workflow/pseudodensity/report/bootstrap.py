"""The bootstrap: intervals of statistics that have no simple law, such as a difference of correlations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pseudodensity.report.statistics import CONFIDENCE, Estimate

__all__ = ["RESAMPLES", "bootstrap"]

RESAMPLES = 1000
SEED = 0


def bootstrap(statistic: Callable[[np.ndarray], np.ndarray], count: int) -> list[Estimate]:
    """Statistics of n independent rows with 95 % percentile intervals over them (Efron 1979).

    The same n gives the same resamples.

    Args:
        statistic: rows (n,) int64, with repetitions -> values (s,). All are of the same resamples, so that
            differences of them are paired.
        count: n.

    Returns: s estimates. p: twice the share of resamples on the rarer side of 0, not below 2 / (resamples + 1).
    NaN ends for fewer than 5 rows, or where a resample leaves a statistic undefined.
    """
    values = np.asarray(statistic(np.arange(count)), dtype=np.float64)
    if count < 5:
        return [Estimate(float(value)) for value in values]
    stream = np.random.Generator(np.random.Philox(key=SEED))
    drawn = np.stack([statistic(stream.integers(count, size=count)) for _ in range(RESAMPLES)])
    level = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [level, 1 - level], axis=0)
    sides = np.minimum((drawn <= 0).sum(0), (drawn >= 0).sum(0))
    p = np.minimum(2 * (sides + 1) / (RESAMPLES + 1), 1.0)
    p[np.isnan(low)] = np.nan
    ends = zip(values, low, high, p, strict=True)
    return [Estimate(*map(float, numbers)) for numbers in ends]
