"""Real images as a pool, described like generated ones: what a perfect generator would give."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pseudodensity.columns.described import Describer, write_described
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.extractor import Extractor
from pseudodensity.images.dataset import ImageSet
from pseudodensity.images.labels import class_numbers
from pseudodensity.images.procedural import render
from pseudodensity.progress import Progress

__all__ = ["describe_reals"]


def describe_reals(
    data: ImageSet,
    rows: range,
    fresh: bool,
    judges: Mapping[str, Extractor],
    density: PseudoDensity,
    steering: Extractor,
    progress: Progress,
    path: str | Path,
    stamp: Mapping[str, Any],
    kept: int,
    *,
    batch_size: int = 500,
    device: str = "cpu",
) -> None:
    """Describe real images and write them as a part of a pool, with the column "label" (n,) float64 of
    their classes where these are known.

    Args:
        rows: of the data set; or, with `fresh`, of the endless rest of its law: row 0 is the first
            image that the data set does not hold.
        kept: how many images are stored as pixels.
        batch_size: images that are in memory at once.
    """
    describer = Describer(judges, density.to(device), steering, batch_size, device)
    spec, classes = data.manifest["spec"], []

    def draw(batch: range) -> np.ndarray:
        progress.update(batch.start - rows.start)
        if not fresh:
            return np.array(data.images[batch.start : batch.stop])
        index = np.arange(batch.start, batch.stop) + len(data)
        images, labels = render(spec["scene"], index, spec["resolution"], spec["seed"])
        labels.classes = spec.get("classes")
        classes.append(class_numbers(labels)[0])
        return images

    starts = range(rows.start, rows.stop, batch_size)
    batches = (range(start, min(start + batch_size, rows.stop)) for start in starts)
    columns, images = describer.draw(draw, batches, kept)
    if not fresh and data.labels is not None:
        classes.append(class_numbers(data.labels)[0][rows.start : rows.stop])
    if classes:
        columns["label"] = np.concatenate(classes).astype(np.float64)
    how = "fresh images of the same law" if fresh else "the data set itself"
    meta = {"calls": 1, "facts": {"how": how}}
    write_described(path, columns, images, stamp, meta)
    progress.update(len(rows))
