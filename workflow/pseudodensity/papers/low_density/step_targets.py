"""Figure 16: guidance at few deterministic steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pseudodensity.papers.low_density.guided import CATEGORY, HERE, PLACE, Guided
from pseudodensity.papers.low_density.steered_pools import shown_metrics, summed_variances
from pseudodensity.plan.method_sets import MethodSets, check_count
from pseudodensity.plan.methods import extractors_of
from pseudodensity.plan.pools import images_of
from pseudodensity.plan.target import Parts, Target, targets_of

__all__ = ["step_targets"]

HELD_OUT = "held-out real images"


def step_targets(guided: Guided) -> Iterator[Target]:
    """Figure 16, in numbers and drawn."""
    functions = {"table": f"{HERE}.fig16:fig16", "figure": f"{HERE}.fig16_figure:fig16_figure"}
    caption = "Deterministic sampling in few steps, plain and guided."
    yield from targets_of("low_density/fig16", functions, caption, CATEGORY, lambda: _parts(guided))


def _parts(guided: Guided) -> Parts:
    grid, checkpoint = guided.grid["fig16"], guided.checkpoint
    check_count(f"{PLACE}.fig16", guided.plan, grid["count"])
    metrics = shown_metrics(guided)
    sets = MethodSets(guided.plan, grid["count"], grid["repeats"], grid["repeats"], metrics)
    sampled = [(steps, *pair) for steps in grid["steps"] for pair in _points(guided, steps).items()]
    points = [point for *_, point in sampled]
    held_out = [point for point in guided.controls() if point["method"] == "held_out"]
    rows = sets.rows(checkpoint, [*points, *held_out])
    roles = [role for _, role, _ in sampled] + [HELD_OUT] * len(held_out)
    rows = [row | {"role": role} for row, role in zip(rows, roles, strict=True)]
    scores = {"scores": sets.scores(checkpoint, [*points, *held_out])}
    items = [
        guided.plan.pools.item(checkpoint, point, *sets.how(point["method"])) for point in points
    ]
    drawn = {
        "rows": [{"role": role, "steps": steps} for steps, role, _ in sampled],
        "shown": grid["shown"],
        "extractors": extractors_of(metrics),
    }
    # An image is stored beside what describes it, which the score files wait for.
    stored = [images_of(item.parts[0]) for item in items]
    return {
        "table": (scores | {"pushed": summed_variances(guided, points)}, {"rows": rows}),
        "figure": ({"table": "results/low_density/fig16.csv", "stored": stored}, drawn),
    }


def _points(guided: Guided, steps: int) -> Mapping[str, dict[str, Any]]:
    """Plain, guided and the control, by their roles in the figure."""
    grid = guided.grid["fig16"]
    guided.check_steps("fig16", steps)
    sampler = {"step": "ddim", "steps": steps}
    (plain,) = guided.points([grid["loss"]], [0], [0])
    (own,) = guided.points([grid["loss"]], [grid["alpha"]], [0])
    (control,) = guided.points(["random"], [grid["alpha"]], [0])
    named = {"plain": plain, "guided": own, "random direction": control}
    return {role: point | sampler for role, point in named.items()}
