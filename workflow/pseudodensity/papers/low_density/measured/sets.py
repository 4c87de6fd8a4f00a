"""Sets of generated images with their classes, as experiments of this paper open them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from pseudodensity.columns.pool import Pool, open_pool
from pseudodensity.papers.low_density.measured.image_sets import training_labels

__all__ = ["classes_of", "open_sets"]


def open_sets(inputs: Mapping[str, Any], seed: int) -> Iterator[Pool]:
    """The pools of all points in order, with the column ``label``.

    inputs: ``set_0``, ``label_0``, ``set_1`` ...: parts of each pool, and of its classes. seed: of the pools.
    """
    for number in count():
        if f"set_{number}" not in inputs:
            return
        columns = {"label": inputs[f"label_{number}"]}
        yield open_pool(inputs[f"set_{number}"], columns, np.empty(0), seed)


def classes_of(data: str | Path) -> np.ndarray:
    """Classes (N,) int64 of the training images. data: their file. ValueError: they have none."""
    labels = training_labels(data)
    if labels is None:
        raise ValueError("guidance by classes needs a data set with labels, and this one has none")
    return labels
