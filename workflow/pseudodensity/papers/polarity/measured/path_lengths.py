"""Experiment: how fast images change along paths between latents drawn by polarity (Figure 7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pseudodensity.features.build import load_extractor
from pseudodensity.generators.checkpoint import load_checkpoint
from pseudodensity.generators.generator import BaseGenerator
from pseudodensity.generators.tangents import jacobian_columns
from pseudodensity.papers.polarity.measured.draws import draw_by_polarity, open_volumes
from pseudodensity.rng import normal

__all__ = ["arc", "path_lengths", "squared_speeds"]

BATCH = 100  # paths at once, at most
NUMBERS = 2**27  # of the features of a batch, at most

Stage = Callable[[Tensor], Tensor]


def path_lengths(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Perceptual path lengths (Karras et al. 2019, section 4.1) at the start of paths whose ends polarity draws.

    The distance of two images is the squared Euclidean one of their features, which are scaled to length 1
    unless it is a distance of its own as they stand (LPIPS). A step of length eps gives distance / eps^2, whose
    limit is the squared speed; that limit is taken here, because a step of 1e-4 is no more than a way to it.
    Paths start where polarity draws: only there, not half-way, have points the law of the polarity.

    inputs: those of `open_volumes`; ``checkpoint``; ``extractor``. settings: those of `open_volumes`;
    ``polarity``, exponents; ``images``, paths of each; ``title`` of the extractor;
    ``distance``, what its own is called, else None; ``device``.

    arrays: ``z``, along arcs between latents, and for generators with a mapping network ``w``, along lines
    between their w: (rows, images) float64. facts: ``rows``, see `draw_by_polarity`; ``extractor``;
    ``distance``; ``side``, pixels of the images that the extractor sees.
    """
    device, paths = settings["device"], settings["images"]
    generator = load_checkpoint(inputs["checkpoint"]).frozen_generator(device)
    extractor = load_extractor(inputs["extractor"]).to(device).eval()
    pool = open_volumes(inputs, settings)
    chosen, rows = draw_by_polarity(pool, settings["polarity"], 2 * paths)
    batch = max(1, min(BATCH, NUMBERS // extractor.dim))
    speeds_of = partial(squared_speeds, unit=settings["distance"] is None, batch=batch)
    found: dict[str, list[np.ndarray]] = {}
    for each in chosen:
        latents = normal(pool.seed, "latents", each.tolist(), generator.latent_shape).to(device)
        moving = _moving(generator, *latents.split(paths))
        for space, (stages, points, velocities) in moving.items():
            speeds = speeds_of([*stages, extractor], points, velocities)
            found.setdefault(space, []).append(speeds.cpu().numpy())
    arrays = {space: np.stack(values) for space, values in found.items()}
    facts = {"extractor": settings["title"], "distance": settings["distance"]}
    return arrays, {"rows": rows, "side": extractor.size} | facts


def _moving(
    generator: BaseGenerator, starts: Tensor, ends: Tensor
) -> dict[str, tuple[list[Stage], Tensor, Tensor]]:
    """Of each space the stages to images, the points and the velocities."""
    stages = [generator.mapping, generator.synthesis] if generator.w_space else [generator]
    found = {"z": (stages, starts, arc(starts, ends))}
    if generator.w_space:
        with torch.no_grad():
            first, last = generator.mapping(starts), generator.mapping(ends)
        found["w"] = ([generator.synthesis], first, last - first)
    return found


def arc(starts: Tensor, ends: Tensor) -> Tensor:
    """Velocity at the start of the great circle from one latent towards another.

    starts, ends (n, *shape); the circle has the length of the start, and is passed in a time of 1 (Shoemake
    1985). The velocity of a point that is its own end is 0.
    """
    flat, towards = starts.flatten(1), F.normalize(ends.flatten(1), dim=1)
    lengths = flat.norm(dim=1, keepdim=True)
    here = flat / lengths
    across = towards - (here * towards).sum(1, keepdim=True) * here
    angles = torch.atan2(across.norm(dim=1, keepdim=True), (here * towards).sum(1, keepdim=True))
    return (lengths * angles * F.normalize(across, dim=1)).view_as(starts)


def squared_speeds(
    stages: Sequence[Stage],
    points: Tensor,
    velocities: Tensor,
    unit: bool = True,
    batch: int = BATCH,
) -> Tensor:
    """Squared speed of the features at points that move, (n,) float64.

    stages: from a point to its features (n, d), one after the other. points, velocities: (n, *shape).
    unit: scale features to length 1. batch: points at once.
    """
    scaled = [*stages, lambda features: F.normalize(features, dim=1)] if unit else stages
    speeds = []
    for some, steps in zip(points.split(batch), velocities.split(batch), strict=True):
        moved = jacobian_columns(scaled, some, steps[None])[0]
        speeds.append(moved.double().square().sum(1))
    return torch.cat(speeds)
