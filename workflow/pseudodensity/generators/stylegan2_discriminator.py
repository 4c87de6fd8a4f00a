"""StyleGAN2 discriminator (Karras et al. 2020), config F, in plain PyTorch; StyleGAN3 has it too.

Written from the paper and from the published parameter names and shapes, so that converted public
checkpoints load unchanged; a small model is the same classes with smaller numbers.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pseudodensity.generators.discriminator import StagedDiscriminator
from pseudodensity.generators.filters import blur, halve, resample_kernel, set_resample_filter
from pseudodensity.generators.stylegan2 import (
    GAIN,
    FullyConnected,
    bounded_lrelu,
    channels_at,
    resolutions,
)

__all__ = ["Discriminator", "build_discriminator", "minibatch_stddev"]


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


class Discriminator(StagedDiscriminator):
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

    def judge(self, features: Sequence[Tensor]) -> Tensor:
        """[(n, 3, R, R) float in [-1, 1]] -> (n,); n must be a multiple of the group size."""
        return self.b4(self._trunk(features[0]))

    def _trunk(self, images: Tensor) -> Tensor:
        """The features (n, channels, 4, 4) that are compared; up to there an image is alone."""
        x = images.contiguous(memory_format=torch.channels_last)
        for size in self.sizes:
            x = getattr(self, f"b{size}")(x)
        return x

    def head(self) -> nn.Module:
        """What turns the 4 x 4 features into a logit."""
        return self.b4

    @property
    def companions(self) -> int:
        """The other images of a group."""
        return self.group_size - 1

    def judge_each(self, images: Tensor, references: Tensor | None = None) -> Tensor:
        """Logits (n,), where each image forms its group with the same references."""
        if not self.companions:
            return self(images)
        shared = self._trunk(references[: self.companions])
        # Image i shares its group with rows i + n, i + 2n, ...: one copy of every reference.
        rows = torch.cat([self._trunk(images), shared.repeat_interleave(len(images), 0)])
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


build_discriminator = Discriminator
