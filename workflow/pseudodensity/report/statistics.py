"""Intervals and tests that the tables share: Student's t, Welch's difference, Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit  # scipy.stats would take a second to import

__all__ = [
    "ANYWHERE",
    "CONFIDENCE",
    "Estimate",
    "Mean",
    "clipped",
    "difference",
    "holm",
    "log_ratio",
    "logarithm",
    "mean_from_interval",
    "paired",
    "t_interval",
]

CONFIDENCE = 0.95
ANYWHERE = (-np.inf, np.inf)


@dataclass(frozen=True)
class Estimate:
    """An effect with its 95 % interval and the two-sided p-value of "it is 0".

    low, high and p are NaN where the data allow no interval.
    """

    effect: float
    low: float = np.nan
    high: float = np.nan
    p: float = np.nan


def logarithm(ratio: Estimate) -> Estimate:
    """A ratio with its interval on the scale of log-ratios; its p is that of "it is 1"."""
    return Estimate(*np.log([ratio.effect, ratio.low, ratio.high]), ratio.p)


@dataclass(frozen=True)
class Mean:
    """A mean of independent values: its standard error and how many values it has.

    error is NaN where there is one value.
    """

    value: float
    error: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float] | np.ndarray) -> Mean:
        """From the values themselves, at least one."""
        sample = np.asarray(values, dtype=np.float64)
        error = sample.std(ddof=1) / np.sqrt(len(sample)) if len(sample) > 1 else np.nan
        return cls(float(sample.mean()), float(error), len(sample))


def mean_from_interval(value: float, low: float, high: float, count: int) -> Mean:
    """A mean that a table gives with the whole 95 % t-interval of `count` values, none of it cut.

    With fewer than two values, whatever stands as their interval was borrowed: no error is known.
    """
    if count < 2 or np.isnan(low):
        return Mean(float(value), np.nan, int(count))
    return Mean(float(value), float((high - low) / 2 / _quantile(count - 1)), int(count))


def _quantile(freedom: float) -> float:
    return float(stdtrit(freedom, 0.5 + CONFIDENCE / 2))


def t_interval(
    values: Sequence[float] | np.ndarray, bounds: tuple[float, float] = ANYWHERE
) -> tuple[float, float, float]:
    """Mean of n independent values with its 95 % Student-t interval: (mean, low, high).

    A single value has no interval: low and high are NaN. Without variance the interval is the
    mean itself. With `bounds`, the least and the greatest value that the quantity can have, the
    interval ends there: cut at what cannot be, it still covers the truth as often as it says.
    """
    found = paired(values)
    return found.effect, *clipped(found.low, found.high, bounds)


def clipped(low: float, high: float, bounds: tuple[float, float]) -> tuple[float, float]:
    """An interval within bounds; NaN stays NaN."""
    return float(np.clip(low, *bounds)), float(np.clip(high, *bounds))


def paired(differences: Sequence[float] | np.ndarray) -> Estimate:
    """One-sample t-test of independent differences, at least one, against 0."""
    mean = Mean.of(differences)
    return _estimate(mean.value, mean.error, mean.count - 1)


def difference(mean: Mean, reference: Mean) -> Estimate:
    """mean - reference of two independent samples: Welch's interval and test (Welch 1947)."""
    error = np.hypot(mean.error, reference.error)
    return _estimate(mean.value - reference.value, error, _welch_freedom(mean, reference))


def log_ratio(mean: Mean, reference: Mean) -> Estimate:
    """log(mean / reference) of two independent samples of positive numbers.

    The error of a logarithm is the relative error of its argument (delta method), the rest as in
    `difference`. NaN where a mean is not positive.
    """
    if not (mean.value > 0 and reference.value > 0):
        return Estimate(np.nan)
    logs = [Mean(np.log(x.value), x.error / x.value, x.count) for x in (mean, reference)]
    return difference(*logs)


def _welch_freedom(first: Mean, second: Mean) -> float:
    """Welch and Satterthwaite's degrees of freedom; NaN where a sample has one value."""
    if min(first.count, second.count) < 2:
        return np.nan
    variances = first.error**2, second.error**2
    total = sum(variances)
    if total == 0:
        return float(first.count + second.count - 2)
    parts = zip(variances, (first.count, second.count), strict=True)
    return total**2 / sum(variance**2 / (count - 1) for variance, count in parts)


def _estimate(effect: float, error: float, freedom: float) -> Estimate:
    if np.isnan(error) or np.isnan(freedom):
        return Estimate(float(effect))
    half = _quantile(freedom) * error
    if error > 0:
        p = 2 * float(stdtr(freedom, -abs(effect) / error))
    else:
        p = float(effect == 0)
    return Estimate(float(effect), float(effect - half), float(effect + half), p)


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjusted p-values (n,) of Holm's step-down correction (Holm 1979).

    Refusing what lies below a level makes one false refusal or more with at most that
    probability, whatever the tests have in common. NaN is no test, stays NaN and is not counted.
    """
    p = np.asarray(p_values, dtype=np.float64)
    tests = np.flatnonzero(~np.isnan(p))
    order = tests[np.argsort(p[tests], kind="stable")]
    stepped = p[order] * np.arange(len(order), 0, -1)
    adjusted = np.full(len(p), np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1) if len(order) else []
    return adjusted
