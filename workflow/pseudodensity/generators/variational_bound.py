"""Negative log-likelihood of 8-bit images under a diffusion model, by the variational bound.

The bound is L_0 + ... + L_{T-1} + L_T: the discretised likelihood of the last step, a divergence for every
step before, and that of x_T from the prior (IDDPM, equations 4 to 7). Fewer terms than T are an unbiased
estimate of it: L_0, which is the largest by far, and one step of each of as many even stretches of the
others, drawn for each image, times the length of its stretch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pseudodensity.generators.gaussian_diffusion import GaussianDiffusion
from pseudodensity.rng import normal, uniform

__all__ = ["Predict", "bits_per_dimension"]

# Noisy images (n, c, h, w) and times (n,) int64 -> output of the network (n, 2 c, h, w).
Predict = Callable[[Tensor, Tensor], Tensor]


def bits_per_dimension(
    predict: Predict,
    process: GaussianDiffusion,
    images: Tensor,
    terms: int,
    seed: int,
    rows: Sequence[int],
) -> Tensor:
    """The bound of each image, (n,) float64 in bits per dimension.

    Args:
        predict: the model. process: its schedule, of T steps.
        images: (n, c, h, w), levels u / 127.5 - 1 of 8-bit images as floats.
        terms: how many of L_0 to L_{T-1} are taken; all if there are no more.
        seed, rows: the noise of an image depends on the seed and its row (n,) only.

    ValueError: fewer than 2 terms.
    """
    if terms < 2:
        raise ValueError(f"terms is {terms}: a variational bound takes 2 or more")
    shape, device = images.shape[1:], images.device
    steps, lengths = _chosen_steps(process.steps, terms, seed, rows)
    total = process.prior_bound(images).double()
    for j in range(steps.shape[1]):
        step = steps[:, j].to(device)
        noise = normal(seed, f"noise of term {j} of the bound", rows, shape).to(images)
        noisy = process.noised(images, step, noise)
        output = predict(noisy, process.times[step])
        total += lengths[j] * process.variational_bound(output, images, noisy, step)
    return total


def _chosen_steps(
    count: int, terms: int, seed: int, rows: Sequence[int]
) -> tuple[Tensor, list[int]]:
    """Steps (n, terms) int64 of each row, and how many steps each of the terms stands for."""
    ends = torch.linspace(1, count, min(terms, count), dtype=torch.float64).round().long()
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), ends[:-1]])
    lengths = ends - starts
    drawn = uniform(seed, "steps of the bound", rows, (len(ends),))
    return starts + (drawn * lengths).long(), lengths.tolist()
