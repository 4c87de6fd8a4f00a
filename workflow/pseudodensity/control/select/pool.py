"""One pool of proposals per checkpoint: what is known of each sample, drawn once.

Sample ``i`` of a pool is the same for every batch size and shard, so a pool can be extended, and
two checkpoints with the same latent shape are compared on the same latents.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.extractor import Extractor, extract
from pseudodensity.images.transform import to_uint8
from pseudodensity.progress import Progress
from pseudodensity.rng import normal

__all__ = ["Pool", "describe", "draw_pool"]


@dataclass
class Pool:
    """Proposals in order.

    Attributes:
        features: extractor name -> ``(n, d)`` float32, of the extractors that judge.
        density: ``(n,)`` float32 pseudo densities.
        images: the first few images ``(m, 3, R, R)`` uint8.
        seconds: time spent in the generator.
    """

    features: dict[str, np.ndarray]
    density: np.ndarray
    images: np.ndarray
    seconds: float = 0.0


def describe(
    images: np.ndarray,
    judges: Mapping[str, Extractor],
    density: PseudoDensity,
    steering: Extractor,
    device: str = "cpu",
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Judging features and pseudo densities ``(n,)`` of uint8 images ``(n, 3, R, R)``.

    ``steering`` is the extractor that the density was fitted on; it is never one of ``judges``.
    """
    features = {name: extract(judge, images, device=device) for name, judge in judges.items()}
    return features, density(extract(steering, images, device=device))


@torch.no_grad()
def draw_pool(
    generator: nn.Module,
    count: int,
    seed: int,
    judges: Mapping[str, Extractor],
    density: PseudoDensity,
    steering: Extractor,
    progress: Progress,
    *,
    kept_images: int = 64,
    batch_size: int = 500,
    device: str = "cpu",
) -> Pool:
    """Draw samples ``0 .. count - 1`` of a generator and describe them, streaming.

    Args:
        generator: in ``eval`` mode, latents ``(n, *latent_shape)`` -> images in [-1, 1].
        seed: of the latents.
        kept_images: how many of the first images to keep.
        batch_size: images at once; changes no sample.
    """
    parts: list[tuple[dict[str, np.ndarray], np.ndarray]] = []
    kept: list[np.ndarray] = []
    seconds = 0.0
    progress.update(0)
    for start in range(0, count, batch_size):
        index = range(start, min(start + batch_size, count))
        began = time.perf_counter()
        latents = normal(seed, "latents", index, generator.latent_shape)
        images = to_uint8(generator(latents.to(device))).cpu().numpy()
        seconds += time.perf_counter() - began
        parts.append(describe(images, judges, density, steering, device))
        if start < kept_images:
            kept.append(images[: kept_images - start])
        progress.update(index.stop)
    features = {name: np.concatenate([f[name] for f, _ in parts]) for name in judges}
    values = np.concatenate([d for _, d in parts])
    return Pool(features, values, np.concatenate(kept), seconds)
