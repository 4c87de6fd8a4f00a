"""Density guidance: a dial on the model's own density of each sample (Karczewski et al. 2025)."""

from __future__ import annotations

import math

from scipy.special import ndtri
from torch import Tensor

from pseudodensity.control.guide.interval import ALWAYS, Interval
from pseudodensity.generators.guidance import Guide, Step

__all__ = ["DensityGuidance"]


class DensityGuidance(Guide):
    """Samples end at a quantile of the model's density: high ones are smooth, low ones full of detail.

    The score is multiplied by eta = 1 + sqrt(2 D) Phi^-1(q) / |sigma score|^2, with D numbers in an
    image, which moves the log-density of a sample at the rate that q names. It asks for DDIM steps, and for
    no network and no gradient. In few dimensions eta may leave the stretch from 0 to 2, where it is held:
    samples are then less extreme than they should be. For q above one half that takes about a thousand.

    Args:
        quantile: q, above 0 and below 1; one half is plain sampling.
        interval: when it acts. Not down to 0: sigma goes to 0 there, and its logarithm is the push.

    ValueError: no such quantile.
    """

    def __init__(self, *, quantile: float, interval: Interval = ALWAYS):
        if not 0 < quantile < 1:
            raise ValueError(
                f"a quantile of the density lies between 0 and 1, got {quantile:g}: one half is plain "
                "sampling, less is lower density"
            )
        self.rate, self.interval = float(ndtri(quantile)), interval

    def gradient(self, x: Tensor, step: Step) -> Tensor | None:
        """eta - 1 times the score at x (n, 3, R, R)."""
        if not self.rate or not self.interval.holds(step.time):
            return None
        deviation = (1 - step.abar).sqrt()
        noise = (x - step.abar.sqrt() * step.x0) / deviation  # -sigma times the score
        squared = noise.flatten(1).square().sum(1).view(-1, 1, 1, 1)
        excess = math.sqrt(2 * noise[0].numel()) * self.rate / squared
        return excess.clamp(-1, 1) * -noise / deviation
