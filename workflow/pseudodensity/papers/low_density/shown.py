"""What the pictures are made from: samplers on the same seeds, a GAN, and real images beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pseudodensity.papers.low_density.guided import HERE, PLACE, Guided
from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.experiments import experiment
from pseudodensity.plan.methods import method, method_module
from pseudodensity.plan.models import generator_modules

__all__ = ["CONTROL", "Shown"]

CONTROL = "random"
SMOOTHING = "class_smoothing"

Needs = dict[str, Artifact | tuple[Artifact, ...]]
Point = Mapping[str, Any]


class Shown:
    """Pictures of one block, a model and its data set.

    Args:
        block: ``model`` and ``dataset``. place: where the config names it, for a complaint.

    ConfigError: the model cannot be guided; as of `Guided`.
    """

    def __init__(self, guided: Guided, block: Mapping[str, str], place: str):
        self.plan, self.grid = guided.plan, guided.grid["shown"]
        self.dataset = block["dataset"]
        reason = method("low_density").why_not(self.plan.models.declaration(block["model"]))
        if reason:
            raise ConfigError(f"config: {place} names {block['model']}, but guidance {reason}")
        self.guided = Guided(self.plan, guided.grid | {"block": block})

    @property
    def extractor(self) -> str:
        """Whose features say how hard an image is. ConfigError: the paper does not measure hardness."""
        metrics = self.guided.grid["images"]["metrics"]
        if "hardness" not in metrics:
            raise ConfigError(
                f"config: {PLACE}.images.metrics lacks hardness, whose extractor judges the images that are "
                "shown: add it"
            )
        return metrics["hardness"]["extractor"]

    def check_classes(self, key: str, classes: Sequence[int]) -> None:
        """ConfigError: a class that the model has not. key: where the pictures' list names it. What a public
        model has is known when it is read."""
        model, highest = self.guided.grid["block"]["model"], max(classes)
        known = self.plan.config["models"][model]["generator"].get("classes", highest + 1)
        if highest >= known:
            raise ConfigError(
                f"config: {PLACE}.shown.{key}.classes names {highest}, but {model} has classes 0 to {known - 1}"
            )

    def titles(self) -> dict[str, Any]:
        """How tables and figures call the model."""
        return self.guided.sets.titles(self.guided.checkpoint) | {"judge": self.extractor}

    # ---------------------------------------------------------------- points

    def plain(self) -> Point:
        """The plain sampler."""
        (point,) = self.guided.points(["plain"], [0], [0])
        return point

    def one(self, loss: str, alpha: float, beta: float) -> Point:
        """Guidance of one strength."""
        (point,) = self.guided.points([loss], [alpha], [beta])
        return point

    def compared(self) -> dict[str, Point]:
        """Plain, guided, and the random direction at the same strengths, by how figures call them.

        ConfigError: the control is asked as the guided one.
        """
        own = self.grid["guided"]
        if own["loss"] == CONTROL:
            raise ConfigError(
                f"config: {PLACE}.shown.guided.loss is {CONTROL!r}, which is its control: name another loss"
            )
        strengths = own["alpha"], own["beta"]
        return {
            "plain": self.plain(),
            "guided": self.one(own["loss"], *strengths),
            "random direction": self.one(CONTROL, *strengths),
        }

    def smoothed(self, values: Sequence[float]) -> list[Point]:
        """Class embeddings smoothed so much, by the sampler of the paper's runs."""
        guided = self.guided
        found = guided.sets.asked(
            f"{PLACE}.shown.fig15",
            guided.grid["block"]["model"],
            {SMOOTHING: {"smoothing": values}},
        )
        return [point | guided.grid["sampler"] for point in found]

    # ---------------------------------------------------------------- experiments

    def same_seeds(
        self, slug: str, points: Sequence[Point], classes: Sequence[int], per_class: int
    ) -> Artifact:
        """Images of points on the same latents. ConfigError, as of all here: it cannot be had."""
        pools, checkpoint = self.plan.pools, self.guided.checkpoint
        needs, imports = self._judge()
        for point in points:
            module = method_module(point["method"])
            needs |= pools.inputs_of(module, checkpoint, point)
            imports += pools.modules_of(module, checkpoint, point)
        return self._sampled(slug, points, checkpoint, needs, imports, classes, per_class)

    def of_gan(self, model: str, classes: Sequence[int], per_class: int) -> Artifact:
        """Images of a GAN with classes, of latents of its own."""
        if not self.plan.models.declaration(model)["classes"]:
            raise ConfigError(
                f"config: {PLACE}.shown.fig1.gan is {model!r}, which has no classes: name a GAN that has, or null"
            )
        seed = self.plan.config["seeds"][0]
        checkpoint = self.plan.models.pretrained(model, self.dataset, seed)
        needs, imports = self._judge()
        needs["checkpoint"] = checkpoint
        slug = f"{checkpoint.slug}-of-classes"
        return self._sampled(slug, [None], checkpoint, needs, imports, classes, per_class)

    def _sampled(
        self,
        slug: str,
        points: Sequence[Point | None],
        checkpoint: Artifact,
        needs: Needs,
        imports: tuple[str, ...],
        classes: Sequence[int],
        per_class: int,
    ) -> Artifact:
        settings = {"points": points, "classes": list(classes), "per_class": per_class}
        settings["seed"] = self.plan.pools.seed
        imports += generator_modules(checkpoint.facts["architecture"])
        function = f"{HERE}.measured.same_seeds:same_seeds"
        return experiment(slug, function, settings, needs, tuple(dict.fromkeys(imports)))

    def reals(self, classes: Sequence[int], per_class: int) -> Artifact:
        """Real images of some classes, the least and the most hard ones and any."""
        needs, imports = self._judge()
        settings = {"classes": list(classes), "per_class": per_class, "seed": self.plan.pools.seed}
        function = f"{HERE}.measured.extreme_reals:extreme_reals"
        return experiment(f"{self.dataset}-extreme-reals", function, settings, needs, imports)

    def _judge(self) -> tuple[Needs, tuple[str, ...]]:
        """What says how hard an image is, and the modules that open it."""
        data, dataset = self.plan.data, self.dataset
        needs: Needs = {
            "data": data.dataset(dataset),
            "features": data.features(dataset, self.extractor),
            "extractor": data.extractor(self.extractor),
        }
        return needs, data.extractor_modules(self.extractor)
