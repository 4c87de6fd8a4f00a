"""Local outlier factor: how much sparser the reals are around a fake than around its neighbours."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pseudodensity.feature_sets import as_tensors

NAME = "local_outlier"
TITLE = "local outlier factor"
SOURCE = "Breunig et al. 2000, definition 7; Sehwag et al. 2022, appendix A.1 (k = 20)"
NEEDS = ("features",)
SCORES = {"lof": 0}
RANGES = {"lof": (0, None)}

MOST = 1000.0  # stands for all that is more: around copies of a real nothing has a finite density


def prepare(real: Mapping[str, np.ndarray], *, k: int = 20) -> tuple[np.ndarray, Any]:
    """The real `features` `(n, d)`, and scikit-learn's estimator on them.

    ValueError: bad features, k out of `1 <= k < n`.
    """
    # Imported where it is asked for: it takes a second.
    from sklearn.neighbors import LocalOutlierFactor

    (reals,) = as_tensors(real=real["features"])
    if not 1 <= k < len(reals):
        raise ValueError(f"k must be at least 1 and below the {len(reals)} reals, got {k}")
    estimator = LocalOutlierFactor(n_neighbors=k, novelty=True)
    return real["features"], estimator.fit(reals.double().numpy())


def score(side: tuple[np.ndarray, Any], fake: Mapping[str, np.ndarray]) -> dict[str, float]:
    """`lof`: mean over the fake `features` `(m, d)` of `factors`. ValueError: as there."""
    return {"lof": float(factors(side, fake["features"]).mean())}


def factors(side: tuple[np.ndarray, Any], features: np.ndarray) -> np.ndarray:
    """Local outlier factor `(m,)` float64 of each fake `(m, d)` among the reals, `MOST` at most.

    About 1 where the reals are as dense as around its neighbours, more where they are sparser.
    ValueError: bad features, another d, fewer than 2 fakes.
    """
    real, estimator = side
    _, fakes = as_tensors(real=real, fake=features)
    if len(fakes) < 2:
        raise ValueError(f"the local outlier factor needs 2 or more fake samples, got {len(fakes)}")
    return np.minimum(-estimator.score_samples(fakes.double().numpy()), MOST)
