"""StyleGAN2 discriminator (Karras et al. 2020), config F, in plain PyTorch; StyleGAN3 has it too.

Written from the paper and from the published parameter names and shapes, so that converted public
checkpoints load unchanged; a small model is the same classes with smaller numbers.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pseudodensity.generators.filters import blur, halve, resample_kernel, set_resample_filter
from pseudodensity.generators.grouped import GroupedDiscriminator, minibatch_stddev
from pseudodensity.generators.sizes import channels_at, resolutions
from pseudodensity.generators.stylegan2 import GAIN, FullyConnected, bounded_lrelu

__all__ = ["Discriminator", "build_discriminator"]


class Conv(nn.Module):
    """Convolution with equalised learning rate of the discriminator; optionally halves the size."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        k: int,
        *,
        down: bool = False,
        activate: bool = True,
        gain: float = 1.0,
        clamp: float | None = None,
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, k, k))
        self.bias = nn.Parameter(torch.zeros(outputs)) if activate else None
        self.register_buffer("resample_filter", resample_kernel())
        self.down, self.activate = down, activate
        self.gain = gain * (GAIN if activate else 1.0)
        self.weight_gain = self.gain / math.sqrt(inputs * k * k)
        self.clamp = None if clamp is None else clamp * gain

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, h) -> (n, outputs, h or h / 2, h or h / 2)."""
        weight, k = self.weight * self.weight_gain, self.weight.shape[2]
        bias = None if self.bias is None else self.bias * self.gain
        if self.down and k == 1:
            # a pointwise convolution commutes with the subsampling: filter and subsample first
            x = F.conv2d(halve(x, self.resample_filter), weight, bias)
        elif self.down:
            x = F.conv2d(blur(x, self.resample_filter, padding=2), weight, bias, stride=2)
        else:
            x = F.conv2d(x, weight, bias, padding=k // 2)
        return bounded_lrelu(x, self.clamp) if self.activate else x


class DiscriminatorBlock(nn.Module):
    """Residual block that halves the size; both branches times sqrt(1/2) to keep the variance."""

    def __init__(self, inputs: int, outputs: int, first: bool, clamp: float | None):
        super().__init__()
        self.fromrgb = Conv(3, inputs, 1, clamp=clamp) if first else None
        self.conv0 = Conv(inputs, inputs, 3, clamp=clamp)
        self.conv1 = Conv(inputs, outputs, 3, down=True, gain=math.sqrt(0.5), clamp=clamp)
        self.skip = Conv(inputs, outputs, 1, down=True, activate=False, gain=math.sqrt(0.5))
        self.register_buffer("resample_filter", resample_kernel())

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3 or inputs, h, h) -> (n, outputs, h / 2, h / 2)."""
        if self.fromrgb is not None:
            x = self.fromrgb(x)
        return self.conv1(self.conv0(x)) + self.skip(x)


class DiscriminatorEpilogue(nn.Module):
    """4x4 features -> logit."""

    def __init__(self, inputs: int, group_size: int, clamp: float | None):
        super().__init__()
        self.group_size = group_size
        self.conv = Conv(inputs + 1, inputs, 3, clamp=clamp)
        self.fc = FullyConnected(inputs * 16, inputs, activate=True)
        self.out = FullyConnected(inputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, 4, 4) -> (n,)."""
        x = self.conv(minibatch_stddev(x, self.group_size))
        return self.out(self.fc(x.flatten(1))).squeeze(1)


class Discriminator(GroupedDiscriminator):
    """Residual StyleGAN2 discriminator: images (n, 3, R, R) -> logits (n,).

    A logit depends on the other images of its group (minibatch standard deviation).
    """

    def __init__(
        self,
        resolution: int,
        channel_base: int = 32768,
        channel_max: int = 512,
        conv_clamp: float | None = None,
        group_size: int = 4,
        resample_filter: Sequence[float] = (1, 3, 3, 1),
    ):
        super().__init__()
        self.resolution, self.group_size = resolution, group_size
        self.sizes = resolutions(resolution)[:0:-1]
        for size in self.sizes:
            inputs = channels_at(size, channel_base, channel_max)
            outputs = channels_at(size // 2, channel_base, channel_max)
            block = DiscriminatorBlock(inputs, outputs, size == resolution, conv_clamp)
            setattr(self, f"b{size}", block)
        inputs = channels_at(4, channel_base, channel_max)
        self.b4 = DiscriminatorEpilogue(inputs, group_size, conv_clamp)
        set_resample_filter(self, resample_filter)

    def trunk(self, images: Tensor) -> Tensor:
        """(n, 3, R, R) -> (n, channels, 4, 4)."""
        x = images.contiguous(memory_format=torch.channels_last)
        for size in self.sizes:
            x = getattr(self, f"b{size}")(x)
        return x


build_discriminator = Discriminator
