"""Classes that latents choose, for every generator that is conditioned on one.

A latent has one number more than the noise: its quantile chooses the class, so that standard normal
latents give classes with their shares, and whatever draws, truncates or weighs latents does so over all
classes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pseudodensity.generators.generator import BaseGenerator

__all__ = ["ClassLatents"]

# The largest float64 below 1: a uniform of 1 would lie beyond the last class.
_BELOW_ONE = 1 - 2**-53


class ClassLatents(BaseGenerator):
    """Latents (n, d) whose last number chooses a class; see :meth:`labels`.

    shares: (classes,) float64, how often each class comes.
    """

    classes: int
    shares: Tensor

    def start_classes(self, classes: int) -> None:
        """Let there be so many, all with the same share. ValueError: fewer than one."""
        if classes < 1:
            raise ValueError(f"classes is {classes}: a model with classes has 1 or more")
        self.classes = classes
        shares = torch.full((classes,), 1 / classes, dtype=torch.float64)
        self.register_buffer("shares", shares)

    def labels(self, latents: Tensor) -> Tensor:
        """Classes (n,) int64 of latents (n, d).

        The normal CDF of the last number falls into the stretch of [0, 1] that belongs to its class:
        they lie in order, each as long as its share.
        """
        # It has no derivative, and none is looked for.
        uniforms = torch.special.ndtr(latents[:, -1].detach().double()).clamp(max=_BELOW_ONE)
        return torch.searchsorted(self.shares.cumsum(0)[:-1], uniforms, right=True)

    def with_class(self, latents: Tensor, label: int) -> Tensor:
        """Copies of latents (n, d) that are all of one class.

        ValueError: there is no such class, or it has no share.
        """
        if not 0 <= label < self.classes or not self.shares[label] > 0:
            raise ValueError(
                f"there is no class {label!r} with a share: classes go from 0 to {self.classes - 1}"
            )
        middle = self.shares[: label + 1].sum() - self.shares[label] / 2
        changed = latents.clone()
        changed[:, -1] = torch.special.ndtri(middle)
        return changed

    def set_shares(self, shares: Tensor) -> None:
        """How often each class comes, (classes,) float64 of sum 1. ValueError: they are no shares."""
        lawful = shares.shape == self.shares.shape and bool((shares >= 0).all())
        if not lawful or abs(float(shares.sum()) - 1) > 1e-9:
            raise ValueError(f"shares must be {self.classes} numbers from 0 up whose sum is 1")
        self.shares.copy_(shares)
