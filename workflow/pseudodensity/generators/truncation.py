"""Truncation: fewer, more typical latents, or with psi > 1 bolder ones.

Three families that are often confused share the name psi:

- ``style``: w_avg + psi (w - w_avg), StyleGAN (Karras et al. 2019, section B);
- ``scale``: psi z, and the scaled x_T of a diffusion model;
- ``resample``: coordinates with |z| > psi are drawn again (BigGAN, Brock et al. 2019).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pseudodensity.generators.generator import BaseGenerator

__all__ = ["truncated_images"]


def truncated_images(
    generator: BaseGenerator,
    latents: Tensor,
    psi: float,
    family: str,
    stream: torch.Generator | None = None,
) -> Tensor:
    """Images of a generator under truncation psi.

    Args:
        generator: in ``eval`` mode, latents ``(n, *latent_shape)`` -> images.
        latents: ``(n, *latent_shape)`` standard normal.
        psi: 1 changes nothing for ``style`` and ``scale``; an infinite psi changes nothing for
            ``resample``.
        family: one of ``generator.truncation``. A mapping network normalises z, which undoes every
            scale, so a generator that has one takes ``style`` instead.
        stream: CPU generator for ``resample``. It is advanced by as many draws as there are
            coordinates, whatever psi, so that batches in order give what one batch gives.

    Returns:
        What the generator returns.

    FastGAN normalises z as well, but has no mapping: there ``scale`` acts on the normalised
    latent, where BigGAN-like generators have it. ``resample`` changes little in a generator that
    normalises, because only the direction of z is left to truncate. The number of a latent that
    chooses a class is left alone by all families.

    Raises:
        ValueError: a family that the generator cannot take; psi negative, or zero for
            ``resample``; latents of another shape; ``resample`` without a stream.
    """
    _check(generator, latents, psi, family, stream)
    if family == "style":
        return generator(latents, psi=psi)
    if family == "resample":
        resampled = _resampled(latents, psi, stream)
        if generator.classes is not None:
            resampled[:, -1] = latents[:, -1]
        return generator(resampled)
    return generator.scaled(latents, psi)


def _resampled(latents: Tensor, bound: float, stream: torch.Generator) -> Tensor:
    """Latents whose coordinates beyond the bound are drawn again until they lie within it."""
    shares = torch.rand(latents.shape, generator=stream, dtype=torch.float64)
    # Redrawing until inside is drawing from the truncated normal, here by its inverse law.
    inside = math.sqrt(2) * torch.erfinv((2 * shares - 1) * math.erf(bound / math.sqrt(2)))
    inside = inside.clamp(-bound, bound).to(latents)
    return torch.where(latents.abs() > bound, inside, latents)


def _check(
    generator: BaseGenerator,
    latents: Tensor,
    psi: float,
    family: str,
    stream: torch.Generator | None,
) -> None:
    if family not in generator.truncation:
        possible = " or ".join(generator.truncation) or "of no kind"
        raise ValueError(f"this generator takes truncation {possible}, not {family}")
    if not psi >= 0 or (family == "resample" and psi == 0):
        least = "above 0" if family == "resample" else "0 or more"
        raise ValueError(f"psi must be {least} for truncation by {family}, got {psi}")
    if family != "resample" and math.isinf(psi):
        raise ValueError(f"psi must be finite for truncation by {family}, got {psi}")
    if tuple(latents.shape[1:]) != tuple(generator.latent_shape):
        expected, got = tuple(generator.latent_shape), tuple(latents.shape[1:])
        raise ValueError(f"this generator takes latents of shape {expected}, not {got}")
    if family == "resample" and stream is None:
        raise ValueError("truncation by resampling draws new coordinates: give it a stream")
