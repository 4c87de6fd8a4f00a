"""Precision, recall, density and coverage of k-nearest-neighbour manifolds of features.

Precision and recall: Kynkäänniemi et al. 2019, equations 1-3. Density and coverage: Naeem et al.
2020, equations 3-4. All depend on k and on both sample sizes: compare only at equal ones. A ball is
as wide as the reals around it are sparse, so precision and density measure the error of a fake
relative to the LOCAL spacing of the reals. Reweighting a perfect generator changes neither; with
one and the same absolute error everywhere they fall as fakes move to dense regions.
"""

import math
from collections.abc import Mapping

import numpy as np
import torch

from pseudodensity.feature_sets import Features, FeatureSet, frame
from pseudodensity.neighbors import ball_members, nearest

NAME = "manifold"
TITLE = "precision, recall, density and coverage"
SOURCE = "Kynkäänniemi et al. 2019, equations 1-3; Naeem et al. 2020, equations 3-4"
NEEDS = ("features",)
SCORES = {
    "precision": 1,
    "recall": 1,
    "density": 1,
    "coverage": 1,
    "symmetric_precision": 1,
    "symmetric_recall": 1,
    "median_nearest": -1,
    "expected_coverage": 0,
}
RANGES = {
    "precision": (0, 1),
    "recall": (0, 1),
    "density": (0, None),
    "coverage": (0, 1),
    "symmetric_precision": (0, 1),
    "symmetric_recall": (0, 1),
    "median_nearest": (0, None),
    "expected_coverage": (0, 1),
}


class Manifold:
    """Real features with the balls around them, worked out once for many sets of fakes.

    features `(n, d)`, an array or a tensor; a ball reaches to the k-th nearest neighbour within
    the set, a sample itself not counted. Raises ValueError for bad shapes, NaN or infinity, or k
    out of `1 <= k < n`.
    """

    def __init__(self, features: Features, k: int = 3) -> None:
        (points,) = frame(real=features)
        self.features, self.k = features, k
        # Frames differ by a power of two, so that taking it out and in again rounds nothing.
        self.squared_radii = _squared_radii(points, k) / points.scale**2

    def __len__(self) -> int:
        return len(self.features)


def prepare(real: Mapping[str, np.ndarray], *, k: int = 3) -> Manifold:
    """The balls of the real `features` `(n, d)` float32. Errors as of `Manifold`."""
    return Manifold(real["features"], k)


def score(side: Manifold, fake: Mapping[str, np.ndarray]) -> dict[str, float]:
    """All of `SCORES` for fake `features` `(m, d)` float32.

    precision, recall, density, coverage: see `manifold_metrics`, borders included.
    symmetric_precision: the lower of precision and the share of fakes whose own ball holds a real;
    symmetric_recall: the lower of recall and coverage (a fake far off is then never precise, though
    a wide real ball may hold it). median_nearest: the median Euclidean distance of a fake to its
    nearest real, in units of the features: the absolute error beside the relative one.
    expected_coverage: see there. Raises ValueError as `manifold_metrics`.
    """
    return _compare(side, fake["features"], side.k, inclusive=True)


def manifold_metrics(
    real: Features | Manifold, fake: Features, k: int = 3, *, inclusive: bool = True
) -> dict[str, float]:
    """Precision, recall, density and coverage of fake features, exact to the last sample.

    real `(n, d)` and fake `(m, d)`: both arrays or both tensors; real may come as a `Manifold` of
    the same k, with the same result. A sample's ball reaches to its k-th nearest neighbour within
    its own set, itself not counted. With `inclusive` a ball holds its border (`<=`, the convention
    of the precision-recall paper), else not (`<`, that of the `prdc` package); this matters only
    where distances tie, as between copies.

    precision: share of fakes inside any real ball; recall: share of reals inside any fake ball;
    density: mean number of real balls around a fake, over k (may exceed 1); coverage: share of
    reals whose ball holds any fake. Inside or not is decided as by float64 differences. Raises
    ValueError for bad shapes, NaN or infinity, or k out of `1 <= k < min(n, m)`.
    """
    scores = _compare(real, fake, k, inclusive)
    return {name: scores[name] for name in ("precision", "recall", "density", "coverage")}


def expected_coverage(reals: int, fakes: int, k: int) -> float:
    """Coverage that two samples of ONE law have on average: `1 - prod_{i=1..k} (N-i) / (N+M-i)`.

    For N reals and M fakes of a continuous law, in whatever dimension: the M fakes and the other
    N - 1 reals are equally likely in every order of distance from a real, and it stays uncovered
    if the nearest k of them are all real. ValueError unless `1 <= k < N`.
    """
    if not 1 <= k < reals:
        raise ValueError(f"k must be at least 1 and below the {reals} reals, got {k}")
    return 1 - math.prod((reals - i) / (reals + fakes - i) for i in range(1, k + 1))


def _compare(
    real: Features | Manifold, fake: Features, k: int, inclusive: bool
) -> dict[str, float]:
    known = real if isinstance(real, Manifold) else None
    if known and known.k != k:
        raise ValueError(f"the real balls were made with k={known.k}, not k={k}: use one k")
    reals, fakes = frame(real=known.features if known else real, fake=fake)
    if not 1 <= k < min(len(reals), len(fakes)):
        raise ValueError(
            f"k must be at least 1 and below both sample counts, got k={k} for {len(reals)} real "
            f"and {len(fakes)} fake samples"
        )
    if known:
        real_radii = known.squared_radii * reals.scale**2
    else:
        real_radii = _squared_radii(reals, k)
    fake_radii = _squared_radii(fakes, k)

    balls_around_fake = torch.zeros(len(fakes), dtype=torch.int64, device=real_radii.device)
    covered, recalled = torch.zeros(2, len(reals), dtype=torch.bool, device=real_radii.device)
    holds_real = balls_around_fake.bool()
    to_real = torch.full_like(fake_radii, math.inf)
    for in_real, in_fake in ball_members(reals, fakes, real_radii, fake_radii, inclusive, to_real):
        balls_around_fake += torch.bincount(in_real[1], minlength=len(fakes))
        covered[in_real[0]] = True
        recalled[in_fake[0]] = True
        holds_real[in_fake[1]] = True
    precision, recall = _share(balls_around_fake > 0), _share(recalled)
    coverage = _share(covered)
    return {
        "precision": precision,
        "recall": recall,
        "density": balls_around_fake.sum().item() / (k * len(fakes)),
        "coverage": coverage,
        "symmetric_precision": min(precision, _share(holds_real)),
        "symmetric_recall": min(recall, coverage),
        "median_nearest": float(np.median(to_real.sqrt().cpu().numpy())) / reals.scale,
        "expected_coverage": expected_coverage(len(reals), len(fakes), k),
    }


def _squared_radii(points: FeatureSet, k: int) -> torch.Tensor:
    return nearest(points, points, k, exclude_self=True)[0][:, -1]


def _share(chosen: torch.Tensor) -> float:
    return chosen.sum().item() / len(chosen)
