"""The terms of the search for diverse rare images (papers/004, equations 1 and 2)."""

from __future__ import annotations

from torch import Tensor

from pseudodensity.control.move.feature_distance import Distance, pairwise

__all__ = ["excess", "objective", "separation"]


def excess(distances: Tensor, limits: Tensor) -> Tensor:
    """max(d, d*) - d*: how far distances lie beyond their limits, 0 within."""
    return (distances - limits).clamp(min=0)


def separation(features: Tensor, distance: Distance = "euclidean") -> Tensor:
    """sum_j d(x_i, x_j)^2 of each sample with the others of its reference: (r, n, d) -> (r, n)."""
    if distance != "euclidean":
        return pairwise(features, features, distance).square().sum(2)
    # Squares about the mean: no pair is formed, and nothing cancels where all samples are near.
    squares = (features - features.mean(1, keepdim=True)).square().sum(2)
    return features.shape[1] * squares + squares.sum(1, keepdim=True)


def objective(
    log_density: Tensor,
    features: Tensor,
    beyond: Tensor,
    similarity: float,
    diversity: float,
    coupled: bool,
    distance: Distance = "euclidean",
) -> Tensor:
    """What is minimised, for each sample of each reference, (r, n).

    log p(x_i) + lambda1 excess^2 - lambda2 sum_j d(x_i, x_j)^2 (equation 2).

    Args:
        log_density: (r, n). features: (r, n, d). beyond: (r, n), of `excess`.
        similarity, diversity: lambda1, in nats per squared unit of the features, and lambda2.
        coupled: each sample has the sum over all pairs i < j in place of its own, as in the authors'
            code. Summed over n samples that is n / 2 times equation 2.
        distance: d of the separation; `beyond` comes with its own.
    """
    apart = separation(features, distance)
    if coupled:
        apart = (apart.sum(1, keepdim=True) / 2).expand_as(apart)
    return log_density + similarity * beyond.square() - diversity * apart
