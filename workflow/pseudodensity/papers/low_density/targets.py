"""The tables and figures of low-density diffusion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pseudodensity.papers.low_density.cost_targets import cost_targets
from pseudodensity.papers.low_density.guided import Guided
from pseudodensity.papers.low_density.loss_targets import loss_targets
from pseudodensity.papers.low_density.measure_targets import measure_targets
from pseudodensity.papers.low_density.nearest_targets import nearest_targets
from pseudodensity.papers.low_density.shown_targets import shown_targets
from pseudodensity.papers.low_density.step_targets import step_targets
from pseudodensity.papers.low_density.strength_targets import strength_targets
from pseudodensity.plan.plan import Plan
from pseudodensity.plan.target import Target

__all__ = ["targets"]


def targets(plan: Plan, grid: Mapping[str, Any]) -> Iterator[Target]:
    """What is shown of guidance, subject by subject."""
    guided = Guided(plan, grid)
    yield from strength_targets(guided)
    yield from nearest_targets(guided)
    yield from cost_targets(guided)
    yield from loss_targets(guided)
    yield from step_targets(guided)
    yield from measure_targets(guided)
    yield from shown_targets(guided)
