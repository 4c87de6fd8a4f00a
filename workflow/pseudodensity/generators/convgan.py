"""A generator of plain convolutions, in the form of DCGAN (Radford et al. 2016), for small images.

A dense layer makes a 4 x 4 map of z, and each further stage doubles it and convolves once. It has no
batch normalisation: an image depends on its own latent only, in training too, as a gradient penalty
per image asks of the discriminator (Gulrajani et al. 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pseudodensity.generators.generator import BaseGenerator
from pseudodensity.generators.sizes import resolutions

__all__ = ["ConvGan", "build_generator"]

DECLARATION = {
    "name": "convgan",
    "prior": "normal",
    "classes": False,
    "w_space": False,
    "normalises_z": False,
    "discriminator": "generators.convgan_discriminator",
    "trainer": "control.train.gan:GanTrainer",
    "tangents": None,
    "no_jacobian": None,
    "truncation": ["scale", "resample"],
    "likelihood": False,
    "calls_per_image": "one",
    "formats": [],
}


class ConvGan(BaseGenerator):
    """z (n, z_dim) float32 -> images (n, 3, R, R) float32 in [-1, 1].

    Args:
        resolution: R, a power of two of at least 8.
        z_dim: length of z.
        channels: at 4, 8, ..., R.

    Raises:
        ValueError: on another resolution, or another number of channels.
    """

    truncation = DECLARATION["truncation"]

    def __init__(self, resolution: int, z_dim: int = 32, channels: Sequence[int] = (32, 32, 16)):
        super().__init__()
        sizes = resolutions(resolution)
        if len(channels) != len(sizes) or min(*channels, z_dim) < 1:
            raise ValueError(
                f"a convgan of {resolution} px has a z and {len(sizes)} numbers of channels, at 4 to "
                f"{resolution} px, each at least 1, not z_dim {z_dim} and channels {list(channels)}"
            )
        self.resolution, self.latent_shape = resolution, (z_dim,)
        self.dense = nn.Linear(z_dim, channels[0] * 16)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(i, o, 3, padding=1) for i, o in pairwise(channels)
        )
        self.torgb = nn.Conv2d(channels[-1], 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        x = F.relu(self.dense(z)).unflatten(1, (-1, 4, 4))
        for convolution in self.convolutions:
            x = F.relu(convolution(F.interpolate(x, scale_factor=2, mode="nearest")))
        return torch.tanh(self.torgb(x))


build_generator = ConvGan
