"""How well a density agrees with the true law of a data set, where that law is known."""

from __future__ import annotations

import numpy as np
from scipy.stats import spearmanr

from pseudodensity.images.labels import Labels

__all__ = ["agreement_with_truth"]


def agreement_with_truth(
    pseudo_density: np.ndarray, network_density: np.ndarray, labels: Labels | None
) -> dict[str, float] | None:
    """Spearman rank correlation of densities ``(N,)`` with the true log-probability of each
    image's categorical attributes; None for a data set whose law is not known.

    pseudo_density: from the neighbours. network_density: what the network says of the same images.
    """
    if labels is None or len(np.unique(labels.log_prob)) < 2:
        return None
    return {
        "spearman_pseudo_density": float(spearmanr(pseudo_density, labels.log_prob).statistic),
        "spearman_network_density": float(spearmanr(network_density, labels.log_prob).statistic),
    }
