"""What the two networks of a GAN minimise: the losses of their logits, and penalties of the slope."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "cross_entropy",
    "discriminator_loss",
    "generator_loss",
    "gradient_penalty",
    "squared_slope",
]

SIDES = ("one", "two")


def discriminator_loss(kind: str, real: Tensor, fake: Tensor) -> Tensor:
    """What a discriminator minimises, a scalar.

    Args:
        kind: ``nonsaturating`` (Goodfellow et al. 2014), ``hinge`` (Lim and Ye 2017) or
            ``wasserstein`` (Arjovsky et al. 2017), whose critic needs a bound on its slope.
        real, fake: logits of any shape.
    """
    if kind == "wasserstein":
        return fake.mean() - real.mean()
    if kind == "hinge":
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(kind: str, fake: Tensor) -> Tensor:
    """What a generator minimises, a scalar, of the logits of its images; see above."""
    return F.softplus(-fake).mean() if kind == "nonsaturating" else -fake.mean()


def cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    """Mean of both kinds of logits, in nats, a scalar; log 2 at logits of zero."""
    return (F.softplus(-real).mean() + F.softplus(fake).mean()) / 2


def gradient_penalty(
    judge: Callable[[Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    stream: torch.Generator,
    *,
    sides: str = "two",
) -> Tensor:
    """Mean of (|gradient| - 1)^2 on lines between reals and fakes (Gulrajani et al. 2017, eq. 3).

    Differentiable in the weights of the judge. Where logits compare the images of a batch, as with a
    minibatch standard deviation, a gradient is that of all logits of its batch.

    Args:
        judge: samples -> logits (n,) or (n, m), of which each sample's mean counts.
        real, fake: (n, ...) alike; one point is drawn on the line of each pair.
        sides: two, or one: only slopes above 1 are punished.

    ValueError: another word for the sides.
    """
    if sides not in SIDES:
        raise ValueError(f"a gradient penalty has {' or '.join(SIDES)} sides, not {sides!r}")
    share = torch.rand(len(real), *[1] * (real.ndim - 1), generator=stream).to(real)
    between = (real + share * (fake - real)).detach().requires_grad_(True)
    logits = judge(between).reshape(len(between), -1).mean(1)
    excess = _slope(logits, between).flatten(1).norm(dim=1) - 1
    return (excess.relu() if sides == "one" else excess).square().mean()


def squared_slope(logits: Tensor, samples: Tensor) -> Tensor:
    """Mean squared gradient of logits (n, ...) in the samples (n, ...) that they are of; R1 at real ones."""
    slope = _slope(logits, samples)
    return slope.square().sum(tuple(range(1, slope.ndim))).mean()


def _slope(logits: Tensor, samples: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(logits.sum(), samples, create_graph=True)
    return gradient
