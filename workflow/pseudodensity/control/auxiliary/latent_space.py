"""Where the latent weights of a generator live: its latents, or w behind its mapping network."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

from pseudodensity.control.move.gradient import LEAST_DIMENSIONS
from pseudodensity.control.move.latent_ascent import Projection

__all__ = ["LatentSpace", "LatentWeight"]


class LatentSpace:
    """The points that a weight network takes, and the images of them.

    Args:
        generator: frozen; latents (n, *latent_shape) -> images.
        space: "w" for w where the generator has one (papers/003, section 4.3), else its latents; "z".

    Attributes:
        shape: of one point. is_w: whether points are w.
    """

    def __init__(self, generator: nn.Module, space: str):
        self.generator = generator
        self.is_w = space == "w" and generator.w_space
        self.shape = tuple(generator.mapping.w_avg.shape) if self.is_w else generator.latent_shape

    def points(self, latents: Tensor) -> Tensor:
        """Latents (n, *latent_shape) -> points (n, *shape)."""
        return self.generator.mapping(latents) if self.is_w else latents

    def images(self, points: Tensor) -> Tensor:
        """Points (n, *shape) -> images (n, 3, R, R)."""
        return self.generator.synthesis(points) if self.is_w else self.generator(points)

    def projection(self, wanted: Projection) -> Projection:
        """What of a gradient is followed: all of it in w, which has no prior that is a sphere, and where
        the latents have too few dimensions to be one."""
        return "none" if self.is_w or math.prod(self.shape) < LEAST_DIMENSIONS else wanted


@dataclass(frozen=True)
class LatentWeight:
    """A trained weight network in its space. largest: m of the acceptance min(w / m, 1)."""

    network: nn.Module
    space: LatentSpace
    largest: float

    def __call__(self, latents: Tensor) -> Tensor:
        """Weights (n,) of latents (n, *latent_shape)."""
        return self.network(self.space.points(latents))
