"""Autoguidance: away from what a worse version of the model says (Karras et al. 2024), in an interval."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pseudodensity.control.guide.interval import ALWAYS, Interval
from pseudodensity.generators.denoiser import Denoiser
from pseudodensity.generators.guidance import Guide

__all__ = ["Autoguidance"]


class Autoguidance(Guide):
    """The score s1 of a model becomes w s1 - (w - 1) s0, with s0 of a worse one: smaller, or less trained.

    It costs one call of the worse model for each step in the interval. Without classes in the worse
    model, and with them in the other, this is classifier-free guidance.

    Args:
        model: that is sampled. worse: on the same process.
        weight: w, from 1, which is plain sampling.
        interval: when it acts.

    ValueError: a weight below 1; models of another size, schedule or prediction.
    """

    def __init__(
        self, model: Denoiser, worse: Denoiser, *, weight: float, interval: Interval = ALWAYS
    ):
        if not (weight >= 1 and math.isfinite(weight)):
            raise ValueError(f"the weight of autoguidance is {weight:g}: give a number from 1 up")
        _check_process(model, worse)
        self.worse, self.weight, self.interval = worse, weight, interval

    def predicted(
        self, output: Tensor, x: Tensor, step_index: int, time: Tensor, labels: Tensor | None
    ) -> Tensor:
        """The output with other means; its variance stays the model's own."""
        if self.weight == 1 or not self.interval.holds(time):
            return output
        known = None if self.worse.classes is None else labels
        channels = x.shape[1]
        means = self.worse.output(x, time.reshape(1), known)[:, :channels]
        # Linear in what is predicted, be it noise or v: at one x they are affine in each other.
        guided = torch.lerp(means, output[:, :channels], self.weight)
        return torch.cat([guided, output[:, channels:]], dim=1)


def _check_process(model: Denoiser, worse: Denoiser) -> None:
    ours, theirs = model.process, worse.process
    same = ours.prediction == theirs.prediction and torch.equal(ours.abar.cpu(), theirs.abar.cpu())
    if not same or model.resolution != worse.resolution:
        raise ValueError(
            "a model guides another of the same resolution, noise schedule and prediction, got "
            f"{worse.resolution} px, {theirs.steps} steps of {theirs.prediction} for "
            f"{model.resolution} px, {ours.steps} steps of {ours.prediction}"
        )
