"""Gradients of a score of each sample, and the checks that every move of latents needs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

__all__ = [
    "LEAST_DIMENSIONS",
    "Score",
    "check_latents",
    "per_sample_gradient",
    "scores",
    "tangent",
]

Score = Callable[[Tensor], Tensor]  # (n, ...) -> (n,), sample by sample
# Of a normal latent that may be kept on its sphere: below, its norm varies too much.
LEAST_DIMENSIONS = 32


def scores(function: Score, points: Tensor) -> Tensor:
    """``function(points)``, checked to be one number per sample. ValueError if it is not."""
    values = function(points)
    if values.shape != (len(points),):
        raise ValueError(
            f"an objective gives one number per sample, ({len(points)},), "
            f"but this one gave {tuple(values.shape)}"
        )
    return values


def per_sample_gradient(function: Score, points: Tensor) -> Tensor:
    """Gradient of ``function`` at each point, in the shape and dtype of ``points``.

    The sum over the batch is differentiated, which is each sample's own gradient as long as no
    sample sees another. ValueError: not one number per sample; a gradient that is not finite.
    """
    points = points.detach().requires_grad_()
    with torch.enable_grad():
        total = scores(function, points).sum()
    (gradient,) = torch.autograd.grad(total, points)
    broken = int((~torch.isfinite(gradient.flatten(1)).all(1)).sum())
    if broken:
        raise ValueError(
            f"the objective has no finite gradient at {broken} of {len(points)} samples: "
            "check the weights of generator, extractor and density"
        )
    return gradient


def tangent(gradient: Tensor, points: Tensor) -> Tensor:
    """The part of a gradient (n, d) that is tangent to the sphere through each point (n, d)."""
    radial = normalize(points, dim=1)
    return gradient - (gradient * radial).sum(1, keepdim=True) * radial


def check_latents(generator: nn.Module, latents: Tensor) -> None:
    """ValueError unless the latents fit the generator and the generator is in eval mode."""
    shape = tuple(generator.latent_shape)
    if latents.ndim != 1 + len(shape) or tuple(latents.shape[1:]) != shape:
        raise ValueError(
            f"latents must have shape (n, {', '.join(map(str, shape))}), got {tuple(latents.shape)}"
        )
    if generator.training:
        raise ValueError(
            "the generator is in training mode, where images depend on noise or on each other: "
            "call generator.eval() first"
        )
