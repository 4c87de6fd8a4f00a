"""The intervals of the paper on latent reweighting, and those of a rank correlation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from pseudodensity.report.statistics import CONFIDENCE, Mean

__all__ = ["LEVEL", "correlation_interval", "half_width", "mean_of"]

LEVEL = 0.97


def half_width(values: np.ndarray) -> float:
    """Half of the 97 % t-interval of independent values (n,); NaN for less than two."""
    if len(values) < 2:
        return np.nan
    return float(_quantile(len(values)) * values.std(ddof=1) / np.sqrt(len(values)))


def mean_of(line: Mapping[str, Any], score: str, count: int) -> Mean:
    """A mean of `count` values that a table gives with `half_width`, as ``score`` and ``score_ci97``."""
    value, half = float(line[score]), float(line[f"{score}_ci97"])
    return Mean(value, half / _quantile(count) if count > 1 else np.nan, count)


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


def _quantile(count: int) -> float:
    return float(stdtrit(count - 1, 0.5 + LEVEL / 2))
