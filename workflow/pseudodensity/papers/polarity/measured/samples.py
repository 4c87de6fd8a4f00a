"""Experiment: samples by polarity with their nearest training images (Figures 4 and 5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pseudodensity.artifacts import load_npy
from pseudodensity.features.build import load_extractor
from pseudodensity.features.extractor import extract
from pseudodensity.papers.polarity.measured.distances import nearest_training
from pseudodensity.papers.polarity.measured.draws import draw_by_polarity, open_volumes

__all__ = ["samples", "total_variation"]


def samples(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Samples of each polarity: the first drawn are shown, none is picked.

    inputs: those of `open_volumes`; ``data``, the training images; ``features``, of them; ``extractor``. settings: those of `open_volumes`; ``polarity``, exponents; ``images`` of
    each; ``shown``, of how many the pixels are kept; ``title`` of the extractor; ``device``.

    arrays: ``images`` and ``nearest``, their nearest training images, (rows, shown, 3, R, R) uint8;
    ``distance`` to the nearest in features and ``variation``, see `total_variation`, (rows, images) float64.
    facts: ``rows``, see `draw_by_polarity`; ``extractor``.
    """
    pool, shown = open_volumes(inputs, settings), settings["shown"]
    training = load_npy(inputs["data"], mapped=True)
    features, extractor = load_npy(inputs["features"]), load_extractor(inputs["extractor"])
    chosen, rows = draw_by_polarity(pool, settings["polarity"], settings["images"])
    found: dict[str, list[np.ndarray]] = {}
    for each in chosen:
        images = pool.images(each)
        own = extract(extractor, images, device=settings["device"])
        distances, neighbours = nearest_training(features, own, 1)
        line = {"images": images[:shown], "nearest": training[neighbours[:shown, 0]]}
        line |= {"distance": distances[:, 0], "variation": total_variation(images)}
        for name, values in line.items():
            found.setdefault(name, []).append(values)
    arrays = {name: np.stack(each) for name, each in found.items()}
    return arrays, {"rows": rows, "extractor": settings["title"]}


def total_variation(images: np.ndarray) -> np.ndarray:
    """Mean absolute difference of neighbouring pixels, from 0 to 1: uint8 (n, 3, R, R) -> (n,) float64.

    0 of one colour; the simpler an image, the less.
    """
    pixels = images.astype(np.float64) / 255
    steps = [np.abs(np.diff(pixels, axis=axis)).reshape(len(pixels), -1) for axis in (2, 3)]
    return np.concatenate(steps, axis=1).mean(axis=1)
