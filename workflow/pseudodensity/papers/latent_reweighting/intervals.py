"""The intervals of the paper on latent reweighting."""

from __future__ import annotations

import numpy as np
from scipy.special import stdtrit

__all__ = ["LEVEL", "half_width"]

LEVEL = 0.97


def half_width(values: np.ndarray) -> float:
    """Half of the 97 % t-interval of independent values (n,); NaN for less than two."""
    if len(values) < 2:
        return np.nan
    quantile = stdtrit(len(values) - 1, 0.5 + LEVEL / 2)
    return float(quantile * values.std(ddof=1) / np.sqrt(len(values)))
