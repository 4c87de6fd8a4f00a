"""Importance sampling by pseudo density: who is accepted, and how real images are weighted.

Main paper, section 5.1 and Algorithm 2; the weights of Algorithm 3. As a method at inference its point is
(tau, w): tau a percentile of the real images' densities, w the relative weight of images at or above it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pseudodensity.control.choice import (
    Choice,
    Point,
    Pool,
    accepted_stretches,
    no_column_settings,
    proposals_for,
)

if TYPE_CHECKING:
    from torch import Tensor

    Values = np.ndarray | Tensor

NAME = "importance"
TITLE = "importance sampling"
PAPER = "000"
SOURCE = "Algorithm 2"
NEEDS = ("density",)
POOL = "model"
DEFAULTS = {}

# The paper's choices for precision and recall (appendix A.1).
SANE = {"tau": [20, 50, 80], "w": [0.03, 33.0]}

column_settings = no_column_settings


def points(
    grid: Mapping[str, Any], settings: Mapping[str, Any], generator: Mapping[str, Any]
) -> list[Point]:
    """Every (tau, w); w = 1 is plain sampling, left out."""
    return grid_points(NAME, grid or SANE)


def grid_points(method: str, grid: Mapping[str, Iterable[float]]) -> list[Point]:
    """Points of a method that takes tau and w."""
    return [{"method": method, "tau": t, "w": w} for t in grid["tau"] for w in grid["w"] if w != 1]


def label(point: Point) -> str:
    """In the paper's words."""
    return f"importance sampling, tau {point['tau']:g} %, w {point['w']:g}"


def why_not(generator: Mapping[str, Any]) -> str | None:
    """It asks for nothing but images."""
    return None


def proposals(point: Point, images: int, repeats: int) -> int:
    """By the closed form, as if a model had the real images' share below tau."""
    share = float(expected_acceptance(point["tau"] / 100, point["w"]))
    return proposals_for(share, images * repeats)


def choose(pool: Pool, point: Point, images: int, repeats: int) -> Choice:
    """Algorithm 2 on the pseudo density."""
    return choose_by(pool, "density", point, images, repeats)


def choose_by(pool: Pool, column: str, point: Point, images: int, repeats: int) -> Choice:
    """Algorithm 2 on any column of one number per image whose real side is known.

    All points of a pool share one uniform draw per proposal, and keep it when the pool grows.
    ``expected`` is the closed form at the measured share below the threshold.
    """
    import torch

    from pseudodensity.density.percentile import threshold as percentile_threshold
    from pseudodensity.rng import generator as stream_of

    scored = pool.column(column)
    threshold = percentile_threshold(scored.real, point["tau"])
    chances = importance_acceptance(torch.from_numpy(scored.values).double(), threshold, point["w"])
    stream = stream_of(pool.seed, "acceptance")
    choice = accepted_stretches(chances.log(), stream, images, repeats)
    low = float((scored.values[: choice.used] < threshold).mean())
    expected = float(expected_acceptance(low, point["w"]))
    return Choice(choice.rows, choice.used, choice.acceptance, expected, choice.ess, choice.note)


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
