"""The discriminator of BigGAN-deep (Brock et al. 2019, appendix B), which knows the class of an image.

The class enters by projection: the logit is linear in the pooled features, with weights that each
class adds its own to (Miyato and Koyama 2018, equation 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pseudodensity.generators.biggan import SelfAttention, bottleneck, orthogonal
from pseudodensity.generators.discriminator import StagedDiscriminator
from pseudodensity.generators.sizes import resolutions

__all__ = ["BigGanDiscriminator", "build_discriminator"]


class Block(nn.Module):
    """Residual block with a bottleneck; `down` halves the map.

    On the way past it, channels that are more than before come from a convolution of one pixel.
    """

    def __init__(self, inputs: int, outputs: int, reduction: int, down: bool):
        super().__init__()
        self.down = down
        self.convolutions = bottleneck(inputs, outputs // reduction, outputs, True)
        more = outputs - inputs
        self.added = orthogonal(nn.Conv2d(inputs, more, 1), True) if more else None

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, h) -> (n, outputs, h, h), or h / 2."""
        past = F.avg_pool2d(x, 2) if self.down else x
        for place, convolution in enumerate(self.convolutions):
            x = F.relu(x)
            x = convolution(F.avg_pool2d(x, 2) if self.down and place == 3 else x)
        return x + (past if self.added is None else torch.cat([past, self.added(past)], 1))


class BigGanDiscriminator(StagedDiscriminator):
    """Images (n, 3, R, R) and their classes (n,) -> logits (n,); no logit depends on another image.

    Args:
        resolution: R, a power of two of at least 8.
        classes: how many there are.
        channels: at R, R / 2, ..., 4, none fewer than the one before.
        reduction: how many times narrower a block is inside.
        attention: side of the map that attends to itself, one of R / 2, ..., 4; None for none.

    Raises:
        ValueError: on another resolution or number of channels, or a size that leaves none of something.
    """

    def __init__(
        self,
        resolution: int,
        classes: int,
        channels: Sequence[int] = (128, 256, 512, 1024, 2048, 2048),
        reduction: int = 4,
        attention: int | None = 64,
    ):
        super().__init__()
        sizes = resolutions(resolution)[::-1]
        rising = all(before <= after for before, after in pairwise(channels))
        if len(channels) != len(sizes) or not rising or min(*channels, classes, reduction) < 1:
            raise ValueError(
                f"the discriminator of a BigGAN of {resolution} px has classes and {len(sizes)} numbers of "
                f"channels, at {resolution} to 4 px, none fewer than the one before, not classes {classes} "
                f"and channels {list(channels)}"
            )
        if channels[1] < reduction:
            raise ValueError(
                f"channels {list(channels)} leave nothing of a {reduction}th: lower reduction"
            )
        if attention is not None and attention not in sizes[1:]:
            raise ValueError(
                f"attention is {attention}, no side of a map: give one of {sizes[1:]} or null"
            )
        self.resolution, self.classes = resolution, classes
        self.fromrgb = orthogonal(nn.Conv2d(3, channels[0], 3, padding=1), True)
        layers: list[nn.Module] = []
        for size, (inputs, outputs) in zip(sizes[1:], pairwise(channels), strict=True):
            layers.append(Block(inputs, outputs, reduction, True))
            layers.append(Block(outputs, outputs, reduction, False))
            if size == attention:
                layers.append(SelfAttention(outputs, True))
        self.layers = nn.Sequential(*layers)
        self.dense = orthogonal(nn.Linear(channels[-1], 1), True)
        self.embedding = orthogonal(nn.Embedding(classes, channels[-1]), True)

    def head(self) -> nn.Module:
        """The last layer."""
        return self.dense

    def judge(self, features: Sequence[Tensor]) -> Tensor:
        """[(n, 3, R, R) float in [-1, 1], classes (n,) int64] -> (n,)."""
        images, labels = features
        pooled = F.relu(self.layers(self.fromrgb(images))).sum((2, 3))
        return self.dense(pooled).squeeze(1) + (self.embedding(labels) * pooled).sum(1)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.judge([*self.features(images), labels])


build_discriminator = BigGanDiscriminator
