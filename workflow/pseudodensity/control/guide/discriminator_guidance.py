"""Discriminator guidance: the score of the model plus that of the density ratio (Kim et al. 2023)."""

from __future__ import annotations

import math

from torch import Tensor

from pseudodensity.control.guide.interval import ALWAYS, Interval
from pseudodensity.control.guide.low_density import RealOrGenerated
from pseudodensity.control.guide.strength import check_strength
from pseudodensity.control.move.gradient import per_sample_gradient
from pseudodensity.generators.guidance import Guide, Step

__all__ = ["DiscriminatorGuidance"]

# Of a probability that a logit may say: beyond, the classifier is believed no further.
CLIP = 1e-5


class DiscriminatorGuidance(Guide):
    """The gradient of log D / (1 - D) is added to the score, not normalised: with the exact ratio of real
    and generated densities at every noise level and weight 1, samples have the law of the data.

    Args:
        classifier: H' of low-density guidance, a time-conditional D.
        weight: from 0; its authors take 2 with DDIM steps.
        interval: when it acts.

    ValueError: a weight below 0; a classifier that overfits, or is at chance at every time.
    """

    def __init__(self, classifier: RealOrGenerated, *, weight: float, interval: Interval = ALWAYS):
        check_strength("the weight of discriminator guidance is", weight)
        if weight:
            classifier.accuracy.refuse_ignorance()
        self.classifier, self.weight, self.interval = classifier, weight, interval
        self.most = math.log((1 - CLIP) / CLIP)

    def gradient(self, x: Tensor, step: Step) -> Tensor | None:
        """weight times the gradient of the logit at x (n, 3, R, R), where the classifier knows something."""
        acts = self.weight and self.interval.holds(step.time)
        if not acts or not self.classifier.accuracy.above_chance(step.time):
            return None

        def log_ratio(points: Tensor) -> Tensor:
            return self.classifier.logit(points, step.time).clamp(-self.most, self.most)

        return self.weight * per_sample_gradient(log_ratio, x)
