"""Train a diffusion model, or fine-tune it with importance sampling (papers/000 Algorithm 3).

A diffusion model sees no fakes, so only the real side of the algorithm applies: training images
are drawn in proportion to their weights (appendix A.3) and the loss stays what it was.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from pseudodensity.control.train.batches import draw_rows, real_images
from pseudodensity.control.train.loop import (
    ExponentialAverage,
    linear_decay,
    linear_warmup,
    optimizer_state,
    restore_optimizer,
)
from pseudodensity.control.train.parts import size_of_part
from pseudodensity.generators.denoiser import Denoiser
from pseudodensity.rng import generator as random_stream
from pseudodensity.rng import seed_layers

__all__ = ["DiffusionTrainer"]

# Keys of a recipe that the trainer reads; the plan refuses others.
RECIPE = (
    "batch_size",
    "lr",
    "warmup_iterations",
    "decay_fraction",
    "ema_half_life",
    "ema_ramp_up",
)
# Keys that a recipe may leave out, with the value that does nothing.
NEUTRAL = {"accumulate": 1}


class DiffusionTrainer:
    """One diffusion model in training; see :class:`pseudodensity.control.train.loop.Trainer`.

    Args:
        model: the model to train.
        average: its exponential average to continue, or None to start one.
        images: real images ``(N, 3, R, R)`` uint8 (an array or a memory map).
        recipe: ``batch_size``, ``lr``, ``warmup_iterations`` (linear from 0),
            ``decay_fraction`` (linear to 0 at the end), ``ema_half_life`` in images,
            ``ema_ramp_up`` (null for none). It may have ``accumulate``: the batch is worked through
            in that many equal parts.
        iterations: length of the whole run, for the learning-rate decay.
        mirror: flip real images at random.
        seed: names all random streams of the run.
        weights: importance weights ``(N,)`` of the real images, or None for uniform.
        device: where to compute.

    ValueError: ``accumulate`` that does not divide the batch.
    """

    def __init__(
        self,
        model: Denoiser,
        images: np.ndarray,
        recipe: Mapping[str, Any],
        *,
        iterations: int,
        mirror: bool,
        seed: int,
        average: Denoiser | None = None,
        weights: torch.Tensor | None = None,
        device: str = "cpu",
    ) -> None:
        self.model = model.to(device).train()
        average = average if average is not None else copy.deepcopy(model)
        self.average = ExponentialAverage(
            average.to(device), self.model, recipe["ema_half_life"], recipe["ema_ramp_up"]
        )
        self.images, self.recipe, self.iterations = images, {**NEUTRAL, **recipe}, iterations
        self.batch_size, self.mirror, self.seed = int(recipe["batch_size"]), mirror, seed
        self.parts = int(self.recipe["accumulate"])
        self.part_size = size_of_part(self.batch_size, self.parts)
        self.weights, self.device = weights, device
        # No weight decay: the published LSUN models had none.
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=recipe["lr"], weight_decay=0.0, fused=True
        )

    def step(self, iteration: int) -> dict[str, float]:
        """One update on a batch of images, each at its own uniform time step."""
        stream = random_stream(self.seed, "diffusion step", iteration)
        rows = draw_rows(len(self.images), self.batch_size, self.weights, stream)
        images = real_images(self.images, rows, self.mirror, stream)
        times = torch.randint(self.model.process.steps, (self.batch_size,), generator=stream)
        noise = torch.randn(images.shape, generator=stream)
        seed_layers(stream, self.device)
        self._set_learning_rate(iteration)
        self.optimizer.zero_grad(set_to_none=True)
        shown = (x.split(self.part_size) for x in (images, times, noise, *self.told_of(rows)))
        losses = []
        for part in zip(*shown, strict=True):
            loss = self.model.loss(*(x.to(self.device) for x in part)).mean()
            (loss / self.parts).backward()
            losses.append(loss.detach())
        self.optimizer.step()
        self.average.update((iteration + 1) * self.batch_size, self.batch_size)
        return {"loss": torch.stack(losses).mean().item()}

    def told_of(self, rows: torch.Tensor) -> Sequence[torch.Tensor]:
        """What the model is told of the images of rows (n,), beside their times: nothing."""
        return []

    def _set_learning_rate(self, iteration: int) -> None:
        recipe = self.recipe
        warmup = linear_warmup(iteration, recipe["warmup_iterations"])
        decay = linear_decay(iteration, self.iterations, recipe["decay_fraction"])
        for group in self.optimizer.param_groups:
            group["lr"] = recipe["lr"] * warmup * decay

    def weights_to_keep(self) -> dict[str, dict[str, torch.Tensor]]:
        """The averaged model to sample from and the one to train on."""
        return {
            "generator": self.model.state_dict(),
            "average": self.average.module.state_dict(),
        }

    def facts(self) -> dict[str, float]:
        """Nothing: a diffusion model sees no fakes, so none are rejected."""
        return {}

    def state(self) -> dict[str, Any]:
        """Weights, their average and the optimiser."""
        return {
            "model": self.model.state_dict(),
            "average": self.average.module.state_dict(),
            "optimizer": optimizer_state(self.optimizer),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Put :meth:`state` back."""
        self.model.load_state_dict(state["model"])
        self.average.module.load_state_dict(state["average"])
        restore_optimizer(self.optimizer, state["optimizer"])
