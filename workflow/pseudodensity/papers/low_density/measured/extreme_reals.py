"""Experiment: real images of some classes, the least and the most hard ones and any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pseudodensity.artifacts import load_npy
from pseudodensity.papers.low_density.measured.hardness_judge import HardnessJudge, open_judge
from pseudodensity.rng import numpy_generator

__all__ = ["ROWS", "extreme_reals"]

ROWS = ("reals, high density", "reals, low density", "reals, any")


def extreme_reals(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """By the hardness of their class in a judge's features: the lower it is, the denser.

    inputs: those of `open_judge`. settings: ``classes``; ``per_class``, images of each; ``seed`` of those
    that are drawn from all.

    arrays: ``images`` (3, classes, per_class, 3, R, R) uint8 of `ROWS`, the extreme ones first; ``hardness``
    (3, classes, per_class) float64 in nats, each under the Gaussian of the others. facts: ``rows``; ``chosen``,
    numbers of those that hardness chose; ``limit``, see `same_seeds`. ValueError: a class with fewer images.
    """
    judge, count = open_judge(inputs), settings["per_class"]
    images = load_npy(inputs["data"], mapped=True)
    rows = np.stack(
        [_rows(judge, label, count, settings["seed"]) for label in settings["classes"]], axis=1
    )
    arrays = {"images": np.array(images[rows]), "hardness": judge.of_reals[rows]}
    return arrays, {"rows": list(ROWS), "chosen": [0, 1], "limit": judge.limit}


def _rows(judge: HardnessJudge, label: int, count: int, seed: int) -> np.ndarray:
    """Rows (3, count) of one class."""
    own = np.flatnonzero((judge.labels == label) & ~np.isnan(judge.of_reals))
    if len(own) < count:
        raise ValueError(
            f"papers.low_density.shown asks for {count} real images of class {label}, and {len(own)} have a "
            "hardness: lower fig1.per_class, or choose other classes"
        )
    ordered = own[np.argsort(judge.of_reals[own], kind="stable")]
    drawn = numpy_generator(seed, "shown reals", label).permutation(own)[:count]
    return np.stack([ordered[:count], ordered[::-1][:count], drawn])
