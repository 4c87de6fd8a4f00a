"""Train a variational autoencoder, or fine-tune it with importance sampling.

The model sees no fakes, so of papers/000 Algorithm 3 only the real side applies: training images are drawn in
proportion to their weights.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from pseudodensity.control.train.batches import draw_real_images
from pseudodensity.control.train.loop import (
    ExponentialAverage,
    linear_decay,
    linear_warmup,
    optimizer_state,
    restore_optimizer,
)
from pseudodensity.generators.hvae import HierarchicalVae
from pseudodensity.rng import generator as random_stream

__all__ = ["VariationalTrainer"]

# Keys of a recipe that the trainer reads; the plan refuses others.
RECIPE = (
    "batch_size",
    "lr",
    "warmup_iterations",
    "divergence_warmup",
    "pixel_deviation",
    "decay_fraction",
    "ema_half_life",
    "ema_ramp_up",
)

CLIP = 100.0  # largest norm of a gradient: a rare batch must not undo the run


class VariationalTrainer:
    """One variational autoencoder in training; see :class:`pseudodensity.control.train.loop.Trainer`.

    Pixels have a Gaussian of one given deviation. On images without noise the best one would be 0, and
    latents would spend all they have on details that samples then lack.

    Args:
        model: the model to train.
        average: its exponential average to continue, or None to start one.
        images: real images ``(N, 3, R, R)`` uint8 (an array or a memory map).
        recipe: ``batch_size``; ``lr`` with ``warmup_iterations`` (linear from 0) and ``decay_fraction`` (linear
            to 0 at the end); ``divergence_warmup``, the share of the run in which the weight of the
            divergence rises from 0 to 1; ``pixel_deviation``, of pixels from -1 to 1; ``ema_half_life``
            in images, ``ema_ramp_up`` (null for none).
        iterations: length of the whole run.
        mirror: flip real images at random.
        seed: names all random streams of the run.
        weights: importance weights ``(N,)`` of the real images, or None for uniform.
        device: where to compute.
    """

    def __init__(
        self,
        model: HierarchicalVae,
        images: np.ndarray,
        recipe: Mapping[str, Any],
        *,
        iterations: int,
        mirror: bool,
        seed: int,
        average: HierarchicalVae | None = None,
        weights: torch.Tensor | None = None,
        device: str = "cpu",
    ) -> None:
        self.model = model.to(device).train()
        self.averaged = (average if average is not None else copy.deepcopy(model)).to(device)
        self.average = ExponentialAverage(
            self.averaged, self.model, recipe["ema_half_life"], recipe["ema_ramp_up"]
        )
        self.images, self.recipe, self.iterations = images, dict(recipe), iterations
        self.batch_size, self.mirror, self.seed = int(recipe["batch_size"]), mirror, seed
        self.weights, self.device = weights, device
        self.optimizer = torch.optim.Adamax(model.parameters())

    def step(self, iteration: int) -> dict[str, float]:
        """One update, on the negative evidence lower bound."""
        stream = random_stream(self.seed, "variational step", iteration)
        batch = draw_real_images(
            self.images, self.batch_size, self.weights, self.mirror, stream
        ).to(self.device)
        noises = [
            torch.randn(len(batch), *shape, generator=stream).to(self.device)
            for shape in self.model.shapes
        ]
        coded = self.model.code(batch, noises)
        error = (coded.images - batch).square().mean()
        # -log of the Gaussian of an image, without what does not depend on the model.
        reconstruction = batch[0].numel() * error / (2 * self.recipe["pixel_deviation"] ** 2)
        divergence = torch.stack(coded.divergences).sum(0).mean()
        loss = reconstruction + self._divergence_weight(iteration) * divergence
        self._update(iteration, loss)
        self.average.update((iteration + 1) * self.batch_size, self.batch_size)
        return {"error": error.item(), "divergence": divergence.item()}

    def _divergence_weight(self, iteration: int) -> float:
        rising = self.recipe["divergence_warmup"] * self.iterations
        return min(1.0, (iteration + 1) / rising) if rising else 1.0

    def _update(self, iteration: int, loss: torch.Tensor) -> None:
        warmup = linear_warmup(iteration, self.recipe["warmup_iterations"])
        decay = linear_decay(iteration, self.iterations, self.recipe["decay_fraction"])
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe["lr"] * warmup * decay
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimizer.step()

    def weights_to_keep(self) -> dict[str, dict[str, torch.Tensor]]:
        """The averaged model to sample from and the one to train on."""
        return {"generator": self.model.state_dict(), "average": self.averaged.state_dict()}

    def facts(self) -> dict[str, float]:
        """Nothing: the model sees no fakes, so none are rejected."""
        return {}

    def state(self) -> dict[str, Any]:
        """Weights, their average and the optimiser."""
        return {
            "model": self.model.state_dict(),
            "average": self.averaged.state_dict(),
            "optimizer": optimizer_state(self.optimizer),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Put :meth:`state` back."""
        self.model.load_state_dict(state["model"])
        self.averaged.load_state_dict(state["average"])
        restore_optimizer(self.optimizer, state.get("optimizer", {}))
