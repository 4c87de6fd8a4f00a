"""Adaptive augmentation of a discriminator (ADA; Karras et al. 2020, NeurIPS, section 3).

Where the discriminator overfits, it tells real images ever more surely: the mean sign r_t of its logits
of them grows. The probability of each augmentation rises while r_t is above a target, else it falls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from pseudodensity.generators.ada_augment import ada_augment

__all__ = ["AdaControl"]

# Steps between two changes of the probability, and over which r_t is a mean.
INTERVAL = 4


class AdaControl:
    """Probability of augmentation, from 0, by the signs of the logits of real images.

    Args:
        target: of r_t, in (0, 1).
        images: real images shown while the probability goes from 0 to 1, if it always rises.
        transforms: names of :data:`~pseudodensity.generators.ada_augment.TRANSFORMS`.
        batch_size: real images of a step.
    """

    def __init__(
        self, target: float, images: int, transforms: Sequence[str], batch_size: int
    ) -> None:
        self.target, self.images, self.transforms = target, images, list(transforms)
        self.batch_size = batch_size
        self.sign = 0.0  # r_t of the last change; none was measured yet
        # Counted in images, so that many small changes add up without rounding.
        self._level, self._signs, self._logits = 0, 0, 0

    @property
    def probability(self) -> float:
        """p, in [0, 1]."""
        return self._level / self.images

    def augment(self, images: torch.Tensor, stream: torch.Generator) -> torch.Tensor:
        """Images (n, 3, R, R), real or not, as the discriminator shall see them."""
        return ada_augment(images, self.probability, self.transforms, stream)

    def observe(self, real: torch.Tensor) -> None:
        """Count the signs of the logits (any shape) of one step's real images, as they were shown."""
        self._signs += int(real.detach().sign().sum())
        self._logits += real.numel()

    def adjust(self, iteration: int) -> None:
        """At the end of every :data:`INTERVAL` steps (counted from 0) move p towards the target."""
        if (iteration + 1) % INTERVAL:
            return
        self.sign = self._signs / self._logits
        direction = (self.sign > self.target) - (self.sign < self.target)
        level = self._level + direction * INTERVAL * self.batch_size
        self._level = min(self.images, max(0, level))
        self._signs = self._logits = 0

    def facts(self) -> dict[str, float]:
        """p and r_t, by the names that a checkpoint has them under."""
        return {"augmentation": self.probability, "real sign": self.sign}

    def state(self) -> dict[str, torch.Tensor]:
        """All that the next step depends on."""
        return {
            "sign": torch.tensor(self.sign, dtype=torch.float64),
            "level": torch.tensor(self._level),
            "signs": torch.tensor(self._signs),
            "logits": torch.tensor(self._logits),
        }

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Put :meth:`state` back."""
        self.sign, self._level = float(state["sign"]), int(state["level"])
        self._signs, self._logits = int(state["signs"]), int(state["logits"])
