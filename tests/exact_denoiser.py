"""Diffusion models that know their data's law exactly, in float64, for tests of guides."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pseudodensity.generators.diffusion import DiffusionModel
from pseudodensity.generators.gaussian_diffusion import GaussianDiffusion, cosine_betas

__all__ = ["exact_model", "gaussian_noise"]

# Noisy images (n, 3, R, R) and abar (1, 1, 1, 1) -> the noise that is expected in them.
Predict = Callable[[Tensor, Tensor], Tensor]


class ExactNetwork(nn.Module):
    """A network that predicts noise by a function, and the posterior variance."""

    def __init__(self, predict: Predict, process: GaussianDiffusion):
        super().__init__()
        self.predict, self.process = predict, process

    def forward(self, x: Tensor, times: Tensor, labels: Tensor | None = None) -> Tensor:
        noise = self.predict(x, self.process.at("abar", times.long(), x))
        return torch.cat([noise, torch.full_like(x, -1)], dim=1)


def exact_model(predict: Predict, steps: int, resolution: int) -> DiffusionModel:
    """A model of 1,000 steps of a cosine schedule, of which so many are taken. x_0 is clamped to [-1, 1]:
    laws hold for data that stay far within."""
    process = GaussianDiffusion.from_betas(cosine_betas(1000), "epsilon")
    network = ExactNetwork(predict, process)
    return DiffusionModel(network, process, resolution, 1, steps, False).double()


def gaussian_noise(deviation: float | Tensor) -> Predict:
    """For data N(0, deviation^2) in every pixel, or of a deviation for each, (3, R, R)."""

    def predict(x: Tensor, abar: Tensor) -> Tensor:
        return (1 - abar).sqrt() * x / (abar * deviation**2 + 1 - abar)

    return predict
