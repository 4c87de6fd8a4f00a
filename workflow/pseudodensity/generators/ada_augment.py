"""Augmentation that does not leak: each transform with a probability (Karras et al. 2020, NeurIPS).

Transforms, their order and their laws are those of section 2.2 and appendix B: pixel blitting, geometric
and colour. Small images are warped by cubic convolution, where the paper filters by wavelets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from pseudodensity.generators.recoloring import (
    brightness,
    contrast,
    hue,
    luma_flip,
    recolor,
    saturation,
)
from pseudodensity.generators.warping import affine_move, affine_scale, affine_turn, shift, warp

__all__ = ["TRANSFORMS", "Draws", "ada_augment", "color_matrix", "geometric_matrix"]

# Largest move by whole pixels, and the deviation of one by parts of them, in sides of the image.
REACH = 0.125
# Deviations: of the logarithm to base 2 of sizes, contrast and saturation; of brightness.
LOG_SIZE, LOG_CONTRAST, LOG_SATURATION, BRIGHTNESS = 0.2, 0.5, 1.0, 0.2


class Draws:
    """What one batch draws, (n,) each, on the CPU: a value with the probability, else the neutral one."""

    def __init__(self, count: int, probability: float, stream: torch.Generator) -> None:
        self.count, self.probability, self.stream = count, probability, stream

    def chosen(self, probability: float | None = None) -> torch.Tensor:
        """Which samples are transformed, bool; by another probability where one is given."""
        share = self.probability if probability is None else probability
        return torch.rand(self.count, generator=self.stream) < share

    def uniform(self, reach: float) -> torch.Tensor:
        """From -reach to reach."""
        return (2 * torch.rand(self.count, generator=self.stream) - 1) * reach

    def normal(self, deviation: float) -> torch.Tensor:
        """Gaussian of mean 0."""
        return deviation * torch.randn(self.count, generator=self.stream)

    def choice(self, values: int) -> torch.Tensor:
        """One of 0, ..., values - 1 with equal shares where chosen, else 0; int64."""
        drawn = torch.randint(values, (self.count,), generator=self.stream)
        return drawn * self.chosen()

    def factor(self, deviation: float) -> torch.Tensor:
        """2 to a Gaussian power where chosen, else 1."""
        return torch.exp2(self.normal(deviation) * self.chosen())


def _blit(images: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Flips, quarter turns and moves by whole pixels."""
    device, (height, width) = images.device, images.shape[2:]
    flipped, quarters = draws.choice(2).to(device), draws.choice(4).to(device)
    images = torch.where((flipped == 1)[:, None, None, None], images.flip(3), images)
    turned = images
    for quarter in (1, 2, 3):
        here = (quarters == quarter)[:, None, None, None]
        turned = torch.where(here, images.rot90(quarter, (2, 3)), turned)
    right, down = (draws.uniform(REACH * side).round().long() for side in (width, height))
    moved = draws.chosen()
    return shift(turned, (right * moved).to(device), (down * moved).to(device))


def geometric_matrix(side: int, draws: Draws) -> torch.Tensor:
    """(n, 3, 3), from places of the result to those of the image; see :func:`~.warping.warp`.

    Each law is that of its inverse too, so that the maps are drawn as they are used.
    """
    # Turned before the stretch or after it: by one of the two with the probability.
    once = 1 - math.sqrt(1 - draws.probability)
    size, before = draws.factor(LOG_SIZE), draws.uniform(math.pi) * draws.chosen(once)
    matrix = affine_scale(size, size) @ affine_turn(before)
    stretch, after = draws.factor(LOG_SIZE), draws.uniform(math.pi) * draws.chosen(once)
    matrix = matrix @ affine_scale(stretch, 1 / stretch) @ affine_turn(after)
    right, down, moved = draws.normal(REACH), draws.normal(REACH), draws.chosen()
    return matrix @ affine_move(right * moved * side, down * moved * side)


def _geometric(images: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Sizes, turns, one side stretched and the other shrunk, and moves by parts of pixels."""
    matrix = geometric_matrix(images.shape[3], draws)
    warped = warp(images, matrix[:, :2].to(images.device))
    return _where_changed(matrix, warped, images)


def color_matrix(draws: Draws) -> torch.Tensor:
    """(n, 4, 4): brightness, contrast, luma flipped, hue and saturation, one after the other."""
    matrix = brightness(draws.normal(BRIGHTNESS) * draws.chosen())
    matrix = contrast(draws.factor(LOG_CONTRAST)) @ matrix
    matrix = luma_flip(draws.choice(2)) @ matrix
    matrix = hue(draws.uniform(math.pi) * draws.chosen()) @ matrix
    return saturation(draws.factor(LOG_SATURATION)) @ matrix


def _color(images: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Brightness, contrast, luma flipped, hue and saturation."""
    matrix = color_matrix(draws)
    return _where_changed(matrix, recolor(images, matrix), images)


def _where_changed(
    matrix: torch.Tensor, changed: torch.Tensor, images: torch.Tensor
) -> torch.Tensor:
    """The images themselves where the matrix (n, k, k) is exactly the identity."""
    touched = (matrix != torch.eye(matrix.shape[1])).flatten(1).any(1).to(images.device)
    return torch.where(touched[:, None, None, None], changed, images)


TRANSFORMS = {"blit": _blit, "geometric": _geometric, "color": _color}


def ada_augment(
    images: torch.Tensor, probability: float, transforms: Sequence[str], stream: torch.Generator
) -> torch.Tensor:
    """``images`` float ``(n, 3, R, R)`` in [-1, 1], each transform applied with ``probability``.

    ``transforms`` names entries of :data:`TRANSFORMS`, done one after the other. Two calls with
    equally seeded streams (on the CPU) apply the same; at probability 0 the images come back and
    nothing is drawn. Linear in the images up to an offset, and differentiable twice.

    Raises:
        ValueError: on an unknown transform.
    """
    if unknown := [name for name in transforms if name not in TRANSFORMS]:
        raise ValueError(f"unknown transform {unknown}; choose from {', '.join(TRANSFORMS)}")
    if probability == 0:
        return images
    draws = Draws(len(images), probability, stream)
    for name in transforms:
        images = TRANSFORMS[name](images, draws)
    return images
