"""AvgkNN: how far a fake is from its nearest reals on average, in units of the features."""

from collections.abc import Mapping

import numpy as np

from pseudodensity.feature_sets import frame
from pseudodensity.neighbors import nearest

NAME = "average_knn"
TITLE = "AvgkNN"
SOURCE = "Sehwag et al. 2022, section 4.2 (k = 5)"
NEEDS = ("features",)
SCORES = {"avg_knn": 0}
RANGES = {"avg_knn": (0, None)}


def prepare(real: Mapping[str, np.ndarray], *, k: int = 5) -> tuple[np.ndarray, int]:
    """The real `features` `(n, d)`, and of how many the distance is averaged.

    ValueError: bad features, k out of `1 <= k <= n`.
    """
    (reals,) = frame(real=real["features"])
    if not 1 <= k <= len(reals):
        raise ValueError(f"k must lie in 1..{len(reals)} for {len(reals)} reals, got {k}")
    return real["features"], k


def score(side: tuple[np.ndarray, int], fake: Mapping[str, np.ndarray]) -> dict[str, float]:
    """`avg_knn`: mean over the fake `features` `(m, d)` of `average_distances`. ValueError: as there."""
    return {"avg_knn": float(average_distances(side, fake["features"]).mean())}


def average_distances(side: tuple[np.ndarray, int], features: np.ndarray) -> np.ndarray:
    """Mean Euclidean distance `(m,)` float64 of each fake `(m, d)` to its k nearest reals.

    A fake that is a real counts itself among them. ValueError: bad features, another d, fewer than 2
    fakes.
    """
    real, k = side
    reals, fakes = frame(real=real, fake=features)
    if len(fakes) < 2:
        raise ValueError(f"AvgkNN needs 2 or more fake samples, got {len(fakes)}")
    squared, _ = nearest(fakes, reals, k, exclude_self=False)
    return (squared.sqrt().mean(1) / reals.scale).numpy()
