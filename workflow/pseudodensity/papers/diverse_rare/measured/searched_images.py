"""Experiment: images of some references and of what searches found around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pseudodensity.columns.pool import open_pool
from pseudodensity.report.samples import load_arrays

__all__ = ["rarest_first", "searched_images", "which_references"]

SAMPLES = ("found", "step", "log_density")
TOLD = (*SAMPLES, "distance", "limit", "judge_rarity")
REFERENCES = ("reference_log_density", "judge_reference_rarity")


def searched_images(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Images of r references and of v samples of each, of s searches around the same references.

    inputs: ``references``, parts of the plain pool; of search i ``made_<i>``, parts of its pool, and
    ``around_<i>``, its experiment `around`. settings: ``searches``, s; ``samples`` of each reference in the
    pools; ``which`` references, ``start`` and ``count``, see `which_references`; ``order``, "rarest", see
    `rarest_first`, or "drawn"; ``kept``, v; ``seed`` of the pools.

    arrays: ``reference_images`` (r, 3, R, R) and ``images`` (s, r, v, 3, R, R) uint8; ``reference`` (r,) and
    ``sample`` (s, r, v) int64, rows of the pools; ``reference_rarity`` and ``reference_log_density`` (r,);
    ``rarity``, NaN outside the judge's manifold, ``found``, ``step``, ``log_density`` and ``nearness``,
    distance from the reference over d*, (s, r, v) float64. facts: ``of``, references that there are.
    ValueError: fewer references than are asked for; images that were not stored.
    """
    samples, searches = settings["samples"], range(settings["searches"])
    told = [load_arrays(inputs[f"around_{i}"], [*TOLD, *REFERENCES]) for i in searches]
    likely = told[0]["reference_log_density"][::samples]
    references = which_references(likely, settings["which"], settings["start"], settings["count"])
    plain = open_pool(inputs["references"], {}, np.empty(0), settings["seed"])
    found: dict[str, list[np.ndarray]] = {}
    for i, own in zip(searches, told, strict=True):
        rows = _rows(own, references, settings)
        pool = open_pool(inputs[f"made_{i}"], {}, np.empty(0), settings["seed"])
        images = pool.images(rows.ravel())
        line = {name: own[name][rows].astype(np.float64) for name in SAMPLES}
        line |= {"images": images.reshape(*rows.shape, *images.shape[1:]), "sample": rows}
        line |= {"rarity": own["judge_rarity"][rows]}
        line |= {"nearness": own["distance"][rows] / own["limit"][rows]}
        for name, values in line.items():
            found.setdefault(name, []).append(values)
    arrays = {name: np.stack(each) for name, each in found.items()}
    arrays |= {"reference": references, "reference_images": plain.images(references)}
    arrays |= {"reference_log_density": likely[references]}
    arrays |= {"reference_rarity": told[0]["judge_reference_rarity"][references]}
    return arrays, {"of": len(likely)}


def _rows(
    own: Mapping[str, np.ndarray], references: np.ndarray, settings: Mapping[str, Any]
) -> np.ndarray:
    """Samples (r, v) of some references that are kept, as rows of the pool."""
    samples = settings["samples"]
    rows = references[:, None] * samples + np.arange(samples)
    if settings["order"] == "rarest":
        order = rarest_first(own["found"][rows] > 0, own["judge_rarity"][rows])
        rows = np.take_along_axis(rows, order, axis=1)
    return rows[:, : settings["kept"]]


def which_references(log_density: np.ndarray, which: str, start: int, count: int) -> np.ndarray:
    """Numbers (count,) int64 of references from `start` on: "first" as drawn, or "likely", by falling
    log-density (r,). ValueError: there are not so many."""
    if start + count > len(log_density):
        raise ValueError(
            f"references {start} to {start + count - 1} are asked for, and {len(log_density)} were searched: show "
            "fewer, or search more"
        )
    if which == "first":
        order = np.arange(len(log_density))
    else:
        order = np.argsort(-log_density, kind="stable")
    return order[start : start + count]


def rarest_first(found: np.ndarray, rarity: np.ndarray) -> np.ndarray:
    """Order (r, N) of the samples of each reference: feasible ones first, of these by falling rarity.

    Those without rarity, outside the judge's manifold, come after the others of their kind. found (r, N)
    bool, rarity (r, N), NaN for none.
    """
    outside = np.isnan(rarity)
    return np.lexsort((-np.where(outside, 0, rarity), outside, ~found), axis=1)
