"""The least and the most dense of many samples, beside the real images at the same percentiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pseudodensity.control.choice import Pool
from pseudodensity.density.network import PseudoDensity

__all__ = ["Extremes", "density_extremes"]


@dataclass(frozen=True)
class Extremes:
    """The m least dense, then the m most dense, in rising order: index (2m,) int64 of the samples,
    percentile (2m,) float64 of their density among all samples; images (2m, 3, R, R) uint8 and
    density (2m,) float32; and the same of the real images at those percentiles."""

    index: np.ndarray
    percentile: np.ndarray
    images: np.ndarray
    density: np.ndarray
    real_index: np.ndarray
    real_images: np.ndarray
    real_density: np.ndarray


def density_extremes(
    pool: Pool,
    draw: Callable[[np.ndarray], np.ndarray],
    density: PseudoDensity,
    real: np.ndarray,
    real_features: np.ndarray,
    generations: int,
    images: int,
) -> Extremes:
    """Extremes out of the first `generations` proposals of a pool (main paper, Figure 2).

    The sample of rank r (from 0) stands at percentile 100 (r + 1/2) / generations; the real image
    of that percentile has the rank floor(percentile / 100 * N), both by the density network.

    Args:
        draw: rows of the pool -> images (n, 3, R, R) uint8.
        density: fitted on features of the same kind as `real_features` (N, d) float32.
        real: (N, 3, R, R) uint8.
        images: m, at each end.

    ValueError: fewer than 2 m generations, or a pool that is shorter.
    """
    if not 2 * images <= generations <= len(pool):
        raise ValueError(
            f"{images} images at each end of {generations} generations out of {len(pool)} proposals "
            "cannot be had: draw more"
        )
    values = pool.values("density")[:generations]
    ranks = np.r_[:images, generations - images : generations]
    index = np.argsort(values, kind="stable")[ranks]
    percentile = 100 * (ranks + 0.5) / generations
    real_values = density(real_features)
    real_ranks = (percentile / 100 * len(real_values)).astype(int)
    real_index = np.argsort(real_values, kind="stable")[real_ranks]
    return Extremes(
        index,
        percentile,
        draw(index),
        values[index],
        real_index,
        np.stack([real[i] for i in real_index]),
        real_values[real_index],
    )
