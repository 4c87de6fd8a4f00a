"""Path-length regularisation of a generator with a w space (StyleGAN2; Karras et al. 2020, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from pseudodensity.control.train.parts import buffers_put_back
from pseudodensity.generators.generator import BaseGenerator
from pseudodensity.rng import seed_layers

__all__ = ["INTERVAL", "penalise_path_lengths"]

# Steps between two penalties.
INTERVAL = 4
# How far the running mean moves towards the mean length of a step.
DECAY = 0.01


def penalise_path_lengths(
    generator: BaseGenerator,
    latents: Tensor,
    running_mean: Tensor,
    weight: float,
    stream: torch.Generator,
    size: int,
) -> None:
    """Add the gradient of the penalty to those of the generator, and move the mean length, once.

    The penalty is of all lengths at once, because each is compared with a mean that they move. Where the
    latents are more than one part, all lengths are measured first; then each part is made again with a
    graph, among the lengths of the others as constants. The gradients of the parts add up to the whole one.

    Args:
        generator: it has ``mapping`` and ``synthesis``.
        latents: (n, *latent_shape). size: how many of them are worked through at once.
        running_mean: of the lengths so far, a scalar; it is changed.
        weight: of the penalty in a step without intervals.
        stream: of the directions (n, 3, R, R) and of what layers draw.
    """
    again = stream.clone_state()
    seed_layers(stream, latents.device)
    shape = (len(latents), 3, generator.resolution, generator.resolution)
    directions = torch.randn(shape, generator=stream)
    parts = list(zip(latents.split(size), directions.split(size), strict=True))
    measured: list[Tensor] = []
    if len(parts) > 1:
        with buffers_put_back(generator):
            measured = [_lengths(generator, *part, graph=False) for part in parts]
        seed_layers(again, latents.device)  # layers draw the same noise again
    for i, part in enumerate(parts):
        own = _lengths(generator, *part, graph=True)
        lengths = torch.cat([*measured[:i], own, *measured[i + 1 :]])
        mean = running_mean.lerp(lengths.mean(), DECAY)
        penalty = (lengths - mean).square().mean() * weight
        (penalty * INTERVAL).backward()
    running_mean.copy_(mean.detach())


def _lengths(
    generator: BaseGenerator, latents: Tensor, directions: Tensor, *, graph: bool
) -> Tensor:
    """|J^T y| (n,) of latents and directions y; graph: whether weights can learn from them."""
    styles = generator.mapping(latents)
    styles = styles.unsqueeze(1).repeat(1, generator.synthesis.num_ws, 1)
    images = generator.synthesis(styles)
    directions = directions.to(images) / images.shape[-1]
    (gradient,) = torch.autograd.grad((images * directions).sum(), styles, create_graph=graph)
    return gradient.square().sum(2).mean(1).sqrt()
