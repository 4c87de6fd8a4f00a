"""Distinct images: how many of a set are left when equal ones count once, as after draws with replacement."""

from collections.abc import Mapping

import numpy as np

from pseudodensity.feature_sets import as_tensors

NAME = "distinct"
TITLE = "distinct images"
SOURCE = "project: the copies behind papers/004, appendix G.3"
NEEDS = ("features",)
SCORES = {"distinct": 0}
RANGES = {"distinct": (0, 1)}


def prepare(real: Mapping[str, np.ndarray]) -> np.ndarray:
    """One of the real `features` `(n, d)`, which tells their dimension. ValueError: bad features, fewer
    than 2."""
    _check(real=real["features"])
    return real["features"][:1]


def score(side: np.ndarray, fake: Mapping[str, np.ndarray]) -> dict[str, float]:
    """`distinct`: share of different rows among fake `features` `(m, d)`, an image drawn twice being one.

    ValueError: bad features, another d, fewer than 2 fakes.
    """
    features = fake["features"]
    _check(fake=features)
    as_tensors(real=side, fake=features)
    return {"distinct": len(np.unique(features, axis=0)) / len(features)}


def _check(**side: np.ndarray) -> None:
    as_tensors(**side)
    for name, features in side.items():
        if len(features) < 2:
            raise ValueError(f"distinct needs 2 or more {name} samples, got {len(features)}")
