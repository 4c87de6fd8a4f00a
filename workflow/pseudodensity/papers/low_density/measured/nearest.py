"""Experiment: the nearest training images of guided ones, of plain ones and of held-out reals (Figures 8, 9, 18
and 19)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pseudodensity.artifacts import load_npy
from pseudodensity.columns.pool import open_pool
from pseudodensity.features.build import load_extractor
from pseudodensity.features.extractor import extract
from pseudodensity.metrics.memorisation import MOST
from pseudodensity.neighbors import knn
from pseudodensity.papers.low_density.measured.sets import classes_of, open_sets

__all__ = ["HELD_OUT", "SPACES", "Nearest", "nearest_reals", "nearest_training"]

SPACES = ("features", "pixels")
HELD_OUT = "held-out real images"
BATCH = 500  # images at once through the extractor

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Nearest:
    """Of each of n images: distances (n, k) to its nearest training images and rows (n, k) int64 of these,
    and its ratio (n,): the first distance over that from this training image to its nearest other one."""

    distances: np.ndarray
    rows: np.ndarray
    ratio: np.ndarray


def nearest_training(
    training: np.ndarray, images: np.ndarray, k: int, left_out: np.ndarray | None = None
) -> Nearest:
    """The k nearest of `training` (N, d) for each of `images` (n, d).

    left_out: (n,) int64 where the images ARE rows of `training`: each is compared as if it were not among
    them, in its own distances and in those between the others. That is the law of an image held out.
    A ratio is 0 for a copy, and `MOST` at most. ValueError: fewer than 3 training images, or than k and one.
    """
    if left_out is None:
        distances, rows = knn(images, training, k)
        itself = np.full(len(images), -1)
    else:
        distances, rows = _without(left_out[:, None], *knn(images, training, k + 1), k)
        itself = left_out
    first, place = np.unique(rows[:, 0], return_inverse=True)
    apart, others = _without(first[:, None], *knn(training[first], training, 3), 2)
    # Of an image that is left out, its nearest one may be the nearest other too.
    beside = np.where(others[place, 0] == itself, apart[place, 1], apart[place, 0])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(distances[:, 0] == 0, 0, distances[:, 0].astype(np.float64) / beside)
    return Nearest(distances, rows, np.minimum(ratio, MOST))


def _without(
    own: np.ndarray, distances: np.ndarray, rows: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The first k neighbours (n, k) that are not the image itself, own (n, 1). Among more copies of it than
    were looked at it may be missing: any of them is as near."""
    order = np.argsort(rows == own, axis=1, kind="stable")[:, :k]
    order.sort(axis=1)
    return np.take_along_axis(distances, order, 1), np.take_along_axis(rows, order, 1)


def nearest_reals(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[Arrays, dict[str, Any]]:
    """Generated and held-out images against the training images, in features and in pixels from 0 to 1.

    inputs: those of `open_sets`; ``data``, the training images; ``features`` of them; ``extractor``;
    ``reals``, parts of fresh real images, where there are any: else some training images are left out, one
    at a time. settings: ``sets``, names; ``images`` of each; ``k`` neighbours; ``pairs``, of how many of the
    smallest distances the pixels are kept; ``shown``, of how many of the first images; ``seed`` of the
    pools; ``title`` of the extractor; ``device``.

    arrays, of the set i and each of `SPACES`: ``<space>_i`` distances and ``<space>_rows_i`` (n, k),
    ``<space>_ratio_i`` (n,), see `Nearest`; ``<space>_pairs_i`` (pairs,) images of smallest distance, the
    least first, and ``<space>_drawn_i`` (pairs, 2, 3, R, R) uint8, with the training image. ``label_i`` (n,) classes;
    ``shown_i`` (shown, 1 + k, 3, R, R) uint8, the first images with their nearest in features.
    ``training_label`` (N,). facts: ``sets``, all names; ``extractor``; ``held_out``: fresh | left out;
    ``n_real``, N.
    """
    reals = _Reals(inputs, settings)
    arrays: Arrays = {"training_label": reals.classes}
    for number, pool in enumerate(open_sets(inputs, settings["seed"])):
        rows = np.arange(min(settings["images"], len(pool)))
        arrays |= _named(number, reals.compared(pool.images(rows), pool.labels(rows)))
    arrays |= _named(len(settings["sets"]), reals.held_out())
    facts = {"sets": [*settings["sets"], HELD_OUT], "extractor": settings["title"]}
    facts |= {"held_out": "fresh" if inputs.get("reals") else "left out", "n_real": len(reals)}
    return arrays, facts


def _named(number: int, arrays: Arrays) -> Arrays:
    return {f"{name}_{number}": values for name, values in arrays.items()}


class _Reals:
    """The training images in both spaces."""

    def __init__(self, inputs: Mapping[str, Any], settings: Mapping[str, Any]):
        self.inputs, self.settings = inputs, settings
        self.images = load_npy(inputs["data"], mapped=True)
        self.extractor = load_extractor(inputs["extractor"])
        self.spaces = {"features": load_npy(inputs["features"]), "pixels": _flat(self.images)}
        self.classes = classes_of(inputs["data"])

    def __len__(self) -> int:
        return len(self.images)

    def held_out(self) -> Arrays:
        """Of real images that the model did not see, or of training images each as if it had not been there."""
        wanted = self.settings["images"]
        if self.inputs.get("reals"):
            pool = open_pool(self.inputs["reals"], {}, np.empty(0), self.settings["seed"])
            rows = np.arange(wanted)
            return self.compared(pool.images(rows), pool.labels(rows))
        rows = np.linspace(0, len(self) - 1, min(wanted, len(self))).round().astype(np.int64)
        return self.compared(np.array(self.images[rows]), self.classes[rows], rows)

    def compared(
        self, images: np.ndarray, labels: np.ndarray, left_out: np.ndarray | None = None
    ) -> Arrays:
        """The arrays of one set (n, 3, R, R)."""
        k, pairs, shown = (self.settings[key] for key in ("k", "pairs", "shown"))
        if left_out is None:
            features = extract(self.extractor, images, BATCH, self.settings["device"])
        else:
            features = self.spaces["features"][left_out]
        found: Arrays = {"label": labels}
        for space, own in (("features", features), ("pixels", _flat(images))):
            near = nearest_training(self.spaces[space], own, k, left_out)
            found |= {space: near.distances, f"{space}_rows": near.rows}
            found[f"{space}_ratio"] = near.ratio
            least = np.argsort(near.distances[:, 0], kind="stable")[:pairs]
            found[f"{space}_pairs"] = least
            found[f"{space}_drawn"] = self._beside(images[least], near.rows[least, :1])
        found["shown"] = self._beside(images[:shown], found["features_rows"][:shown])
        return found

    def _beside(self, images: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Images (n, 3, R, R) with training images of rows (n, m), (n, 1 + m, 3, R, R)."""
        training = self.images[rows.ravel()].reshape(*rows.shape, *images.shape[1:])
        return np.concatenate([images[:, None], training], axis=1)


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32) / 255
