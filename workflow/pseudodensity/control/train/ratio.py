"""Teach the head of a discriminator the density ratio of data and generator, by cross-entropy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pseudodensity.control.train.adversarial import cross_entropy, squared_slope
from pseudodensity.control.train.batches import draw_real_images
from pseudodensity.control.train.loop import linear_decay, optimizer_state, restore_optimizer
from pseudodensity.control.train.parts import size_of_part
from pseudodensity.generators.critic import critic_of
from pseudodensity.generators.discriminator import StagedDiscriminator
from pseudodensity.images.dataset import ImageSet
from pseudodensity.images.transform import to_float, to_uint8
from pseudodensity.rng import generator as random_stream

__all__ = ["RatioTrainer"]

DECAY = 0.5  # share of the run in which the learning rate falls to nothing
HELD_OUT = 1000  # images of either kind, at most, on which the loss is measured at the end


class RatioTrainer:
    """A discriminator's head in training; see `pseudodensity.control.train.loop.Trainer`.

    It is trained as it is asked: in eval mode, each image alone with the same references, fakes rounded
    to 8 bits as pools store them. The optimum of the loss is the logit log p_data / p_g.

    Args:
        discriminator: images -> logits. generator: frozen; latents -> images in [-1, 1].
        data: the real images.
        settings: see `pseudodensity.control.auxiliary.ratio`.
        mirror: flip real images at random.
        seed: names all random streams.

    ValueError: `accumulate` that does not divide the batch.
    """

    def __init__(
        self,
        discriminator: StagedDiscriminator,
        generator: nn.Module,
        data: ImageSet,
        settings: Mapping[str, Any],
        *,
        mirror: bool,
        seed: int,
        device: str = "cpu",
    ) -> None:
        self.parts = settings.get("accumulate", 1)
        self.part_size = size_of_part(settings["batch_size"], self.parts)
        self.head = discriminator.head()
        # Asked before the critic freezes all: a feature network is frozen in every training.
        self.parameters = [p for p in self.head.parameters() if p.requires_grad]
        self.critic = critic_of(discriminator, data, HELD_OUT, device)
        self.generator, self.images, self.settings = generator, data.images, settings
        self.batch_size, self.mirror, self.seed = settings["batch_size"], mirror, seed
        self.device = device
        self.optimizer = torch.optim.Adam(
            self.parameters, lr=settings["learning_rate"], betas=(0.0, 0.99)
        )

    def step(self, iteration: int) -> dict[str, float]:
        """One update on as many real as generated images."""
        stream = random_stream(self.seed, "ratio step", iteration)
        factor = linear_decay(iteration, self.settings["iterations"], DECAY)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings["learning_rate"] * factor
        real = draw_real_images(self.images, self.batch_size, None, self.mirror, stream)
        latents = self._latents(self.batch_size, stream)
        for parameter in self.parameters:
            parameter.requires_grad_(True)
        self.optimizer.zero_grad(set_to_none=True)
        losses = []
        for x, z in zip(real.split(self.part_size), latents.split(self.part_size), strict=True):
            x = x.to(self.device)
            loss = cross_entropy(self.critic(x), self.critic(self._fakes(z)))
            ((loss + self._penalty(x)) / self.parts).backward()
            losses.append(loss.detach())
        self.optimizer.step()
        for parameter in self.parameters:
            parameter.requires_grad_(False)
        return {"cross-entropy": torch.stack(losses).mean().item()}

    def _penalty(self, real: Tensor) -> Tensor | float:
        """gamma / 2 times the mean squared gradient at real images (R1)."""
        if not self.settings["r1_gamma"]:
            return 0.0
        leaf = real.detach().requires_grad_(True)
        return self.settings["r1_gamma"] / 2 * squared_slope(self.critic(leaf), leaf)

    def _latents(self, count: int, stream: torch.Generator) -> Tensor:
        return torch.randn((count, *self.generator.latent_shape), generator=stream)

    @torch.no_grad()
    def _fakes(self, latents: Tensor) -> Tensor:
        return to_float(to_uint8(self.generator(latents.to(self.device))))

    def state(self) -> dict[str, Any]:
        """The head and its optimiser."""
        return {"head": self.head.state_dict(), "optimizer": optimizer_state(self.optimizer)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Put :meth:`state` back."""
        self.head.load_state_dict(state["head"])
        restore_optimizer(self.optimizer, state.get("optimizer", {}))

    def weights_to_keep(self) -> dict[str, dict[str, Tensor]]:
        """The head."""
        return {"head": self.head.state_dict()}

    @torch.no_grad()
    def facts(self) -> dict[str, float]:
        """``held_out_loss``: cross-entropy on real images that nothing here was trained on, where there
        are such, and further fakes; log 2 = .693 is that of a discriminator that knows nothing."""
        # A thousand images of 1,024 px at once are more than any card holds.
        latents = self._latents(len(self.critic.reals), random_stream(self.seed, "ratio held out"))
        parts = latents.split(self.part_size)
        fake = torch.cat([self.critic(self._fakes(part)).cpu() for part in parts])
        real = torch.from_numpy(self.critic.real_logits(self.part_size))
        return {"held_out_loss": cross_entropy(real, fake).item()}
