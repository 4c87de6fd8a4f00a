"""Latent gradient ascent: each latent climbs its learned weight, by the weight network alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pseudodensity.control.auxiliary.latent_weight import why_not
from pseudodensity.control.choice import (
    Maker,
    Point,
    Tools,
    all_proposals,
    no_column_settings,
    one_each,
)

if TYPE_CHECKING:
    from torch import Tensor

    from pseudodensity.control.auxiliary.latent_space import LatentWeight

__all__ = ["choose", "column_settings", "label", "maker", "points", "proposals", "why_not"]

NAME = "latent_ga"
TITLE = "latentGA"
PAPER = "003"
SOURCE = "Algorithm 4"
NEEDS = ()
POOL = "own"
INPUTS = ("checkpoint", "latent_weight")
# projection: of the gradient, see `pseudodensity.control.move.latent_ascent.project`; none in w.
DEFAULTS = {"step_size": 0.05, "projection": "exact"}
CHOICES = {"projection": ["exact", "paper", "none"]}
GRID = {"steps": [10]}
LIMITS = {"steps": (1, 10_000), "step_size": (1e-9, 1e3)}

choose = all_proposals
proposals = one_each
column_settings = no_column_settings


def points(
    grid: Mapping[str, Any], settings: Mapping[str, Any], generator: Mapping[str, Any]
) -> list[Point]:
    """One point per number of steps."""
    return [{"method": NAME, "steps": steps, **settings} for steps in grid["steps"]]


def label(point: Point) -> str:
    """With the paper's n."""
    return f"{TITLE}, {point['steps']} steps"


def maker(context: Tools) -> Maker:
    """Images of latents that climbed."""
    return Maker(ascending(context.auxiliary("latent_weight"), context.settings))


def ascending(weight: LatentWeight, settings: Point) -> Callable[[Tensor], Tensor]:
    """latents (n, *latent_shape) -> images of the points that they climb to."""
    import torch

    from pseudodensity.control.move.latent_ascent import ascend

    projection = weight.space.projection(settings["projection"])

    def make(latents: Tensor) -> Tensor:
        with torch.no_grad():
            starts = weight.space.points(latents)
        reached = ascend(
            weight.network,
            starts,
            steps=settings["steps"],
            step_size=settings["step_size"],
            projection=projection,
        )
        with torch.no_grad():
            return weight.space.images(reached)

    return make
