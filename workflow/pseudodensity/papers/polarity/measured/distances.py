"""Experiment: how far samples at some polarities lie from their nearest training images (Figure 6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pseudodensity.artifacts import load_npy
from pseudodensity.columns.pool import open_pool
from pseudodensity.feature_sets import frame
from pseudodensity.features.build import load_extractor
from pseudodensity.features.extractor import extract
from pseudodensity.neighbors import nearest
from pseudodensity.papers.polarity.measured.draws import draw_by_polarity, open_volumes

__all__ = ["distances", "nearest_training"]

PIXELS = "pixels"


def nearest_training(
    training: np.ndarray, images: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Euclidean distances (n, k) float64 of rows (n, d) to their k nearest of `training` (N, d), and which
    these are, (n, k) int64."""
    reals, others = frame(training=training, images=images)
    squared, rows = nearest(others, reals, k, exclude_self=False)
    return (squared.sqrt() / reals.scale).numpy(), rows.numpy()


def distances(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Samples of each polarity and held-out real images, against the training images.

    inputs: those of `open_volumes`; ``data``, the training images; ``features``, of them; ``extractor``; ``reals``, parts of fresh real images, where there are any.
    settings: those of `open_volumes`; ``polarity``, exponents; ``images`` of each; ``k`` neighbours; ``title``
    of the extractor; ``device``.

    arrays: ``pixels`` (float pixels from 0 to 1) and ``features``, (rows, images, k) float64. facts:
    ``rows``, dicts with name, polarity (None for real images) and ess; ``extractor``.
    """
    pool = open_volumes(inputs, settings)
    chosen, rows = draw_by_polarity(pool, settings["polarity"], settings["images"])
    shown = [pool.images(each) for each in chosen]
    if inputs.get("reals"):
        reals = open_pool(inputs["reals"], {}, np.empty(0), settings["seed"])
        shown.append(reals.images(np.arange(settings["images"])))
        rows.append({"name": "held-out real images", "polarity": None, "ess": None})
    training, features = load_npy(inputs["data"]), load_npy(inputs["features"])
    extractor, k = load_extractor(inputs["extractor"]), settings["k"]
    own = [extract(extractor, images, device=settings["device"]) for images in shown]
    found = {
        PIXELS: [nearest_training(_flat(training), _flat(images), k)[0] for images in shown],
        "features": [nearest_training(features, each, k)[0] for each in own],
    }
    arrays = {name: np.stack(each) for name, each in found.items()}
    return arrays, {"rows": rows, "extractor": settings["title"]}


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32) / 255
