"""Coverage of the rare: of the sparsest fifth of the reals, how many have a fake nearby.

A real is as sparse as its ball is wide: it reaches to the k-th nearest neighbour among the reals. Coverage
of all reals says little of these, since they are few and fakes rarely reach them. Their balls are the widest
there are, so that two samples of one law cover more of them than of all: compare with held-out reals, at
equal numbers of both sides.
"""

from collections.abc import Mapping

import numpy as np

from pseudodensity.feature_sets import frame
from pseudodensity.metrics.manifold import Manifold
from pseudodensity.neighbors import nearest

NAME = "rare_coverage"
TITLE = "coverage of the rare"
SOURCE = "coverage of Naeem et al. 2020, equation 4, of the sparsest fifth of the reals"
NEEDS = ("features",)
SCORES = {"rare_coverage": 1}
RANGES = {"rare_coverage": (0, 1)}

DENSER = 0.8  # share of the reals that are denser than the rare ones


def prepare(real: Mapping[str, np.ndarray], *, k: int = 3) -> Manifold:
    """The balls of the real `features` `(n, d)`. ValueError: as of `Manifold`."""
    return Manifold(real["features"], k)


def score(side: Manifold, fake: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Share of the rare reals whose ball holds one of the fake `features` `(m, d)`, borders included.

    Rare: a ball at least as wide as the 80th percentile of all; equal balls are rare together.
    ValueError: bad features, another d, fewer than 2 fakes.
    """
    reals, fakes = frame(real=side.features, fake=fake["features"])
    if len(fakes) < 2:
        raise ValueError(f"coverage of the rare needs 2 or more fake samples, got {len(fakes)}")
    radii = (side.squared_radii * reals.scale**2).numpy()
    squared = nearest(reals, fakes, 1, exclude_self=False)[0][:, 0].numpy()
    # A radius that there is, not one between two: which reals are rare must not hang on rounding.
    rare = radii >= np.quantile(radii, DENSER, method="higher")
    return {"rare_coverage": float((squared <= radii)[rare].mean())}
