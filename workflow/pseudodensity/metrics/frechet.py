"""Fréchet distance between Gaussians fitted to two feature sets (Heusel et al. 2017, eq. 6)."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pseudodensity.feature_sets import Features, as_tensors, mean

NAME = "frechet"
TITLE = "Fréchet distance"
SOURCE = "Heusel et al. 2017, equation 6"
NEEDS = ("features",)
SCORES = {"fid": -1}
RANGES = {"fid": (0, None)}

_BLOCK = 2048  # rows turned to float64 at once
_STRIP = 512  # rows of the covariance made by one product
_REGULAR = 1e-10  # squared ratio of Cholesky pivots below which the covariance counts as singular


class Gaussian(NamedTuple):
    """What the distance sees of a feature set.

    mean `(d,)` and factor `(r, d)`, r <= d, float64: `factor^T factor` is the unbiased covariance.
    """

    mean: Tensor
    factor: Tensor


def prepare(real: Mapping[str, np.ndarray]) -> Gaussian:
    """The Gaussian of the real `features` `(n, d)`; errors as of `frechet_distance`."""
    (features,) = as_tensors(real=real["features"])
    return _fitted(features)


def score(side: Gaussian, fake: Mapping[str, np.ndarray]) -> dict[str, float]:
    """`fid`: the `frechet_distance` of fake `features` `(m, d)`, with its errors."""
    (features,) = as_tensors(fake=fake["features"])
    if features.shape[1] != len(side.mean):
        raise ValueError(
            f"the feature sets differ in dimension: real features have {len(side.mean)}, "
            f"fake ones {features.shape[1]}"
        )
    return {"fid": _distance(side, _fitted(features))}


def frechet_distance(real: Features, fake: Features) -> float:
    """`|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^1/2)`; "FID" if the features are Inception's.

    real `(n, d)` and fake `(m, d)`: both arrays or both tensors, n, m >= 2. Means and unbiased
    covariances in float64. The trace of the root is the nuclear norm of `A B^T`, where `A^T A = S1`
    and `B^T B = S2`: exact for singular covariances too (fewer samples than dimensions, constant
    features), with nothing added to the diagonal. Never negative. Its bias is about 1/n: compare
    at equal sample counts only. Raises ValueError for bad shapes, NaN, infinity or
    a single sample.
    """
    reals, fakes = as_tensors(real=real, fake=fake)
    return _distance(_fitted(reals), _fitted(fakes))


def _distance(real: Gaussian, fake: Gaussian) -> float:
    shift = (real.mean - fake.mean).square().sum()
    traces = real.factor.square().sum() + fake.factor.square().sum()
    root = torch.linalg.svdvals(real.factor @ fake.factor.T).sum()
    return max((shift + traces - 2 * root).item(), 0.0)  # below 0 by rounding only


def _fitted(features: Tensor) -> Gaussian:
    if len(features) < 2:
        raise ValueError("a covariance needs at least 2 real and 2 fake samples")
    centre = mean(features)
    return Gaussian(centre, _factor(features, centre))


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
