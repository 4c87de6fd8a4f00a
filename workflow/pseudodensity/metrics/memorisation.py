"""Memorisation: whether fakes lie nearer to a real than that real's own neighbours do.

The real side of a metric is ONE set, the training images. So the distance to a held-out real is
stood in for by that from the nearest real to its nearest other real. What it cannot say: whether the
rate of near-copies is that of chance. The row of held-out reals of a table is what to compare with.
"""

from collections.abc import Mapping

import numpy as np
import torch

from pseudodensity.feature_sets import frame
from pseudodensity.neighbors import nearest

NAME = "memorisation"
TITLE = "memorisation"
SOURCE = "Alaa et al. 2022, section 3.3 (authenticity); its 1 % tail"
NEEDS = ("features",)
SCORES = {"authentic": 0, "memorisation_tail": 0}
RANGES = {"authentic": (0, 1), "memorisation_tail": (0, 1000)}

MOST = 1000.0  # stands for all that is more: a real that has a copy has no distance to divide by
_TAIL = 0.01


def prepare(real: Mapping[str, np.ndarray]) -> tuple[np.ndarray, torch.Tensor]:
    """The real `features` `(n, d)` and squared distances to their neighbours.

    ValueError: bad features, fewer than 2.
    """
    (points,) = frame(real=real["features"])
    squared = nearest(points, points, 1, exclude_self=True)[0][:, 0]
    return real["features"], squared / points.scale**2


def score(
    side: tuple[np.ndarray, torch.Tensor], fake: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """Both scores of fake `features` `(m, d)`, from the ratios of `copying`.

    authentic: share of fakes with a ratio above 1; it grows with the dimension (.33, .58, .81 for
    held-out reals of a normal law with d = 1, 8, 64). memorisation_tail:
    the ratio that 1 % of the fakes do not exceed; near 0 if they hold copies. ValueError: bad
    features, another d, fewer than 2 fakes.
    """
    ratios, _ = copying(side, fake["features"])
    tail = float(np.quantile(ratios, _TAIL, method="lower"))
    return {"authentic": float((ratios > 1).mean()), "memorisation_tail": tail}


def copying(
    side: tuple[np.ndarray, torch.Tensor], features: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For each fake `(m, d)` its ratio `(m,)` float64 and its nearest real `(m,)` int64.

    Ratio: distance to the nearest real over that real's distance to its nearest other real, `MOST`
    at most; 0 for a copy. The pairs of low ratio are those to look at. ValueError: bad features,
    another d, fewer than 2 fakes.
    """
    real, spacing = side
    reals, fakes = frame(real=real, fake=features)
    if len(fakes) < 2:
        raise ValueError(f"memorisation needs 2 or more fake samples, got {len(fakes)}")
    squared, rows = nearest(fakes, reals, 1, exclude_self=False)
    squared, rows = squared[:, 0], rows[:, 0]
    ratios = (squared / (spacing[rows] * reals.scale**2)).sqrt()
    ratios[squared == 0] = 0
    return ratios.clamp(max=MOST).numpy(), rows.numpy()
