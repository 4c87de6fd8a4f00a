"""Exact log-likelihoods of the codes behind samples and real images (main paper, A.5)."""

from __future__ import annotations

import numpy as np
import torch

from pseudodensity.generators.vqgpt import VqGpt
from pseudodensity.images.transform import to_float
from pseudodensity.progress import Progress
from pseudodensity.rng import normal

__all__ = ["image_log_likelihoods", "proposal_log_likelihoods"]


@torch.no_grad()
def proposal_log_likelihoods(
    generator: VqGpt,
    seed: int,
    count: int,
    progress: Progress,
    *,
    batch_size: int = 500,
    device: str = "cpu",
) -> np.ndarray:
    """Log-likelihoods in nats, (count,) float64, of proposals 0 .. count - 1 of a pool of ``seed``.

    The codes are drawn again from the latents; that is exact, as a latent always gives the same.
    """
    parts = []
    progress.update(0)
    for start in range(0, count, batch_size):
        index = range(start, min(start + batch_size, count))
        latents = normal(seed, "latents", index, generator.latent_shape).to(device)
        parts.append(generator.log_likelihood(generator.codes(latents)).cpu().numpy())
        progress.update(index.stop)
    return np.concatenate(parts)


@torch.no_grad()
def image_log_likelihoods(
    generator: VqGpt, images: np.ndarray, *, batch_size: int = 500, device: str = "cpu"
) -> np.ndarray:
    """Log-likelihoods in nats, (n,) float64, of the codes of images (n, 3, R, R) uint8."""
    parts = []
    for start in range(0, len(images), batch_size):
        batch = to_float(np.array(images[start : start + batch_size])).to(device)
        parts.append(generator.log_likelihood(generator.encode(batch)).cpu().numpy())
    return np.concatenate(parts)
