"""What checkpoints are made from: trained here, imported from a public file, fine-tuned, or a user's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from pseudodensity.plan.accumulation import check_accumulate
from pseudodensity.plan.adaptive import check_adaptive
from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.code import modules_used
from pseudodensity.plan.config import merge
from pseudodensity.plan.data import Data
from pseudodensity.plan.declared import (
    declared,
    modules_declaring,
    neutral,
    telling,
)
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.files import absent
from pseudodensity.plan.network_settings import SAMPLING, check_network_settings

__all__ = ["Models", "declaration", "generator_modules", "tangent_modules"]

EXTERNAL = "external"
# The two kinds of a user's own file.
TORCHSCRIPT, EXPORTED = "torchscript", "exported"


@cache
def _architectures() -> dict[str, str]:
    """Name of an architecture -> the module that declares it."""
    return modules_declaring("generators", "DECLARATION")


def declaration(architecture: str) -> Mapping[str, Any]:
    """What a generator module says of itself. ConfigError: there is none of that name."""
    if architecture not in _architectures():
        known = ", ".join(sorted(_architectures()))
        raise ConfigError(f"unknown architecture {architecture!r}: choose one of {known}")
    return declared(_architectures()[architecture], "DECLARATION")


def generator_modules(
    architecture: str, *, discriminator: bool = False, trainer: bool = False
) -> tuple[str, ...]:
    """Modules that a job with such a generator imports by name."""
    described = declaration(architecture)
    modules = [_architectures()[architecture]]
    if discriminator and described["discriminator"]:
        modules.append(described["discriminator"])
    if trainer and described["trainer"]:
        modules.append(described["trainer"].partition(":")[0])
    return tuple(modules)


@cache
def tangent_modules(architecture: str, modules: tuple[str, ...]) -> tuple[str, ...]:
    """The written-out tangents of an architecture, for jobs whose modules take derivatives of images."""
    tangents = declaration(architecture)["tangents"]
    used = tangents and "generators.tangents" in modules_used([], modules)
    return (tangents,) if used else ()


def _absent_file(facts: Mapping[str, Any], source: Mapping[str, Any]) -> str:
    """That the file of a model is not there; "" if it is."""
    place = f"models.{facts['model']}.pretraining.{facts['dataset']}.file"
    otherwise = "download it from its owner first, or correct the path"
    return absent(place, source["file"], otherwise)


class Models:
    """Checkpoints of a config. Facts of each: model, dataset, setting, seed, architecture, tau, w."""

    def __init__(self, config: Mapping[str, Any], data: Data):
        self.config, self.data = config, data
        for name, settings in config["models"].items():
            _check_model(name, settings)
            for dataset in settings["pretraining"]:
                if dataset not in config["datasets"]:
                    raise ConfigError(
                        f"config: models.{name}.pretraining names {dataset!r}, which is not under "
                        f"datasets; there are {', '.join(config['datasets'])}"
                    )
        self.pretrained = cache(self._pretrained)
        self.finetuned = cache(self._finetuned)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Every model with every data set that this config can pre-train or import it for."""
        for model, settings in self.config["models"].items():
            for dataset in settings["pretraining"]:
                yield model, dataset

    def title(self, model: str) -> str:
        """How tables call a model."""
        return self.config["models"][model]["title"]

    def declaration(self, model: str) -> Mapping[str, Any]:
        """What the generator of a model says of itself."""
        return declaration(self.config["models"][model]["architecture"])

    def _pretrained(self, model: str, dataset: str, seed: int, times: int = 1) -> Artifact:
        """A model before any fine-tuning, trained for `times` its iterations.

        ConfigError, one line: it cannot be had.
        """
        place = f"models.{model}.pretraining.{dataset}"
        for section, name in (("models", model), ("datasets", dataset)):
            if name not in self.config[section]:
                raise ConfigError(f"config: {place}: there is no {name!r} under {section}")
        settings = self.config["models"][model]
        if dataset not in settings["pretraining"]:
            raise ConfigError(
                f"config: {place} is missing: say how many iterations to train, or which public "
                "file to import"
            )
        source = settings["pretraining"][dataset]
        if times != 1 and "iterations" not in source:
            raise ConfigError(
                f"config: {place} is a file, which cannot be trained {times} times as long: take it out "
                "of papers.pseudo_density.quality.blocks"
            )
        if settings["architecture"] == EXTERNAL:
            return self._external(model, dataset)
        facts = {"model": model, "dataset": dataset, "setting": "pretrained", "seed": seed}
        facts |= {"architecture": settings["architecture"], "tau": None, "w": None}
        slug = f"{model}-{dataset}-pretrained-seed{seed}"
        if "file" in source:
            return self._imported(slug, facts, source)
        if times == 1:
            return self._trained(slug, facts, source)
        longer = {**source, "iterations": times * source["iterations"]}
        return self._trained(f"{slug}-x{times}", facts, longer)

    def _described(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        resolution = self.config["datasets"][facts["dataset"]]["resolution"]
        return {"architecture": facts["architecture"], "resolution": resolution}

    def _imported(self, slug: str, facts: Mapping[str, Any], source: Mapping[str, Any]) -> Artifact:
        # The content counts, not the place it was downloaded to.
        spec = self._described(facts) | {"source": {k: source[k] for k in ("format", "sha256")}}
        own = self.config["models"][facts["model"]].get("generator", {})
        if sampling := {key: own[key] for key in SAMPLING if key in own}:
            spec["sampling"] = sampling
        return Artifact(
            "imported",
            slug,
            spec,
            self.backbone(facts["model"]),
            modules=generator_modules(facts["architecture"], discriminator=True),
            files={"file": source["file"]},
            facts=facts,
            absent=_absent_file(facts, source),
        )

    def _trained(self, slug: str, facts: Mapping[str, Any], source: Mapping[str, Any]) -> Artifact:
        settings = self.config["models"][facts["model"]]
        spec = self._described(facts) | {
            "generator": settings["generator"],
            "discriminator": settings.get("discriminator"),
            "recipe": telling(
                merge(settings["recipe"], source.get("recipe", {})),
                _trainer(declaration(facts["architecture"])),
            ),
            "iterations": source["iterations"],
            "mirror": self.config["datasets"][facts["dataset"]]["mirror"],
            "seed": facts["seed"],
        }
        needs = {"data": self.data.dataset(facts["dataset"]), **self.backbone(facts["model"])}
        modules = generator_modules(facts["architecture"], discriminator=True, trainer=True)
        modules += self.backbone_modules(facts["model"])
        return Artifact("trained", slug, spec, needs, modules=modules, facts=facts)

    def _external(self, model: str, dataset: str) -> Artifact:
        """A user's own generator, used as it is."""
        settings = self.config["models"][model]
        source = settings["pretraining"][dataset]
        facts = {"model": model, "dataset": dataset, "setting": "pretrained"}
        facts |= {"seed": self.config["seeds"][0], "architecture": EXTERNAL, "tau": None, "w": None}
        told = ["format", "sha256"] + ["trusted"] * (source["format"] == TORCHSCRIPT)
        spec = self._described(facts) | {"source": {key: source[key] for key in told}}
        spec["latent_shape"] = settings["latent_shape"]
        slug = f"{model}-{dataset}-external"
        why = _absent_file(facts, source)
        return Artifact(EXTERNAL, slug, spec, facts=facts, given=source["file"], absent=why)

    def backbone(self, model: str) -> dict[str, Artifact]:
        """The frozen feature network of a projected discriminator, or nothing."""
        name = self.config["models"][model].get("backbone")
        return {"backbone": self.data.extractor(name)} if name else {}

    def backbone_modules(self, model: str) -> tuple[str, ...]:
        """The module of that network."""
        name = self.config["models"][model].get("backbone")
        return self.data.extractor_modules(name) if name else ()

    def _finetuned(
        self, parent: Artifact, setting: str, tau: float | None, w: float, short: bool
    ) -> Artifact:
        """A model trained on with importance sampling (papers/000 Algorithm 3).

        Args:
            setting: for people and tables; it defines nothing by itself.
            tau: percentile of the threshold; None for a control, which is not weighted.
            short: on the images of the FID rows, and with all fakes (appendix A.1).
        """
        model, dataset = parent.facts["model"], parent.facts["dataset"]
        settings = self.config["models"][model]
        if "finetuning" not in settings:
            raise ConfigError(f"config: models.{model}.finetuning is missing: say how to fine-tune")
        tuning = settings["finetuning"]
        recipe = merge(settings["recipe"], tuning["recipe"])
        recipe = telling(recipe, _trainer(declaration(parent.facts["architecture"])))
        images = tuning["fid_images"] if short else tuning["images"]
        unfiltered = short or tau is None
        importance = {"tau": tau, "w": w}
        importance["fake_weight"] = "none" if unfiltered else tuning["fake_weight"]
        spec = self._described(parent.facts) | {
            "recipe": recipe,
            "iterations": max(1, round(images / recipe["batch_size"])),
            "mirror": self.config["datasets"][dataset]["mirror"],
            "seed": parent.facts["seed"],
            "importance": importance,
        }
        needs = {"parent": parent, "data": self.data.dataset(dataset), **self.backbone(model)}
        modules = generator_modules(
            parent.facts["architecture"], discriminator=True, trainer=True
        ) + self.backbone_modules(model)
        if tau is not None:
            needs["density"] = self.data.density(dataset)
        if importance["fake_weight"] != "none":
            needs["steering"] = self.data.extractor(self.data.steering)
            modules += self.data.extractor_modules(self.data.steering)
        facts = {**parent.facts, "setting": setting, "tau": tau, "w": w}
        slug = f"{model}-{dataset}-{setting.replace('_', '-')}-seed{parent.facts['seed']}"
        return Artifact("finetuned", slug, spec, needs, modules=modules, facts=facts)

    @staticmethod
    def training_images(checkpoint: Artifact) -> int | None:
        """Real images shown in the training of a checkpoint; None where it was not trained here."""
        spec = checkpoint.spec
        return spec["iterations"] * spec["recipe"]["batch_size"] if "iterations" in spec else None


def _check_model(name: str, settings: Mapping[str, Any]) -> None:
    """What a job would find wrong hours later. ConfigError: one line."""
    place, architecture = f"models.{name}", settings["architecture"]
    if architecture not in _architectures():
        raise ConfigError(
            f"config: {place}.architecture is {architecture!r}; choose one of "
            f"{', '.join(sorted(_architectures()))}"
        )
    described = declaration(architecture)
    _check_sources(place, settings, described)
    trained = any("iterations" in source for source in settings["pretraining"].values())
    check_network_settings(
        place, settings, _architectures()[architecture], described, trained=trained
    )
    if settings["architecture"] == EXTERNAL:
        if "latent_shape" not in settings:
            raise ConfigError(f"config: {place}.latent_shape is missing: say what it takes")
        return
    if trained or "finetuning" in settings:
        _check_recipe(place, settings, described)


def _check_sources(place: str, settings: Mapping[str, Any], described: Mapping[str, Any]) -> None:
    for dataset, source in settings["pretraining"].items():
        if "format" in source and source["format"] not in described["formats"]:
            able = ", ".join(described["formats"]) or "no public file"
            raise ConfigError(
                f"config: {place}.pretraining.{dataset}.format is {source['format']!r}, but a "
                f"{settings['architecture']} model is read from: {able}"
            )
        if "format" in source:
            _check_format(f"{place}.pretraining.{dataset}", source)
        if "iterations" in source and not described["trainer"]:
            raise ConfigError(
                f"config: {place}.pretraining.{dataset}: a {settings['architecture']} model is not "
                "trained here: name its `file`, `format` and `sha256`"
            )


def _check_format(place: str, source: Mapping[str, Any]) -> None:
    """A stranger's code runs only where its user says so of this very file."""
    script, trusted = source["format"] == TORCHSCRIPT, source.get("trusted", False)
    if script and not (trusted and source["sha256"]):
        raise ConfigError(
            f"config: {place}: TorchScript is code and can do all that you can: save an exported "
            "program (.pt2, format: exported), or, if you know who made it, give `trusted: true` "
            "beside its `sha256`"
        )
    if trusted and not script:
        raise ConfigError(
            f"config: {place}.trusted: a file of format {source['format']} is read as data and "
            "never run: take it out"
        )
    ends_in_pt2 = source["file"].endswith(".pt2")
    if (script and ends_in_pt2) or (source["format"] == EXPORTED and not ends_in_pt2):
        raise ConfigError(
            f"config: {place}: format {source['format']} does not go with {source['file']!r}: an "
            "exported program ends in .pt2, TorchScript in another suffix"
        )


def _trainer(described: Mapping[str, Any]) -> str:
    """Module of the trainer of an architecture, by what its generator says of itself."""
    return described["trainer"].partition(":")[0]


def _check_recipe(place: str, settings: Mapping[str, Any], described: Mapping[str, Any]) -> None:
    """The recipe has all that its trainer reads, and nothing that the model cannot do."""
    needed = declared(_trainer(described), "RECIPE")
    recipe, tuning = settings.get("recipe", {}), settings.get("finetuning", {})
    for key in needed:
        if key not in recipe:
            raise ConfigError(f"config: {place}.recipe.{key} is missing")
    known = (*needed, *neutral(_trainer(described)))
    own = {
        f"pretraining.{name}": s.get("recipe", {}) for name, s in settings["pretraining"].items()
    }
    for where, changes in {"": recipe, "finetuning": tuning.get("recipe", {}), **own}.items():
        for key in changes:
            if key not in known:
                inner = ".".join(filter(None, (place, where, "recipe", key)))
                raise ConfigError(
                    f"config: {inner} is nothing that its trainer reads; known keys: "
                    f"{', '.join(known)}"
                )
        merged = merge(recipe, changes)
        if merged.get("loss") == "wasserstein" and not merged.get("gradient_penalty"):
            inner = ".".join(filter(None, (place, where, "recipe.gradient_penalty")))
            raise ConfigError(
                f"config: {inner} must be above 0 with the loss wasserstein, which grows without end "
                "where nothing bounds its slope: give 10"
            )
        check_adaptive(".".join(filter(None, (place, where, "recipe.ada"))), merged)
        check_accumulate(".".join(filter(None, (place, where, "recipe.accumulate"))), merged)
    if not described["discriminator"] and tuning.get("fake_weight", "none") != "none":
        raise ConfigError(
            f"config: {place}.finetuning.fake_weight must be none: without a discriminator the model "
            "sees no fakes"
        )
    if recipe.get("path_length_weight") and not described["w_space"]:
        raise ConfigError(
            f"config: {place}.recipe.path_length_weight must be 0: there is no mapping network"
        )
