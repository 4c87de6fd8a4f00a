"""The run table: a validated config and the papers' tables -> one entry per thing to make.

Every artefact has a *spec*, a JSON-able dict of all that defines it, upstream digests included.
Its name is ``<slug>-<digest of the spec>``: the slug is for people and nothing parses it. What
may not change a number (device, threads, batch size of inference) is never part of a spec.

This module is light: it never imports torch, because every cluster job parses it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

__all__ = ["Artifact", "Checkpoint", "ConfigError", "Plan", "check_config"]

# Raised when the meaning of a stored file changes, so that older files are made again.
FORMAT = 1

# Raised when a procedural scene is drawn otherwise, so that all that was made of it is made again.
SCENES_VERSION = 2

CONTROLS = ("control", "control_fid")
SETTINGS = ("pretrained", "precision", "recall", "fid", *CONTROLS)


class ConfigError(ValueError):
    """The config asks for something impossible; the message says where and how to mend it."""


@dataclass(frozen=True)
class Artifact:
    """Something made: ``slug`` for people, ``spec`` for machines."""

    slug: str
    spec: Mapping[str, Any]

    @cached_property
    def digest(self) -> str:
        """First 10 hexadecimal digits of the SHA-256 of the canonical JSON of the spec."""
        text = json.dumps(self.spec, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    @property
    def name(self) -> str:
        """File name without folder and extension."""
        return f"{self.slug}-{self.digest}"


@dataclass(frozen=True)
class Checkpoint:
    """Weights of one model: pre-trained here, imported from a public file, or fine-tuned.

    ``origin`` is trained | imported | finetuned | external; ``setting`` one of :data:`SETTINGS`;
    ``file`` is that of an external generator, which is used as it is.
    """

    artifact: Artifact
    model: str
    dataset: str
    setting: str
    seed: int
    origin: str
    parent: Checkpoint | None = None
    tau: float | None = None
    w: float | None = None
    file: str | None = None

    @property
    def name(self) -> str:
        """Name of the artefact."""
        return self.artifact.name

    @property
    def path(self) -> str:
        """Where the weights lie."""
        return self.file or f"results/checkpoints/{self.origin}/{self.name}.safetensors"


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every scalar of a config with its dotted place."""
    if isinstance(value, Mapping | list):
        pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, inner in pairs:
            yield from _leaves(inner, f"{place}.{key}" if place else str(key))
    else:
        yield place, value


def check_config(config: Mapping[str, Any], schema: Mapping[str, Any], label: str) -> None:
    """Validate against a JSON Schema.

    Raises:
        ConfigError: one line with the place, what is wrong and what is allowed.
    """
    for place, value in _leaves(config):
        # Comparisons with NaN are false, so it would pass for any number.
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{label}, {place}: {value} is not a finite number")
    error = best_match(Draft202012Validator(schema).iter_errors(config))
    if error is None:
        return
    place = ".".join(map(str, error.absolute_path)) or "top level"
    hint = ""
    if error.validator == "additionalProperties":
        hint = f"; known keys: {', '.join(sorted(error.schema.get('properties', {})))}"
    raise ConfigError(f"{label}, {place}: {error.message[:300]}{hint}")


