"""Affine maps of colour, as matrices that can be multiplied.

Images are in [-1, 1] with 0 as middle grey. Luma is the component of a colour along the grey axis.
"""

from __future__ import annotations

import math

import torch

__all__ = ["brightness", "contrast", "hue", "luma_flip", "recolor", "saturation"]

# The part of a colour on the grey axis, the part off it, and the cross product with its unit vector. Neutral
# values make exact identities, because such matrices are added to one.
ALONG = torch.full((3, 3), 1 / 3)
ACROSS = torch.eye(3) - ALONG
TURN = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)


def _homogeneous(linear: torch.Tensor, offset: torch.Tensor | None = None) -> torch.Tensor:
    """(n, 3, 3) and, if colours are moved too, (n,) of all channels -> (n, 4, 4)."""
    matrix = torch.eye(4).repeat(len(linear), 1, 1)
    matrix[:, :3, :3] = linear
    if offset is not None:
        matrix[:, :3, 3] = offset[:, None]
    return matrix


def brightness(added: torch.Tensor) -> torch.Tensor:
    """(n, 4, 4): ``added`` (n,) to every channel."""
    return _homogeneous(torch.eye(3).repeat(len(added), 1, 1), added)


def contrast(factor: torch.Tensor) -> torch.Tensor:
    """(n, 4, 4): colours times ``factor`` (n,)."""
    return _homogeneous(factor[:, None, None] * torch.eye(3))


def luma_flip(flipped: torch.Tensor) -> torch.Tensor:
    """(n, 4, 4): the luma negated where ``flipped`` (n,) is 1, and kept where it is 0."""
    return _homogeneous(torch.eye(3) - 2 * flipped[:, None, None] * ALONG)


def hue(angle: torch.Tensor) -> torch.Tensor:
    """(n, 4, 4): colours turned about the grey axis by ``angle`` (n,), in radians."""
    angle = angle[:, None, None]
    return _homogeneous(torch.eye(3) + (angle.cos() - 1) * ACROSS + angle.sin() * TURN)


def saturation(factor: torch.Tensor) -> torch.Tensor:
    """(n, 4, 4): the part of colours off the grey axis times ``factor`` (n,)."""
    return _homogeneous(torch.eye(3) + (factor[:, None, None] - 1) * ACROSS)


def recolor(images: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Images (n, 3, h, w) with the colours that matrices (n, 4, 4) make of theirs."""
    matrix = matrix.to(images)
    moved = matrix[:, :3, :3] @ images.flatten(2) + matrix[:, :3, 3:]
    return moved.view_as(images)
