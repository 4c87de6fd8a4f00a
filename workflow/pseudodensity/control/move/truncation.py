"""Truncation of latents, as a method at inference; see `pseudodensity.generators.truncation`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

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


NAME = "truncation"
TITLE = "truncation"
PAPER = "000"
SOURCE = "figure 4; Karras et al. 2019, section B; Brock et al. 2019, section 3.1"
NEEDS = ()
POOL = "own"
INPUTS = ("checkpoint",)
# families: "customary" is how an architecture is usually truncated, "all" every way it can be.
DEFAULTS = {"families": "customary"}
CHOICES = {"families": ["customary", "all"]}
# psi by family.
GRID = {"style": [0.7, 1.3], "scale": [0.85, 1.1], "resample": [1.0]}
LIMITS = {"style": (-10, 10), "scale": (0, 10), "resample": (0, 10)}

choose = all_proposals
proposals = one_each
column_settings = no_column_settings


def points(
    grid: Mapping[str, Any], settings: Mapping[str, Any], generator: Mapping[str, Any]
) -> list[Point]:
    """Every psi of the grid of each family."""
    able = generator["truncation"]
    families = able[:1] if settings["families"] == "customary" else able
    return [
        {"method": NAME, "family": family, "psi": psi}
        for family in families
        for psi in grid[family]
    ]


def label(point: Point) -> str:
    """With family and psi."""
    return f"truncation ({point['family']}), psi {point['psi']:g}"


def why_not(generator: Mapping[str, Any]) -> str | None:
    """It needs a latent whose length or style counts."""
    return None if generator["truncation"] else "needs a latent that can be truncated"


def maker(context: Tools) -> Maker:
    """Images under truncation, from the same latents as the plain ones."""
    import torch

    from pseudodensity.generators.truncation import truncated_images
    from pseudodensity.rng import generator as stream_of

    stream, settings = stream_of(context.seed, "truncation"), context.settings

    @torch.no_grad()
    def make(latents: Tensor) -> Tensor:
        return truncated_images(
            context.generator, latents, settings["psi"], settings["family"], stream
        )

    return Maker(make)
