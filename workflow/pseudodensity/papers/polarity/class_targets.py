"""Precision and recall within classes, of a model that is told them."""

from __future__ import annotations

from collections.abc import Iterator

from pseudodensity.papers.polarity.image_targets import judges
from pseudodensity.papers.polarity.images import CATEGORY, HERE, PLACE, PLAIN, Images
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.experiments import experiment
from pseudodensity.plan.methods import method, method_module
from pseudodensity.plan.target import Parts, Target, targets_of

__all__ = ["class_targets"]

NAME = "polarity/classes"


def class_targets(images: Images) -> Iterator[Target]:
    """A table and a figure."""
    functions = {
        "table": f"{HERE}.classes:classes",
        "figure": f"{HERE}.classes_figure:classes_figure",
    }
    caption = "Precision and recall within each class, along polarity."
    yield from targets_of(NAME, functions, caption, CATEGORY, lambda: _parts(images))


def _parts(images: Images) -> Parts:
    grid, plan = images.grid["classes"], images.plan
    block = grid["block"]
    if not plan.models.declaration(block["model"])["classes"]:
        raise ConfigError(
            f"config: {PLACE}.classes.block names {block['model']}, which has no classes: name a BigGAN"
        )
    points = [dict(PLAIN), *images.polarity(block, grid["polarity"])]
    checkpoint, count = images.checkpoint(block), images.grid["images"]["count"]
    items = [plan.pools.item(checkpoint, point, count, images.repeats) for point in points]
    widest = max(items, key=lambda item: len(item.parts))
    extractor, k = judges(images)["manifold"], plan.config["metrics"]["manifold"]["k"]
    needs = {"described": widest.parts, **items[-1].columns}
    needs |= {"data": plan.data.dataset(block["dataset"])}
    needs |= {"features": plan.data.features(block["dataset"], extractor)}
    settings = {"points": points, "count": count, "repeats": images.repeats, "k": k}
    settings |= {"extractor": extractor, "seed": plan.pools.seed}
    function = f"{HERE}.measured.within_classes:within_classes"
    slug = f"{block['model']}-{block['dataset']}-within-classes"
    imports = tuple(dict.fromkeys(method_module(point["method"]) for point in points))
    measured = experiment(slug, function, settings, needs, imports)
    told = {
        "points": points,
        "shown": grid["shown"],
        "labels": [method(point["method"]).label(point) for point in points],
        "names": images.sets.titles(checkpoint),
        "count": count,
        "k": k,
        "extractor": extractor,
        "seed": checkpoint.facts["seed"],
    }
    table = {"table": f"results/{NAME}.csv"}
    return {"table": ({"measured": measured}, told), "figure": (table, told)}
