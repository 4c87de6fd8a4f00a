"""The tables and figures of low-density diffusion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pseudodensity.papers.low_density.guided import Guided
from pseudodensity.papers.low_density.rivals_targets import rivals_targets
from pseudodensity.papers.low_density.strength_targets import strength_targets
from pseudodensity.plan.plan import Plan
from pseudodensity.plan.target import Target

__all__ = ["targets"]


def targets(plan: Plan, grid: Mapping[str, Any]) -> Iterator[Target]:
    """What is shown of guidance, subject by subject."""
    guided = Guided(plan, grid)
    yield from strength_targets(guided)
    yield from rivals_targets(guided)
