"""Mean distance of two fakes, over random pairs of them: how different they are, of the fakes alone."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pseudodensity.feature_sets import as_tensors, frame, squared_distances

NAME = "pair_distance"
TITLE = "mean distance of pairs"
SOURCE = (
    "the LPIPS score of papers/004: 10,000 random pairs; with LPIPS, Zhang et al. 2018, equation 1"
)
NEEDS = ("features",)
SCORES = {"pair_distance": 0, "pair_deviation": 0}
RANGES = {"pair_distance": (0, None), "pair_deviation": (0, None)}

SEED = 0  # of the stream that pairs come from
FEWEST = 3  # two fakes are one pair, which has no deviation


class Side(NamedTuple):
    """Dimension of the features; how many pairs at most; whether their distances are squared."""

    dimension: int
    pairs: int
    squared: bool


def prepare(real: Mapping[str, np.ndarray], *, pairs: int = 10_000, squared: bool = False) -> Side:
    """The dimension of the real `features` `(n, d)`, all that this score sees of them.

    pairs: how many are drawn. squared: whether the squared distance is the measure, as it is of an
    extractor whose module declares DISTANCE (LPIPS). A feature of LPIPS has 122 numbers a pixel, 32 MB
    at 256 px: ask this score of an LPIPS extractor of a low `resolution`, or of few images. ValueError:
    bad features, fewer than 2 reals, fewer than 2 pairs.
    """
    if pairs < 2:
        raise ValueError(f"pairs must be 2 or more, got {pairs}")
    (features,) = as_tensors(real=real["features"])
    if len(features) < 2:
        raise ValueError("the distance of pairs needs 2 or more real samples")
    return Side(features.shape[1], pairs, squared)


def score(side: Side, fake: Mapping[str, np.ndarray]) -> dict[str, float]:
    """`pair_distance`: mean Euclidean distance of pairs of the fake `features` `(m, d)`, or squared.

    `pair_deviation`: its standard deviation over pairs; pairs share samples, so its ratio to the root
    of their number is no standard error. All pairs count where there are at most `pairs`; else as many
    different ones are drawn by row numbers, alike for every set of m, none of a sample with itself.
    Noise is far apart too: read it beside fidelity, and beside held-out reals. ValueError: bad
    features, another d, fewer than 3 fakes.
    """
    (fakes,) = frame(fake=fake["features"])
    if fakes.features.shape[1] != side.dimension:
        raise ValueError(
            f"real features have {side.dimension} dimensions, fake ones {fakes.features.shape[1]}"
        )
    if len(fakes) < FEWEST:
        raise ValueError(f"the distance of pairs needs {FEWEST} or more fakes, got {len(fakes)}")
    i, j = (rows.to(fakes.features.device) for rows in drawn_pairs(len(fakes), side.pairs))
    measured = squared_distances(fakes, i, fakes, j) / fakes.scale**2
    if not side.squared:
        measured = measured.sqrt()
    return {"pair_distance": measured.mean().item(), "pair_deviation": measured.std().item()}


def drawn_pairs(count: int, most: int) -> tuple[Tensor, Tensor]:
    """Rows i < j `(p,)` int64 of `most` different pairs of `count`; of all if there are no more."""
    total = count * (count - 1) // 2
    if total <= most:
        numbers = np.arange(total)
    else:
        stream = np.random.Generator(np.random.Philox(seed=SEED))
        numbers = stream.choice(total, most, replace=False)
    # Pair (i, j) has the number j (j - 1) / 2 + i.
    j = ((1 + np.sqrt(1 + 8 * numbers)) // 2).astype(np.int64)
    return torch.from_numpy(numbers - j * (j - 1) // 2), torch.from_numpy(j)
