"""Train a network on images with noise of every strength; what is common to the networks of guidance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pseudodensity.control.guide.noisy_networks import NoisyEncoder
from pseudodensity.control.train.loop import linear_decay, optimizer_state, restore_optimizer
from pseudodensity.generators.gaussian_diffusion import GaussianDiffusion
from pseudodensity.images.transform import to_float
from pseudodensity.rng import generator as random_stream
from pseudodensity.rng import seed_layers

__all__ = ["NoisyTrainer", "evenly_spaced"]

DECAY = 0.5  # share of the run in which the learning rate falls to nothing
LEVELS = 10  # noise levels at which held-out images are asked


def evenly_spaced(steps: int, count: int) -> list[int]:
    """So many different steps of a process, from 0 to the last, as far as it has them."""
    return sorted({round(i * (steps - 1) / max(1, count - 1)) for i in range(count)})


class NoisyTrainer:
    """A network in training; see `pseudodensity.control.train.loop.Trainer`.

    A subclass gives `batch`, `loss` and what is kept.

    Args:
        network: to be trained.
        process: how images are noised; only its shares of the signal, `abar`, matter.
        settings: ``iterations``, ``batch_size``, ``learning_rate``, ``weight_decay``.
        seed, name: of all random streams.
    """

    def __init__(
        self,
        network: NoisyEncoder,
        process: GaussianDiffusion,
        settings: Mapping[str, Any],
        *,
        seed: int,
        name: str,
        device: str = "cpu",
    ) -> None:
        self.network, self.process = network.to(device), process.to(device)
        self.settings, self.batch_size = settings, settings["batch_size"]
        self.seed, self.name, self.device = seed, name, device
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(),
            lr=settings["learning_rate"],
            weight_decay=settings["weight_decay"],
        )

    def batch(self, stream: torch.Generator) -> tuple[Tensor, Tensor]:
        """Images (b, 3, R, R) float32 in [-1, 1] and what the network shall say of them, (b,)."""
        raise NotImplementedError

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Of outputs (b, o), a scalar."""
        raise NotImplementedError

    def step(self, iteration: int) -> dict[str, float]:
        """One update on a batch of images, each at its own uniform time step."""
        stream = random_stream(self.seed, f"{self.name} step", iteration)
        images, targets = self.batch(stream)
        steps = torch.randint(self.process.steps, (len(images),), generator=stream)
        noise = torch.randn(images.shape, generator=stream)
        seed_layers(stream, self.device)
        factor = linear_decay(iteration, self.settings["iterations"], DECAY)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings["learning_rate"] * factor
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        images, steps, noise = (x.to(self.device) for x in (images, steps, noise))
        outputs = self.network(self.process.noised(images, steps, noise), self.process.clock(steps))
        loss = self.loss(outputs, targets.to(self.device))
        loss.backward()
        self.optimizer.step()
        return {"loss": loss.item()}

    @torch.no_grad()
    def noised(self, images: np.ndarray, step: int, name: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Images (n, 3, R, R) uint8 at a step of the process, in batches, with their time (1,).

        The network is in eval mode from then on. name: of the noise, which repeats itself.
        """
        self.network.eval()
        stream = random_stream(self.seed, f"{self.name} {name}", step)
        at = torch.tensor([step], device=self.device)
        for start in range(0, len(images), self.batch_size):
            part = to_float(np.ascontiguousarray(images[start : start + self.batch_size]))
            noise = torch.randn(part.shape, generator=stream)
            part, noise = part.to(self.device), noise.to(self.device)
            yield self.process.noised(part, at, noise), self.process.clock(at)

    @torch.no_grad()
    def outputs(self, images: np.ndarray, step: int, name: str) -> Tensor:
        """What the network says (n, o) of images (n, 3, R, R) uint8 at a step, in eval mode."""
        return torch.cat(
            [self.network(x, time).cpu() for x, time in self.noised(images, step, name)]
        )

    def state(self) -> dict[str, Any]:
        """The network and its optimiser."""
        return {"network": self.network.state_dict(), "optimizer": optimizer_state(self.optimizer)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Put :meth:`state` back."""
        self.network.load_state_dict(state["network"])
        restore_optimizer(self.optimizer, state.get("optimizer", {}))
