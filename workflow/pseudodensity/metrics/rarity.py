"""Rarity score: how sparse the reals are around a fake that lies among them."""

import math
from collections.abc import Mapping

import numpy as np
import torch

from pseudodensity.feature_sets import frame
from pseudodensity.metrics.manifold import Manifold
from pseudodensity.neighbors import ball_members

NAME = "rarity"
TITLE = "rarity"
SOURCE = "Han et al. 2023, equation 5"
NEEDS = ("features",)
SCORES = {"rarity": 0, "outside": -1}


def prepare(real: Mapping[str, np.ndarray], *, k: int = 3) -> Manifold:
    """The balls of the real `features` `(n, d)`. ValueError: as of `Manifold`."""
    return Manifold(real["features"], k)


def score(side: Manifold, fake: Mapping[str, np.ndarray]) -> dict[str, float]:
    """`rarity` and `outside` of fake `features` `(m, d)`; see `rarities`.

    rarity: mean over the fakes inside some real ball, 0 where there is none (a scores file holds
    no NaN). outside: share of fakes in no real ball, whose rarity is not defined. ValueError: bad
    features, another d, fewer than 2 fakes.
    """
    found = rarities(side, fake["features"])
    inside = found[np.isfinite(found)]
    mean = float(inside.mean()) if len(inside) else 0.0
    return {"rarity": mean, "outside": 1 - len(inside) / len(found)}


def rarities(side: Manifold, features: np.ndarray) -> np.ndarray:
    """Rarity `(m,)` float64 of each fake `(m, d)`: the smallest radius of a real ball that holds it.

    In units of the features, borders included; NaN outside all balls. ValueError: bad features,
    another d, fewer than 2 fakes.
    """
    reals, fakes = frame(real=side.features, fake=features)
    if len(fakes) < 2:
        raise ValueError(f"rarity needs 2 or more fake samples, got {len(fakes)}")
    radii = side.squared_radii * reals.scale**2
    smallest = torch.full((len(fakes),), math.inf, dtype=torch.float64)
    for (balls, members), _ in ball_members(reals, fakes, radii, torch.zeros_like(smallest)):
        smallest.scatter_reduce_(0, members, radii[balls], "amin")
    found = smallest.sqrt().numpy() / reals.scale
    found[np.isinf(found)] = math.nan
    return found
