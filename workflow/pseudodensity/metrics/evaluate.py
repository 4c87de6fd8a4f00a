"""All metrics of a set of samples against a set of real images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pseudodensity.metrics.frechet import frechet_distance
from pseudodensity.metrics.manifold import Manifold, manifold_metrics

__all__ = ["evaluate", "real_sides"]


def real_sides(
    features: Mapping[str, np.ndarray], roles: Mapping[str, str], k: int
) -> dict[str, np.ndarray | Manifold]:
    """The real side of many calls of :func:`evaluate`, with what they share worked out once.

    ``features``: extractor -> ``(n, d)`` float32; ``roles``: role -> extractor.
    """
    return {"manifold": Manifold(features[roles["manifold"]], k), "fid": features[roles["fid"]]}


def evaluate(
    real: Mapping[str, np.ndarray | Manifold], fake: Mapping[str, np.ndarray], k: int = 3
) -> dict[str, float]:
    """Precision, recall, density, coverage and FID.

    Args:
        real: role -> features ``(n, d)`` float32; the roles are ``manifold`` and ``fid``. For
            several sets of samples see :func:`real_sides`.
        fake: the same of the samples.
        k: neighbours, without self, that set the radius of a ball.
    """
    scores = manifold_metrics(real["manifold"], fake["manifold"], k=k)
    scores["fid"] = frechet_distance(real["fid"], fake["fid"])
    return {name: float(value) for name, value in scores.items()}
