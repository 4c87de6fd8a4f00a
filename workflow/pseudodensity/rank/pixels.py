"""Pixels as features: what is left to compare photographs by where no network is at hand."""

from __future__ import annotations

from torch import Tensor

from pseudodensity.features.extractor import Extractor

__all__ = ["Pixels"]

SIDE = 16


class Pixels(Extractor):
    """An image reduced to 16 px, its 768 numbers in [-1, 1] as the feature. Nothing is learned."""

    def __init__(self):
        super().__init__(3 * SIDE**2, SIDE)
        self.requires_grad_(False).eval()

    def embed(self, x: Tensor) -> Tensor:
        """Prepared images (n, 3, 16, 16) -> (n, 768)."""
        return x.flatten(1)
