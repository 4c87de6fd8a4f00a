"""Pixels moved: by whole numbers of pixels, and by affine maps.

Beyond its edge an image is mirrored about the centres of its outer pixels. All is linear in the images
and can be differentiated twice, which torch's `grid_sample` cannot: R1 differentiates a gradient.
"""

from __future__ import annotations

import torch

__all__ = ["affine_move", "affine_scale", "affine_turn", "shift", "warp"]

# Parameter of the cubic kernel (Keys 1981), with the value that torch and OpenCV have.
KEYS = -0.75


def _mirrored(index: torch.Tensor, size: int) -> torch.Tensor:
    """Integer positions of any size, mirrored into 0, ..., size - 1."""
    period = max(1, 2 * (size - 1))
    index = index.remainder(period)
    return torch.minimum(index, period - index)


def shift(images: torch.Tensor, right: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    """Images (n, c, h, w), each moved by whole pixels: right and down (n,) int64."""
    for dim, by in ((3, right), (2, down)):
        size = images.shape[dim]
        source = _mirrored(
            torch.arange(size, device=images.device) - by[:, None], size
        )  # (n, size)
        shape = (len(images), 1, size, 1) if dim == 2 else (len(images), 1, 1, size)
        images = images.gather(dim, source.view(shape).expand_as(images))
    return images


def _taps(place: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The four pixels around each place (n, m) along one side, and their weights, both (n, 4, m)."""
    first = place.floor()
    offset = (place - first)[:, None]
    near, far = torch.cat([offset, 1 - offset], 1), torch.cat([1 + offset, 2 - offset], 1)
    inner = ((KEYS + 2) * near - (KEYS + 3)) * near * near + 1
    outer = KEYS * (((far - 5) * far + 8) * far - 4)
    weights = torch.stack([outer[:, 0], inner[:, 0], inner[:, 1], outer[:, 1]], 1)
    steps = torch.arange(-1, 3, device=place.device)[:, None]
    return _mirrored(first.long()[:, None] + steps, size), weights


def warp(images: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Images (n, c, h, w) seen through affine maps, by cubic convolution (Keys 1981).

    matrix: (n, 2, 3), from a place (x, y, 1) of the result to the place (x, y) of the image that is
    seen there; in pixels right and down of the centre.
    """
    n, channels, height, width = images.shape
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    y, x = torch.meshgrid(
        torch.arange(height, device=images.device) - middle_y,
        torch.arange(width, device=images.device) - middle_x,
        indexing="ij",
    )
    places = matrix @ torch.stack([x, y, torch.ones_like(x)]).flatten(1).to(matrix)  # (n, 2, h w)
    columns, across = _taps(places[:, 0] + middle_x, width)
    rows, along = _taps(places[:, 1] + middle_y, height)
    index = (rows[:, :, None] * width + columns[:, None]).view(n, 1, -1)
    weights = (along[:, :, None] * across[:, None]).view(n, 1, 16, -1).to(images)
    taken = images.flatten(2).gather(2, index.expand(-1, channels, -1))
    return (taken.view(n, channels, 16, -1) * weights).sum(2).view_as(images)


def affine_scale(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """(n, 3, 3): places times x and y (n,)."""
    return torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], 1))


def affine_turn(angle: torch.Tensor) -> torch.Tensor:
    """(n, 3, 3): a rotation by angles (n,) in radians, from right towards down."""
    matrix = torch.eye(3).repeat(len(angle), 1, 1)
    matrix[:, 0, 0] = matrix[:, 1, 1] = angle.cos()
    matrix[:, 1, 0], matrix[:, 0, 1] = angle.sin(), -angle.sin()
    return matrix


def affine_move(right: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    """(n, 3, 3): moved by pixels (n,)."""
    matrix = torch.eye(3).repeat(len(right), 1, 1)
    matrix[:, 0, 2], matrix[:, 1, 2] = right, down
    return matrix
