"""Discriminators that compare the images of a batch with one another (Karras et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pseudodensity.generators.discriminator import StagedDiscriminator

__all__ = ["GroupedDiscriminator", "minibatch_stddev"]


def minibatch_stddev(x: Tensor, group_size: int) -> Tensor:
    """Append one channel: the mean standard deviation over groups of samples (ProGAN, section 3).

    (n, c, h, w) -> (n, c + 1, h, w). Sample i shares its group with i + n/g, i + 2n/g, ...
    ValueError if the group size g = min(group_size, n) does not divide n.
    """
    n = x.shape[0]
    group = min(group_size, n)
    if n % group:
        raise ValueError(f"a batch of {n} does not divide into groups of {group}: use a multiple")
    y = x.unflatten(0, (group, n // group))
    y = (y - y.mean(0)).square().mean(0).add(1e-8).sqrt().mean((1, 2, 3))
    y = y.repeat(group).view(n, 1, 1, 1).expand(-1, 1, *x.shape[2:])
    return torch.cat([x, y], dim=1)


class GroupedDiscriminator(StagedDiscriminator):
    """Images (n, 3, R, R) -> logits (n,), each of which depends on the other images of its group.

    Subclasses define :meth:`trunk`. group_size: images of a group. b4: features (n, c, 4, 4) of whole
    groups, which :func:`minibatch_stddev` compares, to logits (n,).
    """

    group_size: int
    b4: nn.Module

    def trunk(self, images: Tensor) -> Tensor:
        """Features (n, c, 4, 4); up to there an image is alone."""
        raise NotImplementedError

    def head(self) -> nn.Module:
        """What turns the 4 x 4 features into a logit."""
        return self.b4

    def judge(self, features: Sequence[Tensor]) -> Tensor:
        """[(n, 3, R, R) float in [-1, 1]] -> (n,); n must be a multiple of the group size."""
        return self.b4(self.trunk(features[0]))

    @property
    def companions(self) -> int:
        """The other images of a group."""
        return self.group_size - 1

    def judge_each(self, images: Tensor, references: Tensor | None = None) -> Tensor:
        """Logits (n,), where each image forms its group with the same references."""
        if not self.companions:
            return self(images)
        shared = self.trunk(references[: self.companions])
        # Image i shares its group with rows i + n, i + 2n, ...: one copy of every reference.
        rows = torch.cat([self.trunk(images), shared.repeat_interleave(len(images), 0)])
        return self.b4(rows)[: len(images)]

    def judge_both(self, real: Sequence[Tensor], fake: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Logits (n,) of two batches, by one pass where both consist of whole groups."""
        (x,), (y,), group = real, fake, self.group_size
        if x.shape != y.shape or len(x) % group:
            return super().judge_both(real, fake)
        # Groups are strided: side by side in each of their rows, two batches keep their own.
        rows = torch.stack([x.unflatten(0, (group, -1)), y.unflatten(0, (group, -1))], dim=1)
        logits = self.judge([rows.flatten(0, 2)]).view(group, 2, -1)
        return logits[:, 0].flatten(), logits[:, 1].flatten()
