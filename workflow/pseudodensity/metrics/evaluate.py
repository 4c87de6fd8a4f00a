"""All metrics of a set of samples against a set of real images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pseudodensity.metrics.frechet import frechet_distance
from pseudodensity.metrics.manifold import Manifold, manifold_metrics

__all__ = ["evaluate"]


def evaluate(
    real: Mapping[str, np.ndarray | Manifold], fake: Mapping[str, np.ndarray], k: int = 3
) -> dict[str, float]:
    """Precision, recall, density, coverage and FID.

    Args:
        real: role -> features ``(n, d)`` float32; the roles are ``manifold`` and ``fid``. For
            several sets of samples give the first as a :class:`Manifold`.
        fake: the same of the samples.
        k: neighbours, without self, that set the radius of a ball.
    """
    scores = manifold_metrics(real["manifold"], fake["manifold"], k=k)
    scores["fid"] = frechet_distance(real["fid"], fake["fid"])
    return {name: float(value) for name, value in scores.items()}
