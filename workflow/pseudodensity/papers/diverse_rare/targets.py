"""The tables and figures of diverse rare samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pseudodensity.papers.diverse_rare.attribute_targets import attribute_targets
from pseudodensity.papers.diverse_rare.density_targets import density_targets
from pseudodensity.papers.diverse_rare.drawn_targets import drawn_targets
from pseudodensity.papers.diverse_rare.method_targets import method_targets
from pseudodensity.papers.diverse_rare.polarity_targets import polarity_targets
from pseudodensity.papers.diverse_rare.rare import CATEGORY, Rare
from pseudodensity.papers.diverse_rare.searched_targets import searched_targets
from pseudodensity.papers.diverse_rare.shown_targets import shown_targets
from pseudodensity.plan.plan import Plan
from pseudodensity.plan.target import Target, claims_target

__all__ = ["targets"]

# Tables that claims are answered from.
ANSWERING = ("table1", "table7", "table9", "table10", "table12", "table15", "table16", "table17")
ANSWERING += ("fig8",)


def targets(plan: Plan, grid: Mapping[str, Any]) -> Iterator[Target]:
    """What is shown of the search, subject by subject, and the claims."""
    rare = Rare(plan, grid)
    made = [
        *searched_targets(rare),
        *attribute_targets(rare),
        *polarity_targets(rare),
        *method_targets(rare),
        *shown_targets(rare),
        *drawn_targets(rare),
        *density_targets(rare),
    ]
    yield from made
    caption = "What the paper on diverse rare samples claims, each claim put to the test."
    yield claims_target("diverse_rare", made, ANSWERING, caption, CATEGORY)
