"""Experiment: how hard every image is, and how sparse the reals are around it (Figures 7, 11, 13 and 17)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pseudodensity.artifacts import load_npy
from pseudodensity.features.build import load_extractor
from pseudodensity.features.extractor import extract
from pseudodensity.metrics import average_knn, hardness, local_outlier
from pseudodensity.papers.low_density.measured.image_sets import (
    open_sets,
    reference_rows,
    training_labels,
)

__all__ = ["sparsity"]

BATCH = 500  # images at once


def sparsity(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Three measures of every image, in features of one extractor, by the training images that are not held out.

    inputs: those of `open_sets`; ``extractor``; ``features`` of the data set by it. settings: those of
    `open_sets`; ``avg_knn`` and ``lof``, neighbours of each; ``device``.

    arrays: ``hardness`` (nats), ``avg_knn`` (units of the features) and ``lof``, (sets, count) float64. facts:
    ``sets``, names in order; ``reference``, how many training images judge; ``classes``, whether hardness knows
    the classes: all images have one, or none counts.
    """
    sets, features = open_sets(inputs, settings), load_npy(inputs["features"])
    rows, labels = reference_rows(len(features), settings), training_labels(inputs["data"])
    known = labels is not None and all(own.labels is not None for own in sets.values())
    real = {"features": features[rows]} | ({"labels": labels[rows]} if known else {})
    gaussians = hardness.prepare(real)
    neighbours = average_knn.prepare(real, k=settings["avg_knn"])
    outliers = local_outlier.prepare(real, k=settings["lof"])
    extractor, found = load_extractor(inputs["extractor"]), []
    for own in sets.values():
        seen = extract(extractor, own.images, BATCH, settings["device"])
        hard = gaussians.hardness(seen, own.labels if known else None)
        far = average_knn.average_distances(neighbours, seen)
        found.append((hard, far, local_outlier.factors(outliers, seen)))
    arrays = {
        name: np.stack(each)
        for name, each in zip(("hardness", "avg_knn", "lof"), zip(*found, strict=True), strict=True)
    }
    return arrays, {"sets": list(sets), "reference": len(rows), "classes": known}
