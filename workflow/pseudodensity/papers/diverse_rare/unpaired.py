"""The paper's test of two mean distances of pairs."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Welch", "unpaired_t"]


class Welch(NamedTuple):
    """t, and the two-sided p-value of "both means are one"."""

    t: float
    p: float


def unpaired_t(
    mean_1: float, deviation_1: float, n_1: int, mean_2: float, deviation_2: float, n_2: int
) -> Welch:
    """Welch's t-test of two means of n pairs each, whose deviations are those of single pairs.

    The paper tests LPIPS over 10,000 random pairs so (section 4.1). It takes pairs for independent,
    and pairs share images: p is too small. The honest interval is over repeats or references.
    deviation: with n - 1, as `pair_deviation` is. ValueError: fewer than 2 pairs, a negative deviation.
    """
    # Here, because it takes a second to import.
    from scipy.stats import ttest_ind_from_stats

    if min(n_1, n_2) < 2 or min(deviation_1, deviation_2) < 0:
        raise ValueError(
            f"a t-test needs 2 or more pairs and deviations of at least 0, got {n_1} and {n_2} pairs, "
            f"{deviation_1:g} and {deviation_2:g}"
        )
    found = ttest_ind_from_stats(
        mean_1, deviation_1, n_1, mean_2, deviation_2, n_2, equal_var=False
    )
    return Welch(float(found.statistic), float(found.pvalue))
