"""The U-Net of pixel diffusion models, in the two flavours IDDPM and ADM, in plain PyTorch.

`flavour` fixes what tells the families apart (Nichol and Dhariwal 2021; Dhariwal and Nichol 2021,
section 3): ADM conditions on time by scale and shift after the norm, resamples inside residual
blocks and has many narrow attention heads; IDDPM adds the time embedding before the norm,
resamples by a convolution and has one head.

Parameters carry the names that diffusers' UNet2DModel gives them and are drawn in its order, so
that weights go across and a seed makes the same network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, scaled_dot_product_attention, silu

__all__ = ["ClassEmbedding", "UNet", "UNetShape"]

FLAVOURS = ("iddpm", "adm")
LONGEST_PERIOD = 10_000  # of the waves that a time is encoded by


@dataclass(frozen=True)
class UNetShape:
    """What a U-Net is built from.

    size: side of the grid. patch: side of the pixel blocks that are folded into channels: 3 patch^2
    channels in, twice as many out (means and variances). channels: width of each level, finest
    first; each level is half the size of the one before. blocks: residual blocks per level on the
    way down; the way up has one more. attention_levels: indices of the levels with self-attention
    (the middle always has it). head_channels: width of an attention head; None for one head.
    norm_groups: of every group normalisation. dropout: in residual blocks. classes: how many there
    are; None for a network that knows none.

    ValueError for what cannot be built.
    """

    size: int
    patch: int
    flavour: str
    channels: Sequence[int]
    blocks: int
    attention_levels: Sequence[int]
    head_channels: int | None
    norm_groups: int
    dropout: float
    classes: int | None = None

    def __post_init__(self) -> None:
        channels, levels = list(self.channels), len(self.channels)
        if self.flavour not in FLAVOURS:
            raise ValueError(f"diffusion flavour {self.flavour!r} unknown: use one of {FLAVOURS}")
        if self.size % 2 ** (levels - 1):
            raise ValueError(
                f"a grid of {self.size} cannot be halved for {levels} levels: use fewer"
            )
        if channels[0] < self.inputs:
            # Such a net cannot carry the noise from its input to its output, and never learns.
            raise ValueError(
                f"channels[0]={channels[0]} is below 3 patch^2 = {self.inputs}: widen it"
            )
        if channels[0] % 2:
            raise ValueError(f"channels[0]={channels[0]} must be even, to encode times by waves")
        if any(width % self.norm_groups for width in channels):
            raise ValueError(f"channels {channels} must divide by norm_groups={self.norm_groups}")
        if not self.blocks and len(set(channels)) > 1:
            raise ValueError(f"blocks=0 cannot change the width: give channels {channels} one")
        if not set(self.attention_levels) <= set(range(levels)):
            raise ValueError(
                f"attention_levels {list(self.attention_levels)}: levels are 0 to {levels - 1}"
            )
        for level in {*self.attention_levels, levels - 1}:
            if self.head_channels and channels[level] % self.head_channels:
                raise ValueError(
                    f"channels {channels} must divide by head_channels={self.head_channels} "
                    "where a level has attention"
                )

    @property
    def embedding(self) -> int:
        """Width of the vector that stands for a time, and of that for a class."""
        return 4 * self.channels[0]

    @property
    def inputs(self) -> int:
        """Channels of the input."""
        return 3 * self.patch**2

    @property
    def scale_shift(self) -> bool:
        """Whether the time scales and shifts maps, and blocks resample; see the module."""
        return self.flavour == "adm"


class ResidualBlock(nn.Module):
    """Twice norm, SiLU and convolution, conditioned on time, beside a shortcut.

    resample: "up" | "down" doubles or halves the map within the block; None leaves its size.
    """

    def __init__(self, shape: UNetShape, inputs: int, outputs: int, resample: str | None = None):
        super().__init__()
        self.resample, self.scale_shift = resample, shape.scale_shift
        self.norm1 = nn.GroupNorm(shape.norm_groups, inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        factor = 2 if shape.scale_shift else 1
        self.time_emb_proj = nn.Linear(shape.embedding, factor * outputs)
        self.norm2 = nn.GroupNorm(shape.norm_groups, outputs)
        self.dropout = nn.Dropout(shape.dropout)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Maps x (n, inputs, h, h), the embedding of their times (n or 1, d) -> maps."""
        residual = silu(self.norm1(x))
        if self.resample is not None:
            x, residual = _resampled(x, self.resample), _resampled(residual, self.resample)
        residual = self.conv1(residual)
        time = self.time_emb_proj(silu(time))[:, :, None, None]
        if self.scale_shift:
            scale, shift = time.chunk(2, dim=1)
            residual = torch.addcmul(shift, self.norm2(residual), 1 + scale)
        else:
            residual = self.norm2(residual + time)
        residual = self.conv2(self.dropout(silu(residual)))
        return residual + (x if self.conv_shortcut is None else self.conv_shortcut(x))


