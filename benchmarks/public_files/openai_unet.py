"""The U-Net of the published OpenAI state dicts, after its papers and names."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["LegacyAttention", "OpenAiUNet"]


class Residual(nn.Module):
    """Residual block that knows the time; `resample` is None, "up" or "down"."""

    def __init__(self, inputs, outputs, embedding, scale_shift, resample=None):
        super().__init__()
        self.scale_shift, self.resample = scale_shift, resample
        self.in_layers = nn.Sequential(
            nn.GroupNorm(32, inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1)
        )
        rows = 2 * outputs if scale_shift else outputs
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, rows))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(32, outputs),
            nn.SiLU(),
            nn.Dropout(0.0),
            nn.Conv2d(outputs, outputs, 3, padding=1),
        )
        same = inputs == outputs
        self.skip_connection = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1)

    def _resized(self, x):
        if self.resample is None:
            return x
        return F.interpolate(x, scale_factor=2) if self.resample == "up" else F.avg_pool2d(x, 2)

    def forward(self, x, embedding):
        h = self.in_layers[2](self._resized(self.in_layers[:2](x)))
        time = self.emb_layers(embedding)[:, :, None, None]
        if self.scale_shift:
            scale, shift = time.chunk(2, dim=1)
            h = self.out_layers[1:](self.out_layers[0](h) * (1 + scale) + shift)
        else:
            h = self.out_layers(h + time)
        return self.skip_connection(self._resized(x)) + h


class LegacyAttention(nn.Module):
    """Self-attention whose joint projection is ordered (head, q k v, channel of the head).

    thirds: it is ordered (q k v, head, channel of the head), as the 64 px model with classes has it.
    """

    def __init__(self, channels, heads, thirds=False):
        super().__init__()
        self.heads, self.thirds = heads, thirds
        self.norm = nn.GroupNorm(32, channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)

    def forward(self, x, embedding=None):
        n, c, height, width = x.shape
        flat = x.reshape(n, c, -1)
        joint, order = self.qkv(self.norm(flat)), (3, self.heads)
        if self.thirds:
            q, k, v = joint.unflatten(1, (*order, -1)).unbind(1)
        else:
            q, k, v = joint.unflatten(1, (*reversed(order), -1)).unbind(2)
        scores = torch.einsum("nhct,nhcs->nhts", q, k) / math.sqrt(c // self.heads)
        mixed = torch.einsum("nhts,nhcs->nhct", scores.softmax(-1), v)
        return (flat + self.proj_out(mixed.reshape(n, c, -1))).reshape(n, c, height, width)


class Plain(nn.Module):
    """A convolution that ignores the time: `conv` after doubling, or `op` of stride 2."""

    def __init__(self, channels, up):
        super().__init__()
        self.up = up
        if up:
            self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        else:
            self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x, embedding):
        return self.conv(F.interpolate(x, scale_factor=2)) if self.up else self.op(x)


class OpenAiUNet(nn.Module):
    def __init__(self, channels, blocks, attended, flavour, classes=None):
        super().__init__()
        adm, width = flavour == "adm", 4 * channels[0]
        self.base = channels[0]
        thirds = classes is not None and len(channels) == 4
        if classes is not None:
            self.label_emb = nn.Embedding(classes, width)

        def residual(inputs, outputs, resample=None):
            return Residual(inputs, outputs, width, adm, resample)

        def attention(level):
            count = channels[level]
            heads = count // 64 if adm else 1
            return [LegacyAttention(count, heads, thirds)] * (level in attended)

        def change(count, resample):
            return residual(count, count, resample) if adm else Plain(count, resample == "up")

        self.time_embed = nn.Sequential(
            nn.Linear(channels[0], width), nn.SiLU(), nn.Linear(width, width)
        )
        self.input_blocks = nn.ModuleList(
            [nn.ModuleList([nn.Conv2d(3, channels[0], 3, padding=1)])]
        )
        kept, now = [channels[0]], channels[0]
        for level, count in enumerate(channels):
            for _ in range(blocks):
                self.input_blocks.append(nn.ModuleList([residual(now, count), *attention(level)]))
                now = count
                kept.append(now)
            if level < len(channels) - 1:
                self.input_blocks.append(nn.ModuleList([change(now, "down")]))
                kept.append(now)
        middle = LegacyAttention(now, now // 64 if adm else 1, thirds)
        self.middle_block = nn.ModuleList([residual(now, now), middle, residual(now, now)])
        self.output_blocks = nn.ModuleList()
        for level, count in reversed(list(enumerate(channels))):
            for j in range(blocks + 1):
                items = [residual(now + kept.pop(), count), *attention(level)]
                now = count
                if level and j == blocks:
                    items.append(change(now, "up"))
                self.output_blocks.append(nn.ModuleList(items))
        self.out = nn.Sequential(nn.GroupNorm(32, now), nn.SiLU(), nn.Conv2d(now, 6, 3, padding=1))

    def forward(self, x, times, labels=None):
        half = self.base // 2
        speeds = torch.exp(-math.log(10000) * torch.arange(half) / half)
        angles = times[:, None].float() * speeds
        embedding = self.time_embed(torch.cat([angles.cos(), angles.sin()], 1))
        if labels is not None:
            embedding = embedding + self.label_emb(labels)
        kept = []
        for i, block in enumerate(self.input_blocks):
            for item in block:
                x = item(x, embedding) if i else item(x)
            kept.append(x)
        for item in self.middle_block:
            x = item(x, embedding)
        for block in self.output_blocks:
            x = torch.cat([x, kept.pop()], 1)
            for item in block:
                x = item(x, embedding)
        return self.out(x)
