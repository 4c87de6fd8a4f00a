"""A discriminator as a judge of single images, with real images that it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pseudodensity.generators.discriminator import StagedDiscriminator
from pseudodensity.images.dataset import ImageSet
from pseudodensity.images.procedural import render
from pseudodensity.images.transform import to_float

__all__ = ["Critic", "critic_of", "held_out_images"]

COMPANIONS = 16  # more than any discriminator here compares with


@dataclass(frozen=True)
class Critic:
    """Called with images (n, 3, R, R) in [-1, 1]: the logit of each alone, (n,).

    references: the real images that a discriminator which compares sees beside each image, (16, 3, R, R)
    in [-1, 1]. reals: other real images (m, 3, R, R) uint8. how: where the reals come from.
    """

    discriminator: StagedDiscriminator
    references: Tensor
    reals: np.ndarray
    how: str

    def __call__(self, images: Tensor) -> Tensor:
        return self.discriminator.judge_each(images, self.references)

    def raw(self, images: Tensor) -> Tensor:
        """Logits of a batch as the discriminator gives them, (n,): they may depend on the batch."""
        return self.discriminator(images).reshape(len(images), -1).mean(1)

    @torch.no_grad()
    def real_logits(self, batch_size: int = 500) -> np.ndarray:
        """Logits of the reals, (m,) float32."""
        device, found = self.references.device, np.empty(len(self.reals), np.float32)
        for start in range(0, len(self.reals), batch_size):
            part = slice(start, start + batch_size)
            found[part] = self(to_float(self.reals[part]).to(device)).float().cpu().numpy()
        return found


def critic_of(
    discriminator: StagedDiscriminator, data: ImageSet, count: int, device: str = "cpu"
) -> Critic:
    """A discriminator, frozen from here on, with ``count`` real images to compare with."""
    discriminator = discriminator.to(device).eval().requires_grad_(False)
    images, how = held_out_images(data, count + COMPANIONS)
    references = to_float(images[:COMPANIONS]).to(device)
    # In bytes: two thousand images of 1024 px as floats are 25 GB.
    return Critic(discriminator, references, images[COMPANIONS:], how)


def held_out_images(data: ImageSet, count: int) -> tuple[np.ndarray, str]:
    """Real images (m, 3, R, R) uint8 and where they come from.

    Fresh ones where the law of the data is known; otherwise of the data set itself, on which the
    discriminator was trained, so that a calibration flatters it.
    """
    spec = data.manifest["spec"]
    if spec["kind"] != "procedural":
        return np.array(data.images[:count]), "training images"
    # Far behind those that the oracle takes, so that no image serves twice.
    start = len(data) + 10**6
    images, _ = render(
        spec["scene"], np.arange(start, start + count), spec["resolution"], spec["seed"]
    )
    return images, "fresh images of the same law"
