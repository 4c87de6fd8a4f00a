"""Guidance to low density with fidelity kept (papers/002, Algorithm 1).

Two pushes, each of the gradient of a loss, normalised for each sample: alpha times one that raises
hardness in an embedder's features, beta times one to what a classifier of real against generated images
takes for real.
"""

from __future__ import annotations

import math
from typing import Protocol

from torch import Tensor
from torch.nn.functional import softplus

from pseudodensity.control.guide.interval import ALWAYS, Interval
from pseudodensity.control.guide.losses import Loss
from pseudodensity.control.guide.noisy_networks import HeldOutAccuracy
from pseudodensity.control.guide.normalisation import unit_largest
from pseudodensity.control.guide.strength import check_strength
from pseudodensity.control.move.gradient import per_sample_gradient
from pseudodensity.generators.guidance import Guide, Step

__all__ = ["Embedder", "LowDensityGuide", "RealOrGenerated"]


class Embedder(Protocol):
    """What guidance asks of f: see `noisy_networks.NoisyEmbedder`."""

    resolution: int

    def features(self, x: Tensor, time: Tensor) -> Tensor:
        """Features (n, k) of noisy images x (n, 3, R, R) at a time ()."""

    def means(self, time: Tensor) -> Tensor:
        """Means of the classes (c, k) at a time ()."""


class RealOrGenerated(Protocol):
    """What guidance asks of H': see `noisy_networks.RealClassifier`."""

    resolution: int
    accuracy: HeldOutAccuracy

    def logit(self, x: Tensor, time: Tensor) -> Tensor:
        """(n,), H'_synthetic - H'_real: above 0 where x is taken for real."""


class LowDensityGuide(Guide):
    """Algorithm 1. The l_inf norm of either update is its strength times the variance of the step.

    At a time when H' is at chance it gives no push: its gradient would have full length and no meaning.

    Args:
        embedder: f, None for alpha = 0. classifier: H', None for beta = 0.
        loss: of `losses`, raised in f; None for alpha = 0.
        alpha, beta: strengths, from 0; the paper takes 0.5 for both.
        temperature: of the loss and of the saturating form; the paper does not say its own.
        interval: when it acts.
        saturating: equation 6 as printed, -log softmax_real(H' / T). Its gradient dies out where a sample
            looks synthetic; the logit has the same direction and never does.
        even_at_chance: the control: a classifier that knows nothing steers all the same.

    ValueError: a strength below 0; a temperature that is not above 0; no network for a strength; a
    classifier that overfits, or is at chance at every time; later, images of another resolution than a network's.
    """

    def __init__(
        self,
        embedder: Embedder | None,
        classifier: RealOrGenerated | None,
        loss: Loss | None,
        *,
        alpha: float,
        beta: float,
        temperature: float = 1.0,
        interval: Interval = ALWAYS,
        saturating: bool = False,
        even_at_chance: bool = False,
    ):
        _check(alpha, beta, temperature)
        for name, strength, network in (("alpha", alpha, embedder), ("beta", beta, classifier)):
            if strength and network is None:
                wanted = "an embedder" if name == "alpha" else "a real/synthetic classifier"
                raise ValueError(
                    f"{name} is {strength:g}, which needs {wanted}: give one, or set it to 0"
                )
        self.embedder, self.classifier, self.loss = embedder, classifier, loss
        self.alpha, self.beta, self.temperature = alpha, beta, temperature
        self.interval, self.saturating, self.even_at_chance = interval, saturating, even_at_chance
        if beta and not even_at_chance:
            classifier.accuracy.refuse_ignorance()

    def gradient(self, x: Tensor, step: Step) -> Tensor | None:
        """alpha and beta times the normalised gradients of the two losses at x (n, 3, R, R)."""
        if not self.interval.holds(step.time):
            return None
        pushes = []
        if self.alpha:
            _check_resolution("embedder", self.embedder.resolution, x)
            rareness = per_sample_gradient(lambda points: self._rareness(points, step), x)
            pushes.append(self.alpha * unit_largest(rareness))
        if self.beta and (self.even_at_chance or self.classifier.accuracy.above_chance(step.time)):
            _check_resolution("real/synthetic classifier", self.classifier.resolution, x)
            realness = per_sample_gradient(lambda points: self._realness(points, step), x)
            pushes.append(self.beta * unit_largest(realness))
        return sum(pushes[1:], pushes[0]) if pushes else None

    def _rareness(self, x: Tensor, step: Step) -> Tensor:
        features = self.embedder.features(x, step.time)
        return self.loss(features, step.labels, self.embedder.means(step.time), self.temperature)

    def _realness(self, x: Tensor, step: Step) -> Tensor:
        logit = self.classifier.logit(x, step.time)
        # With two classes -log softmax_real(H' / T) is -log sigmoid(-logit / T).
        return softplus(logit / self.temperature) if self.saturating else logit


def _check(alpha: float, beta: float, temperature: float) -> None:
    for name, strength in (("alpha", alpha), ("beta", beta)):
        check_strength(f"{name} is the strength of guidance and", strength)
    if not (temperature > 0 and math.isfinite(temperature)):
        raise ValueError(f"the temperature must be above 0, got {temperature:g}")


def _check_resolution(name: str, resolution: int, x: Tensor) -> None:
    if x.shape[-1] != resolution:
        raise ValueError(
            f"the {name} looks at images of {resolution} px and these have {x.shape[-1]}: take one that "
            "was trained for this model"
        )
