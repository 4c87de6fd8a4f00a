"""The intervals of the paper on latent reweighting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import stdtrit

from pseudodensity.report.statistics import Mean

__all__ = ["LEVEL", "half_width", "mean_of"]

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


def _quantile(count: int) -> float:
    return float(stdtrit(count - 1, 0.5 + LEVEL / 2))
