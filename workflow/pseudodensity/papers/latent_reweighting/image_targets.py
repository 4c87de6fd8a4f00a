"""What the tables and figures about images are made from: every method on one pool per model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.method_sets import MethodSets, check_count
from pseudodensity.plan.methods import method
from pseudodensity.plan.plan import Plan
from pseudodensity.plan.target import Target

__all__ = ["Images", "image_targets", "judges"]

HERE = "papers.latent_reweighting"
REPORTED = "config/reported/latent_reweighting.csv"
CATEGORY = "Latent reweighting"
PLAIN = {"method": "plain"}
PLACE = "papers.latent_reweighting.images"

Point = Mapping[str, Any]


class Images:
    """The image models of the paper. grid: ``images`` of the paper's list of runs.

    ConfigError: a method, a setting or an extractor that there is not, or one that does not only judge.
    """

    def __init__(self, plan: Plan, grid: Mapping[str, Any]):
        self.plan, self.grid = plan, grid
        check_count(PLACE, plan, grid["count"])
        self._check_judges()
        self.sets = self._sets(grid["metrics"])

    def checkpoint(self, block: Mapping[str, Any]) -> Artifact:
        """The model of a block, of the first training seed."""
        seed = self.plan.config["seeds"][0]
        return self.plan.models.pretrained(block["model"], block["dataset"], seed)

    def points(self, model: str, asked: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Points of some methods on a model, plain first.

        asked: name -> lists of values: of a key of the method's grid, or of one of its settings.
        """
        return [dict(PLAIN), *self.sets.asked(PLACE, model, asked)]

    def rows(self, block: Mapping[str, Any], points: Sequence[Point]) -> list[dict[str, Any]]:
        """Points of a block as rows, with what the paper calls its model and data set."""
        named = {"of_paper": dict(block["reported"]) if block["reported"] else None}
        return self.sets.rows(self.checkpoint(block), points, **named)

    def scores(self, block: Mapping[str, Any], points: Sequence[Point]) -> list[Artifact]:
        """Scores of the points of a block."""
        return self._sets(self.metrics(block)).scores(self.checkpoint(block), points)

    def metrics(self, block: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """What judges a block: a labelled one names its own extractor, for all that look at features."""
        own = {"extractor": block["judge"]} if "judge" in block else {}
        return {
            name: {**settings, **(own if "extractor" in settings else {})}
            for name, settings in self.grid["metrics"].items()
        }

    def _sets(self, metrics: Mapping[str, Mapping[str, Any]]) -> MethodSets:
        grid = self.grid
        return MethodSets(self.plan, grid["count"], grid["repeats"], grid["set_repeats"], metrics)

    def _check_judges(self) -> None:
        config = self.plan.config
        asked = {
            f"metrics.{name}.extractor": settings["extractor"]
            for name, settings in self.grid["metrics"].items()
            if "extractor" in settings
        }
        asked |= {f"labelled.{i}.judge": b["judge"] for i, b in enumerate(self.grid["labelled"])}
        taken = {
            model["backbone"]: f"models.{name}.backbone"
            for name, model in config["models"].items()
            if model.get("backbone")
        }
        taken[self.plan.data.steering] = "density.extractor"
        for place, name in asked.items():
            if name not in config["extractors"]:
                raise ConfigError(
                    f"config: {PLACE}.{place} names {name!r}, which is not described under extractors"
                )
            if name in taken:
                raise ConfigError(
                    f"config: {PLACE}.{place} is {name!r}, which is {taken[name]} too: name another one, "
                    "or a model is graded by what it was trained on or optimised"
                )

    def costs(self, block: Mapping[str, Any], points: Sequence[Point]) -> Artifact:
        """Seconds of each point, measured side by side."""
        return self.plan.samples.costs(
            self.checkpoint(block), None, points, dict(self.grid["costs"])
        )


def image_targets(images: Images) -> Iterator[Target]:
    """Tables 2 to 5, Figure 3 and the picture of all methods."""
    grid = images.grid
    yield from _compared(
        images,
        "table2",
        grid["blocks"],
        grid["table2"],
        "Precision, recall, EMD, FID and time per image of every method on two image models.",
    )
    yield from _compared(
        images,
        "table3",
        grid["labelled"],
        grid["table2"],
        "The same on labelled data with a small GAN of plain convolutions, by a classifier of the set.",
    )
    for name, block in zip(("table4", "table5"), grid["blocks"], strict=False):
        yield from _compared(
            images,
            name,
            [block],
            grid["table4"],
            "Candidates of SIR and steps of the methods that move latents, against what they cost.",
        )
    yield from _all_methods(images)


def _compared(
    images: Images,
    name: str,
    blocks: Sequence[Mapping[str, Any]],
    asked: Mapping[str, Any],
    caption: str,
) -> Iterator[Target]:
    path = f"latent_reweighting/{name}"
    figure = "fig3" if name == "table2" else name
    try:
        for block in blocks:
            images.checkpoint(block)
        points = [images.points(block["model"], asked) for block in blocks]
        pairs = list(zip(blocks, points, strict=True))
        rows = [row for block, own in pairs for row in images.rows(block, own)]
        scores = [made for block, own in pairs for made in images.scores(block, own)]
        costs = [images.costs(block, own) for block, own in pairs]
    except ConfigError as error:
        for kind, missing in (("table", path), ("figure", f"latent_reweighting/{figure}")):
            yield Target(missing, kind, f"{HERE}.table2:table2", missing=str(error))
        return
    inputs = {"scores": scores, "costs": costs, "reported": REPORTED}
    labels = [[_label(point) for point in own] for own in points]
    settings = {"rows": rows, "labels": labels, "target": name}
    yield Target(
        path, "table", f"{HERE}.table2:table2", inputs, settings, caption, category=CATEGORY
    )
    yield Target(
        f"latent_reweighting/{figure}",
        "figure",
        f"{HERE}.fig3_figure:precision_against_time",
        {"table": f"results/{path}.csv"},
        {
            "metrics": judges(images, blocks),
            "methods": _titles(point for own in points for point in own),
        },
        "Precision against the time that one image takes, with the front of the two.",
        category=CATEGORY,
    )


def _label(point: Point) -> str:
    return method(point["method"]).label(point)


def _titles(points: Iterable[Point]) -> dict[str, str]:
    names = dict.fromkeys(point["method"] for point in points)
    return {name: method(name).TITLE for name in names}


def judges(images: Images, blocks: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Metric -> extractor that it looks at, or several of them where blocks have their own."""
    found: dict[str, dict[str, None]] = {}
    for block in blocks:
        for name, settings in images.metrics(block).items():
            if "extractor" in settings:
                found.setdefault(name, {})[settings["extractor"]] = None
    return {name: " and ".join(extractors) for name, extractors in found.items()}


def _all_methods(images: Images) -> Iterator[Target]:
    """Precision, recall and cost of all methods of two papers on one pool."""
    name, block = "latent_reweighting/all_methods", images.grid["all_methods"]["block"]
    try:
        images.checkpoint(block)
        points = images.points(block["model"], images.grid["all_methods"]["methods"])
        rows = images.sets.rows(images.checkpoint(block), points)
        scores = images.scores(block, points)
    except ConfigError as error:
        for kind in ("table", "figure"):
            yield Target(name, kind, "report.frontier:frontier", missing=str(error))
        return
    caption = "Precision, recall and cost of all methods of two papers on one pool of one model."
    settings = {"title": "Every method on one model", "rows": rows}
    yield Target(
        name,
        "table",
        "report.frontier:frontier",
        {"scores": scores},
        settings,
        caption,
        category=CATEGORY,
    )
    look = {"methods": _titles(points), "controls": ["plain"]}
    yield Target(
        name,
        "figure",
        "report.frontier_figures:methods_of_one_model",
        {"table": f"results/{name}.csv"},
        look | {"extractors": judges(images, [block])},
        caption,
        category=CATEGORY,
    )
