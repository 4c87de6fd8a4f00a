"""Experiment: precision and recall of sets that points choose, within each class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pseudodensity.artifacts import load_npy
from pseudodensity.columns.pool import open_pool
from pseudodensity.images.dataset import open_labels
from pseudodensity.images.labels import class_numbers
from pseudodensity.metrics.manifold import Manifold, manifold_metrics
from pseudodensity.plan.methods import method

__all__ = ["SCORES", "within_classes"]

SCORES = ("precision", "recall")


def within_classes(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Images of a class against the training images of that class, in features of the judge.

    inputs: ``described`` and the columns that the points need, in parts; ``data``, the training images;
    ``features``, of them. settings: ``points``; ``count`` of a repeat; ``repeats``; ``extractor``, ``k`` of the
    manifolds; ``seed`` of the pool.

    arrays: ``precision`` and ``recall``, (points, repeats, classes) float64, NaN where a set has no more than k
    images of a class; ``images``, of each class in a set, of the same shape, int64. facts: ``classes``;
    ``reals`` of each; ``notes`` of the points. ValueError: the data set has no labels.
    """
    columns = {name: inputs[name] for name in ("singular_values", "label") if name in inputs}
    pool = open_pool(inputs["described"], columns, np.empty(0), settings["seed"])
    labels = open_labels(Path(inputs["data"]).parent)
    if labels is None:
        raise ValueError("precision within classes needs a data set with labels, and this has none")
    numbers, classes = class_numbers(labels)
    features, k = load_npy(inputs["features"]), settings["k"]
    sides = [Manifold(features[numbers == label], k) for label in range(classes)]
    shape = (len(settings["points"]), settings["repeats"], classes)
    found = {score: np.full(shape, np.nan) for score in SCORES}
    found["images"] = np.zeros(shape, np.int64)
    notes = []
    for i, point in enumerate(settings["points"]):
        choice = method(point["method"]).choose(pool, point, settings["count"], settings["repeats"])
        notes.append(choice.note)
        for j, rows in enumerate(choice.rows):
            own = pool.labels(rows)
            for label, side in enumerate(sides):
                chosen = rows[own == label]
                found["images"][i, j, label] = len(chosen)
                if len(chosen) > k:
                    fakes = pool.features(settings["extractor"], chosen)
                    values = manifold_metrics(side, fakes, k)
                    for score in SCORES:
                        found[score][i, j, label] = values[score]
    facts = {"classes": classes, "reals": [len(side) for side in sides], "notes": notes}
    return found, facts
