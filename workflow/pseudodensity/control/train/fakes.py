"""Which fakes a discriminator may see while a GAN is fine-tuned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from pseudodensity.control.select.acceptance import importance_acceptance
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.extractor import Extractor
from pseudodensity.images.transform import to_float, to_uint8

__all__ = ["FakeFilter", "weight_of_fakes"]


def weight_of_fakes(importance: Mapping[str, Any]) -> float | None:
    """Importance weight of high-density fakes: 1/w if ``fake_weight`` is ``reciprocal`` (Algorithm
    3), None if it is ``none``, else the number that it is."""
    weight = importance["fake_weight"]
    if weight == "none":
        return None
    return 1 / importance["w"] if weight == "reciprocal" else float(weight)


class FakeFilter:
    """Acceptance of fakes by pseudo density (papers/000 Algorithm 3, lines 3 and 5).

    Args:
        extractor: features of the density.
        density: the density network.
        tau: threshold, as a density (not a percentile).
        weight: importance weight of fakes at or above tau; 1/w in Algorithm 3.
    """

    def __init__(
        self, extractor: Extractor, density: PseudoDensity, tau: float, weight: float
    ) -> None:
        self.extractor, self.density = extractor, density
        self.tau, self.weight = tau, weight

    @torch.no_grad()
    def __call__(self, images: torch.Tensor, stream: torch.Generator) -> torch.Tensor:
        """Which of the fakes ``(n, 3, R, R)`` in [-1, 1] are accepted: ``(n,)`` bool.

        Images are quantised first: a file of the same image must get the same answer.
        """
        quantised = to_float(to_uint8(images))
        values = self.density(self.extractor(quantised))
        probability = importance_acceptance(values, self.tau, self.weight)
        draws = torch.rand(len(images), generator=stream, dtype=torch.float64)
        return draws.to(probability.device) < probability
