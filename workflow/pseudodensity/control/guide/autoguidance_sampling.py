"""Autoguidance as a method at inference: away from what a weaker model says."""

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
    guided_steps,
    interval_of,
    no_columns_but_times,
    plain_maker,
    sampler_words,
    strength_points,
)
from pseudodensity.control.guide.suitable import needs_diffusion

NAME = "autoguidance"
TITLE = "autoguidance"
PAPER = "project"
SOURCE = "Karras et al. 2024, section 4, in an interval as of Kynkäänniemi et al. 2024"
NEEDS = ()
POOL = "own"
INPUTS = ("checkpoint", "weaker_model")
# step, steps: of the sampler. It acts between from_time and to_time, on the network's clock from 0, images, to 1000,
# noise: of the cosine schedule about the noise levels .28 to 2.9 of the interval's authors.
DEFAULTS = {"step": "ancestral", "steps": 50, "from_time": 170.0, "to_time": 790.0}
CHOICES = {"step": ["ancestral", "ddim"]}
# weight: 1 is the plain sampler.
GRID = {"weight": [1.5, 2.0, 3.0]}
LIMITS = {
    "weight": (1, 1000),
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
    """One point per weight."""
    return strength_points(NAME, "weight", grid, settings)


def label(point: Point) -> str:
    """With the weight, the interval and the sampler."""
    return f"{TITLE}, weight {point['weight']:g}, {sampler_words(point)}"


def maker(context: Tools) -> Maker:
    """See `guided_maker`. The weaker model is passed once in each step in which it guides."""
    from pseudodensity.control.guide.autoguidance import Autoguidance

    point = context.settings
    if point["weight"] == 1:
        return plain_maker(context)
    guide = Autoguidance(
        context.generator,
        context.auxiliary("weaker_model"),
        weight=point["weight"],
        interval=interval_of(point),
    )
    return guided_maker(
        context, lambda latents: guide, {"weaker_model": len(guided_steps(context))}
    )
