"""The least and the most dense of many samples, beside the real images at the same percentiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.extractor import Extractor, extract
from pseudodensity.images.transform import to_uint8
from pseudodensity.progress import Progress
from pseudodensity.rng import normal

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


@torch.no_grad()
def density_extremes(
    generator: nn.Module,
    density: PseudoDensity,
    extractor: Extractor,
    real: np.ndarray,
    real_features: np.ndarray,
    spec: Mapping[str, Any],
    progress: Progress,
    *,
    batch_size: int = 500,
    device: str = "cpu",
) -> Extremes:
    """Extremes out of samples 0 .. generations - 1 of a seed (main paper, Figure 2).

    The sample of rank r (from 0) stands at percentile 100 (r + 1/2) / generations; the real image
    of that percentile has the rank floor(percentile / 100 * N), both by the density network.

    Args:
        density: fitted on features by ``extractor``.
        real, real_features: (N, 3, R, R) uint8 and (N, d) float32 by ``extractor``.
        spec: ``generations``, ``images`` (m at each end), ``seed``.

    ValueError: fewer than 2 m generations.
    """
    total, ends = spec["generations"], spec["images"]
    if total < 2 * ends:
        raise ValueError(f"{total} generations have no {ends} images at each end: draw more")
    values, latents = [], []
    progress.update(0)
    for start in range(0, total, batch_size):
        index = range(start, min(start + batch_size, total))
        latents.append(normal(spec["seed"], "latents", index, generator.latent_shape))
        images = to_uint8(generator(latents[-1].to(device))).cpu()
        values.append(density.to(device)(extract(extractor, images, batch_size, device)))
        progress.update(index.stop)
    found = np.concatenate(values)
    ranks = np.r_[:ends, total - ends : total]
    index = np.argsort(found, kind="stable")[ranks]
    images = to_uint8(generator(torch.cat(latents)[index].to(device))).cpu().numpy()
    percentile = 100 * (ranks + 0.5) / total
    real_values = density(real_features)
    real_ranks = (percentile / 100 * len(real_values)).astype(int)
    real_index = np.argsort(real_values, kind="stable")[real_ranks]
    return Extremes(
        index,
        percentile,
        images,
        found[index],
        real_index,
        np.stack([real[i] for i in real_index]),
        real_values[real_index],
    )
