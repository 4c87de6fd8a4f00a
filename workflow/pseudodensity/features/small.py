"""Small extractors for small images, trained by `training`: a vision transformer and a residual CNN."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from timm.models.resnet import BasicBlock
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from pseudodensity.features.extractor import Extractor


class SmallViT(Extractor):
    """timm's VisionTransformer without class token, average-pooled; a feature has `width` entries."""

    def __init__(self, size: int, patch: int, width: int, depth: int, heads: int):
        """size: image side, a multiple of patch. heads divides width."""
        if size % patch or width % heads:
            raise ValueError(
                f"small_vit: patch {patch} must divide size {size}, heads {heads} width {width}"
            )
        super().__init__(width, size)
        self.model = VisionTransformer(
            img_size=size,
            patch_size=patch,
            embed_dim=width,
            depth=depth,
            num_heads=heads,
            class_token=False,
            global_pool="avg",
            num_classes=0,
        )

    def embed(self, x: Tensor) -> Tensor:
        """Prepared images -> (n, width)."""
        return self.model(x)


class SmallCnn(Extractor):
    """Residual CNN of timm's basic blocks; each stage after the first halves the resolution.

    A feature is the average of the last stage, widths[-1] entries. `pyramid` gives all stages, as
    the projected discriminator wants them.
    """

    def __init__(self, size: int, widths: Sequence[int], blocks: int):
        """size: image side, a multiple of 2 ** (len(widths) - 1). blocks: per stage."""
        if size % 2 ** (len(widths) - 1):
            raise ValueError(f"small_cnn: {size} px cannot be halved {len(widths) - 1} times")
        super().__init__(widths[-1], size)
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()
        )
        before = (widths[0], *widths)
        self.stages = nn.ModuleList(
            stage(before[i], width, blocks, stride=1 if i == 0 else 2)
            for i, width in enumerate(widths)
        )
        self.widths = tuple(widths)
        # A third faster on a CPU at these sizes; the convolutions hand the layout on.
        self.to(memory_format=torch.channels_last)

    def pyramid(self, x: Tensor) -> list[Tensor]:
        """Images (n, 3, h, w) in [-1, 1] -> feature maps (n, widths[i], size / 2**i, size / 2**i)."""
        return self._stages(self.prepare(x))

    def embed(self, x: Tensor) -> Tensor:
        """Prepared images -> (n, widths[-1])."""
        return self._stages(x)[-1].mean(dim=(2, 3))

    def _stages(self, x: Tensor) -> list[Tensor]:
        maps, x = [], self.stem(x.contiguous(memory_format=torch.channels_last))
        for layers in self.stages:
            x = layers(x)
            maps.append(x)
        return maps


def stage(inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    """Basic blocks at one resolution, the first of them strided and widened by a projection."""
    shortcut = None
    if stride > 1 or inputs != outputs:
        shortcut = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
        )
    first = BasicBlock(inputs, outputs, stride=stride, downsample=shortcut)
    return nn.Sequential(first, *(BasicBlock(outputs, outputs) for _ in range(blocks - 1)))
