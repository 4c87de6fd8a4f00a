"""Train a diffusion model with classes: each image comes with its own. All else is as in :mod:`.diffusion`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from pseudodensity.control.train.class_shares import give_shares, known_classes
from pseudodensity.control.train.diffusion import DiffusionTrainer
from pseudodensity.generators.class_diffusion import ClassDiffusionModel
from pseudodensity.images.labels import Labels

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
NEUTRAL = {"accumulate": 1}


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
        self.labels, count = known_classes(labels)
        if count != model.classes:
            raise ValueError(
                f"the data set has {count} classes and the model {model.classes}: set `classes` to {count}"
            )
        give_shares((model, average), self.labels, count, weights)
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
