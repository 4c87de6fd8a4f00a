"""Smoothing of the class embedding: the network is told a mixture of classes (papers/002, appendix A.6).

Li et al. do it with a GAN for the sake of diversity; the paper shows that images of a diffusion model do not
bear it.
"""

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
from pseudodensity.control.guide.guided_maker import guided_maker, sampler_words
from pseudodensity.control.guide.suitable import needs_classes

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "choose",
    "column_settings",
    "label",
    "maker",
    "points",
    "proposals",
    "smoothed",
    "why_not",
]

NAME = "class_smoothing"
TITLE = "smoothed class embedding"
PAPER = "002"
SOURCE = "appendix A.6"
NEEDS = ()
POOL = "own"
INPUTS = ("checkpoint",)
# As of low_density, whose plain images have the same noise.
DEFAULTS = {"step": "ancestral", "steps": 50}
CHOICES = {"step": ["ancestral", "ddim"]}
# 0: the class alone. 1: the mean of all embeddings, the same for every class.
GRID = {"smoothing": [0.1, 0.3, 0.6, 1.0]}
LIMITS = {"smoothing": (0, 1), "steps": (1, 100_000)}

choose = all_proposals
proposals = one_each
column_settings = no_column_settings
why_not = needs_classes


def points(
    grid: Mapping[str, Any], settings: Mapping[str, Any], generator: Mapping[str, Any]
) -> list[Point]:
    """Every smoothing."""
    return [{"method": NAME, "smoothing": one, **settings} for one in grid["smoothing"]]


def label(point: Point) -> str:
    """With the smoothing."""
    return f"{TITLE}, {point['smoothing']:g}, {sampler_words(point)}"


def smoothed(labels: Tensor, classes: int, smoothing: float) -> Tensor:
    """Shares (n, classes) float32 of labels (n,) int64: all but ``smoothing`` for the class, and that spread
    evenly over all classes.

    In the paper's words y_max = 1 - smoothing (1 - 1 / classes), the rest equally over the others.
    """
    from torch.nn.functional import one_hot

    return one_hot(labels, classes).float() * (1 - smoothing) + smoothing / classes


def maker(context: Tools) -> Maker:
    """See `guided_maker`: nothing guides, and the network is told the mixture."""
    model, smoothing = context.generator, context.settings["smoothing"]
    return guided_maker(
        context,
        lambda latents: None,
        {},
        labels_of=lambda latents: smoothed(model.labels(latents), model.classes, smoothing),
    )
