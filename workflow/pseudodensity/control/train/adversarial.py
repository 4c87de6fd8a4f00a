"""What the two networks of a GAN minimise: the losses of their logits, and a penalty of the slope."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["discriminator_loss", "generator_loss", "gradient_penalty"]


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


def gradient_penalty(
    judge: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, stream: torch.Generator
) -> Tensor:
    """Mean of (|gradient| - 1)^2 on lines between reals and fakes (Gulrajani et al. 2017, eq. 3).

    Differentiable in the weights of the judge. Where logits compare the images of a batch, as with a
    minibatch standard deviation, a gradient is that of all logits of its batch.

    Args:
        judge: images -> logits (n,) or (n, m), of which each image's mean counts.
        real, fake: images (n, 3, R, R); one point is drawn on the line of each pair.
    """
    share = torch.rand(len(real), 1, 1, 1, generator=stream).to(real)
    between = torch.lerp(real, fake, share).detach().requires_grad_(True)
    logits = judge(between).reshape(len(between), -1).mean(1)
    (gradient,) = torch.autograd.grad(logits.sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()
