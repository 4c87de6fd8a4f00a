"""Piecewise affine generators whose regions, volumes and law at every polarity are known exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pseudodensity.generators.generator import BaseGenerator
from pseudodensity.generators.toy import TwoPieces

__all__ = ["MAPS", "Creases", "KnownMap", "exact_masses", "regions_of_square"]

SQUARE = torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1]], dtype=torch.float64)


@dataclass(frozen=True)
class KnownMap:
    """A generator with what is known of it.

    generator: latents (n, d) -> points (n, 2). draw: (count, stream) -> latents (count, d) float64 of its
    prior. locate: latents (n, d) -> number of the region of each, (n,) int64. masses: of the regions under
    the prior, (r,). log_volumes: of the regions, (r,). outlines: corners of each region in the plane of
    the points, (corners, 2); empty where the regions are no polygons.
    """

    generator: BaseGenerator
    draw: Callable[[int, torch.Generator], Tensor]
    locate: Callable[[Tensor], Tensor]
    masses: Tensor
    log_volumes: Tensor
    outlines: Sequence[Tensor]


def exact_masses(masses: Tensor, log_volumes: Tensor, polarity: float) -> Tensor:
    """Masses of regions at a polarity, (r,) float64 (Corollary 1): in proportion to mass * volume^rho."""
    return (masses.double().log() + polarity * log_volumes.double()).softmax(0)


# ------------------------------------------------------------------------------ a line with a bend


def _two_pieces() -> KnownMap:
    """Slopes 1 and 3 left and right of the origin, a standard normal prior."""
    generator = TwoPieces(1, 3)
    volumes = generator.pieces.norm(dim=1).log()

    def draw(count: int, stream: torch.Generator) -> Tensor:
        return torch.randn(count, 1, generator=stream, dtype=torch.float64)

    def locate(latents: Tensor) -> Tensor:
        return (latents[:, 0] >= 0).long()

    return KnownMap(generator, draw, locate, torch.full((2,), 0.5), volumes, [])


# ------------------------------------------------------------------------------ a folded square


class Creases(BaseGenerator):
    """z (n, 2) -> z + sum_j a_j n_j relu(n_j z - o_j): each crease stretches all that lies beyond it.

    The gradient of a strictly convex function, so no two latents have one image, as Theorem 1 asks. On a
    region its matrix is 1 + sum a_j n_j n_j^T over the creases that are passed.
    """

    latent_shape = (2,)

    def __init__(self, angles: Sequence[float], offsets: Sequence[float], gains: Sequence[float]):
        """angles: of the normals n_j, in radians. offsets: o_j. gains: a_j > 0."""
        super().__init__()
        turned = torch.tensor(angles, dtype=torch.float64)
        self.register_buffer("normals", torch.stack([turned.cos(), turned.sin()], 1))
        self.register_buffer("offsets", torch.tensor(offsets, dtype=torch.float64))
        self.register_buffer("gains", torch.tensor(gains, dtype=torch.float64))

    def heights(self, z: Tensor) -> Tensor:
        """How far latents (n, 2) lie beyond each crease, (n, h); negative before it."""
        return z @ self.normals.to(z).T - self.offsets.to(z)

    def forward(self, z: Tensor) -> Tensor:
        return z + (self.gains.to(z) * self.heights(z).relu()) @ self.normals.to(z)

    def matrix(self, passed: Tensor) -> Tensor:
        """Matrix (2, 2) of the region beyond the creases `passed` (h,) bool."""
        own = self.normals[passed]
        return torch.eye(2, dtype=torch.float64) + own.T @ (self.gains[passed, None] * own)


def regions_of_square(creases: Creases) -> list[Tensor]:
    """The convex polygons (corners, 2) into which the creases cut the square from -1 to 1."""
    found = [SQUARE]
    for normal, offset in zip(creases.normals, creases.offsets, strict=True):
        halves = [_half(p, side * normal, side * offset) for p in found for side in (1, -1)]
        found = [half for half in halves if len(half) > 2]
    return found


def _half(polygon: Tensor, normal: Tensor, offset: Tensor) -> Tensor:
    """The part of a polygon where normal * z >= offset."""
    heights, corners = polygon @ normal - offset, []
    for i in range(len(polygon)):
        j = (i + 1) % len(polygon)
        if heights[i] >= 0:
            corners.append(polygon[i])
        if heights[i] * heights[j] < 0:
            share = heights[i] / (heights[i] - heights[j])
            corners.append(polygon[i] + share * (polygon[j] - polygon[i]))
    return torch.stack(corners) if corners else polygon[:0]


def _area(polygon: Tensor) -> Tensor:
    turned = polygon.roll(-1, 0)
    return (polygon[:, 0] * turned[:, 1] - polygon[:, 1] * turned[:, 0]).sum() / 2


def _creases() -> KnownMap:
    """Four creases across a square with a uniform prior: the determinants run from 1 to about 20."""
    generator = Creases((0.3, 1.7, 2.9, 4.4), (0.2, 0.0, -0.1, 0.35), (2.0, 1.5, 1.0, 3.0))
    polygons = regions_of_square(generator)
    passed = [generator.heights(p.mean(0, keepdim=True))[0] > 0 for p in polygons]
    powers = 2 ** torch.arange(len(generator.gains))
    number = torch.full((2 ** len(powers),), -1)
    number[torch.stack([(sides * powers).sum() for sides in passed])] = torch.arange(len(polygons))

    def draw(count: int, stream: torch.Generator) -> Tensor:
        return 2 * torch.rand(count, 2, generator=stream, dtype=torch.float64) - 1

    def locate(latents: Tensor) -> Tensor:
        return number[((generator.heights(latents) > 0) * powers).sum(1)]

    return KnownMap(
        generator,
        draw,
        locate,
        torch.stack([_area(p) for p in polygons]) / 4,
        torch.stack([generator.matrix(sides).logdet() for sides in passed]),
        [generator(p) for p in polygons],
    )


MAPS: dict[str, Callable[[], KnownMap]] = {"two_pieces": _two_pieces, "creases": _creases}
