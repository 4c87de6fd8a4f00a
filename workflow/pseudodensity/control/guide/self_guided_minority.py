"""Self-guided minority sampling: towards images that the model itself cannot restore (Um and Ye 2024).

The successor of low-density guidance that needs no other network and no classes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pseudodensity.control.guide.interval import ALWAYS, Interval
from pseudodensity.control.guide.normalisation import unit_largest
from pseudodensity.control.guide.strength import check_strength
from pseudodensity.control.move.gradient import per_sample_gradient
from pseudodensity.generators.denoiser import Denoiser
from pseudodensity.generators.guidance import Guide, Noise, Step

__all__ = ["SelfGuidedMinority"]


class SelfGuidedMinority(Guide):
    """Raises the squared distance of the predicted image from what the model makes of it after noising.

    The second prediction is held fixed, as its authors do. The gradient goes through the network once.

    Args:
        model: that is sampled.
        noise: of the samples, with another seed than that of the sampler.
        strength: times the gradient, whose largest entry is 1 in each sample.
        every: it acts in each step whose number divides by it.
        depth: noise level of the second prediction, as a share of the process.
        interval: when it acts.

    ValueError: settings that make no sense.
    """

    def __init__(
        self,
        model: Denoiser,
        noise: Noise,
        *,
        strength: float,
        every: int = 5,
        depth: float = 0.8,
        interval: Interval = ALWAYS,
    ):
        check_strength("the strength of minority guidance is", strength)
        if every < 1 or not 0 < depth < 1:
            raise ValueError(
                f"minority guidance acts every 1 or more steps at a depth between 0 and 1, got {every} "
                f"and {depth:g}"
            )
        self.model, self.noise, self.strength = model, noise, strength
        self.every, self.depth, self.interval = every, depth, interval

    def gradient(self, x: Tensor, step: Step) -> Tensor | None:
        """strength times the normalised gradient at x (n, 3, R, R)."""
        acts = self.strength and step.index % self.every == 0
        if not acts or not self.interval.holds(step.time):
            return None
        process = self.model.process
        now = round(float(step.time) * process.steps / 1000)
        then = torch.tensor([int(self.depth * process.steps)], device=x.device)
        noise = self.noise.draw(step.index, tuple(x.shape[1:])).to(x)

        def unfamiliarity(points: Tensor) -> Tensor:
            image = self._predicted(points, torch.tensor([now], device=x.device), step)
            with torch.no_grad():
                restored = self._predicted(process.noised(image, then, noise), then, step)
            return (image - restored).flatten(1).square().mean(1)

        return self.strength * unit_largest(per_sample_gradient(unfamiliarity, x))

    def _predicted(self, x: Tensor, i: Tensor, step: Step) -> Tensor:
        return self.model.process.x0(self.model.predict(x, i, step.labels), x, i)
