"""Raise the rate, multiply, lower the rate: tangents of StyleGAN3's filtered nonlinearity.

Where the slopes of the nonlinearity are known, its tangent is linear: x -> D (slopes * U x). The
filters are matrices that are zero off a band, and a tile of the output sees a short stretch of
the band only; so small dense products do it all, on maps that stay in the cache.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pseudodensity.generators.stylegan3 import SynthesisLayer

TILE = 18  # outputs: a wider tile multiplies more zeros, a narrower one more of its neighbours


class Tile(NamedTuple):
    """A stretch of a layer's output along one axis, and what it is made from."""

    low: slice  # of the input
    high: slice  # of the samples at the high rate
    up: Tensor  # (high, low)
    down: Tensor  # (outputs, high)


def tiles_of(layer: SynthesisLayer) -> list[Tile]:
    """The tiles of a layer, the same along both axes."""
    up = layer.up.matrix(layer.up_filter * layer.up_gain)
    down = layer.down.matrix(layer.down_filter)
    tiles = []
    for outputs in down.chunk(-(-len(down) // TILE)):
        high = _support(outputs)
        low = _support(up[high])
        tiles.append(Tile(low, high, up[high, low], outputs[:, high]))
    return tiles


def _support(matrix: Tensor) -> slice:
    """The columns of a banded matrix that are not zero."""
    columns = matrix.any(0).nonzero()
    return slice(int(columns[0]), int(columns[-1]) + 1)


def slopes_of_tiles(slopes: Tensor, tiles: list[Tile]) -> list[list[Tensor]]:
    """Slopes (m, H, H, channels) cut for `resample_scaled`: across, then along."""
    return [
        [slopes[:, along.high, across.high].contiguous() for along in tiles] for across in tiles
    ]


def resample_scaled(x: Tensor, slopes: list[list[Tensor]], tiles: list[Tile]) -> Tensor:
    """D (slopes * U x): x (c, m, h, h, channels) -> the same of another h; `slopes_of_tiles`.

    Channels come last, so that the products along both axes read and write in order.
    """
    count, points, size, _, channels = x.shape
    maps = x.reshape(-1, size, channels)
    heights = [len(tile.down) for tile in tiles]
    result = x.new_empty(count * points, sum(heights), sum(heights), channels)
    columns = result.split(heights, 2)
    for across, slopes_along, column in zip(tiles, slopes, columns, strict=True):
        wide = _product(across.up, maps[:, across.low]).view(count * points, size, -1)
        strip = wide.new_empty(count * points, sum(heights), wide.shape[2])
        rows = strip.split(heights, 1)
        for along, slope, row in zip(tiles, slopes_along, rows, strict=True):
            high = _product(along.up, wide[:, along.low])
            bent = high.view(count, points, len(along.up), len(across.up), channels)
            bent.mul_(slope)
            torch.bmm(along.down.expand(len(high), -1, -1), high, out=row)
        strip = _product(across.down, strip.view(-1, len(across.up), channels))
        column.copy_(strip.view_as(column))
    return result.unflatten(0, (count, points))


def _product(matrix: Tensor, batch: Tensor) -> Tensor:
    """One matrix (i, j) times each of many (b, j, k) -> (b, i, k)."""
    return torch.bmm(matrix.expand(len(batch), -1, -1), batch)
