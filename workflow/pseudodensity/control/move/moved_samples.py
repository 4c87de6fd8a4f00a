"""Samples as drawn, moved towards more of an objective, and moved away from it.

Those of the main paper's Figures 3, 8 and 9 to 14.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pseudodensity.artifacts import ArtifactError
from pseudodensity.control.move.gradient import Score
from pseudodensity.control.move.perturb import (
    DensityObjective,
    DiscriminatorObjective,
    perturb,
    random_direction,
)
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.extractor import Extractor, extract
from pseudodensity.generators.checkpoint import CheckpointFile
from pseudodensity.images.transform import to_float, to_uint8
from pseudodensity.progress import Progress
from pseudodensity.rng import normal

__all__ = ["ROWS", "MovedSamples", "checkpoint_objective", "move_samples"]

# From top to bottom as in the paper, with the direction of each.
ROWS = {"towards": 1, "original": 0, "away": -1}
_REFERENCES = 16  # real images that a comparing discriminator sees beside each sample


@dataclass(frozen=True)
class MovedSamples:
    """Samples in the rows of `ROWS`: latents (3, n, *latent_shape) float32, images
    (3, n, 3, R, R) uint8, and the pseudo density (3, n) float32 of those images."""

    latents: Tensor
    images: np.ndarray
    density: np.ndarray


def checkpoint_objective(
    name: str,
    checkpoint: CheckpointFile | None,
    density: PseudoDensity,
    extractor: Extractor,
    real: np.ndarray,
    *,
    backbone: nn.Module | None = None,
    device: str = "cpu",
) -> Score | None:
    """What is climbed: images -> (n,), or None for ``random``.

    Args:
        name: density | discriminator | random.
        checkpoint: of the generator; its discriminator is used. None where nothing else is asked for.
        real: images (N, 3, R, R) uint8; a comparing discriminator sees the first of them.
        backbone: frozen feature network of a projected discriminator.

    ValueError: another name. ArtifactError: a checkpoint without a discriminator.
    """
    if name == "density":
        return DensityObjective(extractor.to(device), density.to(device))
    if name == "random":
        return None
    if name != "discriminator":
        raise ValueError(f"objective {name!r} unknown: use density, discriminator or random")
    if checkpoint is None:
        raise ArtifactError("a generator of one's own comes without a discriminator: use density")
    discriminator = checkpoint.build("discriminator", backbone).to(device).eval()
    references = to_float(np.array(real[:_REFERENCES])).to(device)
    return DiscriminatorObjective(discriminator.requires_grad_(False), references)


def move_samples(
    generator: nn.Module,
    objective: Score | None,
    density: PseudoDensity,
    extractor: Extractor,
    spec: Mapping[str, Any],
    progress: Progress,
    *,
    batch_size: int = 500,
    device: str = "cpu",
) -> MovedSamples:
    """Samples 0 .. images - 1 of a seed, moved by Algorithm 1 in both directions.

    Args:
        objective: None moves every latent in random directions, others in each step and row.
        density, extractor: give the densities of all rows, of the 8-bit images that are kept.
        spec: ``images``, ``seed``, and ``settings``: steps, step_size and bound of `perturb`.
        batch_size: samples at once.

    ValueError: as `perturb`.
    """
    count, rows, done = spec["images"], [], 0
    drawn = normal(spec["seed"], "latents", range(count), generator.latent_shape)
    progress.update(0)
    for row in ROWS:
        parts = []
        for start in range(0, count, batch_size):
            samples = range(start, min(start + batch_size, count))
            latents = drawn[samples.start : samples.stop].to(device)
            parts.append(_moved(generator, objective, latents, samples, row, spec))
            progress.update(done := done + len(latents))
        rows.append(torch.cat(parts))
    latents = torch.stack(rows)
    with torch.no_grad():
        batches = latents.flatten(0, 1).split(batch_size)
        images = torch.cat([to_uint8(generator(batch)).cpu() for batch in batches]).numpy()
    values = density.to(device)(extract(extractor, images, batch_size, device))
    shape = (len(ROWS), count)
    return MovedSamples(
        latents.cpu(), images.reshape(*shape, *images.shape[1:]), values.reshape(shape)
    )


def _moved(
    generator: nn.Module,
    objective: Score | None,
    latents: Tensor,
    samples: range,
    row: str,
    spec: Mapping[str, Any],
) -> Tensor:
    if ROWS[row] == 0:
        return latents
    if objective is None:
        name = f"random direction, {row}"
        return random_direction(latents, samples, spec["seed"], name, **spec["settings"])
    return perturb(generator, latents, objective, direction=ROWS[row], **spec["settings"])
