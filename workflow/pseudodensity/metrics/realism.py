"""Realism score: how deep a fake lies in the ball of a real, relative to the radius of that ball."""

from collections.abc import Mapping

import numpy as np
import torch

from pseudodensity.feature_sets import blocks, frame
from pseudodensity.metrics.manifold import Manifold

NAME = "realism"
TITLE = "realism"
SOURCE = "Kynkäänniemi et al. 2019, equation 4 (distances not squared; the wider half is left out)"
NEEDS = ("features",)
SCORES = {"realism": 1, "realistic": 1}

MOST = 1000.0  # stands for all that is more: an exact copy of a real would be infinitely realistic
BLOCK = 1024


def prepare(real: Mapping[str, np.ndarray], *, k: int = 3) -> Manifold:
    """The balls of the real `features` `(n, d)`. ValueError: as of `Manifold`."""
    return Manifold(real["features"], k)


def score(side: Manifold, fake: Mapping[str, np.ndarray]) -> dict[str, float]:
    """`realism`: median over the fake `features` `(m, d)` of `realisms`; `realistic`: share of 1 or more.

    ValueError: bad features, another d, fewer than 2 fakes.
    """
    found = realisms(side, fake["features"])
    return {"realism": float(np.median(found)), "realistic": float((found >= 1).mean())}


def realisms(side: Manifold, features: np.ndarray) -> np.ndarray:
    """Realism `(m,)` float64 of each fake `(m, d)`: the largest radius / distance over the reals.

    Reals whose ball is wider than the median are left out; `MOST` at most; 1 or more just inside a
    ball that was kept. ValueError: bad features, another d, fewer than 2 fakes.
    """
    reals, fakes = frame(real=side.features, fake=features)
    if len(fakes) < 2:
        raise ValueError(f"realism needs 2 or more fake samples, got {len(fakes)}")
    radii = side.squared_radii.sqrt()
    kept = (radii <= float(np.median(radii.numpy()))).nonzero().squeeze(1)
    found = torch.zeros(len(fakes), dtype=torch.float64)
    for rows in blocks(len(kept), BLOCK):
        balls = reals.block(kept[rows], torch.float64)
        for columns in blocks(len(fakes), BLOCK):
            points = fakes.block(columns, torch.float64)
            apart = torch.cdist(points, balls, compute_mode="donot_use_mm_for_euclid_dist")
            ratio = radii[kept[rows]] * reals.scale / apart
            # A copy of a real that has copies itself is 0 / 0.
            ratio = ratio.nan_to_num(nan=MOST, posinf=MOST).amax(1)
            torch.maximum(found[columns], ratio, out=found[columns])
    return found.clamp(max=MOST).numpy()
