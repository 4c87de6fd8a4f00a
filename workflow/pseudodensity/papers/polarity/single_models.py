"""Experiments on single models: their nearest training images, samples and path lengths by polarity."""

from __future__ import annotations

from typing import Any

from pseudodensity.control.select.polarity import space_name
from pseudodensity.papers.polarity.images import HERE, PIXEL, PLACE, Block, Images, Space
from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.experiments import experiment
from pseudodensity.plan.models import generator_modules, tangent_modules

__all__ = ["SingleModels"]

Needs = dict[str, Artifact | tuple[Artifact, ...]]


class SingleModels:
    """What is measured of one model at a time, on the pool and the volumes that its tables have."""

    def __init__(self, images: Images):
        self.images, self.plan = images, images.plan

    def titles(self, block: Block) -> dict[str, Any]:
        """How tables and figures call a model."""
        return self.images.sets.titles(self.images.checkpoint(block))

    def nearest(self, block: Block) -> Artifact:
        """Distances of Figure 6. ConfigError, as of all here: the model cannot serve it."""
        grid, plan, dataset = self.images.grid["fig6"], self.plan, block["dataset"]
        needs, own = self._drawn("fig6", block, "pixel", grid["images"])
        needs |= self._training(block, grid["extractor"])
        reals = plan.pools.reals(dataset, grid["images"])
        if reals[0].rows != "all":  # else there are none but the training images
            needs["reals"] = reals
        settings = {key: grid[key] for key in ("polarity", "images", "k")} | own
        imports = plan.data.extractor_modules(grid["extractor"])
        function = f"{HERE}.measured.distances:distances"
        return experiment(f"{_slug(block)}-nearest", function, settings, needs, imports)

    def samples(self, name: str, block: Block, space: str) -> Artifact:
        """Samples of Figure 4 or 5."""
        grid = self.images.grid[name]
        needs, own = self._drawn(name, block, space, grid["images"])
        needs |= self._training(block, grid["extractor"])
        settings = {key: grid[key] for key in ("polarity", "images", "shown")} | own
        imports = self.plan.data.extractor_modules(grid["extractor"])
        function = f"{HERE}.measured.samples:samples"
        return experiment(f"{_slug(block)}-samples-{space}", function, settings, needs, imports)

    def of_classes(self) -> Artifact:
        """Samples of Figure 1."""
        grid = self.images.grid["fig1"]["samples"]
        block = grid["block"]
        if not self.plan.models.declaration(block["model"])["classes"]:
            raise ConfigError(
                f"config: {PLACE}.fig1.samples.block names {block['model']}, which has no classes: name a BigGAN"
            )
        needs, own = self._pool(block, PIXEL)
        settings = {key: grid[key] for key in ("classes", "polarity", "shown")} | own
        function = f"{HERE}.measured.class_samples:class_samples"
        return experiment(f"{_slug(block)}-classes", function, settings, needs)

    def paths(self) -> Artifact:
        """Path lengths of Figure 7."""
        grid, plan = self.images.grid["fig7"], self.plan
        block = grid["block"]
        if not plan.models.declaration(block["model"])["w_space"]:
            raise ConfigError(
                f"config: {PLACE}.fig7.block names {block['model']}, which has no style space: name a StyleGAN"
            )
        needs, own = self._drawn("fig7", block, "pixel", 2 * grid["images"])
        checkpoint = self.images.checkpoint(block)
        needs |= {"checkpoint": checkpoint, "extractor": plan.data.extractor(grid["extractor"])}
        settings = {key: grid[key] for key in ("polarity", "images")} | own
        settings["distance"] = plan.data.distance(grid["extractor"])
        imports = plan.data.extractor_modules(grid["extractor"])
        architecture = checkpoint.facts["architecture"]
        module = f"{HERE}.measured.path_lengths"
        imports += generator_modules(architecture) + tangent_modules(architecture, (module,))
        function = f"{module}:path_lengths"
        return experiment(f"{_slug(block)}-paths", function, settings, needs, imports)

    def _drawn(
        self, name: str, block: Block, space: str, count: int
    ) -> tuple[Needs, dict[str, Any]]:
        """The pool and the volumes that `count` samples are drawn from, and what names them."""
        needs, settings = self._pool(block, {"space": space, "extractor": None})
        if count > settings["volumes"]:
            raise ConfigError(
                f"config: {PLACE}.{name}.images asks for {count} samples at once, but there are "
                f"{settings['volumes']} volumes: lower it, or raise methods.polarity.volumes or "
                f"{PLACE}.images.repeats"
            )
        return needs, settings | {"title": self.images.grid[name]["extractor"]}

    def _pool(self, block: Block, space: Space) -> tuple[Needs, dict[str, Any]]:
        """The pool and the columns of polarity, and how many of its latents there are."""
        images = self.images
        (point,) = images.polarity(block, [0], space)
        size = images.grid["images"]["count"]
        item = self.plan.pools.item(images.checkpoint(block), point, size, images.repeats)
        settings = {"volumes": item.count, "seed": self.plan.pools.seed}
        settings |= {"space": space_name(point), "top": point["top"]}
        return {"described": item.parts, **item.columns}, settings

    def _training(self, block: Block, extractor: str) -> Needs:
        data, dataset = self.plan.data, block["dataset"]
        return {
            "data": data.dataset(dataset),
            "features": data.features(dataset, extractor),
            "extractor": data.extractor(extractor),
        }


def _slug(block: Block) -> str:
    return f"{block['model']}-{block['dataset']}"
