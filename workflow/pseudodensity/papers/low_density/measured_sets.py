"""The sets of images that are measured one by one, and the experiments that measure them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pseudodensity.papers.low_density.guided import HERE, PLACE, Guided
from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.experiments import experiment
from pseudodensity.plan.models import generator_modules

__all__ = ["MeasuredSets"]

Needs = dict[str, Artifact | tuple[Artifact, ...]]

MEASURES = f"{PLACE}.measures"
CONTROL = "random"
# Settings of the flow that its training does not read.
LATER = ("other", "levels", "shown")


class MeasuredSets:
    """Held-out reals, a GAN, the plain sampler, a guided one, and the random direction at its strength.

    ConfigError: more images than the pools of guidance hold; more terms of the bound than the model has; an extractor that there is not, or that steers or
    trains what is judged; a data set or a GAN that there is not.
    """

    def __init__(self, guided: Guided):
        self.guided, self.plan = guided, guided.plan
        self.grid = guided.grid["measures"]
        self.dataset = guided.grid["block"]["dataset"]
        self._check_count()
        self._check_terms()
        self._check_extractors()
        self._check_names()

    def _check_names(self) -> None:
        for key, section, name in (
            ("gan", "models", self.grid["gan"]),
            ("flow.other", "datasets", self.grid["flow"]["other"]),
        ):
            if name is not None and name not in self.plan.config[section]:
                raise ConfigError(
                    f"config: {MEASURES}.{key} is {name!r}, which is not described under {section}"
                )

    def _check_count(self) -> None:
        own, count = self.guided.grid["images"], self.grid["count"]
        for key, wanted, most, what in (
            ("count", count, own["count"] * own["repeats"], "the pools of guidance hold"),
            ("fig11.count", self.grid["fig11"]["count"], count, "each set has"),
            ("flow.shown", self.grid["flow"]["shown"], count, "each set has"),
            ("fig13.images", self.grid["fig13"]["images"], count, "each set has"),
        ):
            if wanted > most:
                raise ConfigError(
                    f"config: {MEASURES}.{key} is {wanted}, but {what} {most} images: lower it"
                )

    @property
    def _steps(self) -> int | None:
        """Steps of the diffusion model's training; what a public model has is known when it is read."""
        model = self.plan.config["models"][self.guided.grid["block"]["model"]]
        return model["generator"].get("training_steps")

    def _check_terms(self) -> None:
        terms, steps = self.grid["fig11"]["terms"], self._steps
        if steps is not None and terms > steps:
            raise ConfigError(
                f"config: {MEASURES}.fig11.terms is {terms}, but {self.guided.grid['block']['model']} has {steps} "
                "steps, a term for each: lower it"
            )

    def _check_extractors(self) -> None:
        config = self.plan.config
        taken = {self.plan.data.steering: "which steers"}
        for model in filter(None, (self.grid["gan"], self.guided.grid["block"]["model"])):
            backbone = config["models"].get(model, {}).get("backbone")
            taken |= {backbone: f"which trains {model}"} if backbone else {}
        named = [("extractor", self.grid["extractor"])]
        named += [("fig17.extractors", name) for name in self.grid["fig17"]["extractors"]]
        for key, name in named:
            reason = taken.get(name)
            if name not in config["extractors"]:
                reason = "which is not described under extractors"
            if reason:
                raise ConfigError(
                    f"config: {MEASURES}.{key} names {name!r}, {reason}: name one that neither steers nor "
                    "trains what it judges"
                )

    # ---------------------------------------------------------------- the sets

    @property
    def split(self) -> bool:
        """Whether held-out reals must be taken from the data set, as its law is not known."""
        return self.plan.pools.reals(self.dataset, self.grid["count"])[0].rows == "all"

    def titles(self) -> dict[str, str]:
        """How tables call the sets, by name, in order."""
        alpha = self.grid["guided"]["alpha"]
        found = {"held_out": "held-out reals"}
        if self.grid["gan"] is not None:
            found["gan"] = self.plan.models.title(self.grid["gan"])
        found |= {"plain": "plain", "guided": f"guided, α = {alpha:g}"}
        return found | {"random": f"random direction, α = {alpha:g}"}

    def _points(self) -> dict[str, Mapping[str, Any]]:
        loss, alpha = self.grid["guided"]["loss"], self.grid["guided"]["alpha"]
        if loss == CONTROL:
            raise ConfigError(
                f"config: {MEASURES}.guided.loss is {CONTROL!r}, which is its control: name another loss"
            )
        points = self.guided.points([loss, CONTROL], [alpha], [0])
        return dict(zip(("guided", "random"), points, strict=True)) | {
            "plain": self.guided.points(["plain"], [0], [0])[0]
        }

    def _pools(self) -> dict[str, tuple[Artifact, ...]]:
        """Parts of the pool of each generated set. ConfigError: it cannot be had."""
        sets, checkpoint, points = self.guided.sets, self.guided.checkpoint, self._points()
        found: dict[str, tuple[Artifact, ...]] = {}
        for name in self.titles():
            if name == "gan":
                found[name] = self.plan.pools.proposals(self._gan(), self.grid["count"])
            elif name in points:
                point = points[name]
                item = self.plan.pools.item(checkpoint, point, *sets.how(point["method"]))
                found[name] = item.parts
        return found

    def _gan(self) -> Artifact:
        name = self.grid["gan"]
        if not self.plan.models.declaration(name)["classes"]:
            raise ConfigError(
                f"config: {MEASURES}.gan is {name!r}, which has no classes: name a GAN that has, or null"
            )
        return self.plan.models.pretrained(name, self.dataset, self.plan.config["seeds"][0])

    # ---------------------------------------------------------------- experiments

    def _opened(self, *names: str) -> tuple[Needs, dict[str, Any]]:
        """Inputs and settings of experiments that open all sets, or the generated ones of these names and the
        held-out reals."""
        needs: Needs = {"data": self.plan.data.dataset(self.dataset)}
        reals = self.plan.pools.reals(self.dataset, self.grid["count"])
        if not self.split:
            needs["reals"] = reals
        pools = {name: p for name, p in self._pools().items() if not names or name in names}
        for name, parts in pools.items():
            needs[name] = parts
            label = self.plan.pools.column("label", {}, parts, self.grid["count"])
            needs[f"{name}_label"] = label
        return needs, self._held_out() | {"sets": list(pools)}

    def _held_out(self) -> dict[str, Any]:
        seed = self.plan.config["sampling"]["seed"]
        return {"count": self.grid["count"], "seed": seed, "split": self.split}

    def sparsity(self, extractor: str) -> Artifact:
        """Hardness, AvgkNN and LOF of every image in features of an extractor. ConfigError, as of all here: a
        set cannot be had."""
        needs, settings = self._opened()
        data = self.plan.data
        needs |= {"extractor": data.extractor(extractor)}
        needs |= {"features": data.features(self.dataset, extractor)}
        settings |= self.grid["neighbours"]
        return self._job(
            f"sparsity-{extractor}",
            "sparsity:sparsity",
            settings,
            needs,
            data.extractor_modules(extractor),
        )

    def pictures(self) -> Artifact:
        """Images along hardness (Figure 13)."""
        needs, settings = self._opened("plain")
        needs["measured"] = self.sparsity(self.grid["extractor"])
        settings |= {key: self.grid["fig13"][key] for key in ("quantiles", "images")}
        settings["shown"] = ["held_out", "plain"]
        return self._job("along-hardness", "along_hardness:along_hardness", settings, needs)

    def bounds(self) -> dict[str, Artifact | tuple[Artifact, ...]]:
        """The variational bound of the first images of every set: of the diffusion model's own columns of their
        pools, by name; of reals and the GAN one experiment, ``others``."""
        checkpoint, grid = self.guided.checkpoint, self.grid["fig11"]
        settings = {"terms": grid["terms"]}
        made: Needs = {
            name: self.plan.pools.column("variational_bound", settings, parts, grid["count"])
            for name, parts in self._pools().items()
            if name != "gan"
        }
        needs, own = self._opened("gan")
        needs["checkpoint"] = checkpoint
        modules = generator_modules(checkpoint.facts["architecture"])
        return made | {"others": self._job("bounds", "bounds:bounds", own | grid, needs, modules)}

    def all_terms(self) -> bool:
        """Whether Figure 11 takes every term of the bound, as far as the model's steps are known."""
        return self.grid["fig11"]["terms"] == self._steps

    def _flow(self) -> Artifact:
        grid = self.grid["flow"]
        settings = {key: value for key, value in grid.items() if key not in LATER}
        needs = {"data": self.plan.data.dataset(self.dataset)}
        return self._job("flow", "pixel_flow:fitted_flow", settings | self._held_out(), needs)

    def likelihoods(self) -> Artifact:
        """Bits per dimension of every set under the flow (Table 2, Figure 12)."""
        grid = self.grid["flow"]
        needs, settings = self._opened()
        needs |= {"flow": self._flow(), "other": self.plan.data.dataset(grid["other"])}
        settings |= {key: grid[key] for key in ("side", "grey", "levels", "shown")}
        return self._job("likelihoods", "pixel_flow:likelihoods", settings, needs)

    def _job(
        self,
        name: str,
        function: str,
        settings: Mapping[str, Any],
        needs: Needs,
        imports: tuple[str, ...] = (),
    ) -> Artifact:
        slug = f"{name.replace('_', '-')}-{self.dataset}"
        return experiment(slug, f"{HERE}.measured.{function}", settings, needs, imports)
