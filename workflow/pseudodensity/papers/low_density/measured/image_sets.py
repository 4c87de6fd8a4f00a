"""The sets of images that are measured one by one: held-out reals, and those that models made.

``inputs`` of all: ``data``, images of the data set; ``reals``, parts of fresh images of its law, where that is known;
of each generated set its parts under its name and, under ``<name>_label``, their classes. ``settings`` of all:
``sets``, names of the generated ones; ``count``, the first images of each; ``seed`` of the pools; ``split``, whether
there are no fresh images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pseudodensity.artifacts import load_npy
from pseudodensity.columns.pool import open_pool
from pseudodensity.images.dataset import open_labels
from pseudodensity.images.labels import class_numbers
from pseudodensity.rng import numpy_generator

__all__ = ["HELD_OUT", "ImageSet", "open_sets", "reference_rows", "training_labels"]

HELD_OUT = "held_out"


@dataclass(frozen=True)
class ImageSet:
    """images (n, 3, R, R) uint8. labels (n,) int64, their classes; None where these are not known."""

    images: np.ndarray
    labels: np.ndarray | None


def open_sets(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, ImageSet]:
    """Every set by name, the held-out reals first.

    Where the law of the data is not known, they are drawn at random from the data set: nothing that an
    experiment fits or compares with holds them, though models and extractors learned from them. ValueError: fewer
    images than asked for, or images that were not stored.
    """
    found, rows = {HELD_OUT: _held_out(inputs, settings)}, np.arange(settings["count"])
    for name in settings["sets"]:
        pool = open_pool(
            inputs[name], {"label": inputs[f"{name}_label"]}, np.empty(0), settings["seed"]
        )
        found[name] = ImageSet(pool.images(rows), pool.labels(rows))
    return found


def reference_rows(total: int, settings: Mapping[str, Any]) -> np.ndarray:
    """Rows (m,) int64, rising, of a data set of `total` images that are not held out.

    ValueError: fewer than are held out would be left.
    """
    if not settings["split"]:
        return np.arange(total)
    left = np.sort(_shuffled(total, settings)[settings["count"] :])
    if len(left) < settings["count"]:
        raise ValueError(
            f"{settings['count']} of {total} images are to be held out, and as many must be left: lower "
            "papers.low_density.measures.count"
        )
    return left


def training_labels(data: str | Path) -> np.ndarray | None:
    """Classes (n,) int64 of a data set; None where they are not known. data: path of its images."""
    labels = open_labels(Path(data).parent)
    return None if labels is None else class_numbers(labels)[0]


def _shuffled(total: int, settings: Mapping[str, Any]) -> np.ndarray:
    return numpy_generator(settings["seed"], "held-out images").permutation(total)


def _held_out(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> ImageSet:
    count = settings["count"]
    if not settings["split"]:
        pool, rows = open_pool(inputs["reals"], {}, np.empty(0), settings["seed"]), np.arange(count)
        return ImageSet(pool.images(rows), pool.labels(rows))
    images, labels = load_npy(inputs["data"], mapped=True), training_labels(inputs["data"])
    rows = _shuffled(len(images), settings)[:count]
    return ImageSet(np.array(images[rows]), None if labels is None else labels[rows])
