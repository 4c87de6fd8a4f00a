"""Distances of features that a search may be held together by (papers/004, appendix C, table 11)."""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["DISTANCES", "Distance", "apart", "pairwise"]

Distance = Literal["euclidean", "manhattan", "cosine"]
DISTANCES = get_args(Distance)


def apart(features: Tensor, anchors: Tensor, distance: Distance) -> Tensor:
    """Distances (...) of features (..., d) from anchors (..., d), which are broadcast; differentiable.

    cosine: 1 less the cosine of the angle at the origin.
    """
    if distance == "euclidean":
        return torch.linalg.vector_norm(features - anchors, dim=-1)
    if distance == "manhattan":
        return torch.linalg.vector_norm(features - anchors, ord=1, dim=-1)
    return 1 - F.cosine_similarity(features, anchors, dim=-1)


def pairwise(features: Tensor, others: Tensor, distance: Distance) -> Tensor:
    """Distances (..., n, m) of features (..., n, d) from others (..., m, d); differentiable."""
    if distance == "cosine":
        unit = [F.normalize(each, dim=-1) for each in (features, others)]
        return 1 - unit[0] @ unit[1].mT
    exact = "donot_use_mm_for_euclid_dist"
    return torch.cdist(features, others, p=1 if distance == "manhattan" else 2, compute_mode=exact)
