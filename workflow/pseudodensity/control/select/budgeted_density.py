"""Budgeted rejection by pseudo density: the share that is kept is the dial, on any generator.

The weight of an image is its pseudo density to a power; `budgeted_log_acceptance` turns weights into
acceptances of a wanted mean. Higher powers and lower acceptances prefer denser images.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pseudodensity.control.choice import (
    Choice,
    Point,
    Pool,
    accepted_stretches,
    no_column_settings,
    proposals_for,
)

NAME = "budgeted_density"
TITLE = "budgeted rejection by density"
PAPER = "project"
SOURCE = "Verine et al. 2024, with pseudo density as the weight"
NEEDS = ("density",)
POOL = "model"
# power: of the density in the weight.
DEFAULTS = {"power": 4.0}
GRID = {"acceptance": [0.3, 0.5, 0.7]}
LIMITS = {"acceptance": (0.001, 1)}

column_settings = no_column_settings


def points(
    grid: Mapping[str, Any], settings: Mapping[str, Any], generator: Mapping[str, Any]
) -> list[Point]:
    """One point per wanted acceptance."""
    return [{"method": NAME, "acceptance": a, **settings} for a in grid["acceptance"]]


def label(point: Point) -> str:
    """With the dial."""
    return f"budgeted rejection by density, {100 * point['acceptance']:g} % kept"


def why_not(generator: Mapping[str, Any]) -> str | None:
    """It asks for nothing but images."""
    return None


def proposals(point: Point, images: int, repeats: int) -> int:
    """The dial says it."""
    return proposals_for(point["acceptance"], images * repeats)


def choose(pool: Pool, point: Point, images: int, repeats: int) -> Choice:
    """Rejection with acceptance min(c r / M, 1), r = density ** power."""
    import torch

    from pseudodensity.control.select.budgeted import budgeted_log_acceptance
    from pseudodensity.rng import generator as stream_of

    density = torch.from_numpy(pool.values("density")).double()
    # The density network may answer below zero; such an image weighs as little as any does.
    if not (density > 0).any():
        raise ValueError("no image of this pool has a positive pseudo density: there is no weight")
    least = density[density > 0].min()
    weights = point["power"] * density.clamp_min(least).log()
    chances = budgeted_log_acceptance(weights, point["acceptance"])
    return accepted_stretches(chances, stream_of(pool.seed, "budgeted"), images, repeats)
