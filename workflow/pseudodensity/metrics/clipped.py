"""Clipped density and clipped coverage: shares of good fakes, hardened against outliers.

A ball of clipped density is at most as wide as the median ball, so only fakes in the dense half of
the reals count in full: it is NOT the same for all reweightings of one perfect generator (a perfect
sample of sparse modes alone scores near .3). Never a headline, never a goal of a method that
chooses by density.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pseudodensity.feature_sets import frame
from pseudodensity.neighbors import ball_members, nearest

NAME = "clipped"
TITLE = "clipped density and coverage (density fails the check *reweighting*)"
SOURCE = "Salvy, Talbot, Thirion 2026 (arXiv 2507.01761); fails the check *reweighting*"
NEEDS = ("features",)
SCORES = {"clipped_density": 1, "clipped_coverage": 1}


class Balls(NamedTuple):
    """Real features with the squared radii of their balls.

    features `(n, d)` as they came; squared_radii and clipped `(n,)` float64, in units of the
    features: to the k-th neighbour, and at most as wide as the median ball. of_reals: the score
    that the reals have among themselves.
    """

    features: np.ndarray
    squared_radii: Tensor
    clipped: Tensor
    of_reals: float
    k: int


def prepare(real: Mapping[str, np.ndarray], *, k: int = 5) -> Balls:
    """The balls of the real `features` `(n, d)`. ValueError: bad features, or not `1 <= k < n`."""
    (points,) = frame(real=real["features"])
    squared, neighbors = nearest(points, points, k, exclude_self=True)
    radii = squared[:, -1]
    clipped = radii.clamp(max=float(np.median(radii.sqrt().numpy())) ** 2)
    holders = neighbors[squared <= clipped[:, None]].bincount(minlength=len(points))
    scale = points.scale**2
    return Balls(real["features"], radii / scale, clipped / scale, _clipped_mean(holders, k), k)


def score(side: Balls, fake: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Both scores of fake `features` `(m, d)`, m of k or more, in [0, 1].

    clipped_density: number of clipped real balls around a fake, over k and at most 1, on average;
    over the same of the reals, and at most 1. clipped_coverage: number of fakes in the ball of a
    real, over k and at most 1, on average; as the share of m fakes of the law of the reals that
    reach that average (see `expected_counts`). ValueError: bad features, another d, m below k.
    """
    reals, fakes = frame(real=side.features, fake=fake["features"])
    scale, points = reals.scale**2, torch.zeros(len(fakes), dtype=torch.float64)
    around = torch.zeros(len(fakes), dtype=torch.int64)
    for in_real, _ in ball_members(reals, fakes, side.clipped * scale, points):
        around += in_real[1].bincount(minlength=len(fakes))
    near = nearest(reals, fakes, side.k, exclude_self=False)[0]
    held = (near <= side.squared_radii[:, None] * scale).double().mean().item()
    expected = expected_counts(len(reals), len(fakes), side.k)
    return {
        "clipped_density": min(_clipped_mean(around, side.k) / side.of_reals, 1.0),
        "clipped_coverage": float(np.interp(held, expected, np.linspace(0, 1, len(expected)))),
    }


def expected_counts(reals: int, fakes: int, k: int) -> np.ndarray:
    """What `fakes` + 1 sizes of a sample of the law of the reals reach on average.

    Entry m, of m = 0 .. fakes: E min(J, k) / k, where J of m samples lie nearer to a real than its
    k-th of n - 1 neighbours. All orders are equally likely, so J is beta-binomial with (m, k, n - k)
    and the sum over J < k is finite: `1 - sum_{j<k} (1 - j/k) P(J = j)`. ValueError unless
    `1 <= k < reals`.
    """
    from scipy.stats import betabinom

    if not 1 <= k < reals:
        raise ValueError(f"k must be at least 1 and below the {reals} reals, got {k}")
    below = np.arange(k)[:, None]
    missed = (1 - below / k) * betabinom.pmf(below, np.arange(fakes + 1), k, reals - k)
    return 1 - missed.sum(0)


def _clipped_mean(counts: Tensor, k: int) -> float:
    return counts.clamp(max=k).double().mean().item() / k
