"""Train an autoregressive model over codes, or fine-tune it with importance sampling.

One run has two phases: the tokeniser learns to reconstruct, then the GPT learns the codes of the
finished tokeniser (Esser et al., 2021, section 3). The model sees no fakes, so of papers/000
Algorithm 3 only the real side applies: training images are drawn in proportion to their weights.
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
from pseudodensity.generators.vqgpt import VqGpt
from pseudodensity.rng import generator as random_stream
from pseudodensity.rng import seed_layers

__all__ = ["AutoregressiveTrainer"]

# Keys of a recipe that the trainer reads; the plan refuses others.
RECIPE = (
    "batch_size",
    "tokeniser_iterations",
    "tokeniser_lr",
    "lr",
    "warmup_iterations",
    "decay_fraction",
    "ema_half_life",
    "ema_ramp_up",
)

# Codes that nothing uses are moved onto data this often, in the first half of their phase.
_REVIVAL_INTERVAL = 50
_REVIVAL_IMAGES = 256


class AutoregressiveTrainer:
    """One autoregressive model in training; see :class:`pseudodensity.control.train.loop.Trainer`.

    Args:
        model: the model to train.
        average: its exponential average to continue, or None to start one.
        images: real images ``(N, 3, R, R)`` uint8 (an array or a memory map).
        recipe: ``batch_size``; ``tokeniser_iterations`` of the run train the tokeniser at
            ``tokeniser_lr`` (0 keeps a trained one), the rest train the GPT at ``lr``; in each
            phase ``warmup_iterations`` (linear from 0) and ``decay_fraction`` (linear to 0 at the
            end) shape the rate; ``ema_half_life`` in images, ``ema_ramp_up`` (null for none).
        iterations: length of the whole run.
        mirror: flip real images at random.
        seed: names all random streams of the run.
        weights: importance weights ``(N,)`` of the real images, or None for uniform.
        device: where to compute.

    Raises:
        ValueError: the tokeniser's phase leaves no step for the GPT.
    """

    def __init__(
        self,
        model: VqGpt,
        images: np.ndarray,
        recipe: Mapping[str, Any],
        *,
        iterations: int,
        mirror: bool,
        seed: int,
        average: VqGpt | None = None,
        weights: torch.Tensor | None = None,
        device: str = "cpu",
    ) -> None:
        self.first = int(recipe["tokeniser_iterations"])
        if self.first >= iterations:
            raise ValueError(
                f"tokeniser_iterations={self.first} of {iterations} iterations leave none for "
                "the GPT: lower them in the config"
            )
        self.model = model.to(device).train()
        self.averaged = (average if average is not None else copy.deepcopy(model)).to(device)
        # One average per part: the phases begin at different steps.
        self.tokeniser_average, self.gpt_average = (
            ExponentialAverage(average, source, recipe["ema_half_life"], recipe["ema_ramp_up"])
            for average, source in (
                (self.averaged.tokeniser, self.model.tokeniser),
                (self.averaged.gpt, self.model.gpt),
            )
        )
        self.images, self.recipe, self.iterations = images, dict(recipe), iterations
        self.batch_size, self.mirror, self.seed = int(recipe["batch_size"]), mirror, seed
        self.weights, self.device = weights, device
        self.tokeniser_optimizer = torch.optim.AdamW(
            model.tokeniser.parameters(), weight_decay=0.0, fused=True
        )
        self.gpt_optimizer = torch.optim.AdamW(
            model.gpt.parameters(), betas=(0.9, 0.95), weight_decay=0.0, fused=True
        )

    def step(self, iteration: int) -> dict[str, float]:
        """One update of the part whose phase it is."""
        stream = random_stream(self.seed, "autoregressive step", iteration)
        if iteration < self.first:
            return self._tokeniser_step(iteration, stream)
        if iteration == self.first:
            # The GPT learns the codes of the tokeniser that will decode its samples.
            self.model.tokeniser.load_state_dict(self.averaged.tokeniser.state_dict())
        return self._gpt_step(iteration - self.first, stream)

    def _tokeniser_step(self, done: int, stream: torch.Generator) -> dict[str, float]:
        if done % _REVIVAL_INTERVAL == 0 and 2 * done <= self.first:
            self._revive_codes(stream)
        images = self._draw(self.batch_size, stream)
        vectors, loss, _ = self.model.quantise(self.model.features(images))
        error = (self.model.render(vectors) - images).abs().mean()
        rate = self.recipe["tokeniser_lr"] * self._rate(done, self.first)
        self._update(self.tokeniser_optimizer, rate, error + loss)
        seen = (done + 1) * self.batch_size
        self.tokeniser_average.update(seen, self.batch_size)
        return {"error": error.item(), "commitment": loss.item()}

    def _gpt_step(self, done: int, stream: torch.Generator) -> dict[str, float]:
        codes = self.model.encode(self._draw(self.batch_size, stream))
        seed_layers(stream, self.device)
        loss = self.model.negative_log_likelihood(codes).mean() / codes.shape[1]
        rate = self.recipe["lr"] * self._rate(done, self.iterations - self.first)
        self._update(self.gpt_optimizer, rate, loss)
        seen = (done + 1) * self.batch_size
        self.gpt_average.update(seen, self.batch_size)
        return {"nats_per_code": loss.item()}

    def _draw(self, count: int, stream: torch.Generator) -> torch.Tensor:
        batch = draw_real_images(self.images, count, self.weights, self.mirror, stream)
        return batch.to(self.device)

    @torch.no_grad()
    def _revive_codes(self, stream: torch.Generator) -> None:
        """Move codes that no vector of a large batch chooses onto random vectors of that batch.

        At the first step this spreads the codebook over the data; later it undoes collapse, as
        a code that is never chosen has no gradient to come back by.
        """
        features = self.model.features(self._draw(_REVIVAL_IMAGES, stream))
        codes = self.model.quantise(features)[2]
        vectors = features.movedim(1, -1).flatten(0, -2)
        book = self.model.tokeniser.quantize.embedding.weight
        unused = torch.bincount(codes.flatten(), minlength=len(book)) == 0
        chosen = torch.randint(len(vectors), (int(unused.sum()),), generator=stream)
        book[unused] = vectors[chosen.to(vectors.device)]

    def _rate(self, done: int, length: int) -> float:
        """Factor of the learning rate after ``done`` of ``length`` steps of a phase."""
        warmup = linear_warmup(done, self.recipe["warmup_iterations"])
        return warmup * linear_decay(done, length, self.recipe["decay_fraction"])

    @staticmethod
    def _update(optimizer: torch.optim.Optimizer, rate: float, loss: torch.Tensor) -> None:
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def weights_to_keep(self) -> dict[str, dict[str, torch.Tensor]]:
        """The averaged model to sample from and the one to train on; they share a tokeniser."""
        return {"generator": self.model.state_dict(), "average": self.averaged.state_dict()}

    def facts(self) -> dict[str, float]:
        """Nothing: the model sees no fakes, so none are rejected."""
        return {}

    def state(self) -> dict[str, Any]:
        """Weights, their average and both optimisers."""
        return {
            "model": self.model.state_dict(),
            "average": self.averaged.state_dict(),
            "tokeniser_optimizer": optimizer_state(self.tokeniser_optimizer),
            "gpt_optimizer": optimizer_state(self.gpt_optimizer),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Put :meth:`state` back."""
        self.model.load_state_dict(state["model"])
        self.averaged.load_state_dict(state["average"])
        # An optimiser that has not stepped yet, or never will, has no state to store.
        restore_optimizer(self.tokeniser_optimizer, state.get("tokeniser_optimizer", {}))
        restore_optimizer(self.gpt_optimizer, state.get("gpt_optimizer", {}))