class Attention(nn.Module):
    """Self-attention between the pixels of a map, beside a shortcut."""

    def __init__(self, shape: UNetShape, channels: int):
        super().__init__()
        self.heads = channels // (shape.head_channels or channels)
        self.group_norm = nn.GroupNorm(shape.norm_groups, channels)
        self.to_q = nn.Linear(channels, channels)
        self.to_k = nn.Linear(channels, channels)
        self.to_v = nn.Linear(channels, channels)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, h) -> the same shape."""
        pixels = self.group_norm(x).permute(0, 2, 3, 1).flatten(1, 2)  # (n, h h, channels)
        query, key, value = (
            project(pixels).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for project in (self.to_q, self.to_k, self.to_v)
        )
        attended = scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        attended = self.to_out[0](attended).unflatten(1, x.shape[2:])
        return x + attended.permute(0, 3, 1, 2)


class Resampling(nn.Module):
    """IDDPM's way from one level to the next: a convolution of stride 2, or doubling before one."""

    def __init__(self, channels: int, resample: str):
        super().__init__()
        self.up = resample == "up"
        self.conv = nn.Conv2d(channels, channels, 3, stride=1 if self.up else 2, padding=1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """(n, channels, h, h) -> (n, channels, 2 h or h / 2, 2 h or h / 2), whatever the time."""
        return self.conv(_resampled(x, "up") if self.up else x)


class Level(nn.Module):
    """Residual blocks of one size of map, each with attention behind it if the level has it.

    inputs: channels that each block takes.
    """

    def __init__(self, shape: UNetShape, inputs: Sequence[int], outputs: int, attends: bool):
        super().__init__()
        self.resnets, self.attentions = nn.ModuleList(), nn.ModuleList()
        for channels in inputs:
            self.resnets.append(ResidualBlock(shape, channels, outputs))
            if attends:
                self.attentions.append(Attention(shape, outputs))

    def block(self, i: int, x: Tensor, time: Tensor) -> Tensor:
        """Block i with its attention."""
        x = self.resnets[i](x, time)
        return self.attentions[i](x) if len(self.attentions) else x


class DownLevel(Level):
    """A level on the way down; it ends by halving the map, but for the last one."""

    def __init__(
        self, shape: UNetShape, inputs: Sequence[int], outputs: int, attends: bool, last: bool
    ):
        super().__init__(shape, inputs, outputs, attends)
        self.downsamplers = _resamplers(shape, outputs, "down", 0 if last else 1)

    def forward(self, x: Tensor, time: Tensor) -> list[Tensor]:
        """What every block makes of the map before it, in order."""
        maps = [x]
        for i in range(len(self.resnets)):
            maps.append(self.block(i, maps[-1], time))
        for halve in self.downsamplers:
            maps.append(halve(maps[-1], time))
        return maps[1:]


class UpLevel(Level):
    """A level on the way up; each block also sees a map of the way down."""

    def __init__(
        self, shape: UNetShape, inputs: Sequence[int], outputs: int, attends: bool, last: bool
    ):
        super().__init__(shape, inputs, outputs, attends)
        self.upsamplers = _resamplers(shape, outputs, "up", 0 if last else 1)

    def forward(self, x: Tensor, time: Tensor, skipped: list[Tensor]) -> Tensor:
        """The map x after all blocks; ``skipped`` loses the maps that they take, last first."""
        for i in range(len(self.resnets)):
            x = self.block(i, torch.cat([x, skipped.pop()], dim=1), time)
        for double in self.upsamplers:
            x = double(x, time)
        return x


class Middle(Level):
    """The coarsest map: a block, attention, a block."""

    def __init__(self, shape: UNetShape, channels: int):
        super().__init__(shape, [channels], channels, attends=True)
        self.resnets.append(ResidualBlock(shape, channels, channels))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """(n, channels, h, h) -> the same shape."""
        return self.resnets[1](self.block(0, x, time), time)


class TimeEmbedding(nn.Module):
    """Two layers behind the waves that encode a time."""

    def __init__(self, width: int):
        super().__init__()
        self.width = width
        self.linear_1 = nn.Linear(width, 4 * width)
        self.linear_2 = nn.Linear(4 * width, 4 * width)

    def forward(self, times: Tensor) -> Tensor:
        """Times (n,) between 0 and 1000 -> (n, 4 width)."""
        half = self.width // 2
        exponents = torch.arange(half, dtype=torch.float32, device=times.device)
        # In float32 whatever the weights are in, as the published models have it.
        waves = times[:, None].float() * torch.exp(-math.log(LONGEST_PERIOD) * exponents / half)
        encoded = torch.cat([waves.cos(), waves.sin()], dim=1).to(self.linear_1.weight.dtype)
        return self.linear_2(silu(self.linear_1(encoded)))


class ClassEmbedding(nn.Embedding):
    """A vector for each class, added to that of the time (Dhariwal and Nichol 2021, section 3.1)."""

    def forward(self, labels: Tensor) -> Tensor:
        """Vectors (n, width) of classes (n,) int64, or of mixtures of classes (n, classes) float, whose
        rows are the shares of each."""
        return labels @ self.weight if labels.is_floating_point() else super().forward(labels)


class UNet(nn.Module):
    """Noisy images and their times -> means and variances, see `UNetShape` for its settings."""

    def __init__(self, shape: UNetShape):
        super().__init__()
        channels, deepest = list(shape.channels), len(shape.channels) - 1
        attends = [level in shape.attention_levels for level in range(len(channels))]
        self.conv_in = nn.Conv2d(shape.inputs, channels[0], 3, padding=1)
        self.time_embedding = TimeEmbedding(channels[0])
        if shape.classes is not None:
            self.class_embedding = ClassEmbedding(shape.classes, shape.embedding)
        self.down_blocks, self.up_blocks = nn.ModuleList(), nn.ModuleList()
        width, skipped = channels[0], [channels[0]]
        for level, outputs in enumerate(channels):
            inputs = [width, *[outputs] * shape.blocks][: shape.blocks]
            last = level == deepest
            self.down_blocks.append(DownLevel(shape, inputs, outputs, attends[level], last))
            skipped += [outputs] * (shape.blocks + (not last))
            width = outputs
        self.mid_block = Middle(shape, width)
        for level in range(deepest, -1, -1):
            outputs = channels[level]
            before = [width, *[outputs] * shape.blocks]
            inputs = [own + skipped.pop() for own in before]
            last = level == 0
            self.up_blocks.append(UpLevel(shape, inputs, outputs, attends[level], last))
            width = outputs
        self.conv_norm_out = nn.GroupNorm(shape.norm_groups, width)
        self.conv_out = nn.Conv2d(width, 2 * shape.inputs, 3, padding=1)

    def forward(self, x: Tensor, times: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images x (n, c, h, h), times (n,) from 0 to 1000, or (1,) for all -> (n, 2 c, h, h).

        labels: as `ClassEmbedding` takes them, of a network with classes.
        """
        time = self.time_embedding(times)
        if labels is not None:
            time = time + self.class_embedding(labels)
        x = self.conv_in(x)
        skipped = [x]
        for level in self.down_blocks:
            skipped += level(skipped[-1], time)
        x = self.mid_block(skipped[-1], time)
        for level in self.up_blocks:
            x = level(x, time, skipped)
        return self.conv_out(silu(self.conv_norm_out(x)))


def _resampled(x: Tensor, resample: str) -> Tensor:
    """A map of twice or half its size, without weights."""
    return interpolate(x, scale_factor=2.0) if resample == "up" else avg_pool2d(x, 2)


def _resamplers(shape: UNetShape, channels: int, resample: str, count: int) -> nn.ModuleList:
    if shape.scale_shift:
        made = [ResidualBlock(shape, channels, channels, resample) for _ in range(count)]
    else:
        made = [Resampling(channels, resample) for _ in range(count)]
    return nn.ModuleList(made)
