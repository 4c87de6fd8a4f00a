"""Figure 4: what the strengths of guidance do."""

from __future__ import annotations

from collections.abc import Iterator

from pseudodensity.papers.low_density.guided import CATEGORY, HERE, Guided
from pseudodensity.papers.low_density.steered_pools import summed_variances
from pseudodensity.plan.methods import extractors_of
from pseudodensity.plan.target import Parts, Target, targets_of

__all__ = ["strength_targets"]


def strength_targets(guided: Guided) -> Iterator[Target]:
    """Figure 4, in numbers and drawn."""
    name = "low_density/fig4"
    functions = {"table": f"{HERE}.fig4:fig4", "figure": f"{HERE}.fig4_figure:fig4_figure"}
    caption = "Hardness by the strength of guidance, and precision at the hardness that is reached."

    def parts() -> Parts:
        points, checkpoint = guided.fig4(), guided.checkpoint
        rows = guided.sets.rows(checkpoint, points)
        scores = {"scores": guided.sets.scores(checkpoint, points)}
        judged = {"extractors": extractors_of(guided.grid["images"]["metrics"])}
        return {
            "table": (
                scores | {"pushed": summed_variances(guided, points)},
                {"rows": rows, "control": "random"},
            ),
            "figure": ({"table": f"results/{name}.csv"}, judged),
        }

    yield from targets_of(name, functions, caption, CATEGORY, parts)
