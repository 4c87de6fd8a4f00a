"""Hardness: the negative log-likelihood of features under a Gaussian for each class (papers/002,
equation 3)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

__all__ = ["COVARIANCES", "ClassGaussians", "fit_gaussians", "hardness"]

Covariance = Literal["identity", "ledoit_wolf"]
COVARIANCES = ("identity", "ledoit_wolf")


@dataclass(frozen=True)
class ClassGaussians:
    """A Gaussian for each of c classes in features of k dimensions.

    means: (c, k). whitening: (c, k, k), inverse Cholesky factors of the covariances, or None where all
    are the identity. log_determinants: (c,), of the covariances.
    """

    means: Tensor
    whitening: Tensor | None
    log_determinants: Tensor

    def hardness(self, features: Tensor) -> Tensor:
        """H of features (n, k) for every class, (n, c) in nats, differentiable."""
        apart = features[:, None] - self.means.to(features)
        if self.whitening is not None:
            apart = torch.einsum("nck,cjk->ncj", apart, self.whitening.to(features))
        constant = self.log_determinants.to(features) + features.shape[1] * math.log(2 * math.pi)
        return (apart.square().sum(2) + constant) / 2


def hardness(features: Tensor, means: Tensor) -> Tensor:
    """H of features (n, k) for classes of means (c, k) and identity covariance, (n, c) in nats
    (papers/002, appendix A.1)."""
    return ClassGaussians(means, None, means.new_zeros(len(means))).hardness(features)


def fit_gaussians(
    features: Tensor, labels: Tensor, classes: int, covariance: Covariance
) -> ClassGaussians:
    """The Gaussians of labelled features, in float64.

    Args:
        features: (n, k). labels: (n,) int64, below `classes`.
        covariance: "identity" | "ledoit_wolf", which shrinks each class's own towards a multiple of the
            identity, as few images of many dimensions need.

    ValueError: another covariance; a class without images, or with too few for a covariance.
    """
    if covariance not in COVARIANCES:
        raise ValueError(f"covariance {covariance!r} unknown: use one of {', '.join(COVARIANCES)}")
    counts = torch.bincount(labels, minlength=classes)
    least = 1 if covariance == "identity" else 2
    if len(counts) > classes or counts.min() < least:
        raise ValueError(
            f"a Gaussian for each of {classes} classes needs labels from 0 to {classes - 1} and at least "
            f"{least} images of each, got {counts.tolist()} images"
        )
    features = features.double()
    means = torch.stack([features[labels == label].mean(0) for label in range(classes)])
    if covariance == "identity":
        return ClassGaussians(means, None, means.new_zeros(classes))
    shrunk = [_shrunk_covariance(features[labels == label]) for label in range(classes)]
    factors, failed = torch.linalg.cholesky_ex(torch.stack(shrunk))
    if failed.any():
        raise ValueError(
            f"all images of class {int(failed.nonzero()[0, 0])} have the same features: a covariance "
            "needs different ones"
        )
    identity = torch.eye(features.shape[1], dtype=torch.float64)
    whitening = torch.linalg.solve_triangular(factors, identity.expand_as(factors), upper=False)
    return ClassGaussians(means, whitening, 2 * factors.diagonal(dim1=1, dim2=2).log().sum(1))


def _shrunk_covariance(features: Tensor) -> Tensor:
    # Imported where it is asked for: it takes a second, and guides have the identity.
    from sklearn.covariance import ledoit_wolf

    found, _ = ledoit_wolf(features.cpu().numpy())
    return torch.from_numpy(np.asarray(found))
