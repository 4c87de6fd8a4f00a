"""Particle guidance: samples of a set repel each other while they form (Corso et al. 2023)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pseudodensity.control.guide.interval import ALWAYS, Interval
from pseudodensity.control.guide.strength import check_strength
from pseudodensity.generators.guidance import Guide, Step

__all__ = ["ParticleGuidance"]


class ParticleGuidance(Guide):
    """Adds to the score the gradient of -strength sum_{i<j} exp(-|x_i - x_j|^2 / h), h = median^2 / log n.

    A sample depends on the others of its set, and on nothing else: a batch holds whole sets, one after
    the other. The median is that of the distances within a set.

    Args:
        strength: from 0.
        particles: n, samples in a set.
        least_sigma: the noise over the signal, sqrt(1 / abar - 1), from which it acts: later, images have
            chosen what they become.
        interval: when it acts.

    ValueError: no strength, a set of one; later, a batch that is no multiple of the set.
    """

    def __init__(
        self,
        *,
        strength: float,
        particles: int,
        least_sigma: float = 1.0,
        interval: Interval = ALWAYS,
    ):
        check_strength("the strength of particle guidance is", strength)
        if particles < 2:
            raise ValueError(f"particles that repel each other are 2 or more, got {particles}")
        self.strength, self.particles = strength, particles
        self.least_sigma, self.interval = least_sigma, interval

    def gradient(self, x: Tensor, step: Step) -> Tensor | None:
        """The repulsion at x (n, 3, R, R)."""
        if len(x) % self.particles:
            raise ValueError(
                f"{len(x)} samples are no whole sets of {self.particles}: sample a multiple of it"
            )
        sigma = math.sqrt(1 / float(step.abar) - 1)
        if not self.strength or sigma < self.least_sigma or not self.interval.holds(step.time):
            return None
        sets = x.flatten(1).unflatten(0, (-1, self.particles))  # (sets, n, d)
        apart = sets[:, :, None] - sets[:, None]
        squared = apart.square().sum(3)
        upper = torch.triu_indices(self.particles, self.particles, 1, device=x.device)
        median = squared[:, upper[0], upper[1]].median(1).values
        width = (median / math.log(self.particles)).clamp(min=torch.finfo(x.dtype).tiny)
        kernel = (-squared / width[:, None, None]).exp() * 2 / width[:, None, None]
        return self.strength * (kernel[..., None] * apart).sum(2).view_as(x)
