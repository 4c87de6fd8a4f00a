"""What is asked of the rivals of guidance: which sets of images the table has, curve by curve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pseudodensity.papers.low_density.guided import PLACE, Guided
from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.declared import declared
from pseudodensity.plan.method_sets import MethodSets
from pseudodensity.plan.methods import method_module

__all__ = ["CONTROL", "HELD_OUT", "PLAIN", "Rivals"]

PLAIN, HELD_OUT, CONTROL = "plain", "held-out reals", "random direction"
LOSSES = {"contrastive": "low-density guidance", "random": CONTROL}
# A method chooses among the model's own images, which have other latents in the same repeat.
CHOOSES = ("model", "reals")


class Rivals:
    """Sets of images of the model that is guided. grid: ``rivals`` of the paper's list of runs.

    ConfigError: a method, a key or a value that there is not; a metric that cannot be had.
    """

    def __init__(self, guided: Guided, grid: Mapping[str, Any]):
        self.guided, self.grid = guided, grid
        images = guided.grid["images"]
        count, repeats = images["count"], images["repeats"]
        self.sets = MethodSets(guided.plan, count, repeats, repeats, grid["metrics"])

    def curves(self) -> dict[str, list[dict[str, Any]]]:
        """Title of each curve -> its points in order of strength; plain and held-out images first."""
        plain, *held_out = self.guided.controls()
        found = {PLAIN: _unlike([plain, plain | {"step": "ddim"}]), HELD_OUT: held_out}
        for loss, title in LOSSES.items():
            found[title] = self.guided.points([loss], self.grid["alpha"], [0])
        for name, values in self.grid["methods"].items():
            place, model = f"{PLACE}.rivals.methods", self.guided.grid["block"]["model"]
            points = self.sets.asked(place, model, {name: values})
            found[declared(method_module(name), "TITLE")] = [self._sampled(p) for p in points]
        return {title: points for title, points in found.items() if points}

    def _sampled(self, point: dict[str, Any]) -> dict[str, Any]:
        """The point with the sampler of the grid, as far as its method can take it."""
        if "steps" not in point:
            return point
        sampler = self.guided.grid["sampler"]
        kinds = declared(method_module(point["method"]), "CHOICES")["step"]
        step = sampler["step"] if sampler["step"] in kinds else point["step"]
        return point | {"step": step, "steps": sampler["steps"]}

    def rows(self, checkpoint: Artifact) -> list[dict[str, Any]]:
        """Rows of the table: of each its ``curve``, and whether it is ``paired`` with the plain sampler, by
        latents that it has in common with it."""
        rows = []
        for title, points in self.curves().items():
            for row in self.sets.rows(checkpoint, points, curve=title):
                pool = declared(method_module(row["point"]["method"]), "POOL")
                rows.append(row | {"paired": title != PLAIN and pool not in CHOOSES})
        return rows

    def scores(self, checkpoint: Artifact) -> list[Artifact]:
        """Scores of all points."""
        points = [point for points in self.curves().values() for point in points]
        return self.sets.scores(checkpoint, points)

    @property
    def passes_per_image(self) -> int | None:
        """Passes of the model's own sampler, whose images importance sampling chooses among; None where
        the config leaves them to a public file."""
        model = self.guided.grid["block"]["model"]
        return self.guided.plan.config["models"][model]["generator"].get("sampling_steps")


def _unlike(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [point for i, point in enumerate(points) if point not in points[:i]]
