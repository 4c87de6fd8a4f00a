"""Latents that a GAN is trained on: drawn, and accepted by their images where there is a filter."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from pseudodensity.generators.generator import BaseGenerator

__all__ = ["AcceptImages", "Proposals"]

# Batches of fakes that are proposed at once, at most.
LARGEST_PROPOSAL = 4

# (images (n, 3, R, R), stream) -> which of them are accepted, (n,) bool.
AcceptImages = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


class Proposals:
    """Latents of a generator, with how many were proposed and accepted so far.

    Args:
        generator: latents -> images; in eval mode where there is a filter.
        accept: which fakes the discriminator may see, or None for all.
        batch_size: latents of a step.
        at_once: images that are made at once, at most; None for as many as are proposed.
        most: fakes to propose per accepted fake wanted before giving up.
        device: where latents go.
    """

    def __init__(
        self,
        generator: BaseGenerator,
        accept: AcceptImages | None,
        *,
        batch_size: int,
        at_once: int | None,
        most: int,
        device: str,
    ) -> None:
        self.generator, self.accept = generator, accept
        self.batch_size, self.at_once, self.most, self.device = batch_size, at_once, most, device
        self.proposed, self.accepted = 0, 0

    @property
    def acceptance(self) -> float:
        """Share of the proposals so far that were accepted."""
        return self.accepted / self.proposed

    def draw(self, count: int, stream: torch.Generator) -> torch.Tensor:
        """Standard normal latents (count, *latent_shape), whatever their images are."""
        shape = (count, *self.generator.latent_shape)
        return torch.randn(shape, generator=stream).to(self.device)

    @torch.no_grad()
    def batch(self, stream: torch.Generator) -> torch.Tensor:
        """A batch of latents whose images are accepted, out of as many as it takes.

        RuntimeError, in one line: it takes too many.
        """
        if self.accept is None:
            return self.draw(self.batch_size, stream)
        kept, count, proposed = [], 0, 0
        while count < self.batch_size:
            if proposed >= self.most * self.batch_size:
                raise RuntimeError(
                    f"only {count} of {proposed} fakes were accepted in one step: the threshold "
                    "tau leaves nothing of this generator; choose a tau or w nearer to the data"
                )
            # One large batch of proposals costs less than several small ones.
            rate = self.acceptance if self.accepted else 1.0
            enough = math.ceil((self.batch_size - count) / rate)
            latents = self.draw(min(enough, LARGEST_PROPOSAL * self.batch_size), stream)
            rows = self.accept(self._images(latents), stream)
            kept.append(latents[rows])
            accepted = len(kept[-1])
            count, proposed = count + accepted, proposed + len(latents)
            self.accepted, self.proposed = self.accepted + accepted, self.proposed + len(latents)
        return torch.cat(kept)[: self.batch_size]

    def _images(self, latents: torch.Tensor) -> torch.Tensor:
        if self.at_once is None:
            return self.generator(latents)
        return torch.cat([self.generator(part) for part in latents.split(self.at_once)])
