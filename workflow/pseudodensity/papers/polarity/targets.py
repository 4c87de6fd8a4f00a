"""The tables and figures of polarity sampling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pseudodensity.papers.polarity.class_targets import class_targets
from pseudodensity.papers.polarity.image_targets import image_targets
from pseudodensity.papers.polarity.images import Images
from pseudodensity.papers.polarity.shown_targets import shown_targets
from pseudodensity.papers.polarity.single_models import SingleModels
from pseudodensity.papers.polarity.toy_targets import toy_targets
from pseudodensity.plan.plan import Plan
from pseudodensity.plan.target import Target, claims_target

__all__ = ["targets"]

# Tables that claims are answered from.
ANSWERING = ("table1", "table2", "table3", "table4", "fig3", "fig5", "fig6", "fig7")


def targets(plan: Plan, grid: Mapping[str, Any]) -> Iterator[Target]:
    """Figure 11, which is about generators whose law is known; what is about images; the claims."""
    yield from toy_targets(grid["fig11"])
    images = Images(plan, grid)
    made = [*image_targets(images), *shown_targets(SingleModels(images)), *class_targets(images)]
    yield from made
    caption = "What the paper on polarity sampling claims, each claim put to the test."
    yield claims_target("polarity", made, ANSWERING, caption, "Polarity sampling")
