"""Per-sample perturbation: move a latent within a small box to raise or lower an objective.

Main paper, section 4 and Algorithm 1. The algorithm prints the raw gradient as the update; the
authors' code takes its sign, and only with the sign does the box of appendix A.1 matter (diffusion:
5 steps of 0.0025 are exactly the bound 0.0125). The sign is therefore the default.

Settings of appendix A.1: GANs steps=10, step_size=0.025, bound=0.1; diffusion models steps=5,
step_size=0.0025, bound=0.0125, differentiated through the whole deterministic sampling chain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from pseudodensity.control.move.gradient import Score, check_latents, per_sample_gradient
from pseudodensity.control.select.discriminator import consistent_logits
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.extractor import Extractor
from pseudodensity.rng import normal

__all__ = ["DensityObjective", "DiscriminatorObjective", "perturb", "random_direction"]


class DensityObjective:
    """Pseudo density of images, differentiable: (n, 3, R, R) float in [-1, 1] -> (n,) float32.

    extractor: the one that `density` was fitted on. Pixels beyond [-1, 1] are clamped first, as
    they are in the image that is kept, so that nothing is gained where nobody can see it.
    """

    def __init__(self, extractor: Extractor, density: PseudoDensity):
        self.extractor, self.density = extractor, density

    def __call__(self, images: Tensor) -> Tensor:
        return self.density(self.extractor(images.clamp(-1, 1)))


class DiscriminatorObjective:
    """Logit of a discriminator, differentiable: (n, 3, R, R) float in [-1, 1] -> (n,).

    Arguments and errors as `consistent_logits`: a StyleGAN discriminator compares the images of a
    group, so each image gets the same `reference_images` as its company and none of its batch.
    """

    def __init__(self, discriminator: nn.Module, reference_images: Tensor | None = None):
        self.discriminator, self.reference_images = discriminator, reference_images

    def __call__(self, images: Tensor) -> Tensor:
        return consistent_logits(self.discriminator, images, self.reference_images)


def perturb(
    generator: nn.Module,
    latents: Tensor,
    objective: Score,
    *,
    steps: int,
    step_size: float,
    bound: float,
    direction: Literal[1, -1] = 1,
    update: Literal["sign", "raw"] = "sign",
) -> Tensor:
    """Perturbed latents z + delta, |delta| <= bound in every coordinate (Algorithm 1).

    Args:
        generator: in eval mode, latents (n, *latent_shape) -> images; see `generators`.
        latents: z, (n, *latent_shape) float. The result has its shape, dtype and device and is
            not pulled back to the prior.
        objective: images -> (n,), each sample's own, such as `DensityObjective`.
        direction: +1 raises the objective (realism), -1 lowers it (uniqueness).
        update: "sign" of the gradient (the authors' code) or "raw" (Algorithm 1 as printed).

    ValueError: latents of another shape, a generator in training mode, settings that make no
    sense, an objective that is not one number per sample or has no finite gradient.
    """
    check_latents(generator, latents)
    _check_settings(steps, step_size, bound, direction, update)
    start = latents.detach()
    delta = torch.zeros_like(start)
    for _ in range(steps):
        gradient = per_sample_gradient(lambda z: objective(generator(z)), start + delta)
        move = gradient.sign() if update == "sign" else gradient
        delta = (delta + direction * step_size * move).clamp(-bound, bound)
    return start + delta


def random_direction(
    latents: Tensor,
    samples: Sequence[int],
    seed: int,
    name: str,
    *,
    steps: int,
    step_size: float,
    bound: float,
) -> Tensor:
    """Latents moved as by `perturb`, with random signs in place of the gradient's, same shape.

    The control of Figure 8, bottom: a random direction in each step, of the same size (appendix
    A.2). Each coordinate walks at random and is clipped to the box, so that it ends nearer to its
    start than a coordinate that climbs, which uses up the box.

    Args:
        latents: (n, *latent_shape) float.
        samples: numbers of the n samples; a sample's walk hangs on (seed, name, number) alone.
        steps, step_size, bound: as in `perturb`.

    ValueError: settings that make no sense, another number of samples than of latents.
    """
    _check_settings(steps, step_size, bound, 1, "sign")
    if len(samples) != len(latents):
        raise ValueError(f"there are {len(latents)} latents but {len(samples)} sample numbers")
    start = latents.detach()
    delta = torch.zeros_like(start)
    for step in range(steps):
        # A stream for each step: the signs of all steps at once may be too large to hold.
        draws = normal(seed, f"{name}, step {step}", samples, start.shape[1:])
        move = torch.where(draws < 0, -1, 1).to(start)
        delta = (delta + step_size * move).clamp(-bound, bound)
    return start + delta


def _check_settings(
    steps: int, step_size: float, bound: float, direction: int, update: str
) -> None:
    if steps < 0:
        raise ValueError(f"steps is a number of updates, 0 or more, got {steps}")
    if not (step_size >= 0 and math.isfinite(step_size)):
        raise ValueError(
            f"step_size must be finite and not negative, got {step_size}: `direction` has the sign"
        )
    if not (bound >= 0 and math.isfinite(bound)):
        raise ValueError(f"bound must be finite and not negative, got {bound}")
    if direction not in (1, -1):
        raise ValueError(f"direction is +1 (raise the objective) or -1 (lower it), got {direction}")
    if update not in ("sign", "raw"):
        raise ValueError(f"update {update!r} unknown: use 'sign' or 'raw'")
