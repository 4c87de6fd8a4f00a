"""The classes of real images and how often each comes, for the trainers of models with classes."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from pseudodensity.generators.class_latents import ClassLatents
from pseudodensity.images.labels import Labels, class_numbers

__all__ = ["class_shares", "give_shares", "known_classes"]


def known_classes(labels: Labels | None) -> tuple[torch.Tensor, int]:
    """Class of each image (n,) int64, and how many classes there are. ValueError: no labels."""
    if labels is None:
        raise ValueError("a model with classes needs a data set with labels")
    numbers, count = class_numbers(labels)
    return torch.from_numpy(numbers), count


def give_shares(
    models: Iterable[ClassLatents | None],
    numbers: torch.Tensor,
    count: int,
    weights: torch.Tensor | None,
) -> None:
    """Make the :func:`class_shares` those of some models; None is passed over."""
    shares = class_shares(numbers, count, weights)
    for model in filter(None, models):
        model.set_shares(shares)


def class_shares(numbers: torch.Tensor, count: int, weights: torch.Tensor | None) -> torch.Tensor:
    """Shares (count,) float64 of the classes among images of classes ``numbers`` (n,) int64, by their
    importance weights (n,) where there are some."""
    own = torch.ones(len(numbers)) if weights is None else weights.cpu()
    shares = torch.bincount(numbers, own.double(), minlength=count)
    return shares / shares.sum()
