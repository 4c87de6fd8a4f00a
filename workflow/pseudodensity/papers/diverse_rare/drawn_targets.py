"""Figures 13, 15 and 20: samples of several methods, none picked, and which lie outside the real manifold."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pseudodensity.papers.diverse_rare.polarity_targets import polarity_points
from pseudodensity.papers.diverse_rare.rare import CATEGORY, HERE, PLAIN, Block, Rare
from pseudodensity.papers.diverse_rare.shown import panel_of
from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.experiments import experiment
from pseudodensity.plan.methods import method, method_module
from pseudodensity.plan.target import Kind, Parts, Target, targets_of

__all__ = ["drawn_targets"]

FUNCTIONS: Mapping[Kind, str] = {
    "table": f"{HERE}.drawn_table:drawn_table",
    "figure": f"{HERE}.drawn_figure:drawn_figure",
}
IMAGES = f"{HERE}.measured.drawn_images:drawn_images"
SEARCH, INSIDE = "rare_search", "polarity_inside"
ACROSS, MANY = 2, 50  # panels in a line; images of a panel that are drawn smaller
CAPTIONS = {
    "fig13": "Samples of the model, of the search and of polarity, those outside the real manifold in boxes.",
    "fig15": "Samples by polarity, without replacement above, with it below.",
    "fig20": "Samples by polarity with online rejection of what lies outside the real manifold.",
}

Point = Mapping[str, Any]


def drawn_targets(rare: Rare) -> Iterator[Target]:
    """Each a figure, and a table of what it shows."""
    yield from _target(rare, "fig13", lambda values: _compared(rare, values))
    yield from _target(rare, "fig15", lambda values: _polarity(rare, values, [False, True]))
    yield from _target(rare, "fig20", lambda values: _polarity(rare, values, [False], INSIDE))


def _target(
    rare: Rare, name: str, points: Callable[[Sequence[float]], Sequence[Point]]
) -> Iterator[Target]:
    """points: exponents of polarity -> points, a panel each."""

    def parts() -> Parts:
        grid = rare.grid["shown"][name]
        return _parts(rare, name, points(grid["polarity"]), grid["images"])

    yield from targets_of(f"diverse_rare/{name}", FUNCTIONS, CAPTIONS[name], CATEGORY, parts)


def _compared(rare: Rare, exponents: Sequence[float]) -> list[Point]:
    """Figure 13."""
    search = rare.search(rare.grid["block"], rare.grid["table1"]["steps"])
    return [PLAIN, search, *_polarity(rare, exponents, [False])]


def _polarity(
    rare: Rare, exponents: Sequence[float], replacement: Sequence[bool], name: str = "polarity"
) -> list[Point]:
    """ConfigError: the model's volumes cannot be had. name: of the method that draws by them."""
    block = rare.grid["block"]
    return [
        point
        for kind in replacement
        for point in polarity_points(rare, block, name, exponents, kind)
    ]


def _parts(rare: Rare, name: str, points: Sequence[Point], count: int) -> Parts:
    block = rare.grid["block"]
    panel, labels = panel_of(rare, block), [method(p["method"]).label(p) for p in points]
    settings = {
        "title": f"Figure {name.removeprefix('fig')} of diverse rare samples: samples of each method",
        "panels": [panel | {"label": label} for label in labels],
    }
    look = {
        "across": ACROSS,
        "columns": math.ceil(math.sqrt(count)),
        "cell": 0.4 if count > MANY else 0.6,
        "extractor": rare.extractor if any(p["method"] == SEARCH for p in points) else None,
    }
    inputs = {"sets": [_images(rare, block, point, count) for point in points]}
    return {"table": (inputs, settings), "figure": (inputs, settings | look)}


def _images(rare: Rare, block: Block, point: Point, shown: int) -> Artifact:
    """The experiment `drawn_images`. ConfigError: the point cannot be had of the model."""
    pools, checkpoint = rare.plan.pools, rare.checkpoint(block)
    # The sets are those of the tables; of each the first are shown.
    images, repeats = rare.sets.images, rare.sets.repeats
    item = pools.item(checkpoint, point, images, repeats)
    rarity = rare.grid["metrics"]["rarity"]
    judge = rarity["extractor"]
    needs: dict[str, Any] = {"described": item.parts, **item.columns}
    needs["real"] = rare.plan.data.features(block["dataset"], judge)
    if column := rare.features(judge, item.parts, item.count):
        needs["features"] = column
    settings = {
        "point": dict(point),
        "columns": list(item.columns),
        "count": item.count,
        "images": images,
        "shown": shown,
        "judge": judge,
        "k": rarity["k"],
        "seed": pools.seed,
    }
    slug = f"{checkpoint.slug}-drawn-{point['method']}".replace("_", "-")
    return experiment(slug, IMAGES, settings, needs, [method_module(point["method"])])
