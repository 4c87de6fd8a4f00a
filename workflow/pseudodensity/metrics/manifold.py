"""Precision, recall, density and coverage of k-nearest-neighbour manifolds of features.

Precision and recall: Kynkäänniemi et al. 2019, equations 1-3. Density and coverage: Naeem et al.
2020, equations 3-4. All depend on k and on both sample sizes: compare only at equal ones.
"""

import torch

from pseudodensity.feature_sets import Features, FeatureSet, frame
from pseudodensity.neighbors import ball_members, nearest


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


def _squared_radii(points: FeatureSet, k: int) -> torch.Tensor:
    return nearest(points, points, k, exclude_self=True)[0][:, -1]


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
    covered = torch.zeros(len(reals), dtype=torch.bool, device=real_radii.device)
    recalled = torch.zeros_like(covered)
    for in_real, in_fake in ball_members(reals, fakes, real_radii, fake_radii, inclusive):
        balls_around_fake += torch.bincount(in_real[1], minlength=len(fakes))
        covered[in_real[0]] = True
        recalled[in_fake[0]] = True
    return {
        "precision": (balls_around_fake > 0).sum().item() / len(fakes),
        "recall": recalled.sum().item() / len(reals),
        "density": balls_around_fake.sum().item() / (k * len(fakes)),
        "coverage": covered.sum().item() / len(reals),
    }
