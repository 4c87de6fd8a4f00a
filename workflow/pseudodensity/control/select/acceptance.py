"""Acceptance and weights of importance sampling by pseudo density (main paper, Algorithms 2 and 3).

Apart from the method at inference (`importance`), because fine-tuning uses them too.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    Values = np.ndarray | Tensor

__all__ = ["expected_acceptance", "importance_acceptance", "sampling_weights"]


def importance_acceptance(density: Values, tau: float, w: float) -> Values:
    """Probability of accepting each sample, (N,) float64 (main paper, Algorithm 2).

    A sample is high when density >= tau. w > 1: high 1, low 1/w (fidelity); w <= 1: high w, low 1
    (diversity). Either way a high sample gains the relative weight w. Array in, array out; tensor
    in, tensor out on the same device. ValueError: w not positive and finite, NaN in density or tau.
    """
    _check_weight(w)
    high = _is_high(density, tau)
    return _choose(high, min(1.0, 1 / w), min(1.0, w))


def expected_acceptance(p_low: float | np.ndarray, w: float) -> float | np.ndarray:
    """Share of samples that Algorithm 2 accepts when a share `p_low` lies below tau.

    p + (1 - p) w for w <= 1 and (1 - p) + p / w for w > 1. ValueError: w not positive and finite,
    p_low outside 0..1.
    """
    _check_weight(w)
    if not np.all((np.asarray(p_low) >= 0) & (np.asarray(p_low) <= 1)):
        raise ValueError(f"p_low is a share in 0..1, got {p_low}")
    return p_low * min(1.0, 1 / w) + (1 - p_low) * min(1.0, w)


def sampling_weights(labels: Values, tau: float, w: float) -> Values:
    """Weights of the real images for sampling with replacement, (N,) float64 (Algorithm 3).

    1 below tau, w at tau and above. Same errors and types as `importance_acceptance`.
    """
    _check_weight(w)
    return _choose(_is_high(labels, tau), 1.0, float(w))


def _check_weight(w: float) -> None:
    if not (w > 0 and math.isfinite(w)):
        raise ValueError(f"w must be positive and finite, got {w}")


def _is_high(density: Values, tau: float) -> Values:
    if not _is_tensor(density):
        density = np.asarray(density)
    broken = density.isnan() if _is_tensor(density) else np.isnan(density)
    # NaN >= tau is False: unchecked, a broken density would pass for a low one.
    if math.isnan(tau) or bool(broken.any()):
        raise ValueError("densities and tau must not be NaN: check the features they come from")
    return density >= tau


def _is_tensor(values: Any) -> bool:
    # Where torch was never imported nothing can be a tensor: the rules read this module without it.
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(values, torch.Tensor)


def _choose(high: Values, low_value: float, high_value: float) -> Values:
    if _is_tensor(high):
        import torch

        table = torch.tensor([low_value, high_value], dtype=torch.float64, device=high.device)
        return table[high.long()]
    return np.where(high, high_value, low_value)
