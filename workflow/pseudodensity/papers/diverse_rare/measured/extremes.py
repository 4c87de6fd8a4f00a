"""Experiment: real and fake images of the highest and of the lowest density, by several measures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pseudodensity.artifacts import load_npy
from pseudodensity.columns.pool import open_pool
from pseudodensity.tensors import load_tensors

__all__ = ["ROWS", "extremes", "rows_of_extremes"]

# Name of a row -> whose images, what orders them, and whether the densest come first.
ROWS = {
    "real, dense by neighbours": ("real", "sparsity", True),
    "real, sparse by neighbours": ("real", "sparsity", False),
    "real, dense by the flow": ("real", "flow", True),
    "real, sparse by the flow": ("real", "flow", False),
    "fake, dense by rarity": ("fake", "sparsity", True),
    "fake, sparse by rarity": ("fake", "sparsity", False),
    "fake, dense by the flow": ("fake", "flow", True),
    "fake, sparse by the flow": ("fake", "flow", False),
    "outside, dense by the flow": ("outside", "flow", True),
}


def extremes(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The images of some `ROWS`, none of them picked.

    inputs: ``densities``, the experiment; ``data``, the real images; ``made``, parts of the pool, where a row is
    of fakes. settings: ``rows``, names; ``shown``, images of each; ``seed`` of the pool.

    arrays, a line for each image of all rows: ``images`` (n, 3, R, R) uint8; ``row`` (n,), which of the rows;
    ``number``, of the image in the data set or the pool; ``sparsity``, ``flow`` and ``gaussian``, of
    `densities`; ``share``, of a real image, else -1. facts: ``rows``; ``candidates``, of how many images each
    row has the first ones. A row has fewer images where there are no more.
    """
    known = {name: values.numpy() for name, values in load_tensors(inputs["densities"])[0].items()}
    chosen, candidates = rows_of_extremes(known, settings["rows"], settings["shown"])
    reals = load_npy(inputs["data"], mapped=True)
    if "made" in inputs:
        pool = open_pool(inputs["made"], {}, np.empty(0), settings["seed"])
    parts, lines = [], []
    for row, numbers in enumerate(chosen):
        whose = "real" if ROWS[settings["rows"][row]][0] == "real" else "fake"
        if len(numbers):
            parts.append(np.array(reals[numbers] if whose == "real" else pool.images(numbers)))
        for number in numbers:
            values = [known[f"{whose}_{name}"][number] for name in ("sparsity", "flow", "gaussian")]
            lines.append([row, number, known["share"][number] if whose == "real" else -1, *values])
    table = np.array(lines, dtype=np.float64)
    names = ("row", "number", "share")
    arrays = {name: table[:, i].astype(np.int64) for i, name in enumerate(names)}
    arrays |= {name: table[:, 3 + i] for i, name in enumerate(("sparsity", "flow", "gaussian"))}
    arrays["images"] = np.concatenate(parts)
    return arrays, {"rows": list(settings["rows"]), "candidates": candidates}


def rows_of_extremes(
    known: Mapping[str, np.ndarray], rows: list[str], shown: int
) -> tuple[list[np.ndarray], list[int]]:
    """Of each row its images, int64 and the most extreme first, and how many they were taken from.

    known: arrays of `densities`. Fakes without a rarity lie outside the manifold and are in no other row.
    """
    outside = np.isnan(known["fake_sparsity"])
    own = {
        "real": np.arange(len(known["real_flow"])),
        "fake": np.flatnonzero(~outside),
        "outside": np.flatnonzero(outside),
    }
    chosen = []
    for name in rows:
        whose, measure, dense = ROWS[name]
        of = "real" if whose == "real" else "fake"
        values = known[f"{of}_{measure}"][own[whose]]
        order = np.argsort(values if dense else -values, kind="stable")
        chosen.append(own[whose][order[:shown]])
    return chosen, [len(own[ROWS[name][0]]) for name in rows]
