"""Everything in the house that makes rare images of one model, side by side (`all_methods`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pseudodensity.papers.diverse_rare.polarity_targets import polarity_points
from pseudodensity.papers.diverse_rare.rare import CATEGORY, HERE, PLACE, PLAIN, Rare
from pseudodensity.plan.methods import extractors_of, method
from pseudodensity.plan.target import Parts, Target, targets_of

__all__ = ["method_targets"]

NAME = "diverse_rare/all_methods"
CAPTION = "Rarity, precision, diversity and time of every method here that makes rare images."


def method_targets(rare: Rare) -> Iterator[Target]:
    """The table and the figure."""
    functions = {
        "table": f"{HERE}.all_methods:all_methods",
        "figure": f"{HERE}.all_methods_figure:all_methods_figure",
    }
    yield from targets_of(NAME, functions, CAPTION, CATEGORY, lambda: _parts(rare))


def _parts(rare: Rare) -> Parts:
    block, grid = rare.grid["block"], rare.grid["all_methods"]
    points = _points(rare)
    checkpoint = rare.checkpoint(block)
    rows = [rare.row(rare.sets, block, point) for point in points]
    timed = [point for point in points if method(point["method"]).POOL != "reals"]
    costs = rare.plan.samples.costs(checkpoint, None, timed, dict(grid["costs"]))
    inputs = {"scores": rare.scores(rare.sets, block, points), "costs": costs}
    titles = {method(p["method"]).NAME: method(p["method"]).TITLE for p in points}
    settings = {"rows": rows, "labels": [method(p["method"]).label(p) for p in timed]}
    look = {"titles": titles, "extractors": extractors_of(rare.grid["metrics"])}
    return {"table": (inputs, settings), "figure": ({"table": f"results/{NAME}.csv"}, look)}


def _points(rare: Rare) -> list[Mapping[str, Any]]:
    """Controls, what the config lists, polarity, pool pick and search. ConfigError: a method that there is not."""
    block, grid = rare.grid["block"], rare.grid["all_methods"]
    of_table = rare.grid["table1"]
    points = [*rare.sets.points(block["model"], "held_out", {}), PLAIN]
    points += rare.sets.asked(f"{PLACE}.all_methods.methods", block["model"], grid["methods"])
    points += polarity_points(rare, block, "polarity", of_table["polarity"], replacement=False)
    points += [rare.pick(block, size) for size in rare.pools(block)]
    return [*points, rare.search(block, of_table["steps"])]
