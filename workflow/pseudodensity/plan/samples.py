"""What moved samples, extremes of density and measured costs are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.data import Data
from pseudodensity.plan.methods import column_module, columns_needed, method, method_module
from pseudodensity.plan.models import Models, generator_modules
from pseudodensity.plan.pools import Pools

__all__ = ["Samples"]


class Samples:
    """Artefacts that show or time single samples of a checkpoint."""

    def __init__(self, config: Mapping[str, Any], data: Data, models: Models, pools: Pools):
        self.config, self.data, self.models, self.pools = config, data, models, pools

    def moved(
        self, checkpoint: Artifact, objective: str, settings: Mapping[str, Any], images: int
    ) -> Artifact:
        """Samples moved towards more and less of an objective (density, discriminator, random)."""
        facts = checkpoint.facts
        needs = {"checkpoint": checkpoint, **self._steered(checkpoint)}
        needs["data"] = self.data.dataset(facts["dataset"])
        needs |= self.models.backbone(facts["model"])
        modules = generator_modules(facts["architecture"], discriminator=True)
        modules += self._steering_modules() + self.models.backbone_modules(facts["model"])
        spec = {"objective": objective, "settings": dict(settings), "images": images}
        spec["seed"] = self.config["sampling"]["seed"]
        slug = f"{facts['model']}-{facts['dataset']}-{objective}"
        return Artifact("moved", slug, spec, needs, modules=modules, facts=facts)

    def extremes(self, checkpoint: Artifact, generations: int, images: int) -> Artifact:
        """The least and the most dense of the first proposals, with real images beside them."""
        dataset = checkpoint.facts["dataset"]
        parts = self.pools.proposals(checkpoint, generations)
        needs = {
            "checkpoint": checkpoint,
            "described": parts,
            "data": self.data.dataset(dataset),
            "density": self.data.density(dataset),
            "features": self.data.features(dataset, self.data.steering),
        }
        spec = {"generations": generations, "images": images}
        spec["seed"] = self.config["sampling"]["seed"]
        modules = generator_modules(checkpoint.facts["architecture"])
        facts = {**checkpoint.facts, "parts": [part.path for part in parts]}
        slug = f"{checkpoint.facts['model']}-{dataset}"
        return Artifact("extremes", slug, spec, needs, modules=modules, facts=facts)

    def costs(
        self,
        checkpoint: Artifact,
        tuned: Artifact | None,
        points: Sequence[Mapping[str, Any]],
        settings: Mapping[str, Any],
    ) -> Artifact:
        """Seconds of each point, and of a training without and with importance sampling.

        tuned: the fine-tuned checkpoint whose training is timed, or None. settings: proposals of a measurement,
        `few` of the methods that need derivatives, repeats, training_steps.
        """
        facts, dataset = checkpoint.facts, checkpoint.facts["dataset"]
        needs = {"checkpoint": checkpoint, **self._steered(checkpoint)}
        needs["data"] = self.data.dataset(dataset)
        needs |= self.models.backbone(facts["model"])
        modules = generator_modules(facts["architecture"], discriminator=True, trainer=True)
        modules += self._steering_modules() + self.models.backbone_modules(facts["model"])
        for point in points:
            asked = columns_needed(point).items()
            used = [(column_module(name), settings) for name, settings in asked]
            if method(point["method"]).POOL == "own":
                used.append((method_module(point["method"]), point))
            modules += (method_module(point["method"]),)
            for module, own in used:
                needs |= self.pools.inputs_of(module, checkpoint, own)
                modules += self.pools.modules_of(module, checkpoint, own)
        names = ("recipe", "mirror", "seed", "importance", "resolution")
        training = tuned and {name: tuned.spec[name] for name in names}
        spec = {**settings, "points": [dict(p) for p in points], "training": training}
        spec["sampling_seed"] = self.config["sampling"]["seed"]
        slug = f"{facts['model']}-{dataset}"
        return Artifact(
            "costs", slug, spec, needs, modules=tuple(dict.fromkeys(modules)), facts=facts
        )

    def _steered(self, checkpoint: Artifact) -> dict[str, Artifact]:
        density = self.data.density(checkpoint.facts["dataset"])
        return {"density": density, "steering": self.data.extractor(self.data.steering)}

    def _steering_modules(self) -> tuple[str, ...]:
        return self.data.extractor_modules(self.data.steering)
