"""Experiments: a flow on the pixels of training images, and how likely it finds every set (Table 2, Figure 12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pseudodensity.artifacts import load_npy
from pseudodensity.density.pixel_flow import PixelFlow
from pseudodensity.images.transform import resize, to_float, to_uint8
from pseudodensity.papers.low_density.measured.image_sets import (
    HELD_OUT,
    open_sets,
    reference_rows,
)
from pseudodensity.papers.low_density.measured.shifts import edges, posterised

__all__ = ["as_seen", "fitted_flow", "likelihoods", "training_rows"]

TRAINING = "training"
AT_ONCE = 1000  # images that are floats together
EVERY = 10  # each tenth training image tells when to stop


def as_seen(
    images: np.ndarray, side: int, grey: bool, rows: np.ndarray | None = None
) -> np.ndarray:
    """Images (n, 3, R, R) uint8 as a flow takes them, (n, c, side, side) uint8: c is 1, the mean of the channels,
    where it sees grey, else 3. rows: which of the images, all if None. Some at a time: the whole of a data set as
    floats is four times its size."""
    rows = np.arange(len(images)) if rows is None else rows
    seen = np.empty((len(rows), 1 if grey else 3, side, side), np.uint8)
    for start in range(0, len(rows), AT_ONCE):
        chosen = slice(start, start + AT_ONCE)
        pixels = to_float(np.array(images[rows[chosen]]))
        pixels = pixels.mean(1, keepdim=True) if grey else pixels
        seen[chosen] = to_uint8(resize(pixels, side)).numpy()
    return seen


def training_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of training images that are not held out those that the flow learns from, and those that stop it."""
    stopping = np.zeros(len(rows), bool)
    stopping[::EVERY] = True
    return rows[~stopping], rows[stopping]


def fitted_flow(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A `PixelFlow` of training images, as a file of it holds it.

    inputs: ``data``. settings: those of `open_sets`; ``side`` and ``grey``, see `as_seen`; ``flow_seed``,
    ``transforms``, ``width``, ``epochs`` and ``patience`` of `PixelFlow.fit`.
    """
    images = load_npy(inputs["data"], mapped=True)
    learned, stopping = training_rows(reference_rows(len(images), settings))
    side, grey = settings["side"], settings["grey"]
    flow = PixelFlow.fit(
        as_seen(images, side, grey, learned),
        as_seen(images, side, grey, stopping),
        settings["flow_seed"],
        transforms=settings["transforms"],
        width=settings["width"],
        epochs=settings["epochs"],
        patience=settings["patience"],
    )
    return flow.flow.state_dict(), flow.facts


def likelihoods(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Bits per dimension of every set, of training images, and of held-out reals that were shifted.

    inputs: those of `open_sets`; ``flow``, of `fitted_flow`; ``other``, images of another data set. settings: those
    of `open_sets`; ``side``, ``grey`` as of the flow; ``levels``, see `posterised`; ``seed`` of the noise;
    ``shown``, of how many images the pixels are kept.

    arrays: ``bits`` (rows, count) float64; ``images`` (rows, shown, 3, R, R) uint8, the first ones. facts:
    ``rows``, names in order; ``report`` of the flow. ValueError: fewer images than asked for.
    """
    flow = PixelFlow.load(inputs["flow"], None)
    shown = _training_images(inputs, settings)
    shown |= {name: own.images for name, own in open_sets(inputs, settings).items()}
    reals = shown[HELD_OUT]
    shown["edges"] = edges(reals)
    shown["posterised"] = posterised(reals, settings["levels"])
    others = _first(load_npy(inputs["other"], mapped=True), settings["count"])
    shown["other"] = to_uint8(resize(to_float(others), reals.shape[-1])).numpy()
    side, grey = settings["side"], settings["grey"]
    bits = [
        flow.bits_per_dimension(as_seen(images, side, grey), settings["seed"])
        for images in shown.values()
    ]
    kept = np.stack([images[: settings["shown"]] for images in shown.values()])
    return {"bits": np.stack(bits), "images": kept}, {"rows": list(shown), "report": flow.report}


def _training_images(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    images = load_npy(inputs["data"], mapped=True)
    learned, _ = training_rows(reference_rows(len(images), settings))
    # Spread over the data set, which may come in the order of something.
    chosen = np.linspace(0, len(learned) - 1, settings["count"]).astype(int)
    return {TRAINING: images[learned[chosen]]}


def _first(images: np.ndarray, count: int) -> np.ndarray:
    if len(images) < count:
        raise ValueError(
            f"the other data set of papers.low_density.measures.flow holds {len(images)} images, and {count} are "
            "measured: name a larger one, or lower papers.low_density.measures.count"
        )
    return np.array(images[:count])
