"""Experiment: every sample of a search beside its reference, as two networks that did not steer it see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pseudodensity.artifacts import load_npy
from pseudodensity.columns.pool import Pool, open_pool
from pseudodensity.metrics import rarity

__all__ = ["around"]

ROLES = ("judge", "second")
TOLD = ("found", "step", "distance", "limit", "log_density", "reference_log_density")


def around(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What is known of n samples and of their r references; sample i belongs to reference i // samples.

    inputs: ``made`` and ``references``, parts of pools; of each role ``<role>_real``, features of the data set,
    and, where a pool does not have its features, columns of them, ``<role>_made`` and ``<role>_references``.
    settings: ``judge`` and ``second``, extractors; ``samples``; ``count``, samples; ``k`` of the real balls;
    ``seed`` of the pools.

    arrays, of each role: ``<role>_rarity`` (n,) and ``<role>_reference_rarity`` (r,), NaN outside the manifold;
    ``<role>_away`` (n,), distance of a sample from its reference; ``<role>_spread`` (r,), mean distance of two
    samples of one reference, NaN for one sample. Of a search: the columns that it told, (n,), and ``feasible``
    (r, steps + 1). facts: ``steps`` of the search.
    """
    count, samples = settings["count"], settings["samples"]
    made = _pool(inputs, "made", settings)
    references = _pool(inputs, "references", settings)
    rows, whose = np.arange(count), np.arange(count) // samples
    arrays: dict[str, np.ndarray] = {}
    for role in ROLES:
        balls = rarity.prepare({"features": load_npy(inputs[f"{role}_real"])}, k=settings["k"])
        own = made.features(settings[role], rows).astype(np.float64)
        theirs = references.features(settings[role], np.arange(whose[-1] + 1)).astype(np.float64)
        arrays[f"{role}_rarity"] = rarity.rarities(balls, own)
        arrays[f"{role}_reference_rarity"] = rarity.rarities(balls, theirs)
        arrays[f"{role}_away"] = np.linalg.norm(own - theirs[whose], axis=1)
        arrays[f"{role}_spread"] = _spread(own, samples)
    arrays |= {name: made.values(f"search.{name}")[:count] for name in TOLD}
    arrays["reference_inside"] = made.values("search.reference_inside")[:count:samples]
    arrays["feasible"] = made.values("search.feasible")[:count:samples]
    return arrays, {"steps": arrays["feasible"].shape[1] - 1}


def _pool(inputs: Mapping[str, Any], which: str, settings: Mapping[str, Any]) -> Pool:
    columns: dict[str, Sequence[str]] = {}
    for role in ROLES:
        if f"{role}_{which}" in inputs:
            columns[f"features.{settings[role]}"] = inputs[f"{role}_{which}"]
    return open_pool(inputs[which], columns, np.empty(0), settings["seed"])


def _spread(features: np.ndarray, samples: int) -> np.ndarray:
    """Mean distance (r,) of two of each `samples` features in turn, (n, d)."""
    found = []
    for start in range(0, len(features), samples):
        own = features[start : start + samples]
        first, second = np.triu_indices(len(own), 1)
        apart = np.linalg.norm(own[first] - own[second], axis=1)
        found.append(apart.mean() if len(apart) else np.nan)
    return np.array(found)
