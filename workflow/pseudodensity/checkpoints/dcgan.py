"""A DCGAN of 64 px as an exported program (Radford et al. 2016, figure 1 and section 3)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from pseudodensity.artifacts import atomic_path, one_line

__all__ = ["LATENT_SHAPE", "build_dcgan", "export_dcgan"]

LATENT_SHAPE = (100,)
WIDTHS = (512, 256, 128, 64)  # channels at 4, 8, 16 and 32 px


def build_dcgan(state: Mapping[str, Tensor]) -> nn.Module:
    """The generator with the weights of a file, frozen, in eval mode: z (n, 100) -> images
    (n, 3, 64, 64) float32 in [-1, 1].

    state: tensors in the order of the layers, whatever they are called. ValueError, in one line:
    they are not those of such a generator.
    """
    layers: list[nn.Module] = [nn.Unflatten(1, (LATENT_SHAPE[0], 1, 1))]
    channels = LATENT_SHAPE[0]
    for width in WIDTHS:
        # The first one makes 4 px of one, each other doubles the side.
        stride, padding = (1, 0) if width == WIDTHS[0] else (2, 1)
        layers.append(nn.ConvTranspose2d(channels, width, 4, stride, padding, bias=False))
        layers += [nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
    layers += [nn.ConvTranspose2d(channels, 3, 4, 2, 1, bias=False), nn.Tanh()]
    generator = nn.Sequential(*layers)
    names = generator.state_dict()
    try:
        generator.load_state_dict(dict(zip(names, state.values(), strict=True)))
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"the weights are not those of a DCGAN: {one_line(error)[:200]}") from None
    return generator.eval().requires_grad_(False)


def export_dcgan(generator: nn.Module, path: str | Path) -> None:
    """Write a generator as an exported program (.pt2) that takes any number of latents."""
    sizes = ({0: torch.export.Dim("n")},)
    program = torch.export.export(generator, (torch.zeros(2, *LATENT_SHAPE),), dynamic_shapes=sizes)
    # It asks files for a name that ends in .pt2, and a file that is not whole yet has another.
    content = io.BytesIO()
    torch.export.save(program, content)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.getvalue())
