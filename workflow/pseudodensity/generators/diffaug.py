"""Differentiable augmentation of what the discriminator sees (DiffAugment, Zhao et al. 2020).

Every augmentation draws one transform per sample, and given the draws it is an affine function
of the images, so gradients reach the generator through it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = ["POLICIES", "diff_augment"]


def _uniform(images: torch.Tensor, low: float, high: float, generator: torch.Generator):
    """``(n, 1, 1, 1)`` draws; made on the generator's device, so that a seed means one thing."""
    draws = torch.rand(len(images), 1, 1, 1, generator=generator, device=generator.device)
    return (low + (high - low) * draws).to(images)


def _integer(images: torch.Tensor, low: int, high: int, generator: torch.Generator):
    """``(n, 1)`` int64 draws from low, ..., high - 1."""
    shape = (len(images), 1)
    draws = torch.randint(low, high, shape, generator=generator, device=generator.device)
    return draws.to(images.device)


def color(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Brightness +- 0.5, saturation times 0 to 2, contrast times 0.5 to 1.5.

    The three have mean 0, 1 and 1 and are independent: the expected image is the image itself.
    """
    images = images + _uniform(images, -0.5, 0.5, generator)
    grey = images.mean(1, keepdim=True)
    images = torch.lerp(grey, images, _uniform(images, 0.0, 2.0, generator))
    level = images.mean((1, 2, 3), keepdim=True)
    return torch.lerp(level, images, _uniform(images, 0.5, 1.5, generator))


def translation(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Moves by a whole number of pixels, at most an eighth of the side each way; zeros enter."""
    n, _, height, width = images.shape
    for dim, size in ((2, height), (3, width)):
        reach = int(size / 8 + 0.5)
        shift = _integer(images, -reach, reach + 1, generator)
        source = torch.arange(size, device=images.device) - shift  # (n, size)
        inside = (source >= 0) & (source < size)
        shape = (n, 1, size, 1) if dim == 2 else (n, 1, 1, size)
        index = source.clamp(0, size - 1).view(shape).expand_as(images)
        images = images.gather(dim, index) * inside.view(shape)
    return images


def cutout(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Sets a square of half the side to zero; its centre falls anywhere in the image."""
    covered = torch.ones(len(images), 1, 1, 1, dtype=torch.bool, device=images.device)
    for dim in (2, 3):
        size = images.shape[dim]
        half = int(size / 2 + 0.5)
        start = _integer(images, 0, size + 1 - half % 2, generator) - half // 2
        place = torch.arange(size, device=images.device)
        within = (place >= start) & (place < start + half)  # (n, size)
        covered = covered & within[:, None].unsqueeze(5 - dim)
    return images * ~covered


POLICIES = {"color": color, "translation": translation, "cutout": cutout}


def diff_augment(
    images: torch.Tensor, generator: torch.Generator, policies: Sequence[str]
) -> torch.Tensor:
    """``images`` float ``(n, 3, R, R)`` in [-1, 1] under ``policies``, one after the other.

    ``policies`` names entries of :data:`POLICIES`; without any, the images come back unchanged.
    Two calls with equally seeded generators apply the same transforms.

    Raises:
        ValueError: on an unknown policy.
    """
    unknown = [name for name in policies if name not in POLICIES]
    if unknown:
        raise ValueError(f"unknown augmentation {unknown}; choose from {', '.join(POLICIES)}")
    for name in policies:
        images = POLICIES[name](images, generator)
    return images
