"""Hardness of single images in a judge's features, for experiments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pseudodensity.artifacts import load_npy
from pseudodensity.features.build import load_extractor
from pseudodensity.features.extractor import Extractor, extract
from pseudodensity.metrics.hardness import HARD, ClassGaussians
from pseudodensity.papers.low_density.measured.image_sets import training_labels

__all__ = ["HardnessJudge", "open_judge"]


@dataclass(frozen=True)
class HardnessJudge:
    """A Gaussian for each class of the real images in a judge's features.

    features: (N, d) of the real images. labels: (N,) int64, their classes.
    """

    extractor: Extractor
    features: np.ndarray
    labels: np.ndarray

    @cached_property
    def gaussians(self) -> ClassGaussians:
        """Of the real images."""
        return ClassGaussians(self.features, self.labels)

    def hardness(self, images: np.ndarray, labels: np.ndarray, device: str) -> np.ndarray:
        """H (n,) float64 in nats of images (n, 3, R, R) uint8 for their classes (n,) int64."""
        return self.gaussians.hardness(extract(self.extractor, images, device=device), labels)

    @cached_property
    def of_reals(self) -> np.ndarray:
        """H (N,) float64 of the real images, each under the Gaussian of the others of its class; NaN in a
        class that has too few for a Gaussian."""
        found = np.full(len(self.labels), np.nan)
        for label, gaussian in self.gaussians.of.items():
            own = self.labels == label
            found[own] = gaussian.hardness_left_out(self.features[own].astype(np.float64))
        return found

    @cached_property
    def limit(self) -> float:
        """The hardness that 80 % of the real images do not exceed."""
        return float(np.nanquantile(self.of_reals, HARD, method="inverted_cdf"))


def open_judge(inputs: Mapping[str, Any]) -> HardnessJudge:
    """inputs: ``data``, images of a data set with labels; ``features``, of them; ``extractor``.

    ValueError: a data set without labels.
    """
    labels = training_labels(inputs["data"])
    if labels is None:
        raise ValueError(
            f"{inputs['data']} has no labels, and hardness is that of a class: name a data set with labels "
            "in papers.low_density.shown.roles"
        )
    return HardnessJudge(
        load_extractor(inputs["extractor"]),
        load_npy(inputs["features"]),
        labels,
    )
