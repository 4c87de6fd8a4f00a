"""The tables and figures of diverse rare samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pseudodensity.papers.diverse_rare.density_targets import density_targets
from pseudodensity.papers.diverse_rare.rare import Rare
from pseudodensity.papers.diverse_rare.searched_targets import searched_targets
from pseudodensity.plan.plan import Plan
from pseudodensity.plan.target import Target

__all__ = ["targets"]


def targets(plan: Plan, grid: Mapping[str, Any]) -> Iterator[Target]:
    """What is shown of the search, subject by subject."""
    rare = Rare(plan, grid)
    yield from searched_targets(rare)
    yield from density_targets(rare)
