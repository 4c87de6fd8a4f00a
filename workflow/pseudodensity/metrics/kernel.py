"""Kernel distance (KID): the unbiased squared MMD with a cubic kernel, over all pairs."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pseudodensity.feature_sets import as_tensors, blocks

NAME = "kernel"
TITLE = "kernel distance"
SOURCE = "Bińkowski et al. 2018, section 4, over all pairs; standard error of a U-statistic"
NEEDS = ("features",)
SCORES = {"kid": -1, "kid_error": 0}

BLOCK = 2048  # rows of the kernel matrix made at once


class Side(NamedTuple):
    """Real features `(n, d)` float64, and for each the sum of its kernel with the others."""

    features: Tensor
    sums: Tensor


def prepare(real: Mapping[str, np.ndarray]) -> Side:
    """The kernel sums of the real `features`. ValueError: bad features, fewer than 2."""
    (features,) = as_tensors(real=real["features"])
    return _side(features, "real")


def score(side: Side, fake: Mapping[str, np.ndarray]) -> dict[str, float]:
    """`kid` and its standard error `kid_error` for fake `features` `(m, d)`.

    kid: mean kernel of two reals plus that of two fakes less twice that of a real and a fake, with
    kernel `(x.y / d + 1)^3`; a sample is no pair with itself, so the mean over samples of one law
    is 0 and the value may be below 0. It is the mean that subsets of other libraries estimate.
    kid_error: of the first order, `4 Var(h) / n` for each side, where h is what one sample adds;
    where both laws are the same it is of the order of the error, not exact. ValueError: bad
    features, another d, fewer than 2 fakes.
    """
    (features,) = as_tensors(fake=fake["features"])
    if features.shape[1] != side.features.shape[1]:
        raise ValueError(
            f"the feature sets differ in dimension: real features have {side.features.shape[1]}, "
            f"fake ones {features.shape[1]}"
        )
    fakes = _side(features, "fake")
    by_real = torch.zeros_like(side.sums)
    by_fake = torch.zeros_like(fakes.sums)
    for rows in blocks(len(by_real), BLOCK):
        kernel = _kernel(side.features[rows], fakes.features)
        by_real[rows] = kernel.mean(1)
        by_fake += kernel.sum(0) / len(by_real)
    of_real = side.sums / (len(by_real) - 1) - by_real
    of_fake = fakes.sums / (len(by_fake) - 1) - by_fake
    error = 4 * (of_real.var() / len(by_real) + of_fake.var() / len(by_fake))
    return {"kid": (of_real.mean() + of_fake.mean()).item(), "kid_error": error.sqrt().item()}


def _side(features: Tensor, whose: str) -> Side:
    if len(features) < 2:
        raise ValueError(f"the kernel distance needs 2 or more {whose} samples")
    features = features.double()
    sums = torch.empty(len(features), dtype=torch.float64, device=features.device)
    for rows in blocks(len(features), BLOCK):
        sums[rows] = _kernel(features[rows], features).sum(1)
    itself = (features.square().sum(1) / features.shape[1] + 1) ** 3
    return Side(features, sums - itself)


def _kernel(left: Tensor, right: Tensor) -> Tensor:
    return (left @ right.T / left.shape[1] + 1) ** 3
