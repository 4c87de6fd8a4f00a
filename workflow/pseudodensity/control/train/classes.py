"""The classes of real images, for the trainers of models with classes."""

from __future__ import annotations

import numpy as np
import torch

from pseudodensity.images.labels import Labels

__all__ = ["class_numbers", "class_shares"]


def class_numbers(labels: Labels) -> tuple[np.ndarray, int]:
    """The class of each image (n,) int64, and how many classes there are.

    A class is a combination of values of all categorical attributes; with one attribute its value.
    """
    numbers = np.ravel_multi_index(tuple(labels.categorical.T), tuple(labels.cardinalities))
    return numbers.astype(np.int64), int(np.prod(labels.cardinalities))


def class_shares(numbers: torch.Tensor, count: int, weights: torch.Tensor | None) -> torch.Tensor:
    """Shares (count,) float64 of the classes among images of classes ``numbers`` (n,) int64, by their
    importance weights (n,) where there are some."""
    own = torch.ones(len(numbers)) if weights is None else weights.cpu()
    shares = torch.bincount(numbers, own.double(), minlength=count)
    return shares / shares.sum()
