"""Experiment: the attributes of images of several sets, by a classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pseudodensity.columns.pool import open_pool
from pseudodensity.images.dataset import ImageSet, open_dataset
from pseudodensity.images.scenes import SCENES
from pseudodensity.papers.diverse_rare.attribute_sets import AttributeSets, estimated_law
from pseudodensity.papers.diverse_rare.measured.attribute_classifier import (
    AttributeClassifier,
    load_classifier,
)

__all__ = ["attributes", "reference_numbers"]

SOURCE = "a network of ours that learned from {learned:,} {which} and neither steers nor judges"


def attributes(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Predicted attributes of the first images of some pools, and of the real images.

    inputs: ``classifier``, of `attribute_classifier`; ``data``, images of the data set; of each set the
    parts of its pool under its name. settings: ``value_names``, by attribute; ``sets``, by name ``count``, the first images of the pool,
    and ``group``, how many of them belong to one reference; ``seed`` of the pools. A set whose images
    are all references, or belong to none, has groups of one.

    arrays and facts: of `AttributeSets`; ``probabilities_i`` (n, k) float32 of set i, of all values of
    all attributes in order. ValueError: images that were not stored; a data set without labels.
    """
    classifier, device = load_classifier(inputs["classifier"]), settings["device"]
    data = open_dataset(Path(inputs["data"]).parent)
    if data.labels is None or data.labels.names != classifier.names:
        raise ValueError(
            "the data set has no labels of the classifier's attributes: give it the one that it learned from"
        )
    predicted, groups, probabilities = {}, {}, {}
    for number, (name, own) in enumerate(settings["sets"].items()):
        pool = open_pool(inputs[name], {}, np.empty(0), settings["seed"])
        found = classifier.probabilities(pool.images(np.arange(own["count"])), device)
        predicted[name] = np.stack([each.argmax(1) for each in found], axis=1)
        groups[name] = reference_numbers(own["count"], own["group"])
        probabilities[f"probabilities_{number}"] = np.concatenate(found, axis=1)
    law, known = _law(data)
    which = "fresh images of the same law" if classifier.fresh else "training images"
    made = AttributeSets(
        classifier.names,
        _value_names(classifier, settings["value_names"]),
        predicted,
        groups,
        data.labels.categorical,
        classifier.predicted(data.images, device),
        law,
        classifier.confusion,
        {"truth": True, "known_law": known}
        | {"source": SOURCE.format(learned=classifier.learned, which=which)},
    )
    arrays, facts = made.saved()
    return arrays | probabilities, facts


def reference_numbers(count: int, group: int) -> np.ndarray:
    """The reference (count,) int64 of each image, of which `group` in a row have the same.

    ValueError: the last reference has fewer.
    """
    if count % group:
        raise ValueError(f"{count} images are no whole number of references with {group} each")
    return np.arange(count) // group


def _value_names(
    classifier: AttributeClassifier, named: Mapping[str, Sequence[str]]
) -> list[list[str]]:
    """Of each attribute what its values are called: their numbers where nothing is named. ValueError: another
    number of names than of values."""
    found = []
    for name, count in zip(classifier.names, classifier.cardinalities, strict=True):
        own = list(named.get(name, map(str, range(count))))
        if len(own) != count:
            raise ValueError(
                f"the attribute {name} has {count} values and attributes.value_names names {len(own)}: name all"
            )
        found.append(own)
    return found


def _law(data: ImageSet) -> tuple[list[np.ndarray], bool]:
    """Log-probabilities of the values of each attribute, and whether they are those of the law itself."""
    spec, labels = data.manifest["spec"], data.labels
    if spec["kind"] != "procedural":
        return estimated_law(labels.categorical, labels.cardinalities), False
    return [np.log(p) for p in SCENES[spec["scene"]].categorical.values()], True
