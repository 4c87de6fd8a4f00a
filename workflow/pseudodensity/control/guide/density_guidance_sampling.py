"""Density guidance as a method at inference: samples at a quantile of the model's own density."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pseudodensity.control.choice import (
    Maker,
    Point,
    Tools,
    all_proposals,
    one_each,
)
from pseudodensity.control.guide.guided_maker import (
    guided_maker,
    interval_of,
    no_columns_but_times,
    sampler_words,
    strength_points,
)
from pseudodensity.control.guide.suitable import needs_diffusion

NAME = "density_guidance"
TITLE = "density guidance"
PAPER = "project"
SOURCE = "Karczewski et al. 2025, its form for deterministic steps"
NEEDS = ()
POOL = "own"
INPUTS = ("checkpoint",)
# As of low_density, but for its steps, which have no noise. Near images the push has no end.
DEFAULTS = {"step": "ddim", "steps": 50, "from_time": 50.0, "to_time": 1000.0}
CHOICES = {"step": ["ddim"]}
# quantile: of the density, less is lower; one half is the plain sampler.
GRID = {"quantile": [0.3, 0.1, 0.01]}
LIMITS = {
    "quantile": (1e-9, 0.999999999),
    "steps": (1, 100_000),
    "from_time": (0, 1000),
    "to_time": (0, 1000),
}

choose = all_proposals
proposals = one_each
column_settings = no_columns_but_times

why_not = needs_diffusion


def points(
    grid: Mapping[str, Any], settings: Mapping[str, Any], generator: Mapping[str, Any]
) -> list[Point]:
    """One point per quantile."""
    return strength_points(NAME, "quantile", grid, settings)


def label(point: Point) -> str:
    """With the quantile, the interval and the sampler."""
    return f"{TITLE}, quantile {point['quantile']:g}, {sampler_words(point)}"


def maker(context: Tools) -> Maker:
    """See `guided_maker`. It asks no network beside the sampler."""
    from pseudodensity.control.guide.density_guidance import DensityGuidance

    point = context.settings
    guide = DensityGuidance(quantile=point["quantile"], interval=interval_of(point))
    return guided_maker(context, lambda latents: guide, {})
