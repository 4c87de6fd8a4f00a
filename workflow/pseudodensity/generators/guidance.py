"""What a guide may change in a reverse step of a diffusion model, and what it is told of the step.

The sampler (:mod:`.diffusion_sampling`) asks a guide twice in every step: for the network's output, and
for a direction in pixels. Every guide of ``control/guide/`` is a :class:`Guide`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

__all__ = ["Guide", "Noise", "Step"]


@dataclass(frozen=True)
class Step:
    """One reverse step of a sampler, from x_i to x_{i-1}.

    index: i, from steps - 1 down to 0, which is the last step. time: () float, on the network's clock
    from 0 to 1000. abar: () of x's dtype, the share of signal in x_i: x_i = sqrt(abar) x_0 +
    sqrt(1 - abar) eps. variance: of the reverse step, broadcastable to x. x0: (n, 3, R, R), the
    predicted image, clamped to [-1, 1]. labels: (n,) int64, the classes of the images; None where the
    model has none.
    """

    index: int
    time: Tensor
    abar: Tensor
    variance: Tensor
    x0: Tensor
    labels: Tensor | None


class Noise(Protocol):
    """Noise of the samples of a batch, for guides that draw some: see `.diffusion_sampling.StepNoise`."""

    def draw(self, index: int, shape: tuple[int, ...]) -> Tensor:
        """Standard normal (n, *shape) of a step."""


class Guide:
    """Changes nothing; a guide overrides one of the two methods, or both.

    Both are called without a graph of derivatives; a guide that needs one makes it by
    ``torch.enable_grad`` on a detached copy. Row j of what is returned may depend on other rows, if the
    guide says so.
    """

    def predicted(
        self, output: Tensor, x: Tensor, step_index: int, time: Tensor, labels: Tensor | None
    ) -> Tensor:
        """The network's output to go on with, (n, 6, R, R): three channels that give x_0 and three
        that give the variance.

        x: (n, 3, R, R), the noisy images. step_index, time, labels: as in :class:`Step`.
        """
        return output

    def gradient(self, x: Tensor, step: Step) -> Tensor | None:
        """Direction of the update (n, 3, R, R), already normalised and scaled; None for none.

        x: (n, 3, R, R), the noisy images. It is not asked for in the last step.
        """
        return None
