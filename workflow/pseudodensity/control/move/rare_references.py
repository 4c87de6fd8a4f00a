"""References of the rare search: how far their neighbours lie, and the rarest of a pool nearby."""

from __future__ import annotations

import torch
from torch import Tensor

from pseudodensity.control.move.feature_distance import Distance, pairwise
from pseudodensity.feature_sets import blocks
from pseudodensity.neighbors import knn

__all__ = ["neighbour_distances", "pool_pick"]

BLOCK = 64  # references at once; bounds the memory of their distances


def neighbour_distances(
    references: Tensor,
    fakes: Tensor,
    k: int,
    own: Tensor | None = None,
    distance: Distance = "euclidean",
) -> Tensor:
    """d* (r,): the distance of each reference (r, d) from its k-th neighbour among fakes (m, d), in any distance.

    papers/004 has k = 100 among 10,000 fakes (k' there). own: (r,) int64, which fake a reference is if it
    is one of them; that one is no neighbour. ValueError: k below 1 or above the number of other fakes,
    bad features.
    """
    others = len(fakes) - (own is not None)
    if not 1 <= k <= others:
        raise ValueError(
            f"k' must be at least 1 and at most the number of fakes, got {k} for {others}"
        )
    near = k + (own is not None)
    distances, indices = _nearest(references, fakes, near, distance)
    if own is None:
        return distances[:, -1]
    # The reference itself may stand behind its copies, or, with its copies before it, not at all.
    before = (indices[:, :k] == own[:, None]).any(1)
    return torch.where(before, distances[:, k], distances[:, k - 1])


def _nearest(
    references: Tensor, fakes: Tensor, k: int, distance: Distance
) -> tuple[Tensor, Tensor]:
    """Distances and rows (r, k) of the nearest fakes of each reference, nearest first."""
    if distance == "euclidean":
        return knn(references, fakes, k)
    parts = references.split(BLOCK)
    found = [pairwise(part, fakes, distance).topk(k, largest=False) for part in parts]
    return torch.cat([each.values for each in found]), torch.cat([each.indices for each in found])


def pool_pick(
    features: Tensor,
    log_density: Tensor,
    inside: Tensor,
    references: Tensor,
    limits: Tensor,
    count: int,
    own: Tensor | None = None,
    distance: Distance = "euclidean",
) -> Tensor:
    """What no search costs: the rarest samples of a pool that a search would call feasible.

    Args:
        features: of the pool, (m, d). log_density: (m,), or another measure that is low for the rare.
        inside: (m,) bool, whether a sample lies in the manifold of the real images.
        references: their features (r, d). limits: d* (r,). count: n, how many to pick for each.
        own: (r,) int64, which sample of the pool a reference is; it is not picked.

    Returns (r, n) int64: rows of the pool, the rarest first (of equals the first), and -1 where fewer
    lie within d* of the reference. ValueError: a count below 1, other shapes.
    """
    if count < 1:
        raise ValueError(f"count must be 1 or more, got {count}")
    size, number = len(features), len(references)
    if not log_density.shape == inside.shape == (size,) or limits.shape != (number,):
        raise ValueError(
            f"a pool of {size} has as many log-densities and memberships, and {number} references as "
            f"many limits, got {tuple(log_density.shape)}, {tuple(inside.shape)} and "
            f"{tuple(limits.shape)}"
        )
    order = log_density.argsort(stable=True)
    picks = torch.full((number, count), -1, device=features.device)
    for rows in blocks(number, BLOCK):
        apart = pairwise(references[rows], features, distance)
        near = inside & (apart <= limits[rows, None])
        if own is not None:
            near[torch.arange(len(near)), own[rows]] = False
        near = near[:, order]
        reference, place = near.nonzero(as_tuple=True)
        rank = near.cumsum(1)[reference, place] - 1
        kept = rank < count
        picks[rows.start + reference[kept], rank[kept]] = order[place[kept]]
    return picks
