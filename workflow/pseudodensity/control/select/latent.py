"""Acceptance of latents by their weights: rejection before the generator runs (latentRS, Algorithm 2).

min(w / m, 1) is budgeted rejection in latent space: a weight above m is accepted for certain, so the
share of such latents is part of every report.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    Values = np.ndarray | Tensor

__all__ = ["expected_latent_acceptance", "latent_log_acceptance", "share_above"]


def latent_log_acceptance(weights: Values, largest: float) -> Values:
    """log min(w / m, 1) of each latent, (N,) float64, -inf for a weight of 0.

    Array in, array out; tensor in, tensor out on the same device. ValueError: m not positive and
    finite; negative weights, NaN or infinity.
    """
    weights = _checked(weights, largest)
    if _is_tensor(weights):
        return (weights.log() - math.log(largest)).clamp(max=0)
    with np.errstate(divide="ignore"):
        return np.minimum(np.log(weights) - math.log(largest), 0)


def expected_latent_acceptance(weights: Values, largest: float) -> float:
    """E min(w / m, 1): 1 / m only if the mean of w is 1 and none exceeds m. Errors as above."""
    weights = _checked(weights, largest)
    return float((weights / largest).clip(max=1).mean())


def share_above(weights: Values, largest: float) -> float:
    """P(w > m): the latents whose weight the acceptance cuts. Errors as above."""
    above = _checked(weights, largest) > largest
    return int(above.sum()) / len(above)


def _checked(weights: Values, largest: float) -> Values:
    """In float64."""
    if not (largest > 0 and math.isfinite(largest)):
        raise ValueError(f"m must be positive and finite, got {largest}")
    weights = weights.detach().double() if _is_tensor(weights) else np.asarray(weights, np.float64)
    # NaN fails both comparisons.
    if not bool(((weights >= 0) & (weights < math.inf)).all()):
        raise ValueError(
            "weights must be finite and not negative: check the network they come from"
        )
    return weights


def _is_tensor(values: Any) -> bool:
    # Where torch was never imported nothing can be a tensor: tables may read this without it.
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(values, torch.Tensor)
