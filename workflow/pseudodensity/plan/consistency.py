"""What keys of a config must be to each other, or a job would find it wrong hours later."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pseudodensity.plan.config import merge
from pseudodensity.plan.data import FILES, check_neighbours, distance_of
from pseudodensity.plan.declared import parameters
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.methods import extractors_of, metric_module
from pseudodensity.plan.models import declaration

__all__ = ["check_consistency"]

Config = Mapping[str, Any]

DIGITS = 1797  # images of scikit-learn's digits
LABELLED = ("procedural", "digits", "idx")  # kinds of data sets whose images come with attributes


def check_consistency(config: Config) -> None:
    """ConfigError, one line: two keys that cannot both be, a number beyond what there is, a file that
    cannot be read. The config fits its schema, and its names are known."""
    for check in CHECKS:
        for complaint in check(config):
            raise ConfigError(f"config: {complaint}")


def _digits(config: Config) -> Iterator[str]:
    for name, dataset in config["datasets"].items():
        if dataset["kind"] != "digits":
            continue
        if (dataset["images"] or 0) > DIGITS:
            yield (
                f"datasets.{name}.images is {dataset['images']}, but there are {DIGITS} digits: write "
                "null for all of them, or fewer"
            )
        check_neighbours(f"config: datasets.{name}", dataset["density_k"], DIGITS)


def _neighbours(config: Config) -> Iterator[str]:
    """k of a metric is below the size of every set that it compares."""
    sizes = {"sampling.images": config["sampling"]["images"]}
    sizes["frontier.images"] = config["frontier"]["images"]
    for name, dataset in config["datasets"].items():
        count = dataset["images"] or (DIGITS if dataset["kind"] == "digits" else None)
        if count is not None:
            sizes[f"datasets.{name}.images"] = count
    smallest = min(sizes, key=lambda place: sizes[place])
    for metric, settings in config["metrics"].items():
        k = settings.get("k", 1)
        if k < 1:
            yield f"metrics.{metric}.k is {k}: write a whole number from 1"
        elif k >= sizes[smallest]:
            yield (
                f"metrics.{metric}.k is {k}, but {smallest} is {sizes[smallest]}: k must be smaller "
                "than the number of images"
            )


def _distances(config: Config) -> Iterator[str]:
    """Features whose squared distance is the measure are not compared by its root."""
    for metric, extractor in extractors_of(config["metrics"]).items():
        measure = distance_of(config["extractors"][extractor]["kind"])
        squares = "squared" in parameters(metric_module(metric), "prepare")
        if measure and squares and not config["metrics"][metric].get("squared"):
            yield (
                f"metrics.{metric}.extractor is {extractor!r}, of which the squared distance is "
                f"{measure}: write metrics.{metric}.squared: true"
            )


def _pools(config: Config) -> Iterator[str]:
    most = config["sampling"]["max_proposals"]
    for section in ("sampling", "frontier"):
        if config[section]["images"] > most:
            yield (
                f"{section}.images is {config[section]['images']}, but sampling.max_proposals is "
                f"{most}: no pool would hold one repeat; lower the one or raise the other"
            )


def _readable(config: Config) -> Iterator[str]:
    """Files that are there can be read. Those that are not are said where they are asked for."""
    paths = {
        f"datasets.{name}.path": dataset["path"]
        for name, dataset in config["datasets"].items()
        if "path" in dataset
    }
    paths |= {
        f"datasets.{name}.labels": dataset["labels"]
        for name, dataset in config["datasets"].items()
        if "labels" in dataset
    }
    for name, extractor in config["extractors"].items():
        paths |= {f"extractors.{name}.{key}": extractor[key] for key in FILES if key in extractor}
    for name, model in config["models"].items():
        for dataset, source in model["pretraining"].items():
            if "file" in source:
                paths[f"models.{name}.pretraining.{dataset}.file"] = source["file"]
    for place, path in paths.items():
        if os.path.exists(path) and not os.access(path, os.R_OK):
            yield f"{place} is {path!r}, which you may not read: chmod u+r, or ask its owner"


def _independence(config: Config) -> Iterator[str]:
    """What judges neither steers nor trains, whatever it is called."""
    steering = config["density"]["extractor"]
    for judge in (*config["judges"], *extractors_of(config["metrics"]).values()):
        if _network(config, judge) == _network(config, steering):
            yield (
                f"judge {judge!r} is the same network as {steering!r}, the extractor that steers: "
                "describe another one, or the method is graded by what it optimised"
            )
        for name, model in config["models"].items():
            if model.get("backbone") == judge:
                yield (
                    f"models.{name}.backbone is {judge!r}, which also judges: name another extractor, "
                    "or the model is graded by what it was trained on"
                )


def _network(config: Config, name: str) -> dict[str, Any]:
    """What makes the weights of an extractor; of a public one not where the file lies."""
    return {key: value for key, value in config["extractors"][name].items() if key not in FILES}


def _extractors(config: Config) -> Iterator[str]:
    for name, extractor in config["extractors"].items():
        kinds = [config["datasets"][dataset]["kind"] for dataset in extractor.get("trained_on", ())]
        if len(kinds) == 1 and kinds[0] not in LABELLED:
            yield (
                f"extractors.{name}.trained_on is one data set without labels, from which nothing can "
                "be learned: name a second one"
            )


def _models(config: Config) -> Iterator[str]:
    """Keys that a kind of model has no use for would be read past."""
    for name, model in config["models"].items():
        described, kind = declaration(model["architecture"]), model["architecture"]
        if "latent_shape" in model and described["trainer"]:
            yield (
                f"models.{name}.latent_shape belongs to a generator of one's own, a {kind} model has "
                "its own: take it out"
            )
        if not described["trainer"] and (model.get("recipe") or "finetuning" in model):
            key = "finetuning" if "finetuning" in model else "recipe"
            yield f"models.{name}.{key}: a {kind} model is not trained here: take it out"
        critic = described["discriminator"]
        takes = parameters(critic, "build_discriminator") if critic else {}
        if "backbone" in model and "backbone" not in takes:
            yield (
                f"models.{name}.backbone: the discriminator of a {kind} model takes none: take it out"
            )


def _classes(config: Config) -> Iterator[str]:
    for name, model in config["models"].items():
        if not declaration(model["architecture"])["classes"]:
            continue
        for dataset, source in model["pretraining"].items():
            kind = config["datasets"][dataset]["kind"]
            if "iterations" in source and kind not in LABELLED:
                yield (
                    f"models.{name}.pretraining.{dataset}: a {model['architecture']} model learns classes, "
                    f"and a data set of kind {kind} has no labels: take one of kind {', '.join(LABELLED)}"
                )


def _tokenisers(config: Config) -> Iterator[str]:
    for name, model in config["models"].items():
        for dataset, source in model["pretraining"].items():
            recipe = merge(model.get("recipe", {}), source.get("recipe", {}))
            first = recipe.get("tokeniser_iterations", 0)
            if first >= source.get("iterations", first + 1):
                yield (
                    f"models.{name}.pretraining.{dataset}.iterations is {source['iterations']}, of "
                    f"which the tokeniser takes {first}: raise it, or lower "
                    f"models.{name}.recipe.tokeniser_iterations"
                )


CHECKS: tuple[Callable[[Config], Iterator[str]], ...] = (
    _digits,
    _neighbours,
    _distances,
    _pools,
    _readable,
    _independence,
    _extractors,
    _models,
    _classes,
    _tokenisers,
)
