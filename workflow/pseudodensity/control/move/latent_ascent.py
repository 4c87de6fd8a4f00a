"""Latent gradient ascent: follow the learned weight uphill, latent by latent (latentGA, Algorithm 4)."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from pseudodensity.control.move.gradient import (
    LEAST_DIMENSIONS,
    Score,
    per_sample_gradient,
    tangent,
)

__all__ = ["PROJECTIONS", "Projection", "ascend", "ascent_path", "project"]

Projection = Literal["exact", "paper", "none"]
PROJECTIONS = ("exact", "paper", "none")


def ascend(
    weight: Score, latents: Tensor, *, steps: int, step_size: float, projection: Projection
) -> Tensor:
    """Latents (n, *shape) after some steps of z + step_size * gradient of w (the paper: 10 of .05).

    Args:
        weight: latents (n, *shape) -> (n,), such as a `WeightNetwork`.
        projection: see `project`. "exact" puts the norm back after each step too.

    ValueError: settings that make no sense, a projection of fewer than 32 dimensions, a gradient
    that is not finite.
    """
    return ascent_path(weight, latents, steps=steps, step_size=step_size, projection=projection)[-1]


def ascent_path(
    weight: Score, latents: Tensor, *, steps: int, step_size: float, projection: Projection
) -> Tensor:
    """All latents on the way, (steps + 1, n, *shape), the first as given. See `ascend`."""
    if steps < 0 or not (step_size >= 0 and math.isfinite(step_size)):
        raise ValueError(
            f"steps and step_size must be finite and not negative, got {steps} and {step_size}"
        )
    _check(projection, latents[:1].numel())
    shape = latents.shape
    radius = latents.flatten(1).norm(dim=1, keepdim=True)
    path = [latents.detach()]
    for _ in range(steps):
        points = path[-1].flatten(1)
        gradient = per_sample_gradient(weight, path[-1]).flatten(1)
        points = points + step_size * project(gradient, points, projection)
        if projection == "exact":
            points = normalize(points, dim=1) * radius
        path.append(points.view(shape))
    return torch.stack(path)


def project(gradient: Tensor, points: Tensor, projection: Projection) -> Tensor:
    """The part of a gradient (n, d) that a normal prior allows at points (n, d).

    "exact" removes the radial part, g - (g.z) z / |z|^2: nearly all of a normal prior of many
    dimensions lies on one sphere. "paper" is g - (g.z) z / sqrt(d), as Algorithm 4 prints it: with
    |z| near sqrt(d) it multiplies the radial part by 1 - sqrt(d) instead. "none", for a w space and
    for few dimensions, leaves the gradient. ValueError: another word; fewer than 32 dimensions to
    project in.
    """
    _check(projection, points.shape[1])
    if projection == "exact":
        return tangent(gradient, points)
    if projection == "paper":
        along = (gradient * points).sum(1, keepdim=True) * points
        return gradient - along / math.sqrt(points.shape[1])
    return gradient


def _check(projection: str, dimensions: int) -> None:
    if projection not in PROJECTIONS:
        raise ValueError(f"projection {projection!r} unknown: use one of {', '.join(PROJECTIONS)}")
    if projection != "none" and dimensions < LEAST_DIMENSIONS:
        raise ValueError(
            f"a normal prior of {dimensions} dimensions is no sphere (it takes "
            f"{LEAST_DIMENSIONS}): use projection='none'"
        )
