"""Figures 8, 9, 18 and 19: guided images and their nearest training images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pseudodensity.papers.low_density.guided import CATEGORY, HERE, Guided
from pseudodensity.papers.low_density.steered_pools import check_looker, opened, titles
from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.experiments import experiment
from pseudodensity.plan.target import Parts, Target, targets_of

__all__ = ["nearest_targets"]

REPORTED = "config/reported/low_density.csv"
PLAIN = "plain"
# Figure -> the space of its distances. Figure 18 goes on where Figure 8 ends.
SPACES = {"fig8": "features", "fig18": "features", "fig19": "pixels"}
CAPTIONS = {
    "fig8": "The nearest pairs of a guided and a training image, beside those of plain and of held-out images.",
    "fig18": "Further nearest pairs of a guided and a training image.",
    "fig19": "The nearest pairs of a guided and a training image in pixels.",
}


def nearest_targets(guided: Guided) -> Iterator[Target]:
    """A table and a figure of each, all of one experiment."""
    for name, caption in CAPTIONS.items():
        functions = {
            "table": f"{HERE}.nearest_pairs:nearest_pairs",
            "figure": f"{HERE}.nearest_pairs_figure:nearest_pairs_figure",
        }

        def pairs(name: str = name) -> Parts:
            inputs = {"measured": _measured(guided)}
            settings = _drawn(guided, name) | {"names": titles(guided)}
            return {
                "table": (inputs | {"reported": REPORTED}, settings),
                "figure": (inputs, settings),
            }

        yield from targets_of(f"low_density/{name}", functions, caption, CATEGORY, pairs)

    functions = {"table": f"{HERE}.fig9:fig9", "figure": f"{HERE}.fig9_figure:fig9_figure"}
    caption = "Classes of the nearest training images of guided, plain and held-out images."

    def labels() -> Parts:
        inputs, names = {"measured": _measured(guided)}, {"names": titles(guided)}
        return {"table": (inputs, names | {"plain": PLAIN}), "figure": (inputs, names)}

    yield from targets_of("low_density/fig9", functions, caption, CATEGORY, labels)


def _drawn(guided: Guided, name: str) -> dict[str, Any]:
    """Which of the nearest pairs a figure shows, and in which space."""
    pairs = guided.grid["nearest"]["pairs"]
    first = pairs["fig8"] if name == "fig18" else 0
    number, space = int(name.removeprefix("fig")), SPACES[name]
    return {"figure": number, "space": space, "first": first, "count": pairs[name]}


def _measured(guided: Guided) -> Artifact:
    """The experiment. ConfigError: a model that cannot be guided, an extractor that steers or judges."""
    grid, plan, sets = guided.grid["nearest"], guided.plan, guided.sets
    check_looker(guided, "nearest.extractor", grid["extractor"])
    checkpoint = guided.checkpoint
    points = {}
    for loss in (grid["loss"], "random"):
        (point,) = guided.points([loss], [grid["alpha"]], [grid["beta"]])
        words = "random direction" if loss == "random" else f"guided ({loss.replace('_', ' ')})"
        points[f"{words}, alpha {grid['alpha']:g}"] = point
    (points[PLAIN],) = guided.points([grid["loss"]], [0], [0])
    dataset, count = checkpoint.facts["dataset"], sets.images * sets.set_repeats
    needs = opened(guided, sets, list(points.values()))
    needs["data"] = plan.data.dataset(dataset)
    needs["features"] = plan.data.features(dataset, grid["extractor"])
    needs["extractor"] = plan.data.extractor(grid["extractor"])
    reals = plan.pools.reals(dataset, count)
    if reals[0].rows != "all":  # else there are none but the training images
        needs["reals"] = reals
    pairs = grid["pairs"]
    settings = {"sets": list(points), "images": count, "k": grid["k"], "shown": grid["shown"]}
    settings |= {"pairs": max(pairs["fig8"] + pairs["fig18"], pairs["fig19"])}
    settings |= {"seed": plan.pools.seed, "title": grid["extractor"]}
    imports = plan.data.extractor_modules(grid["extractor"])
    slug = f"{checkpoint.facts['model']}-{dataset}-nearest"
    function = f"{HERE}.measured.nearest:nearest_reals"
    return experiment(slug, function, settings, needs, imports)
