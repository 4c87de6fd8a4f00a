"""A discriminator of plain convolutions with a stride of 2, the counterpart of :mod:`.convgan`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from pseudodensity.generators.discriminator import StagedDiscriminator
from pseudodensity.generators.sizes import resolutions

__all__ = ["ConvDiscriminator", "build_discriminator"]

SLOPE = 0.2


class ConvDiscriminator(StagedDiscriminator):
    """Images (n, 3, R, R) -> logits (n,); no logit depends on another image.

    Args:
        resolution: R, a power of two of at least 8.
        channels: at R / 2, ..., 4.

    Raises:
        ValueError: on another resolution, or another number of channels.
    """

    def __init__(self, resolution: int, channels: Sequence[int] = (16, 32)):
        super().__init__()
        halvings = len(resolutions(resolution)) - 1
        if len(channels) != halvings or min(channels) < 1:
            raise ValueError(
                f"the discriminator of a convgan of {resolution} px has {halvings} numbers of channels, "
                f"at {resolution // 2} to 4 px, each at least 1, not channels {list(channels)}"
            )
        self.resolution = resolution
        self.convolutions = nn.ModuleList(
            nn.Conv2d(i, o, 4, stride=2, padding=1) for i, o in pairwise((3, *channels))
        )
        self.dense = nn.Linear(channels[-1] * 16, 1)

    def head(self) -> nn.Module:
        """The last layer."""
        return self.dense

    def judge(self, features: Sequence[Tensor]) -> Tensor:
        """[(n, 3, R, R) float in [-1, 1]] -> (n,)."""
        (x,) = features
        for convolution in self.convolutions:
            x = F.leaky_relu(convolution(x), SLOPE)
        return self.dense(x.flatten(1)).squeeze(1)


build_discriminator = ConvDiscriminator
