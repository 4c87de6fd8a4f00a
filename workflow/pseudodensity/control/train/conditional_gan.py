"""Train a class-conditional GAN: real images come with their classes, fakes with those of their latents.

All else is as in :mod:`.gan`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from pseudodensity.control.train.batches import draw_rows, real_images
from pseudodensity.control.train.class_shares import give_shares, known_classes
from pseudodensity.control.train.gan import GanTrainer
from pseudodensity.control.train.proposals import AcceptImages
from pseudodensity.generators.biggan import BigGan
from pseudodensity.generators.biggan_discriminator import BigGanDiscriminator
from pseudodensity.images.labels import Labels

__all__ = ["ConditionalGanTrainer"]

# As in `gan`, which reads them.
RECIPE = (
    "loss",
    "batch_size",
    "lr_generator",
    "lr_discriminator",
    "r1_gamma",
    "r1_interval",
    "path_length_weight",
    "ema_half_life",
    "ema_ramp_up",
    "decay_fraction",
    "augment",
)
NEUTRAL = {"accumulate": 1, "gradient_penalty": 0, "drift": 0, "ada": None}


class ConditionalGanTrainer(GanTrainer):
    """One GAN with classes in training.

    Args:
        labels: of the real images. The shares of the classes among the images, by their weights where
            there are some, become those of the generator.
        others: as in :class:`~.gan.GanTrainer`.

    Raises:
        ValueError: no labels; labels of another number of classes than either network has.
    """

    def __init__(
        self,
        generator: BigGan,
        discriminator: BigGanDiscriminator,
        images: np.ndarray,
        recipe: Mapping[str, Any],
        *,
        labels: Labels | None,
        iterations: int,
        mirror: bool,
        seed: int,
        average: BigGan | None = None,
        weights: torch.Tensor | None = None,
        as_sampled: bool = False,
        accept: AcceptImages | None = None,
        device: str = "cpu",
    ) -> None:
        self.labels, count = known_classes(labels)
        if not count == generator.classes == discriminator.classes:
            raise ValueError(
                f"the data set has {count} classes, the generator {generator.classes} and the discriminator "
                f"{discriminator.classes}: set `classes` of both to {count}"
            )
        give_shares((generator, average), self.labels, count, weights)
        super().__init__(
            generator,
            discriminator,
            images,
            recipe,
            iterations=iterations,
            mirror=mirror,
            seed=seed,
            average=average,
            weights=weights,
            as_sampled=as_sampled,
            accept=accept,
            device=device,
        )

    def draw_real(self, stream: torch.Generator) -> Sequence[torch.Tensor]:
        """Real images of one step (batch_size, 3, R, R), and their classes (batch_size,) int64."""
        rows = draw_rows(len(self.images), self.batch_size, self.weights, stream)
        return [real_images(self.images, rows, self.mirror, stream), self.labels[rows]]

    def told_of(self, latents: torch.Tensor) -> Sequence[torch.Tensor]:
        """The classes (n,) int64 of latents (n, *latent_shape)."""
        return [self.generator.labels(latents)]
