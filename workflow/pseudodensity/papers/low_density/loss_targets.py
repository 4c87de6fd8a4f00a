"""Figure 14: the losses of guidance where they reach the same hardness."""

from __future__ import annotations

from collections.abc import Iterator

from pseudodensity.papers.low_density.guided import CATEGORY, HERE, Guided
from pseudodensity.papers.low_density.steered_pools import hardness_of
from pseudodensity.plan.methods import extractors_of
from pseudodensity.plan.target import Parts, Target, targets_of

__all__ = ["loss_targets"]

CONTROL = "random"


def loss_targets(guided: Guided) -> Iterator[Target]:
    """Figure 14, in numbers and drawn."""
    name = "low_density/fig14"
    functions = {"table": f"{HERE}.fig14:fig14", "figure": f"{HERE}.fig14_figure:fig14_figure"}
    caption = "Losses of guidance compared where they reach the same hardness."

    def parts() -> Parts:
        grid, checkpoint = guided.grid["fig14"], guided.checkpoint
        points = guided.controls()
        points += guided.points(grid["losses"], grid["alpha"], [0])
        inputs = {"scores": guided.sets.scores(checkpoint, points)}
        inputs["measured"] = hardness_of(guided, [own for own in points if "loss" in own])
        settings = {"rows": guided.sets.rows(checkpoint, points), "control": CONTROL}
        settings["reference"] = grid["losses"][0]
        judged = {"extractors": extractors_of(guided.grid["images"]["metrics"])}
        return {
            "table": (inputs, settings),
            "figure": ({"table": f"results/{name}.csv"}, judged),
        }

    yield from targets_of(name, functions, caption, CATEGORY, parts)
