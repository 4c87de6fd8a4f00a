"""Self-guided minority sampling as a method at inference: towards images that the model cannot restore."""

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
    guide_noise,
    guided_maker,
    interval_of,
    no_columns_but_times,
    plain_maker,
    pushed_steps,
    sampler_words,
    strength_points,
)
from pseudodensity.control.guide.suitable import needs_diffusion

if TYPE_CHECKING:
    from torch import Tensor

    from pseudodensity.control.guide.self_guided_minority import SelfGuidedMinority

NAME = "self_guided_minority"
TITLE = "self-guided minority sampling"
PAPER = "project"
SOURCE = "Um and Ye 2024, with squared distances of pixels"
NEEDS = ()
POOL = "own"
INPUTS = ("checkpoint",)
# As of low_density; every: it acts in steps whose number divides by it; depth: noise level of the second prediction,
# as a share of the process.
DEFAULTS = {
    "step": "ancestral",
    "steps": 50,
    "every": 5,
    "depth": 0.8,
    "from_time": 0.0,
    "to_time": 1000.0,
}
CHOICES = {"step": ["ancestral", "ddim"]}
# strength: as alpha of low_density; 0 is the plain sampler.
GRID = {"strength": [0.1, 0.3, 1.0]}
LIMITS = {
    "strength": (0, 1000),
    "steps": (1, 100_000),
    "every": (1, 100_000),
    "depth": (0.001, 0.999),
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


def label(point: Point) -> str:
    """With the strength, the interval and the sampler."""
    return f"{TITLE}, strength {point['strength']:g}, {sampler_words(point)}"


def maker(context: Tools) -> Maker:
    """See `guided_maker`. The model is passed twice forward and once backward in each step that is pushed."""
    point = context.settings
    if not point["strength"]:
        return plain_maker(context)
    pushed = sum(index % point["every"] == 0 for index in pushed_steps(context))
    return guided_maker(
        context, lambda latents: _guide(context, latents), {"generator": 3 * pushed}
    )


def _guide(context: Tools, latents: Tensor) -> SelfGuidedMinority:
    from pseudodensity.control.guide.self_guided_minority import SelfGuidedMinority

    point = context.settings
    return SelfGuidedMinority(
        context.generator,
        guide_noise(context, latents),
        strength=point["strength"],
        every=point["every"],
        depth=point["depth"],
        interval=interval_of(point),
    )
