"""Fréchet distance between Gaussians fitted to two feature sets (Heusel et al. 2017, eq. 6)."""

from collections.abc import Iterator

import torch
from torch import Tensor

from pseudodensity.feature_sets import Features, as_tensors, mean

_BLOCK = 2048  # rows turned to float64 at once
_STRIP = 512  # rows of the covariance made by one product
_REGULAR = 1e-10  # squared ratio of Cholesky pivots below which the covariance counts as singular


def frechet_distance(real: Features, fake: Features) -> float:
    """`|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^1/2)`; "FID" if the features are Inception's.

    real `(n, d)` and fake `(m, d)`: both arrays or both tensors, n, m >= 2. Means and unbiased
    covariances in float64. The trace of the root is the nuclear norm of `A B^T`, where `A^T A = S1`
    and `B^T B = S2`: exact for singular covariances too (fewer samples than dimensions, constant
    features), with nothing added to the diagonal. Never negative. Its bias is about 1/n: compare
    at equal sample counts only. Raises ValueError for bad shapes, NaN or infinity.
    """
    tensors = as_tensors(real=real, fake=fake)
    if min(map(len, tensors)) < 2:
        raise ValueError("a covariance needs at least 2 real and 2 fake samples")
    means = [mean(features) for features in tensors]
    factors = [_factor(features, m) for features, m in zip(tensors, means, strict=True)]
    shift = (means[0] - means[1]).square().sum()
    traces = sum(factor.square().sum() for factor in factors)
    root = torch.linalg.svdvals(factors[0] @ factors[1].T).sum()
    return max((shift + traces - 2 * root).item(), 0.0)  # below 0 by rounding only


def _factor(features: Tensor, mean: Tensor) -> Tensor:
    """A `(r, d)` float64 matrix F, r <= d, with `F^T F` the unbiased covariance of the features."""
    count, dim = features.shape
    if count <= dim:
        return torch.cat(list(_deviations(features, mean)))
    covariance = torch.zeros(dim, dim, dtype=torch.float64, device=features.device)
    for block in _deviations(features, mean):
        for i in range(0, dim, _STRIP):  # the upper triangle is all that Cholesky reads
            covariance[i : i + _STRIP, i:].addmm_(block[:, i : i + _STRIP].T, block[:, i:])
    triangle, failed = torch.linalg.cholesky_ex(covariance, upper=True)
    pivots = triangle.diagonal()
    if not failed and pivots.min() ** 2 > _REGULAR * pivots.max() ** 2:
        return triangle
    # The covariance has lost what lies below 1e-8 of its longest axis; the samples have not.
    triangle = covariance[:0]
    for block in _deviations(features, mean):
        triangle = torch.linalg.qr(torch.cat([triangle, block]), mode="r").R
    return triangle


def _deviations(features: Tensor, mean: Tensor) -> Iterator[Tensor]:
    """Rows `(x - mean) / sqrt(n - 1)` in float64, some at a time."""
    for block in features.split(_BLOCK):
        yield (block.double() - mean).div_((len(features) - 1) ** 0.5)
