"""Experiment: how far samples at some polarities lie from their nearest training images (Figure 6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from pseudodensity.artifacts import load_npy
from pseudodensity.columns.pool import Pool, open_pool
from pseudodensity.control.select.polarity import polarity_log_weights
from pseudodensity.control.select.schemes import effective_sample_size, resample
from pseudodensity.feature_sets import frame
from pseudodensity.features.build import load_extractor
from pseudodensity.features.extractor import extract
from pseudodensity.neighbors import nearest
from pseudodensity.rng import generator as stream_of

__all__ = ["distances", "nearest_training"]

PIXELS = "pixels"


def nearest_training(training: np.ndarray, images: np.ndarray, k: int) -> np.ndarray:
    """Euclidean distances (n, k) float64 of rows (n, d) to their k nearest of `training` (N, d)."""
    reals, others = frame(training=training, images=images)
    squared, _ = nearest(others, reals, k, exclude_self=False)
    return (squared.sqrt() / reals.scale).numpy()


def distances(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Samples of each polarity and held-out real images, against the training images.

    inputs: ``described`` and ``volume``, parts of a pool and of its column; ``data``, the training images;
    ``features``, of them; ``extractor``; ``reals``, parts of fresh real images, where there are any.
    settings: ``polarity``, exponents; ``images`` of each; ``volumes``, how many latents may be chosen; ``k``
    neighbours; ``title`` of the extractor; ``seed`` of the pool.

    Samples are drawn without replacement, as in the authors' code: at strong exponents draws with
    replacement would be one image many times.

    arrays: ``pixels`` (float pixels from 0 to 1) and ``features``, (rows, images, k) float64. facts:
    ``rows``, dicts with name, polarity (None for real images) and ess; ``extractor``.
    """
    pool = open_pool(
        inputs["described"], {"volume": inputs["volume"]}, np.empty(0), settings["seed"]
    )
    pool = pool.first(settings["volumes"])
    shown, rows = [], []
    for exponent in settings["polarity"]:
        chosen, ess = _chosen(pool, exponent, settings["images"])
        shown.append(pool.images(chosen))
        rows.append({"name": f"ρ = {exponent:g}", "polarity": exponent, "ess": ess})
    if inputs.get("reals"):
        reals = open_pool(inputs["reals"], {}, np.empty(0), settings["seed"])
        shown.append(reals.images(np.arange(settings["images"])))
        rows.append({"name": "held-out real images", "polarity": None, "ess": None})
    training, features = load_npy(inputs["data"]), load_npy(inputs["features"])
    extractor, k = load_extractor(inputs["extractor"]), settings["k"]
    found = {
        PIXELS: [nearest_training(_flat(training), _flat(images), k) for images in shown],
        "features": [nearest_training(features, extract(extractor, images), k) for images in shown],
    }
    arrays = {name: np.stack(each) for name, each in found.items()}
    return arrays, {"rows": rows, "extractor": settings["title"]}


def _chosen(pool: Pool, exponent: float, images: int) -> tuple[np.ndarray, float]:
    """Proposals (images,) and the effective sample size of the weights."""
    weights = polarity_log_weights(torch.from_numpy(pool.values("volume")), exponent)
    stream = stream_of(pool.seed, "nearest training images", exponent)
    drawn = resample(weights, images, stream, replacement=False)
    return drawn.numpy(), effective_sample_size(weights)


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32) / 255
