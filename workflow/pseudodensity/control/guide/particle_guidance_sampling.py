"""Particle guidance as a method at inference: the samples of a set repel each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

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
    plain_maker,
    sampler_words,
    strength_points,
)
from pseudodensity.control.guide.suitable import needs_diffusion

if TYPE_CHECKING:
    from torch import Tensor

    from pseudodensity.control.guide.particle_guidance import ParticleGuidance

NAME = "particle_guidance"
TITLE = "particle guidance"
PAPER = "project"
SOURCE = "Corso et al. 2023, with a kernel of pixels"
NEEDS = ()
POOL = "own"
INPUTS = ("checkpoint",)
# As of low_density; particles: samples of a set, which are neighbours in the pool and of any class; least_sigma: noise
# over signal from which it acts.
DEFAULTS = {
    "step": "ancestral",
    "steps": 50,
    "particles": 10,
    "least_sigma": 1.0,
    "from_time": 0.0,
    "to_time": 1000.0,
}
CHOICES = {"step": ["ancestral", "ddim"]}
# strength: of the gradient of the kernels; 0 is the plain sampler.
GRID = {"strength": [30.0, 100.0, 300.0]}
LIMITS = {
    "strength": (0, 1_000_000),
    "steps": (1, 100_000),
    "particles": (2, 1000),
    "least_sigma": (0, 1000),
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
    """One point per strength."""
    return strength_points(NAME, "strength", grid, settings)


def rows_per_group(point: Point) -> int:
    """Images of a set, which one file of a pool holds whole."""
    return point["particles"]


def label(point: Point) -> str:
    """With the strength, the interval and the sampler."""
    return f"{TITLE}, strength {point['strength']:g}, {sampler_words(point)}"


def maker(context: Tools) -> Maker:
    """See `guided_maker`. Where a pool ends within a set, the rest of it is a smaller set; it asks no network."""
    point = context.settings
    if not point["strength"]:
        return plain_maker(context)
    return guided_maker(
        context, lambda latents: _guide(point, latents), {}, group=point["particles"]
    )


def _guide(point: Point, latents: Tensor) -> ParticleGuidance | None:
    from pseudodensity.control.guide.particle_guidance import ParticleGuidance

    particles = min(len(latents), point["particles"])
    if particles < 2:
        return None
    return ParticleGuidance(
        strength=point["strength"],
        particles=particles,
        least_sigma=point["least_sigma"],
        interval=interval_of(point),
    )
