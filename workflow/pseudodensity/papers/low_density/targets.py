"""The tables and figures of low-density diffusion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pseudodensity.papers.low_density.guided import CATEGORY, HERE, Guided
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.methods import extractors_of
from pseudodensity.plan.plan import Plan
from pseudodensity.plan.target import Target

__all__ = ["targets"]

CAPTION = "Hardness by the strength of guidance, and precision at the hardness that is reached."


def targets(plan: Plan, grid: Mapping[str, Any]) -> Iterator[Target]:
    """Figure 4, in numbers and drawn."""
    name, table, figure = "low_density/fig4", f"{HERE}.fig4:fig4", f"{HERE}.fig4_figure:fig4_figure"
    try:
        guided = Guided(plan, grid)
        points, checkpoint = guided.fig4(), guided.checkpoint
        scores = guided.sets.scores(checkpoint, points)
        rows = guided.sets.rows(checkpoint, points)
    except ConfigError as error:
        for kind, function in (("table", table), ("figure", figure)):
            yield Target(name, kind, function, category=CATEGORY, missing=str(error))
        return
    settings = {"rows": rows, "control": "random"}
    yield Target(name, "table", table, {"scores": scores}, settings, CAPTION, CATEGORY)
    yield Target(
        name,
        "figure",
        figure,
        {"table": f"results/{name}.csv"},
        {"extractors": extractors_of(grid["images"]["metrics"])},
        CAPTION,
        CATEGORY,
    )
