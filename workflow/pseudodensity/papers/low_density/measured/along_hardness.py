"""Experiment: images in the order of their hardness (Figure 13)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pseudodensity.papers.low_density.measured.image_sets import open_sets
from pseudodensity.tensors import load_tensors

__all__ = ["along_hardness", "rows_at"]


def along_hardness(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Images at some quantiles of hardness within their set; none is picked by eye.

    inputs: those of `open_sets`; ``measured``, of `sparsity`. settings: those of `open_sets`; ``shown``, names
    of sets; ``quantiles``, from 0 to 1; ``images`` at each.

    arrays: ``images`` (sets, quantiles, images, 3, R, R) uint8 and their ``hardness``. No facts.
    """
    sets, (arrays, facts) = open_sets(inputs, settings), load_tensors(inputs["measured"])
    images, found = [], []
    for name in settings["shown"]:
        hardness = arrays["hardness"][facts["sets"].index(name)].numpy()
        rows = rows_at(hardness, settings["quantiles"], settings["images"])
        images.append(sets[name].images[rows])
        found.append(hardness[rows])
    return {"images": np.stack(images), "hardness": np.stack(found)}, {}


def rows_at(values: np.ndarray, quantiles: list[float], count: int) -> np.ndarray:
    """Rows (quantiles, count) of the values (n,) in the middle of whose order each quantile stands, rising;
    at the ends the first and the last ones."""
    order = np.argsort(values, kind="stable")
    middles = np.rint(np.array(quantiles) * (len(values) - 1)).astype(int)
    starts = np.clip(middles - count // 2, 0, len(values) - count)
    return order[starts[:, None] + np.arange(count)]
