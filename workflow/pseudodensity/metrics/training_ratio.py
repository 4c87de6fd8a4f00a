"""Memorisation against held-out reals: whether fakes lie nearer to the training images.

The ratio of a fake is its distance to the nearest of N training images over that to the nearest of N
held-out reals. Where both sets are of one law and the fake knows neither, which of the two is nearer
is as the toss of a coin, in whatever features and however bad the fake: over draws of the reals the
ratio is below 1 half the time. Fakes that are alike share their toss. A fake that was made from its
training image has a ratio near 0.

Cf. Meehan, Chaudhuri and Dasgupta 2020, who compare the distances of fakes and of held-out reals to
the training images. No score of a scores file: it needs two real sides.
"""

from dataclasses import dataclass

import numpy as np
import torch

from pseudodensity.feature_sets import frame
from pseudodensity.neighbors import nearest

__all__ = ["MOST", "TAIL", "Nearest", "chance_spread", "summary", "training_ratio"]

MOST = 1000.0  # stands for all that is more: a copy of a held-out real has nothing to divide by
TAIL = 0.01


@dataclass(frozen=True)
class Nearest:
    """Of each fake: ratio `(m,)`, distances to_training and to_held_out `(m,)` float64 in units of the
    features, and which training and held_out real these belong to, `(m,)` int64."""

    ratio: np.ndarray
    to_training: np.ndarray
    to_held_out: np.ndarray
    training: np.ndarray
    held_out: np.ndarray


def training_ratio(training: np.ndarray, held_out: np.ndarray, fake: np.ndarray) -> Nearest:
    """The nearest of both sides for each fake `(m, d)`.

    training, held_out: `(n, d)`, as many of each, or the larger side would win by its number. A ratio
    is at most `MOST`, and 1 where both distances are 0. ValueError: bad features, another d, unequal
    numbers.
    """
    if len(training) != len(held_out):
        raise ValueError(
            f"there are {len(training)} training and {len(held_out)} held-out reals: take as many of "
            "each, or the larger side is nearer by its number"
        )
    sides = frame(training=training, held_out=held_out, fake=fake)
    fakes, scale = sides[2], sides[2].scale
    found = [nearest(fakes, side, 1, exclude_self=False) for side in sides[:2]]
    distances = [squared[:, 0].sqrt() for squared, _ in found]
    ratio = torch.where(distances[0] == distances[1], 1.0, distances[0] / distances[1])
    to_training, to_held_out = (distance.numpy() / scale for distance in distances)
    rows = [indices[:, 0].numpy() for _, indices in found]
    return Nearest(ratio.clamp(max=MOST).numpy(), to_training, to_held_out, *rows)


def summary(ratio: np.ndarray) -> dict[str, float]:
    """What the ratios `(m,)` of m fakes come to.

    nearer_training: share below 1, ties counting half; about .5 if nothing is memorised, see
    `chance_spread`. median_ratio.
    tail_ratio: what 1 % of the fakes do not exceed; without memorisation about 99^(-1/d) where reals
    fill d dimensions. ValueError: no fake.
    """
    if not len(ratio):
        raise ValueError("there is no fake sample, and so no ratio: pass one or more")
    below = float((ratio < 1).mean() + (ratio == 1).mean() / 2)
    tail = float(np.quantile(ratio, TAIL, method="lower"))
    return {
        "nearer_training": below,
        "median_ratio": float(np.median(ratio)),
        "tail_ratio": tail,
    }


def chance_spread(found: Nearest, reals: int) -> float:
    """Standard deviation of `nearer_training` over all ways to call half of the 2 n reals the training
    images: what chance does to this share where nothing is memorised.

    reals: n, of each side. A share counts the fakes whose nearest of all reals is called a training
    image, so fakes with the same nearest real count together: .5 for a model whose samples are all
    alike. Exact but for ties.
    """
    winners = np.where(found.ratio <= 1, found.training, reals + found.held_out)
    counts = np.bincount(winners).astype(np.float64)
    total, both = counts.sum(), 2 * reals
    # The variance of a sum over half of a finite population, drawn without replacement.
    variance = both / (both - 1) / 4 * ((counts**2).sum() - total**2 / both)
    return float(np.sqrt(variance) / total)