@dataclass(frozen=True)
class Plan:
    """All artefacts that a config and a paper's list of runs ask for.

    Args:
        config: the resolved config (config/config.yaml and its like).
        paper: config/papers/pseudo_density.yaml.
    """

    config: Mapping[str, Any]
    paper: Mapping[str, Any]
    _checkpoints: dict[str, Checkpoint] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._check_references()
        for seed in self.config["seeds"]:
            for block in self.block_ids:
                for checkpoint in self.block(block, seed):
                    self._checkpoints[checkpoint.name] = checkpoint
            for checkpoint in self.autoregressive(seed):
                self._checkpoints[checkpoint.name] = checkpoint

    # ---------------------------------------------------------------- checks across keys

    def _check_references(self) -> None:
        config = self.config
        for name, dataset in config["datasets"].items():
            self._check_dataset(name, dataset)
        needed = {config["density"]["extractor"], *config["judges"].values()}
        needed |= {m["backbone"] for m in config["models"].values() if m.get("backbone")}
        for name in sorted(needed - set(config["extractors"])):
            raise ConfigError(
                f"config: extractor {name!r} is used but not described under extractors"
            )
        if config["density"]["extractor"] in config["judges"].values():
            raise ConfigError(
                f"config: judges use {config['density']['extractor']!r}, the extractor that also "
                "steers: name another one, or the method is graded by what it optimised"
            )
        for name, extractor in config["extractors"].items():
            for dataset in set(extractor.get("trained_on", ())) - set(config["datasets"]):
                raise ConfigError(
                    f"config: extractors.{name}.trained_on names {dataset!r}, which is not under "
                    "datasets"
                )
            if "weights" in extractor and not Path(extractor["weights"]).is_file():
                raise ConfigError(
                    f"config: extractors.{name}.weights is {extractor['weights']!r}, which does "
                    "not exist: download it from its owner first"
                )
        self._check_neighbours()
        for block in self.block_ids:
            self._check_block(block)

    def _check_neighbours(self) -> None:
        k = self.config["metrics"]["k"]
        sets = {f"datasets.{name}": d["images"] for name, d in self.config["datasets"].items()}
        for place, count in (sets | {"sampling": self.config["sampling"]["images"]}).items():
            if count is not None and k >= count:
                raise ConfigError(
                    f"config: metrics.k is {k} but {place}.images is {count}: k must be smaller"
                )

    @staticmethod
    def _check_dataset(name: str, dataset: Mapping[str, Any]) -> None:
        path = dataset.get("path")
        if path is not None and not Path(path).exists():
            raise ConfigError(
                f"config: datasets.{name}.path is {path!r}, which does not exist: put the images "
                "there or correct the path"
            )
        count = dataset.get("images")
        if count is not None and dataset["density_k"] >= count:
            raise ConfigError(
                f"config: datasets.{name}.density_k is {dataset['density_k']} but there are only "
                f"{count} images: k must be smaller than the number of images"
            )

    def _check_block(self, block: str) -> None:
        if block not in self.paper["table1"]["blocks"]:
            known = ", ".join(self.paper["table1"]["blocks"])
            raise ConfigError(f"config: table1.blocks names {block!r}; known blocks: {known}")
        run = self.paper["table1"]["blocks"][block]
        for kind, name in (("models", run["model"]), ("datasets", run["dataset"])):
            if name not in self.config[kind]:
                raise ConfigError(f"config: block {block} needs {kind}.{name}, which is missing")
        model = self.config["models"][run["model"]]
        if model["architecture"] == "external":
            raise ConfigError(
                f"config: block {block} trains models.{run['model']}, which is external: give your "
                "generator a name of its own and ask for results/frontier/<name>-<dataset>.svg"
            )
        if run["dataset"] not in model["pretraining"]:
            raise ConfigError(
                f"config: block {block} needs models.{run['model']}.pretraining.{run['dataset']}: "
                "say how many iterations to train, or which public file to import"
            )
        source = model["pretraining"][run["dataset"]]
        if "file" in source and not Path(source["file"]).is_file():
            raise ConfigError(
                f"config: models.{run['model']}.pretraining.{run['dataset']}.file is "
                f"{source['file']!r}, which does not exist: download it from its owner first"
            )

    # ---------------------------------------------------------------- data, features, density

    @property
    def block_ids(self) -> list[str]:
        """Blocks of Table 1 to make, in order."""
        return list(self.config["table1"]["blocks"])

    def nearest_block(self, wanted: str, among: Sequence[str]) -> str | None:
        """The block to show for a block of the paper: itself where it is among those given, else
        the same model, else the same data, else the first; None where none is given."""
        runs = self.paper["table1"]["blocks"]

        def distance(block: str) -> tuple[bool, bool, bool]:
            differs = (runs[block][key] != runs[wanted][key] for key in ("model", "dataset"))
            return (block != wanted, *differs)

        return min(among, key=distance, default=None)

    def data(self, dataset: str) -> Artifact:
        """Decoded images of a data set."""
        settings = dict(self.config["datasets"][dataset])
        for cosmetic in ("title", "stands_for", "density_k", "mirror"):
            settings.pop(cosmetic, None)
        if settings["kind"] == "procedural":
            settings["version"] = SCENES_VERSION
        return Artifact(dataset, {"kind": "data", "format": FORMAT, **settings})

    def extractor(self, name: str) -> Artifact:
        """A feature extractor: trained here, or a public file with a known digest."""
        settings = dict(self.config["extractors"][name])
        # The content of a public file counts (sha256), not the place it was downloaded to.
        settings.pop("weights", None)
        trained_on = settings.pop("trained_on", [])
        upstream = {dataset: self.data(dataset).digest for dataset in trained_on}
        mirror = {d: self.config["datasets"][d]["mirror"] for d in trained_on}
        spec = {"kind": "extractor", "format": FORMAT, "data": upstream, "mirror": mirror}
        return Artifact(name, {**spec, "settings": settings})

    def features(self, dataset: str, extractor: str) -> Artifact:
        """Features of all images of a data set."""
        spec = {"kind": "features", "format": FORMAT}
        spec |= {"data": self.data(dataset).digest, "extractor": self.extractor(extractor).digest}
        return Artifact(f"{dataset}-{extractor}", spec)

    def density(self, dataset: str) -> Artifact:
        """Pseudo density of a data set: labels and network."""
        settings = {k: v for k, v in self.config["density"].items() if k != "extractor"}
        features = self.features(dataset, self.config["density"]["extractor"])
        spec = {"kind": "density", "format": FORMAT, "features": features.digest, **settings}
        return Artifact(dataset, spec | {"k": self.config["datasets"][dataset]["density_k"]})

    # ---------------------------------------------------------------- checkpoints

    def _pretrained(self, model: str, dataset: str, seed: int) -> Checkpoint:
        settings = self.config["models"][model]
        source = dict(settings["pretraining"][dataset])
        origin = "imported" if "file" in source else "trained"
        spec = {
            "kind": "checkpoint",
            "format": FORMAT,
            "architecture": settings["architecture"],
            "resolution": self.config["datasets"][dataset]["resolution"],
        }
        if origin == "imported":
            # The content counts, not the place it was downloaded to.
            spec["source"] = {k: source[k] for k in ("format", "sha256")}
        else:
            spec |= {
                "generator": settings["generator"],
                "discriminator": settings.get("discriminator"),
                "recipe": _merge(settings["recipe"], source.get("recipe", {})),
                "iterations": source["iterations"],
                "data": self.data(dataset).digest,
                "mirror": self.config["datasets"][dataset]["mirror"],
                "seed": seed,
            }
        if settings.get("backbone"):
            spec["backbone"] = self.extractor(settings["backbone"]).digest
        slug = f"{model}-{dataset}-pretrained-seed{seed}"
        return Checkpoint(Artifact(slug, spec), model, dataset, "pretrained", seed, origin)

    def external(self, model: str, dataset: str) -> Checkpoint:
        """A user's own generator, compared with a data set. ConfigError: file or data missing."""
        settings, place = self.config["models"][model], f"models.{model}"
        source = settings["pretraining"][dataset]
        if dataset not in self.config["datasets"]:
            raise ConfigError(f"config: {place}.pretraining names {dataset!r}, not under datasets")
        if not Path(source["file"]).is_file():
            raise ConfigError(
                f"config: {place}.pretraining.{dataset}.file is {source['file']!r}, which does not "
                "exist: correct the path"
            )
        if (source["format"] == "exported") != source["file"].endswith(".pt2"):
            raise ConfigError(
                f"config: {place}.pretraining.{dataset}: format {source['format']} does not go with "
                f"{source['file']!r}: an exported program ends in .pt2, TorchScript in another suffix"
            )
        spec = {"kind": "checkpoint", "format": FORMAT, "architecture": "external"}
        spec["resolution"] = self.config["datasets"][dataset]["resolution"]
        spec["source"] = {k: source[k] for k in ("format", "sha256")}
        spec["latent_shape"] = settings["latent_shape"]
        artifact = Artifact(f"{model}-{dataset}-external", spec)
        seed = self.config["seeds"][0]
        return Checkpoint(
            artifact, model, dataset, "pretrained", seed, "external", file=source["file"]
        )

    def pretrained(self, model: str, dataset: str, seed: int) -> Checkpoint:
        """A pre-trained model of the config, whether Table 1 has it or not."""
        return self._pretrained(model, dataset, seed)

    def autoregressive(self, seed: int) -> list[Checkpoint]:
        """The models with an exact likelihood. They belong to Figure 7 and to no block."""
        return [
            self.pretrained(model, dataset, seed)
            for model, settings in self.config["models"].items()
            if settings["architecture"] == "vqgpt"
            for dataset in settings["pretraining"]
            if dataset in self.config["datasets"]
        ]

    def _finetuned(
        self, parent: Checkpoint, setting: str, tau: float | None, w: float
    ) -> Checkpoint:
        settings = self.config["models"][parent.model]
        tuning = settings["finetuning"]
        short = setting in ("fid", "control_fid")
        recipe = _merge(settings["recipe"], tuning["recipe"])
        images = tuning["fid_images"] if short else tuning["images"]
        # Importance-sampled fakes: GANs only, and not for the FID rows (appendix A.1).
        fake_weight = tuning["fake_weight"] if setting in ("precision", "recall") else "none"
        spec = {
            "kind": "checkpoint",
            "format": FORMAT,
            "parent": parent.artifact.digest,
            "architecture": settings["architecture"],
            "resolution": parent.artifact.spec["resolution"],
            "recipe": recipe,
            "iterations": max(1, round(images / recipe["batch_size"])),
            "data": self.data(parent.dataset).digest,
            "mirror": self.config["datasets"][parent.dataset]["mirror"],
            "seed": parent.seed,
            "importance": {"tau": tau, "w": w, "fake_weight": fake_weight},
        }
        if tau is not None:
            spec["density"] = self.density(parent.dataset).digest
        slug = f"{parent.model}-{parent.dataset}-{setting.replace('_', '-')}-seed{parent.seed}"
        artifact = Artifact(slug, spec)
        return Checkpoint(
            artifact,
            parent.model,
            parent.dataset,
            setting,
            parent.seed,
            "finetuned",
            parent,
            tau,
            w,
        )

    def block(self, block: str, seed: int) -> Iterator[Checkpoint]:
        """The checkpoints of one block of Table 1 for one training seed, in row order.

        A control (w = 1) exists for each number of images that is used: the FID rows of GANs
        are fine-tuned on fewer.
        """
        run = self.paper["table1"]["blocks"][block]
        parent = self._pretrained(run["model"], run["dataset"], seed)
        yield parent
        for setting in ("precision", "recall", "fid"):
            yield self._finetuned(parent, setting, run[setting]["tau"], run[setting]["w"])
        tuning = self.config["models"][run["model"]]["finetuning"]
        yield self._finetuned(parent, "control", None, 1.0)
        if tuning["fid_images"] != tuning["images"]:
            yield self._finetuned(parent, "control_fid", None, 1.0)

    @property
    def checkpoints(self) -> Mapping[str, Checkpoint]:
        """All checkpoints by name."""
        return self._checkpoints

    def source(self, checkpoint: Checkpoint) -> Mapping[str, Any]:
        """How a pre-trained checkpoint comes to be: iterations, or a public file."""
        return self.config["models"][checkpoint.model]["pretraining"][checkpoint.dataset]

    # ---------------------------------------------------------------- samples and metrics

    def _judging(self, dataset: str) -> dict[str, Any]:
        """What a set of samples is described by: digests of extractors and density."""
        judges = sorted(set(self.config["judges"].values()))
        return {
            "judges": {name: self.extractor(name).digest for name in judges},
            "density": self.density(dataset).digest,
            "sampling": self.config["sampling"],
        }

    def samples(self, checkpoint: Checkpoint) -> Artifact:
        """Features and densities of the samples of a checkpoint."""
        spec = {"kind": "samples", "format": FORMAT, "checkpoint": checkpoint.artifact.digest}
        return Artifact(checkpoint.artifact.slug, spec | self._judging(checkpoint.dataset))

    def metrics(self, block: str, seed: int) -> Artifact:
        """Metrics of all rows of a block for one training seed, against the block's data set.

        One file serves the whole block, because its rows share the real side.
        """
        rows = list(self.block(block, seed))
        samples = {row.setting: self.samples(row).digest for row in rows}
        spec = {"kind": "metrics", "format": FORMAT, "samples": samples}
        slug = f"{rows[0].model}-{rows[0].dataset}-seed{seed}"
        return Artifact(slug, spec | self._measuring(rows[0].dataset))

    def _measuring(self, dataset: str) -> dict[str, Any]:
        """What samples are measured against, and how."""
        roles = {
            role: self.features(dataset, name).digest
            for role, name in self.config["judges"].items()
        }
        return {"real": roles} | self.config["metrics"]

    def oracle(self, dataset: str) -> Artifact:
        """Real images reweighted as the blocks of this data set ask, judged like samples."""
        weights = {(1.0, None)}
        for block in self.block_ids:
            run = self.paper["table1"]["blocks"][block]
            if run["dataset"] == dataset:
                weights |= {(run[s]["w"], run[s]["tau"]) for s in ("precision", "recall", "fid")}
        settings = [
            {"tau": tau, "w": w} for w, tau in sorted(weights, key=lambda p: (p[0], p[1] or 0))
        ]
        spec = {"kind": "oracle", "format": FORMAT, "data": self.data(dataset).digest}
        spec |= {"settings": settings, **self._judging(dataset), **self._measuring(dataset)}
        return Artifact(dataset, spec)

    def table1_rows(self) -> list[dict[str, Any]]:
        """One row per checkpoint of Table 1, with the place of its metrics and samples."""
        rows = []
        for block in self.block_ids:
            run = self.paper["table1"]["blocks"][block]
            dataset = self.config["datasets"][run["dataset"]]
            for seed in self.config["seeds"]:
                metrics = f"results/metrics/{self.metrics(block, seed).name}.json"
                for checkpoint in self.block(block, seed):
                    rows.append(
                        {
                            "block": block,
                            "dataset": dataset["title"],
                            "stands_for": dataset.get("stands_for"),
                            "model": self.config["models"][run["model"]]["title"],
                            "setting": checkpoint.setting,
                            "tau": checkpoint.tau,
                            "w": checkpoint.w,
                            "seed": seed,
                            "images": self._images_used(checkpoint),
                            "reported": run["reported"],
                            "metrics": metrics,
                            "samples": f"results/samples/{self.samples(checkpoint).name}.safetensors",
                            "oracle": f"results/metrics/oracle-{self.oracle(run['dataset']).name}.json",
                        }
                    )
        return rows

    @staticmethod
    def _images_used(checkpoint: Checkpoint) -> int | None:
        spec = checkpoint.artifact.spec
        return spec["iterations"] * spec["recipe"]["batch_size"] if "iterations" in spec else None
