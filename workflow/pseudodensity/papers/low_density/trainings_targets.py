"""What guidance does over several trainings: the answers that one trained model cannot give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pseudodensity.papers.low_density.guided import CATEGORY, HERE, Guided
from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.target import Parts, Target, targets_of

__all__ = ["trainings_targets"]

CONTROL = "random"


def trainings_targets(guided: Guided) -> Iterator[Target]:
    """A table of effects over training seeds of its own, whatever the config's seeds are."""
    table = {"table": f"{HERE}.trainings:trainings"}
    caption = "What guidance does to hardness and precision over several trainings."
    yield from targets_of("low_density/trainings", table, caption, CATEGORY, lambda: _parts(guided))


def _parts(guided: Guided) -> Parts:
    points, scores, rows = _points(guided), list[Artifact](), list[dict[str, Any]]()
    for seed in guided.grid["trainings"]["seeds"]:
        checkpoint = guided.trained(seed)
        scores += guided.sets.scores(checkpoint, points)
        rows += guided.sets.rows(checkpoint, points)
    return {"table": ({"scores": scores}, {"rows": rows, "control": CONTROL})}


def _points(guided: Guided) -> list[dict[str, Any]]:
    """The plain sampler first; the control at every alpha; beta at the greatest alpha of the loss."""
    grid = guided.grid["trainings"]
    loss, alpha = grid["loss"], grid["alpha"]
    return [
        *guided.points([loss], [0], [0]),
        *guided.points([loss], alpha, [0]),
        *guided.points([CONTROL], grid["control_alpha"], [0]),
        *guided.points([loss], [max(alpha)], grid["beta"]),
    ]
