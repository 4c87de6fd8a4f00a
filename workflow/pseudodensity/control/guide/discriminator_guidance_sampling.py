"""Discriminator guidance as a method at inference: the model's score and that of real against generated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pseudodensity.control.choice import (
    Maker,
    Point,
    Tools,
    all_proposals,
    no_column_settings,
    one_each,
)
from pseudodensity.control.guide.guided_maker import (
    guided_maker,
    interval_of,
    plain_maker,
    pushed_steps,
    sampler_words,
    strength_points,
)
from pseudodensity.control.guide.low_density_sampling import NO_PUSH, note_of_pushes
from pseudodensity.control.guide.suitable import needs_diffusion

NAME = "discriminator_guidance"
TITLE = "discriminator guidance"
PAPER = "project"
SOURCE = "Kim et al. 2023"
NEEDS = ()
POOL = "own"
INPUTS = ("checkpoint", "real_classifier")
# As of low_density.
DEFAULTS = {"step": "ancestral", "steps": 50, "from_time": 0.0, "to_time": 1000.0}
CHOICES = {"step": ["ancestral", "ddim"]}
# weight: of the gradient of the log-ratio; 0 is the plain sampler.
GRID = {"weight": [1.0, 2.0, 4.0]}
LIMITS = {
    "weight": (0, 1000),
    "steps": (1, 100_000),
    "from_time": (0, 1000),
    "to_time": (0, 1000),
}

choose = all_proposals
proposals = one_each
column_settings = no_column_settings

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
    """See `guided_maker`. The classifier is passed twice in each step in which it pushes.

    Where it gives no push, because it must not steer or is at chance, the images are plain ones, and the
    note says so.
    """
    from pseudodensity.control.guide.discriminator_guidance import DiscriminatorGuidance

    point = context.settings
    if not point["weight"]:
        return plain_maker(context)
    classifier = context.auxiliary("real_classifier")
    note = note_of_pushes("the classifier", context, classifier.accuracy)
    if NO_PUSH in note:
        return plain_maker(context, note=f"plain images: {note}")
    guide = DiscriminatorGuidance(classifier, weight=point["weight"], interval=interval_of(point))
    pushed = sum(map(classifier.accuracy.above_chance, pushed_steps(context).values()))
    return guided_maker(context, lambda latents: guide, {"real_classifier": 2 * pushed}, note=note)
