"""A random half of the proposals: what rejection costs when it knows nothing. A floor for every method."""

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

NAME = "random_choice"
TITLE = "random choice"
PAPER = "project"
SOURCE = "a control of this project"
NEEDS = ()
POOL = "model"
DEFAULTS = {"acceptance": 0.5}
GRID = {}
LIMITS = {"acceptance": (0.001, 1)}

column_settings = no_column_settings


def points(
    grid: Mapping[str, Any], settings: Mapping[str, Any], generator: Mapping[str, Any]
) -> list[Point]:
    """One point: the share that is kept."""
    return [{"method": NAME, "acceptance": settings["acceptance"]}]


def label(point: Point) -> str:
    """How tables call it."""
    return f"random choice of {100 * point['acceptance']:g} %"


def why_not(generator: Mapping[str, Any]) -> str | None:
    """Every generator can be sampled."""
    return None


def proposals(point: Point, images: int, repeats: int) -> int:
    """As many as the share asks for."""
    return proposals_for(point["acceptance"], images * repeats)


def choose(pool: Pool, point: Point, images: int, repeats: int) -> Choice:
    """Each proposal with the same probability."""
    import torch

    from pseudodensity.rng import generator as stream_of

    logs = torch.full((len(pool),), point["acceptance"], dtype=torch.float64).log()
    return accepted_stretches(logs, stream_of(pool.seed, "random choice"), images, repeats)
