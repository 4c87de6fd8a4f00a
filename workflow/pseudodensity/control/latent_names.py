"""Numbers of latents, by which methods name the random streams of single samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["names_of"]


def names_of(latents: Tensor) -> list[int]:
    """A number of each latent (n, *latent_shape), made of the bits of its first numbers.

    Noise is drawn by it, and so belongs to the latent: no batch and no order of samples changes it.
    """
    import torch

    # A slice of one latent counts as contiguous whatever its strides are, and bits are read by strides.
    first = latents.flatten(1)[:, :2].float().cpu().clone(memory_format=torch.contiguous_format)
    return (first.view(torch.int64)[:, 0] & (2**63 - 1)).tolist()
