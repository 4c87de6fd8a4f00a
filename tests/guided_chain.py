"""Reverse steps in float64 for tests of guides, written from the interface of guides alone: x_0 is not
clamped for the next step, so that laws of Gaussian data hold exactly."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pseudodensity.generators.gaussian_diffusion import GaussianDiffusion
from pseudodensity.generators.guidance import Guide, Step

Predict = Callable[[Tensor, int], Tensor]  # x_i, i -> the noise in it


def gaussian_noise(process: GaussianDiffusion, deviation: float) -> Predict:
    """The exact prediction for data N(0, deviation^2) in every pixel."""

    def predict(x: Tensor, i: int) -> Tensor:
        abar = float(process.abar[i])
        return (1 - abar) ** 0.5 * x / (abar * deviation**2 + 1 - abar)

    return predict


def reverse(
    process: GaussianDiffusion,
    x: Tensor,
    predict: Predict,
    guide: Guide,
    *,
    kind: str = "ddim",
    labels: Tensor | None = None,
    noise: torch.Generator | None = None,
    last: int = 0,
) -> Tensor:
    """x_0 of x_T (n, 3, R, R) float64 by ``ddim`` | ``ancestral`` steps with the posterior variance, or
    x_i of i = last. The process predicts noise."""
    for index in range(process.steps - 1, last - 1, -1):
        i, time = torch.tensor([index]), process.times[index] * torch.tensor(1.0)
        # -1 in the channels of the variance stands for that of the posterior.
        output = torch.cat([predict(x, index), torch.full_like(x, -1)], dim=1)
        output = guide.predicted(output, x, index, time, labels)
        x0, variance = process.x0(output, x, i), process.log_variance(output, x, i).exp()
        abar = process.abar[index]
        step = Step(index, time, abar, variance, x0.clamp(-1, 1), labels)
        gradient = guide.gradient(x, step) if index else None
        push = torch.zeros_like(x) if gradient is None else gradient
        if kind == "ancestral":
            x = process.posterior_mean(x0, x, i) + variance * push
            if noise is not None and index:
                x = x + variance.sqrt() * torch.randn(x.shape, generator=noise, dtype=x.dtype)
            continue
        eps = output[:, :3] - (1 - abar).sqrt() * push
        previous = process.abar_previous[index]
        x0 = (x - (1 - abar).sqrt() * eps) / abar.sqrt()
        x = previous.sqrt() * x0 + (1 - previous).sqrt() * eps
    return x
