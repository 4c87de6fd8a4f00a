"""The tables and figures of low-density diffusion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pseudodensity.papers.low_density.cost_targets import cost_targets
from pseudodensity.papers.low_density.guided import CATEGORY, Guided
from pseudodensity.papers.low_density.loss_targets import loss_targets
from pseudodensity.papers.low_density.measure_targets import measure_targets
from pseudodensity.papers.low_density.nearest_targets import nearest_targets
from pseudodensity.papers.low_density.rivals_targets import rivals_targets
from pseudodensity.papers.low_density.shown_targets import shown_targets
from pseudodensity.papers.low_density.step_targets import step_targets
from pseudodensity.papers.low_density.strength_targets import strength_targets
from pseudodensity.papers.low_density.trainings_targets import trainings_targets
from pseudodensity.plan.plan import Plan
from pseudodensity.plan.target import Target, claims_target

__all__ = ["targets"]


# Tables that claims are answered from.
ANSWERING = ("fig4", "fig7", "table1", "fig8", "fig11", "table2", "fig13", "fig14", "fig15")
ANSWERING += ("fig16", "fig17", "trainings")


def targets(plan: Plan, grid: Mapping[str, Any]) -> Iterator[Target]:
    """What is shown of guidance, subject by subject, and the claims."""
    guided = Guided(plan, grid)
    made = [
        *strength_targets(guided),
        *nearest_targets(guided),
        *cost_targets(guided),
        *loss_targets(guided),
        *step_targets(guided),
        *measure_targets(guided),
        *shown_targets(guided),
        *rivals_targets(guided),
        *trainings_targets(guided),
    ]
    yield from made
    caption = "What the paper on low-density diffusion claims, each claim put to the test."
    yield claims_target("low_density", made, ANSWERING, caption, CATEGORY)
