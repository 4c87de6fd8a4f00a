"""Per-sample perturbation as a method at inference: latents that move against their pseudo density, or along."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pseudodensity.control.choice import (
    Maker,
    Point,
    Tools,
    all_proposals,
    needs_one_pass,
    no_column_settings,
    one_each,
)

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["choose", "column_settings", "label", "maker", "points", "proposals", "why_not"]

NAME = "perturbation"
TITLE = "perturbation"
PAPER = "000"
SOURCE = "Algorithm 1"
NEEDS = ()
POOL = "own"
INPUTS = ("checkpoint", "density", "steering")
# Of appendix A.1, for GANs.
DEFAULTS = {"steps": 10, "step_size": 0.025, "bound": 0.1}
GRID = {"towards": ["less", "more"]}
LIMITS = {"steps": (1, 10_000), "step_size": (1e-9, 1e3), "bound": (1e-9, 1e3)}

choose = all_proposals
proposals = one_each
column_settings = no_column_settings
why_not = needs_one_pass


def points(
    grid: Mapping[str, Any], settings: Mapping[str, Any], generator: Mapping[str, Any]
) -> list[Point]:
    """Towards less and towards more density."""
    ends = dict.fromkeys(grid["towards"])
    return [{"method": NAME, "towards": towards, **settings} for towards in ends]


def label(point: Point) -> str:
    """With where it goes, and how far at most."""
    return f"{TITLE} towards {point['towards']} density, bound {point['bound']:g}"


def maker(context: Tools) -> Maker:
    """Images of the pool's own latents, moved."""
    import torch

    from pseudodensity.control.move.perturb import DensityObjective, perturb

    point, generator = context.settings, context.generator
    objective = DensityObjective(context.steering, context.pseudo_density)

    def make(latents: Tensor) -> Tensor:
        moved = perturb(
            generator,
            latents,
            objective,
            steps=point["steps"],
            step_size=point["step_size"],
            bound=point["bound"],
            direction={"less": -1, "more": 1}[point["towards"]],
        )
        with torch.no_grad():
            return generator(moved)

    return Maker(make, 1 + point["steps"])
