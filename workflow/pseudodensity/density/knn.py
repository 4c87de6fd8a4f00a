"""Pseudo density of a set of real features, from the distances to their nearest neighbours."""

import hashlib
from dataclasses import dataclass

import numpy as np

from pseudodensity.neighbors import knn

FLOOR = 1e-3  # share of the median distance below which a distance counts as a copy


@dataclass(frozen=True)
class KnnDensity:
    """Densities of N features with what is needed to judge them.

    values: (N,) float64, mean 1 over the rows that count. distances: (N,) float64, mean distance
    to the k neighbours, before the floor. floor: the smallest distance used. floored: how many
    distances of rows that count were raised. first: (N,) int64, the row that stands for each row:
    itself, or with `dedup` the first of its copies; rows that stand for themselves count.
    """

    values: np.ndarray
    distances: np.ndarray
    floor: float
    floored: int
    first: np.ndarray

    @property
    def counted(self) -> np.ndarray:
        """Indices (n,) int64 of the rows that count, ascending."""
        return np.flatnonzero(self.first == np.arange(len(self.first)))


def knn_density(
    features: np.ndarray, k: int = 10, n: float = 1, *, dedup: bool = False
) -> np.ndarray:
    """Pseudo density of each row of `features` (N, d): (N,) float64 with mean 1.

    density_i is proportional to d_i^-n, d_i the mean Euclidean distance to the k nearest other
    rows (main paper, section 3.1). dedup and errors: see `measure_knn_density`.
    """
    return measure_knn_density(features, k, n, dedup=dedup).values


def measure_knn_density(
    features: np.ndarray, k: int = 10, n: float = 1, *, dedup: bool = False
) -> KnnDensity:
    """As `knn_density`, together with the distances, the floored ones and the copies.

    Copies have distance 0 and would take all the mass, so distances are raised to 1e-3 of the
    median distance (the median of the positive ones if most are 0). With `dedup` a row that is
    an exact copy of an earlier one is left out, and gets the density of that row: the densities
    of all others are those of the set without the copies, and the mean over these is 1.
    ValueError: features not (N, d) or not finite, k outside 1..N-1 (N the rows that count), n <= 0.
    """
    from scipy.special import logsumexp  # slow to import, for jobs that only load a density

    features = _checked(features, n)
    first = _first_copies(features) if dedup else np.arange(len(features))
    counted, place = np.unique(first, return_inverse=True)
    _check_k(k, len(counted), len(features))
    distinct = features if len(counted) == len(features) else features[counted]
    neighbour_distances, _ = knn(distinct, distinct, k, exclude_self=True)
    distances = np.asarray(neighbour_distances, dtype=np.float64).mean(axis=1)
    floor = _floor(distances)
    # In logarithms, since d^-n overflows for the large n that a feature dimension suggests.
    logs = -n * np.log(np.maximum(distances, floor))
    values = np.exp(logs - logsumexp(logs) + np.log(len(logs)))
    floored = int((distances < floor).sum())
    return KnnDensity((values / values.mean())[place], distances[place], floor, floored, first)


def _first_copies(features: np.ndarray) -> np.ndarray:
    """For each row the index of the first row with exactly its numbers, (N,) int64."""
    seen: dict[bytes, int] = {}
    # Digests of 16 bytes, since the rows themselves would double the memory; + 0.0 for -0.0.
    digests = (hashlib.blake2b((row + 0.0).tobytes(), digest_size=16).digest() for row in features)
    return np.array([seen.setdefault(digest, i) for i, digest in enumerate(digests)], np.int64)


def _floor(distances: np.ndarray) -> float:
    """1e-3 of the median distance; 1 if all points are copies, which makes all densities 1."""
    median = np.median(distances)
    if median > 0:
        return float(FLOOR * median)
    positive = distances[distances > 0]
    return float(FLOOR * np.median(positive)) if len(positive) else 1.0


def _checked(features: np.ndarray, n: float) -> np.ndarray:
    features = np.asarray(features)
    if features.ndim != 2:
        raise ValueError(f"features must have shape (N, d), got {features.shape}")
    if not n > 0:
        raise ValueError(f"n must be positive, got {n}")
    if not np.isfinite(features).all():
        bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
        raise ValueError(
            f"{len(bad)} features hold NaN or infinity, first row {bad[0]}: check the images and the "
            "extractor"
        )
    return features


def _check_k(k: int, counted: int, total: int) -> None:
    if 1 <= k < counted:
        return
    copies = f" ({total - counted} more are copies)" if counted < total else ""
    raise ValueError(f"k must lie in 1..{counted - 1} for {counted} features{copies}, got {k}")
