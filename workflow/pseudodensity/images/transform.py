"""One rule for quantising and resizing images, for real and fake alike."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F

from pseudodensity.tensors import NonFiniteError

__all__ = ["resize", "to_float", "to_uint8"]


def to_float(images: np.ndarray | torch.Tensor) -> torch.Tensor:
    """uint8 images of any shape -> float32 in [-1, 1]."""
    images = torch.as_tensor(images)
    if images.dtype != torch.uint8:
        raise ValueError(f"to_float wants uint8 images, not {images.dtype}: apply to_uint8 first")
    return images.float() / 127.5 - 1


def to_uint8(images: torch.Tensor) -> torch.Tensor:
    """Float images in [-1, 1] (beyond is clamped) -> uint8; inverse of `to_float`.

    NonFiniteError (a ValueError): images that hold NaN or infinity, which would become black.
    """
    images = images.detach().float()
    # A sum is ten times as fast as a look at each number, and finite only if all of them are.
    if not torch.isfinite(images.sum()):
        _refuse_non_finite(images)
    return (images * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)


def _refuse_non_finite(images: torch.Tensor) -> None:
    bad = ~torch.isfinite(images.reshape(-1, *images.shape[-3:]).flatten(1)).all(1)
    if bad.any():
        raise NonFiniteError(
            f"{int(bad.sum())} of {len(bad)} images hold NaN or infinity: the weights of their "
            "generator are damaged, or its training diverged"
        )


def resize(
    images: torch.Tensor, size: int, filter: Literal["bicubic", "bilinear"] = "bicubic"
) -> torch.Tensor:
    """Antialiased resize of float images (n, c, h, w) to (n, c, size, size), differentiable.

    Images that already have the size come back untouched. Bicubic may overshoot [-1, 1].
    """
    if filter not in ("bicubic", "bilinear"):
        raise ValueError(f"unknown resize filter {filter!r}: use 'bicubic' or 'bilinear'")
    if images.shape[-2:] == (size, size):
        return images
    return F.interpolate(images, (size, size), mode=filter, align_corners=False, antialias=True)
