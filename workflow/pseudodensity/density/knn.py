"""Pseudo density of a set of real features, from the distances to their nearest neighbours."""

from dataclasses import dataclass

import numpy as np

from pseudodensity.neighbors import knn

FLOOR = 1e-3  # share of the median distance below which a distance counts as a copy


@dataclass(frozen=True)
class KnnDensity:
    """Densities of N features with what is needed to judge them.

    values: (N,) float64, mean 1. distances: (N,) float64, mean distance to the k neighbours,
    before the floor. floor: the smallest distance used. floored: how many distances were raised.
    """

    values: np.ndarray
    distances: np.ndarray
    floor: float
    floored: int


def knn_density(features: np.ndarray, k: int = 10, n: float = 1) -> np.ndarray:
    """Pseudo density of each row of `features` (N, d): (N,) float64 with mean 1.

    density_i is proportional to d_i^-n, d_i the mean Euclidean distance to the k nearest other
    rows (main paper, section 3.1). Errors: see `measure_knn_density`.
    """
    return measure_knn_density(features, k, n).values


def measure_knn_density(features: np.ndarray, k: int = 10, n: float = 1) -> KnnDensity:
    """As `knn_density`, together with the distances and the number of floored ones.

    Copies have distance 0 and would take all the mass, so distances are raised to 1e-3 of the
    median distance (the median of the positive ones if most are 0).
    ValueError: features not (N, d) or not finite, k outside 1..N-1, n <= 0.
    """
    from scipy.special import logsumexp  # slow to import, for jobs that only load a density

    features = _checked(features, k, n)
    neighbour_distances, _ = knn(features, features, k, exclude_self=True)
    distances = np.asarray(neighbour_distances, dtype=np.float64).mean(axis=1)
    floor = _floor(distances)
    # In logarithms, since d^-n overflows for the large n that a feature dimension suggests.
    logs = -n * np.log(np.maximum(distances, floor))
    values = np.exp(logs - logsumexp(logs) + np.log(len(logs)))
    return KnnDensity(values / values.mean(), distances, floor, int((distances < floor).sum()))


def _floor(distances: np.ndarray) -> float:
    """1e-3 of the median distance; 1 if all points are copies, which makes all densities 1."""
    median = np.median(distances)
    if median > 0:
        return float(FLOOR * median)
    positive = distances[distances > 0]
    return float(FLOOR * np.median(positive)) if len(positive) else 1.0


def _checked(features: np.ndarray, k: int, n: float) -> np.ndarray:
    features = np.asarray(features)
    if features.ndim != 2:
        raise ValueError(f"features must have shape (N, d), got {features.shape}")
    if not 1 <= k < len(features):
        raise ValueError(
            f"k must lie in 1..{len(features) - 1} for {len(features)} features, got {k}"
        )
    if not n > 0:
        raise ValueError(f"n must be positive, got {n}")
    if not np.isfinite(features).all():
        bad = int((~np.isfinite(features)).any(axis=1).sum())
        raise ValueError(f"{bad} features hold NaN or infinity: check the images and the extractor")
    return features
