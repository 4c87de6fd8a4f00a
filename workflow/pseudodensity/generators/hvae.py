"""A small hierarchical variational autoencoder: latents at several resolutions, from the coarsest on.

In the form of the ladder of Sonderby et al. 2016 as NVAE (Vahdat and Kautz 2020) uses it: the decoder draws
each group of latents given all coarser ones, the encoder says how its distribution differs from that of the
decoder. It stands in for NVAE, whose public weights are not read here: it has no batch normalisation, no
depthwise cells, no flows, and a Gaussian of pixels in place of mixtures of logistics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pseudodensity.generators.generator import BaseGenerator
from pseudodensity.generators.sizes import resolutions

__all__ = ["Coded", "HierarchicalVae", "build_generator", "gaussian_divergence"]

DECLARATION = {
    "name": "hvae",
    "prior": "normal",
    "classes": False,
    "w_space": False,
    "normalises_z": False,
    "discriminator": None,
    "trainer": "control.train.variational:VariationalTrainer",
    "tangents": None,
    "no_jacobian": None,
    "truncation": ["scale", "resample"],
    "likelihood": False,
    "calls_per_image": "one",
    "formats": [],
}

# Half-width of the range of logarithms of standard deviations: beyond, a step of training can diverge.
LOG_RANGE = 5.0


class Coded(NamedTuple):
    """What the encoder makes of images: their mean reconstruction (n, 3, R, R), and for each group of latents
    the divergence of its posterior from its prior, (n,) nats."""

    images: Tensor
    divergences: list[Tensor]


def gaussian_divergence(shift: Tensor, log_scale: Tensor) -> Tensor:
    """KL divergence of N(shift, scale^2) from N(0, 1), summed over all but the first dimension: (n,) nats."""
    terms = (shift.square() + (2 * log_scale).exp() - 1) / 2 - log_scale
    return terms.flatten(1).sum(1)


def _bounded(log_scale: Tensor) -> Tensor:
    return LOG_RANGE * torch.tanh(log_scale / LOG_RANGE)


class _Residual(nn.Module):
    """Two convolutions beside the identity, which start as the identity."""

    def __init__(self, width: int):
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.silu(self.first(F.silu(x))))


def _residuals(width: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(_Residual(width) for _ in range(blocks)))


class _Group(nn.Module):
    """Latents of one resolution: their prior, their posterior, and what they add to the decoder's state."""

    def __init__(self, width: int, latents: int, blocks: int):
        super().__init__()
        self.prior = nn.Conv2d(width, 2 * latents, 3, padding=1)
        self.posterior = nn.Conv2d(2 * width, 2 * latents, 3, padding=1)
        self.enter = nn.Conv2d(latents, width, 1)
        self.blocks = _residuals(width, blocks)
        nn.init.zeros_(self.prior.weight)
        nn.init.zeros_(self.posterior.weight)

    def add(self, state: Tensor, noise: Tensor) -> Tensor:
        """The state with latents whose standardised values are `noise`."""
        mean, log_scale = self.prior(state).chunk(2, 1)
        return self.blocks(state + self.enter(mean + _bounded(log_scale).exp() * noise))

    def differ(self, state: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-scale of the posterior, in units of the prior (NVAE's residual form)."""
        shift, log_scale = self.posterior(torch.cat([state, seen], 1)).chunk(2, 1)
        return shift, _bounded(log_scale)


class HierarchicalVae(BaseGenerator):
    """z (n, d) float32 -> images (n, 3, R, R) float32 in [-1, 1], the means of their pixels.

    z holds the standardised latents of all groups, from the coarsest to the finest.

    Args:
        resolution: R, a power of two of at least 8.
        channels: width at 1, 4, 8, ..., R.
        latents: channels of latents at the first of these resolutions: of 1 there are as many numbers, of 4
            there are 16 times as many, of 8 there are 64 times as many.
        blocks: residual blocks of each resolution, in the encoder and in the decoder.

    ValueError: on another resolution, or numbers that do not go with it.
    """

    truncation = DECLARATION["truncation"]

    def __init__(
        self,
        resolution: int,
        channels: Sequence[int] = (96, 64, 48, 32),
        latents: Sequence[int] = (32, 2, 1),
        blocks: int = 1,
    ):
        super().__init__()
        sizes = [1, *resolutions(resolution)]
        if len(channels) != len(sizes) or not 1 <= len(latents) <= len(sizes):
            raise ValueError(
                f"an hvae of {resolution} px has {len(sizes)} numbers of channels, at 1, 4, ... {resolution} px, "
                f"and no more of latents, not channels {list(channels)} and latents {list(latents)}"
            )
        if min(*channels, *latents, blocks) < 1:
            raise ValueError("channels, latents and blocks of an hvae must be at least 1")
        self.resolution = resolution
        self.shapes = [(c, s, s) for c, s in zip(latents, sizes, strict=False)]
        self.latent_shape = (sum(c * s * s for c, s, _ in self.shapes),)
        self.start = nn.Parameter(torch.zeros(1, channels[0], 1, 1))
        groups = zip(channels, latents, strict=False)
        self.groups = nn.ModuleList(_Group(width, own, blocks) for width, own in groups)
        self.rest = nn.ModuleList(_residuals(width, blocks) for width in channels[len(latents) :])
        self.ups, self.downs = nn.ModuleList(), nn.ModuleList()
        for level, (coarse, fine) in enumerate(pairwise(channels)):
            first = level == 0  # a map of 4 x 4 from one point, and back
            self.ups.append(
                nn.ConvTranspose2d(coarse, fine, 4)
                if first
                else nn.Conv2d(coarse, fine, 3, padding=1)
            )
            self.downs.append(
                nn.Conv2d(fine, coarse, 4) if first else nn.Conv2d(fine, coarse, 3, padding=1)
            )
        self.seeing = nn.ModuleList(_residuals(width, blocks) for width in channels)
        self.fromrgb = nn.Conv2d(3, channels[-1], 3, padding=1)
        self.torgb = nn.Conv2d(channels[-1], 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        parts = z.split([c * s * s for c, s, _ in self.shapes], 1)
        noises = [part.unflatten(1, shape) for part, shape in zip(parts, self.shapes, strict=True)]
        return self._decode(len(z), lambda level, state: noises[level])

    def code(self, images: Tensor, noises: Sequence[Tensor]) -> Coded:
        """Images (n, 3, R, R) through encoder and decoder.

        noises: of each group, standard normal (n, c, s, s): latents are drawn from the posterior by them.
        """
        seen, divergences = self._see(images), []

        def posterior(level: int, state: Tensor) -> Tensor:
            shift, log_scale = self.groups[level].differ(state, seen[level])
            divergences.append(gaussian_divergence(shift, log_scale))
            return shift + log_scale.exp() * noises[level]

        return Coded(self._decode(len(images), posterior), divergences)

    def _decode(self, count: int, standard: Callable[[int, Tensor], Tensor]) -> Tensor:
        """Images of `count` latents. standard: the standardised ones of a level, given its state."""
        state = self.start.expand(count, -1, -1, -1)
        for level in range(len(self.seeing)):
            state = self._finer(state, level)
            if level < len(self.groups):
                state = self.groups[level].add(state, standard(level, state))
            else:
                state = self.rest[level - len(self.groups)](state)
        return torch.tanh(self.torgb(F.silu(state)))

    def _see(self, images: Tensor) -> list[Tensor]:
        """Features of images at every resolution, the coarsest first."""
        x, found = self.fromrgb(images), []
        for level in reversed(range(len(self.seeing))):
            x = self.seeing[level](x)
            found.append(x)
            if level:
                smaller = F.avg_pool2d(F.silu(x), 2) if level > 1 else F.silu(x)
                x = self.downs[level - 1](smaller)
        return found[::-1]

    def _finer(self, state: Tensor, level: int) -> Tensor:
        """The state at the resolution of a level."""
        if level == 0:
            return state
        state = F.silu(state)
        if level > 1:
            state = F.interpolate(state, scale_factor=2, mode="nearest")
        return self.ups[level - 1](state)


build_generator = HierarchicalVae
