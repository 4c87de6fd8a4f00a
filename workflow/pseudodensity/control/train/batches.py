"""Batches of real images for training, uniform or importance-sampled (papers/000 Algorithm 3)."""

from __future__ import annotations

import numpy as np
import torch

from pseudodensity.images.transform import to_float

__all__ = ["draw_real_images", "draw_rows", "real_images"]


def draw_rows(
    count: int, batch_size: int, weights: torch.Tensor | None, stream: torch.Generator
) -> torch.Tensor:
    """Rows of a training batch ``(batch_size,)``, with replacement, by ``weights`` (count,)."""
    if weights is None:
        return torch.randint(count, (batch_size,), generator=stream)
    return torch.multinomial(weights, batch_size, replacement=True, generator=stream)


def draw_real_images(
    images: np.ndarray,
    batch_size: int,
    weights: torch.Tensor | None,
    mirror: bool,
    stream: torch.Generator,
) -> torch.Tensor:
    """A batch of real images ``(batch_size, 3, R, R)`` float32 in [-1, 1], mirrored at random."""
    rows = draw_rows(len(images), batch_size, weights, stream)
    return real_images(images, rows, mirror, stream)


def real_images(
    images: np.ndarray, rows: torch.Tensor, mirror: bool, stream: torch.Generator
) -> torch.Tensor:
    """Rows (n,) of the images as ``(n, 3, R, R)`` float32 in [-1, 1], mirrored at random."""
    batch = to_float(torch.from_numpy(np.ascontiguousarray(images[rows.numpy()])))
    if mirror:
        flip = torch.rand(len(rows), 1, 1, 1, generator=stream) < 0.5
        batch = torch.where(flip, batch.flip(-1), batch)
    return batch
