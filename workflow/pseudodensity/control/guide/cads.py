"""CADS: the class is told in noise at first, and becomes clear with the image (Sadat et al. 2024)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from pseudodensity.generators.denoiser import Denoiser
from pseudodensity.generators.guidance import Guide, Noise

__all__ = ["Cads", "annealed", "clarity"]


def clarity(time: float, low: float, high: float) -> float:
    """gamma at a time: 1 up to `low`, 0 from `high`, a straight line between."""
    return min(1.0, max(0.0, (high - time) / (high - low)))


def annealed(
    condition: Tensor, noise: Tensor, gamma: float, *, scale: float, mixing: float
) -> Tensor:
    """Conditions (n, c) with noise (n, c): sqrt(gamma) y + scale sqrt(1 - gamma) n.

    mixing: the share, 0 to 1, of the result that is brought back to the mean and the standard deviation
    of the condition.
    """
    noisy = gamma**0.5 * condition + scale * (1 - gamma) ** 0.5 * noise
    own = noisy.std(1, keepdim=True).clamp(min=torch.finfo(noisy.dtype).tiny)
    unit = (noisy - noisy.mean(1, keepdim=True)) / own
    back = unit * condition.std(1, keepdim=True) + condition.mean(1, keepdim=True)
    return torch.lerp(noisy, back, mixing)


class Cads(Guide):
    """Condition-annealed sampling of a model with classes. The condition is the row of the classes' shares,
    1 for the class, which the model's class embedding mixes.

    It costs one more call of the model for each step at which the class is not clear.

    Args:
        model: that is sampled, with classes.
        noise: of the samples, with another seed than that of the sampler.
        scale: s, of the noise. low, high: times, 0 to 1000; its authors take 600 and 900.
        mixing: psi, see `annealed`.

    ValueError: a model with fewer than two classes; settings that make no sense.
    """

    def __init__(
        self,
        model: Denoiser,
        noise: Noise,
        *,
        scale: float = 0.25,
        low: float = 600.0,
        high: float = 900.0,
        mixing: float = 1.0,
    ):
        if (model.classes or 0) < 2:
            raise ValueError(
                "CADS hides the class of a sample, and this model has no two classes: take one with classes"
            )
        if not (scale >= 0 and 0 <= low < high <= 1000 and 0 <= mixing <= 1):
            raise ValueError(
                "CADS takes a scale from 0, times 0 <= low < high <= 1000 and a mixing from 0 to 1, got "
                f"{scale:g}, {low:g}, {high:g} and {mixing:g}"
            )
        self.model, self.noise, self.scale = model, noise, scale
        self.low, self.high, self.mixing = low, high, mixing

    def predicted(
        self, output: Tensor, x: Tensor, step_index: int, time: Tensor, labels: Tensor | None
    ) -> Tensor:
        """What the model says if the class is told in noise."""
        gamma = clarity(float(time), self.low, self.high)
        if gamma == 1:
            return output
        condition = one_hot(labels, self.model.classes).to(x.dtype)
        noise = self.noise.draw(step_index, (self.model.classes,)).to(x)
        told = annealed(condition, noise, gamma, scale=self.scale, mixing=self.mixing)
        return self.model.output(x, time.reshape(1), told)
