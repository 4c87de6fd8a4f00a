"""Sets of images that methods choose or make at inference: points of a checkpoint, scores, rows of tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.declared import declared
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.methods import (
    check_grid,
    check_settings,
    method,
    method_module,
    points,
)
from pseudodensity.plan.plan import Plan

__all__ = ["MethodSets", "check_count"]

Point = Mapping[str, Any]


def check_count(place: str, plan: Plan, images: int) -> None:
    """ConfigError: a pool may not even hold the images of one repeat. place: where the config has them."""
    most = plan.config["sampling"]["max_proposals"]
    if images > most:
        raise ConfigError(
            f"config: {place}.count is {images}, but sampling.max_proposals is {most}: no pool would hold one "
            "repeat; lower the one or raise the other"
        )


class MethodSets:
    """What the papers share that compare methods on one pool per checkpoint.

    Args:
        images: of a repeat. repeats: of methods that choose from a pool. set_repeats: of those that make
            images themselves.
        metrics: name -> settings; None for those of the config.
    """

    def __init__(
        self,
        plan: Plan,
        images: int,
        repeats: int,
        set_repeats: int,
        metrics: Mapping[str, Mapping[str, Any]] | None = None,
    ):
        self.plan, self.images, self.metrics = plan, images, metrics
        self.repeats, self.set_repeats = repeats, set_repeats

    def points(self, model: str, name: str, *grids: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Points of a method on a model over some grids, none twice; none where the model cannot serve
        it."""
        declared = self.plan.models.declaration(model)
        if method(name).why_not(declared):
            return []
        settings = self.plan.config["methods"]
        found = [point for grid in grids for point in points(name, grid, settings, declared)]
        return [point for i, point in enumerate(found) if point not in found[:i]]

    def asked(
        self, place: str, model: str, methods: Mapping[str, Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        """Points of some methods on a model, none twice.

        Args:
            place: where the config has them, for a complaint.
            methods: name -> lists of values: of a key of the method's grid, or of one of its settings.

        ConfigError: a method, a key or a value that there is not.
        """
        found: list[dict[str, Any]] = []
        for name, values in methods.items():
            module = method_module(name)
            own = declared(module, "GRID")
            grid = {key: value for key, value in values.items() if key in own}
            varied = {key: value for key, value in values.items() if key not in own}
            check_grid(place, name, grid)
            for key, choices in varied.items():
                for choice in choices:
                    check_settings(f"{place}.{name}", module, {key: choice})
            for point in self.points(model, name, grid):
                for choice in product(*varied.values()):
                    changed = point | dict(zip(varied, choice, strict=True))
                    found += [changed] if changed not in found else []
        return found

    def how(self, name: str) -> tuple[int, int]:
        """Images and repeats of the points of a method."""
        own = method(name).POOL == "own"
        return self.images, self.set_repeats if own else self.repeats

    def scores(self, checkpoint: Artifact, points: Sequence[Point]) -> list[Artifact]:
        """Scores of points of a checkpoint, one artefact per method and metric, so that a further
        method adds a job and changes none."""
        made: list[Artifact] = []
        for name in dict.fromkeys(point["method"] for point in points):
            how = self.how(name)
            own = [point for point in points if point["method"] == name]
            items = [self.plan.pools.item(checkpoint, point, *how) for point in own]
            dataset = checkpoint.facts["dataset"]
            # Real images are the same for every model of a data set.
            of_model = method(name).POOL in ("model", "own", "moved")
            slug = f"{checkpoint.slug if of_model else dataset}-{name}"
            made += self.plan.pools.scores(slug, dataset, items, *how, self.metrics).values()
        return made

    def rows(
        self, checkpoint: Artifact, points: Sequence[Point], **more: Any
    ) -> list[dict[str, Any]]:
        """Points of a checkpoint as rows of a table; more: further keys of each row."""
        titles, rows = self.titles(checkpoint), []
        for point in points:
            item = self.plan.pools.item(checkpoint, point, *self.how(point["method"]))
            row = titles | {"pool": item.pool, "point": dict(point)}
            rows.append(row | {"seed": checkpoint.facts["seed"]} | more)
        return rows

    def titles(self, checkpoint: Artifact) -> dict[str, Any]:
        """How tables call a checkpoint."""
        model, name = checkpoint.facts["model"], checkpoint.facts["dataset"]
        dataset = self.plan.config["datasets"][name]
        return {
            "block": f"{model}-{name}",
            "model": self.plan.models.title(model),
            "dataset": dataset["title"],
            "stands_for": dataset.get("stands_for"),
        }

    def not_served(self, checkpoint: Artifact, names: Sequence[str]) -> list[dict[str, Any]]:
        """A row for each method that a model cannot serve, which says why."""
        declared, rows = self.plan.models.declaration(checkpoint.facts["model"]), []
        for name in names:
            reason = method(name).why_not(declared)
            if reason:
                seed = {"seed": checkpoint.facts["seed"], "method": name, "not_served": reason}
                rows.append(self.titles(checkpoint) | seed)
        return rows
