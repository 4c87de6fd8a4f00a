"""CADS as a method at inference: the class of a sample is told in noise at first."""

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
from pseudodensity.control.guide.guided_maker import (
    guide_noise,
    guided_maker,
    plain_maker,
    sampler_words,
    step_times,
    strength_points,
)
from pseudodensity.control.guide.suitable import needs_diffusion

if TYPE_CHECKING:
    from torch import Tensor

    from pseudodensity.control.guide.cads import Cads

NAME = "cads"
TITLE = "CADS"
PAPER = "project"
SOURCE = "Sadat et al. 2024, Algorithm 1, on the shares of the classes"
NEEDS = ()
POOL = "own"
INPUTS = ("checkpoint",)
# step, steps: of the sampler. The class is clear up to one time and all noise from another, on the network's clock from
# 0, images, to 1000, noise. mixing: the share that is brought back to the mean and the deviation of the class's row.
DEFAULTS = {
    "step": "ancestral",
    "steps": 50,
    "clear_until": 600.0,
    "hidden_from": 900.0,
    "mixing": 1.0,
}
CHOICES = {"step": ["ancestral", "ddim"]}
# scale: of the noise; 0 is the plain sampler.
GRID = {"scale": [0.03, 0.1, 0.3]}
LIMITS = {
    "scale": (0, 1000),
    "steps": (1, 100_000),
    "clear_until": (0, 1000),
    "hidden_from": (0, 1000),
    "mixing": (0, 1),
}

choose = all_proposals
proposals = one_each
column_settings = no_column_settings


def points(
    grid: Mapping[str, Any], settings: Mapping[str, Any], generator: Mapping[str, Any]
) -> list[Point]:
    """One point per scale."""
    return strength_points(NAME, "scale", grid, settings)


def label(point: Point) -> str:
    """With the scale, its times and the sampler."""
    times = f"clear to t = {point['clear_until']:g}, hidden from {point['hidden_from']:g}"
    return f"{TITLE}, scale {point['scale']:g}, {times}, {sampler_words(point)}"


def why_not(generator: Mapping[str, Any]) -> str | None:
    """It needs a diffusion model with classes."""
    reason = needs_diffusion(generator)
    if reason or generator["classes"]:
        return reason
    return "hides the class of a sample at first, and this model has no classes"


def maker(context: Tools) -> Maker:
    """See `guided_maker`. The model is passed once more in each step at which the class is not clear."""
    point = context.settings
    if not point["scale"]:
        return plain_maker(context)
    unclear = sum(time > point["clear_until"] for time in step_times(context).values())
    return guided_maker(context, lambda latents: _guide(context, latents), {"generator": unclear})


def _guide(context: Tools, latents: Tensor) -> Cads:
    from pseudodensity.control.guide.cads import Cads

    point = context.settings
    return Cads(
        context.generator,
        guide_noise(context, latents),
        scale=point["scale"],
        low=point["clear_until"],
        high=point["hidden_from"],
        mixing=point["mixing"],
    )
