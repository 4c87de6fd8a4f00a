"""Earth mover's distance: the least mean way that turns fakes into reals, one to one."""

from collections.abc import Mapping

import numpy as np

from pseudodensity.feature_sets import frame

NAME = "earth_mover"
TITLE = "earth mover's distance"
SOURCE = "1-Wasserstein distance with Euclidean ground distance; Rubner et al. 2000, equation 3"
NEEDS = ("features",)
SCORES = {"emd": -1}


def prepare(real: Mapping[str, np.ndarray], *, most: int = 2000) -> tuple[np.ndarray, int]:
    """The real `features` `(n, d)`, and how many of either side are matched `most`.

    ValueError: bad features, fewer than 2, or `most` below 2.
    """
    if most < 2:
        raise ValueError(f"most must be 2 or more samples, got {most}")
    _check(real=real["features"])
    return real["features"], most


def score(side: tuple[np.ndarray, int], fake: Mapping[str, np.ndarray]) -> dict[str, float]:
    """`emd`: mean distance of the best one-to-one match, in units of the features, exact.

    Reals and the fake `features` `(m, d)` are taken from the front, as many of each as the smaller
    side has and `most` allows: a match costs the cube of their number. Two samples of one law are
    apart too, the further the more dimensions: compare at equal numbers only. ValueError: bad
    features, another d, fewer than 2 fakes.
    """
    real, most = side
    _check(real=real, fake=fake["features"])
    count = min(most, len(real), len(fake["features"]))
    return {"emd": matched_cost(real[:count], fake["features"][:count])}


def matched_cost(real: np.ndarray, fake: np.ndarray, power: int = 1) -> float:
    """Mean of distance ** power over the pairs of the match `(n, d)`, `(n, d)` that makes it least."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    cost = cdist(real, fake) ** power
    return float(cost[linear_sum_assignment(cost)].mean())


def _check(**sets: np.ndarray) -> None:
    for name, points in zip(sets, frame(**sets), strict=True):
        if len(points) < 2:
            raise ValueError(f"a match needs 2 or more {name} samples, got {len(points)}")
