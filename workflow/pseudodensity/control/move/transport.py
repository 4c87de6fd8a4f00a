"""Discriminator optimal transport (Tanaka 2019): move a sample to where its discriminator wants it.

The transport of a sample y minimises |x - y| - D(x) / K over x, with K the Lipschitz constant of
the discriminator D; in latent space D is replaced by D(G(z)) and K by the constant k of that.
Found by gradient descent from y, with a subgradient of zero for |x - y| at x = y.

K decides everything. With a true constant the start is itself a minimum, since nothing is gained
faster than it costs; samples move because K is only ever estimated, from below. So an estimate
belongs into every report, and `lipschitz_estimate` (the paper's) beside `largest_slope`.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from pseudodensity.control.move.gradient import (
    LEAST_DIMENSIONS,
    Score,
    check_latents,
    per_sample_gradient,
    scores,
    tangent,
)

__all__ = [
    "largest_slope",
    "lipschitz_estimate",
    "paper_transport_latents",
    "transport_images",
    "transport_latents",
]

Prior = Literal["normal", "uniform", "none"]


def fitting_prior(latents: Tensor) -> Prior:
    """The prior to keep normal latents (n, *shape) to: of few dimensions they are on no sphere."""
    return "normal" if latents[:1].numel() >= LEAST_DIMENSIONS else "none"


@torch.no_grad()
def lipschitz_estimate(
    critic: Score, points: Tensor, stream: torch.Generator, *, pairs: int = 100
) -> float:
    """Largest |D(x) - D(y)| / |x - y| over random pairs of points: the estimate of the paper.

    A lower bound of the Lipschitz constant, and a low one in many dimensions: for D(x) = c.x it is
    |c| times the largest |cos| between c and x - y, about 3 |c| / sqrt(d) for 100 pairs.

    Args:
        critic: points -> (n,): D for images, z -> D(G(z)) for latents.
        points: (n, ...), n >= 2, as drawn; copies of one point are skipped.

    ValueError: fewer than two different points in the pairs; no value per sample.
    """
    if len(points) < 2 or pairs < 1:
        raise ValueError(
            f"an estimate needs 2 points and 1 pair, got {len(points)} points and {pairs} pairs"
        )
    first = torch.randint(len(points), (pairs,), generator=stream)
    other = (first + torch.randint(1, len(points), (pairs,), generator=stream)) % len(points)
    first, other = points[first.to(points.device)], points[other.to(points.device)]
    rise = (scores(critic, first) - scores(critic, other)).double().abs()
    distance = (first - other).double().flatten(1).norm(dim=1)
    apart = distance > 0
    if not apart.any():
        raise ValueError("all pairs of points coincide: draw the points at random")
    return (rise[apart] / distance[apart]).max().item()


def largest_slope(critic: Score, points: Tensor) -> float:
    """Largest norm of the critic's gradient over the points (n, ...): a lower bound as well.

    Mostly far above `lipschitz_estimate`; exact for a linear critic. Errors of the gradient as
    `per_sample_gradient`.
    """
    return per_sample_gradient(critic, points).double().flatten(1).norm(dim=1).max().item()


def transport_latents(
    generator: nn.Module,
    discriminator: Score,
    latents: Tensor,
    *,
    lipschitz: float,
    steps: int,
    step_size: float,
    prior: Prior = "normal",
) -> Tensor:
    """Transported latents, (n, *latent_shape): descent on |z - z0| - D(G(z)) / lipschitz.

    Args:
        generator: in eval mode.
        discriminator: images -> (n,), each sample's own, such as `DiscriminatorObjective`.
        lipschitz: of z -> D(G(z)), as estimated and to be reported.
        steps, step_size: of plain gradient descent (the paper: 10 steps of .01 to .05).
        prior: "normal" keeps every latent on its sphere, on which nearly all of a normal prior
            lies: the part of the gradient along z is removed, g - (g.z) z / |z|^2, and the norm
            put back after the step. (The published code removes (g.z) z / sqrt(d) instead, which
            multiplies the radial part by 1 - sqrt(d).) "uniform" clips to [-1, 1]; "none" is free.

    ValueError: latents of another shape, a generator in training mode, a constant that is not
    positive, settings that make no sense, fewer than 32 dimensions for the sphere of "normal".
    """
    check_latents(generator, latents)
    _check_settings(lipschitz, steps, step_size)
    if prior not in ("normal", "uniform", "none"):
        raise ValueError(f"prior {prior!r} unknown: use 'normal', 'uniform' or 'none'")
    dimensions = latents[:1].numel()
    if prior == "normal" and dimensions < LEAST_DIMENSIONS:
        raise ValueError(
            f"a normal prior of {dimensions} dimensions is no sphere (it takes "
            f"{LEAST_DIMENSIONS}): use prior='none'"
        )
    return _descend(
        lambda z: discriminator(generator(z)), latents, lipschitz, steps, step_size, prior
    )


def transport_images(
    discriminator: Score, images: Tensor, *, lipschitz: float, steps: int, step_size: float
) -> Tensor:
    """Transported images (n, ...) in [-1, 1]: descent on |x - y| - D(x) / lipschitz.

    discriminator: images -> (n,), each sample's own; lipschitz: its constant, to be reported.
    ValueError: as `transport_latents`.
    """
    _check_settings(lipschitz, steps, step_size)
    return _descend(discriminator, images, lipschitz, steps, step_size, "uniform")


def paper_transport_latents(generator: nn.Module, discriminator: Score, latents: Tensor) -> Tensor:
    """DOT as the main paper's released code has it, faults and all; for comparison only.

    k = 0.086 for every model, ONE norm of the whole batch instead of one per sample, shifted by
    0.001 (which pushes along (1, ..., 1) at first), no projection, ten steps of Adam(0.01,
    betas=(0, 0.9)). A result depends on the batch: the authors took batches of four, and the
    logits of the discriminator as they come. ValueError: as `transport_latents`.
    """
    check_latents(generator, latents)
    points = latents.detach().clone().requires_grad_()
    optimiser = torch.optim.Adam([points], lr=0.01, betas=(0.0, 0.9))
    for _ in range(10):
        with torch.enable_grad():
            distance = torch.linalg.vector_norm(points - latents.detach() + 0.001)
            loss = distance - discriminator(generator(points)).mean() / 0.086
        points.grad = torch.autograd.grad(loss, points)[0]
        optimiser.step()
    return points.detach()


def _descend(
    critic: Score, start: Tensor, lipschitz: float, steps: int, step_size: float, prior: Prior
) -> Tensor:
    shape, start = start.shape, start.detach().flatten(1)
    radius = start.norm(dim=1, keepdim=True)
    points = start
    for _ in range(steps):
        gain = per_sample_gradient(critic, points.view(shape)).flatten(1) / lipschitz
        # The unit vector away from the start, and 0 at the start: the gradient of the distance.
        gradient = normalize(points - start, dim=1) - gain
        if prior == "normal":
            gradient = tangent(gradient, points)
        points = points - step_size * gradient
        if prior == "normal":
            points = normalize(points, dim=1) * radius
        elif prior == "uniform":
            points = points.clamp(-1, 1)
    return points.view(shape)


def _check_settings(lipschitz: float, steps: int, step_size: float) -> None:
    if not (lipschitz > 0 and math.isfinite(lipschitz)):
        raise ValueError(
            f"the Lipschitz constant must be positive and finite, got {lipschitz}: a critic that "
            "does not vary has nothing to transport to"
        )
    if steps < 0 or not (step_size >= 0 and math.isfinite(step_size)):
        raise ValueError(
            f"steps and step_size must be finite and not negative, got {steps} and {step_size}"
        )
