"""What every discriminator is: images -> logits, in two stages that its trainer runs apart."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.utils.parametrize import cached

__all__ = ["StagedDiscriminator"]


class StagedDiscriminator(nn.Module):
    """Images ``(n, 3, R, R)`` in [-1, 1] -> logits, ``(n,)`` or ``(n, m)``.

    Both updates of a step show the discriminator the same fakes. What the first stage makes of
    them serves both, because nothing in it is trained. Subclasses define :meth:`judge`.
    """

    def features(self, images: Tensor) -> Sequence[Tensor]:
        """The stage without trained weights, differentiable: here the images themselves."""
        return [images]

    def judge(self, features: Sequence[Tensor]) -> Tensor:
        """Logits of what :meth:`features` returned."""
        raise NotImplementedError

    def head(self) -> nn.Module:
        """The last part, which is trained on where the rest stays frozen: here all of it."""
        return self

    @property
    def companions(self) -> int:
        """How many other images of its batch it compares each image with; here none."""
        return 0

    def judge_each(self, images: Tensor, references: Tensor | None = None) -> Tensor:
        """One logit per image, (n,), whatever else is in the batch; in ``eval`` mode.

        references: at least :attr:`companions` images, that each image is compared with. By
        default there are none, and of m logits per image their mean is taken.
        """
        return self(images).reshape(len(images), -1).mean(1)

    def judge_both(self, real: Sequence[Tensor], fake: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Logits of two batches, each as in a call of its own."""
        with cached():  # both pass the same weights, to be normalised once
            return self.judge(real), self.judge(fake)

    def forward(self, images: Tensor) -> Tensor:
        return self.judge(self.features(images))
