"""The ProGAN discriminator (Karras et al. 2018) at its final resolution, in plain PyTorch.

As published files have it, a block halves its map by the second convolution itself, before the leaky
ReLU that follows; :mod:`.progan` says what else holds for both networks.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pseudodensity.generators.grouped import GroupedDiscriminator, minibatch_stddev
from pseudodensity.generators.progan import (
    GAIN,
    SLOPE,
    EqualisedConv,
    EqualisedLinear,
)
from pseudodensity.generators.sizes import channels_at, resolutions

__all__ = ["ProGanDiscriminator", "build_discriminator"]


class Block(nn.Module):
    """Two convolutions with leaky ReLUs; the second halves the size."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv0 = EqualisedConv(inputs, inputs, 3)
        self.conv1 = EqualisedConv(inputs, outputs, 3, down=True)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, h) -> (n, outputs, h / 2, h / 2)."""
        return F.leaky_relu(self.conv1(F.leaky_relu(self.conv0(x), SLOPE)), SLOPE)


class LastBlock(nn.Module):
    """Features at 4 x 4, with the deviation within each group beside them -> logit."""

    def __init__(self, inputs: int, width: int, group_size: int):
        super().__init__()
        self.group_size = group_size
        self.conv = EqualisedConv(inputs + 1, inputs, 3)
        self.dense0 = EqualisedLinear(inputs * 16, width, GAIN)
        self.dense1 = EqualisedLinear(width, 1, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, 4, 4) -> (n,)."""
        x = F.leaky_relu(self.conv(minibatch_stddev(x, self.group_size)), SLOPE)
        return self.dense1(F.leaky_relu(self.dense0(x.flatten(1)), SLOPE)).squeeze(1)


class ProGanDiscriminator(GroupedDiscriminator):
    """Images (n, 3, R, R) -> logits (n,).

    Args:
        resolution: R, a power of two of at least 8.
        channel_base, channel_max: as in the generator.
        group_size: images that the minibatch standard deviation is taken of.
    """

    def __init__(
        self,
        resolution: int,
        channel_base: int = 16384,
        channel_max: int = 512,
        group_size: int = 4,
    ):
        super().__init__()
        self.resolution, self.group_size = resolution, group_size
        self.sizes = resolutions(resolution)[:0:-1]
        channels = {
            size: channels_at(size, channel_base, channel_max) for size in (*self.sizes, 4, 2)
        }
        self.fromrgb = EqualisedConv(3, channels[resolution], 1)
        for size in self.sizes:
            setattr(self, f"b{size}", Block(channels[size], channels[size // 2]))
        self.b4 = LastBlock(channels[4], channels[2], group_size)

    def trunk(self, images: Tensor) -> Tensor:
        """(n, 3, R, R) -> (n, channels, 4, 4)."""
        x = images.contiguous(memory_format=torch.channels_last)
        x = F.leaky_relu(self.fromrgb(x), SLOPE)
        for size in self.sizes:
            x = getattr(self, f"b{size}")(x)
        return x


build_discriminator = ProGanDiscriminator
