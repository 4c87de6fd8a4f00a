"""Guidance beside what has been found since: the same model, the same latents, the same judges."""

from __future__ import annotations

from collections.abc import Iterator

from pseudodensity.papers.low_density.guided import CATEGORY, HERE, Guided
from pseudodensity.papers.low_density.rivals import CONTROL, HELD_OUT, PLAIN, Rivals
from pseudodensity.plan.methods import extractors_of
from pseudodensity.plan.target import Parts, Target, targets_of

__all__ = ["rivals_targets"]

TABLE = "low_density/table_rivals"


def rivals_targets(guided: Guided) -> Iterator[Target]:
    """The table of rivals, and the figure of it."""
    rivals = Rivals(guided, guided.grid["rivals"])
    titles = {"plain": PLAIN, "held_out": HELD_OUT, "control": CONTROL}

    def table() -> Parts:
        checkpoint = guided.checkpoint
        settings = {"rows": rivals.rows(checkpoint), "passes_per_image": rivals.passes_per_image}
        return {"table": ({"scores": rivals.scores(checkpoint)}, settings | titles)}

    def figure() -> Parts:
        rivals.rows(guided.checkpoint)  # why the table cannot be had is why the figure cannot
        judged = {"extractors": extractors_of(rivals.grid["metrics"])}
        return {"figure": ({"table": f"results/{TABLE}.csv"}, judged | titles)}

    yield from targets_of(
        TABLE,
        {"table": f"{HERE}.rivals_table:rivals_table"},
        "Low-density guidance, its rivals and its controls at three strengths each.",
        CATEGORY,
        table,
    )
    yield from targets_of(
        "low_density/fig_rivals",
        {"figure": f"{HERE}.rivals_figure:rivals_figure"},
        "Precision against hardness of low-density guidance and of its rivals.",
        CATEGORY,
        figure,
    )
