"""Experiment: samples of one method, none picked, with what the judge says of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pseudodensity.artifacts import load_npy
from pseudodensity.columns.pool import open_pool
from pseudodensity.metrics import rarity
from pseudodensity.plan.methods import method
from pseudodensity.rng import numpy_generator

__all__ = ["any_of", "drawn_images"]


def drawn_images(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Any samples of the first repeat of a point, and in which real balls they lie.

    inputs: ``described``, parts of its pool; the columns that ``columns`` names; ``real``, features of the
    data set; ``features`` of the pool, if it does not have the judge's. settings: ``point``; ``columns``;
    ``count``, proposals that it may look at; ``images`` of a repeat; ``shown``, how many are taken; ``judge``;
    ``k`` of the real balls; ``seed`` of the pool.

    arrays: ``images`` (n, 3, R, R) uint8; ``rows`` (n,) int64 of the pool; ``rarity`` (n,) float64, NaN
    outside. facts: ``unique``, different rows among them. ValueError: images that were not stored; too few
    proposals for one repeat.
    """
    judged = f"features.{settings['judge']}"
    columns = {name: inputs[name] for name in settings["columns"]}
    columns |= {judged: inputs["features"]} if "features" in inputs else {}
    pool = open_pool(inputs["described"], columns, np.empty(0), settings["seed"])
    pool = pool.first(settings["count"])
    point = settings["point"]
    chosen = method(point["method"]).choose(pool, point, settings["images"], 1).rows
    if not chosen:
        raise ValueError(
            f"{method(point['method']).label(point)} takes fewer than {settings['images']} of "
            f"{len(pool)} proposals: show fewer images"
        )
    rows = any_of(chosen[0], settings["shown"], settings["seed"])
    balls = rarity.prepare({"features": load_npy(inputs["real"])}, k=settings["k"])
    found = rarity.rarities(balls, pool.features(settings["judge"], rows).astype(np.float64))
    arrays = {"images": pool.images(rows), "rows": rows, "rarity": found}
    return arrays, {"unique": len(np.unique(rows))}


def any_of(rows: np.ndarray, count: int, seed: int) -> np.ndarray:
    """`count` of the rows of a repeat, drawn without replacement: neighbours may share a reference."""
    return numpy_generator(seed, "shown").permutation(rows)[:count]
