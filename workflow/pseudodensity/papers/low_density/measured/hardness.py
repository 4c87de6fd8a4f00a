"""Experiment: the hardness of every image of some sets, and whether it is still of its class (Figure 14, Table 1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pseudodensity.artifacts import load_npy
from pseudodensity.metrics.hardness import ClassGaussians
from pseudodensity.papers.low_density.measured.sets import classes_of, open_sets

__all__ = ["hardnesses"]


def hardnesses(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Hardness by the Gaussians of the metric of that name, in a judge's features.

    inputs: those of `open_sets`; ``data``, and ``features`` of its images by the judge. settings:
    ``extractor``, the judge; ``seed`` of the pools.

    arrays, of the set i: ``hardness_i`` (n,) float64 in nats, of an image's own class; ``own_i`` (n,) bool,
    whether no other class is likelier. ``real_hardness`` and ``real_own`` of the real images, each under the
    Gaussian of the other images of its class; those of classes that have none are left out. facts:
    ``passes``, of each set: network -> passes for one image; ``extractor``. ValueError: fewer than two classes
    with a Gaussian.
    """
    features, labels = load_npy(inputs["features"]), classes_of(inputs["data"])
    gaussians = ClassGaussians(features, labels)
    classes = np.array(list(gaussians.of))
    if len(classes) < 2:
        raise ValueError(
            "hardness by classes needs two classes of 10 or more real images, and there are fewer: give the "
            "data set more images"
        )
    known = np.isin(labels, classes)
    of_reals = _of_classes(gaussians, features[known].astype(np.float64), labels[known])
    arrays = dict(zip(("real_hardness", "real_own"), of_reals, strict=True))
    passes = []
    for number, pool in enumerate(open_sets(inputs, settings["seed"])):
        rows = np.arange(len(pool))
        own, chosen = pool.features(settings["extractor"], rows), pool.labels(rows)
        nearest = classes[_every_class(gaussians, own).argmin(1)]
        arrays[f"hardness_{number}"] = gaussians.hardness(own, chosen)
        arrays[f"own_{number}"] = nearest == chosen
        passes.append(dict(pool.facts["passes"]))
    return arrays, {"passes": passes, "extractor": settings["extractor"]}


def _every_class(gaussians: ClassGaussians, features: np.ndarray) -> np.ndarray:
    """Hardness (n, c) of every class with a Gaussian."""
    features = features.astype(np.float64)
    return np.stack([one.hardness(features) for one in gaussians.of.values()], axis=1)


def _of_classes(
    gaussians: ClassGaussians, features: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Hardness of the real images themselves for their own class, and whether it is the likeliest."""
    every, found = _every_class(gaussians, features), np.empty(len(labels))
    for place, (label, gaussian) in enumerate(gaussians.of.items()):
        own = labels == label
        found[own] = every[own, place] = gaussian.hardness_left_out(features[own])
    return found, found <= every.min(1)
