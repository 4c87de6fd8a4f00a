"""Train a diffusion model with classes: each image comes with its own. All else is as in :mod:`.diffusion`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from pseudodensity.control.train.class_shares import class_shares
from pseudodensity.control.train.diffusion import DiffusionTrainer
from pseudodensity.generators.class_diffusion import ClassDiffusionModel
from pseudodensity.images.labels import Labels, class_numbers

__all__ = ["ClassDiffusionTrainer"]

# As in `diffusion`, which reads them.
RECIPE = (
    "batch_size",
    "lr",
    "warmup_iterations",
    "decay_fraction",
    "ema_half_life",
    "ema_ramp_up",
)


class ClassDiffusionTrainer(DiffusionTrainer):
    """One diffusion model with classes in training.

    Args:
        labels: of the real images. The shares of the classes among the images, by their weights where
            there are some, become those of the model.
        others: as in :class:`~.diffusion.DiffusionTrainer`.

    Raises:
        ValueError: no labels; labels of another number of classes than the model has.
    """

    def __init__(
        self,
        model: ClassDiffusionModel,
        images: np.ndarray,
        recipe: Mapping[str, Any],
        *,
        labels: Labels | None,
        iterations: int,
        mirror: bool,
        seed: int,
        average: ClassDiffusionModel | None = None,
        weights: torch.Tensor | None = None,
        device: str = "cpu",
    ) -> None:
        if labels is None:
            raise ValueError("a model with classes needs a data set with labels")
        numbers, count = class_numbers(labels)
        if count != model.classes:
            raise ValueError(
                f"the data set has {count} classes and the model {model.classes}: set `classes` to {count}"
            )
        self.labels = torch.from_numpy(numbers)
        shares = class_shares(self.labels, count, weights)
        for network in filter(None, (model, average)):
            network.set_shares(shares)
        super().__init__(
            model,
            images,
            recipe,
            iterations=iterations,
            mirror=mirror,
            seed=seed,
            average=average,
            weights=weights,
            device=device,
        )

    def told_of(self, rows: torch.Tensor) -> Sequence[torch.Tensor]:
        """The classes (n,) int64 of the images of rows (n,)."""
        return [self.labels[rows]]
