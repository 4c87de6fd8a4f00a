"""Experiment: how far the pushes of a guide of strength 1 reach in all steps of a sampler together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pseudodensity.control.guide.interval import Interval
from pseudodensity.control.latent_names import names_of
from pseudodensity.generators.checkpoint import load_checkpoint
from pseudodensity.generators.denoiser import Denoiser
from pseudodensity.generators.diffusion_sampling import StepNoise, reverse_process, sample
from pseudodensity.generators.guidance import Guide, Step
from pseudodensity.rng import normal

__all__ = ["shares_of_ddim", "summed_variances", "variances_of_ancestral"]


def summed_variances(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Of each sampler the sum, over its steps that are pushed, of what a gradient is multiplied by.

    Of ancestral steps that is the variance, which the network says for each number of an image: it is taken along
    the plain sampler's way to the first images of the pools. Of DDIM steps it follows from the schedule.

    inputs: ``checkpoint`` of a diffusion model. settings: ``samplers``, each with ``step``, ``steps``, ``from_time``
    and ``to_time``; ``images``; ``seed`` of the pools; ``device``.

    arrays: ``sums`` (samplers, 3) float64, the mean over images and their numbers, the least and the most of one
    number. facts: ``samplers``. ValueError: steps that do not divide those of the model.
    """
    device = settings["device"]
    model = load_checkpoint(inputs["checkpoint"]).frozen_generator(device)
    rows = range(settings["images"])
    latents = normal(settings["seed"], "latents", rows, model.latent_shape).to(device)
    sums = []
    for sampler in settings["samplers"]:
        interval, steps = Interval(sampler["from_time"], sampler["to_time"]), sampler["steps"]
        if sampler["step"] == "ddim":
            found = shares_of_ddim(model, steps, interval)
        else:
            noise = StepNoise(settings["seed"], names_of(latents))
            found = variances_of_ancestral(model, latents, noise, steps, interval)
        sums.append([found.mean().item(), found.min().item(), found.max().item()])
    return {"sums": np.array(sums)}, {"samplers": settings["samplers"]}


def variances_of_ancestral(
    model: Denoiser, latents: Tensor, noise: StepNoise, steps: int, interval: Interval
) -> Tensor:
    """Sums (n, 3, R, R) float64 along the plain sampler's way from latents (n, *latent_shape)."""
    watched = _Variances(interval)
    with torch.no_grad():
        images = sample(model, latents, step="ancestral", steps=steps, guide=watched, noise=noise)
    return watched.total + torch.zeros_like(images, dtype=torch.float64)


def shares_of_ddim(model: Denoiser, steps: int, interval: Interval) -> Tensor:
    """The sum (1,) float64 of `GaussianDiffusion.ddim_share`."""
    process = reverse_process(model, "ddim", steps)
    one = torch.zeros(1, 1, 1, 1, dtype=torch.float64, device=process.abar.device)
    pushed = [
        process.ddim_share(one, torch.tensor([index], device=one.device)).flatten()
        for index, time in enumerate(model.clock(process.times).tolist())
        if index and interval.holds(time)
    ]
    return sum(pushed, start=one.flatten())


class _Variances(Guide):
    """Pushes nothing, and sums up the variances of the steps that it could push."""

    def __init__(self, interval: Interval):
        self.interval, self.total = interval, torch.zeros((), dtype=torch.float64)

    def gradient(self, x: Tensor, step: Step) -> None:
        if self.interval.holds(step.time):
            self.total = self.total.to(x.device) + step.variance.double()
