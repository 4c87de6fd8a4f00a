"""The FastGAN generator of ProjectedGAN (Liu et al. 2021; Sauer et al. 2021).

One transposed convolution makes a 4 x 4 map of z, blocks of two convolutions double it up to the
resolution, and skip-layer excitation lets a map 16 times smaller scale the channels of a large
one. Modules carry the names of the published checkpoints; the only difference is how torch now
spells spectral normalisation, and :func:`public_key` undoes it.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import conv_transpose2d
from torch.nn.utils.parametrizations import spectral_norm

from pseudodensity.generators.generator import BaseGenerator
from pseudodensity.rng import numpy_generator

__all__ = ["FastGan", "build_generator", "public_key"]

DECLARATION = {
    "name": "projectedgan",
    "prior": "normal",
    "classes": False,
    "w_space": False,
    "normalises_z": True,
    "discriminator": "generators.projected",
    "trainer": "control.train.gan:GanTrainer",
    "tangents": None,
    "no_jacobian": None,
    "truncation": ["scale", "resample"],  # of the normalised latent
    "likelihood": False,
    "calls_per_image": "one",
    "formats": ["projectedgan"],
}

RESOLUTIONS = (16, 32, 64, 128, 256, 512)
# Channels at each resolution, in units of ngf.
WIDTHS = {4: 16, 8: 8, 16: 4, 32: 2, 64: 2, 128: 1, 256: 0.5, 512: 0.25}


def public_key(name: str) -> str:
    """Name in a published checkpoint of our state-dict entry ``name``."""
    for ours, public in (
        ("parametrizations.weight.original", "weight_orig"),
        ("parametrizations.weight.0._u", "weight_u"),
        ("parametrizations.weight.0._v", "weight_v"),
    ):
        name = name.replace(ours, public)
    return name


class NoiseInjection(nn.Module):
    """Adds one noise map per sample, scaled by one learned number.

    In training the map is drawn from torch's default generator, as dropout is. In evaluation it
    is one fixed map per layer, so that z alone decides the image. Zero would do that too, but
    the running variances of the batch normalisation that follows were measured with noise.
    """

    def __init__(self, resolution: int, layer: str):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        # Kept out of the module's tensors: a published checkpoint has no such entry.
        stream = numpy_generator(0, "fastgan noise", layer)
        self._fixed = stream.standard_normal((1, 1, resolution, resolution), dtype="float32")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            noise = torch.randn(len(x), 1, *x.shape[2:], device=x.device, dtype=x.dtype)
        else:
            noise = torch.from_numpy(self._fixed).to(x)
        return x + self.weight * noise


class GatedLinearUnit(nn.Module):
    """The first half of the channels, scaled by the sigmoid of the second: ``nn.GLU(1)``.

    Channels last, torch's own reads both halves with a stride and is not vectorised; a dense copy
    of the gates makes it two to three times as fast, both ways.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values, gates = x.chunk(2, 1)
        return values * gates.clone().sigmoid()


class DoublingConv2d(nn.Conv2d):
    """Nearest-neighbour doubling and then a 3 x 3 convolution, as one transposed convolution.

    Each output pixel sees 2 x 2 different inputs, so 4 products do the work of 9.
    """

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__(channels_in, channels_out, 3, padding=1, bias=False)
        # Which taps of a row meet at which distance from an input pixel.
        row = torch.tensor([[0.0, 0, 1, 1], [0, 1, 1, 0], [1, 1, 0, 0]])
        self.register_buffer("meeting", torch.kron(row, row), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(n, c, s, s)`` -> ``(n, channels_out, 2 s, 2 s)``."""
        kernel = (self.weight.flatten(2) @ self.meeting).unflatten(2, (4, 4))
        return conv_transpose2d(x, kernel.transpose(0, 1), stride=2, padding=1)


class InitLayer(nn.Module):
    """z ``(n, z_dim)`` -> ``(n, channels, 4, 4)``."""

    def __init__(self, z_dim: int, channels: int):
        super().__init__()
        self.init = nn.Sequential(
            spectral_norm(nn.ConvTranspose2d(z_dim, 2 * channels, 4, bias=False)),
            nn.BatchNorm2d(2 * channels),
            GatedLinearUnit(),
        )

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.init(z[:, :, None, None])


def up_block(channels_in: int, channels_out: int, resolution: int) -> nn.Sequential:
    """Doubles the map, then twice: convolution, noise, batch normalisation, gated linear unit."""
    convolutions = (
        DoublingConv2d(channels_in, 2 * channels_out),
        nn.Conv2d(channels_out, 2 * channels_out, 3, padding=1, bias=False),
    )
    layers: list[nn.Module] = [nn.Identity()]  # where the published module doubles the map
    for position, convolution in enumerate(convolutions):
        layers += [
            spectral_norm(convolution),
            NoiseInjection(resolution, f"{resolution}.{position}"),
            nn.BatchNorm2d(2 * channels_out),
            GatedLinearUnit(),
        ]
    return nn.Sequential(*layers)


class SkipExcitation(nn.Module):
    """Skip-layer excitation: the small map gates the channels of the large one."""

    def __init__(self, channels_small: int, channels_large: int):
        super().__init__()
        self.main = nn.Sequential(
            nn.AdaptiveAvgPool2d(4),
            spectral_norm(nn.Conv2d(channels_small, channels_large, 4, bias=False)),
            nn.SiLU(),
            spectral_norm(nn.Conv2d(channels_large, channels_large, 1, bias=False)),
            nn.Sigmoid(),
        )

    def forward(self, small: torch.Tensor, large: torch.Tensor) -> torch.Tensor:
        return large * self.main(small)


class Synthesis(nn.Module):
    """Normalised z ``(n, z_dim)`` -> images ``(n, 3, R, R)``."""

    def __init__(self, resolution: int, z_dim: int, ngf: int, skip_ratio: int):
        super().__init__()
        sizes = [size for size in WIDTHS if size <= resolution]
        channels = {size: int(WIDTHS[size] * ngf) for size in sizes}
        self.init = InitLayer(z_dim, channels[4])
        for size in sizes[1:]:
            block = up_block(channels[size // 2], channels[size], size)
            self.add_module(f"feat_{size}", block)
        # Each excitation: the large resolution, and the small one that gates it.
        self.skips = {size: size // skip_ratio for size in sizes if size // skip_ratio >= 4}
        for large, small in self.skips.items():
            self.add_module(f"se_{large}", SkipExcitation(channels[small], channels[large]))
        self.to_big = spectral_norm(nn.Conv2d(channels[resolution], 3, 3, padding=1))
        self.sizes = sizes

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        x = self.init(z)
        maps = {4: x}
        for size in self.sizes[1:]:
            x = self.get_submodule(f"feat_{size}")(x)
            if size in self.skips:
                x = self.get_submodule(f"se_{size}")(maps[self.skips[size]], x)
            maps[size] = x
        return self.to_big(x)


class FastGan(BaseGenerator):
    """z ``(n, z_dim)`` float32 -> images ``(n, 3, R, R)`` float32, about [-1, 1], not clamped.

    In ``eval()`` an image depends on its own z only; in ``train()`` batch normalisation couples
    the batch and noise is drawn (``couples_batch``).

    Args:
        resolution: R, one of 16, 32, ..., 512.
        z_dim: length of z.
        ngf: channels in units of :data:`WIDTHS`; 128 in ProjectedGAN.
        skip_ratio: how many times smaller the map is that excites a large one; 16 as published,
            which leaves no excitation below 64 x 64.

    Raises:
        ValueError: on another resolution, or a size that leaves no channels.
    """

    couples_batch = True
    truncation = DECLARATION["truncation"]

    def __init__(self, resolution: int, z_dim: int = 256, ngf: int = 128, skip_ratio: int = 16):
        super().__init__()
        if resolution not in RESOLUTIONS:
            raise ValueError(f"FastGAN has resolutions {RESOLUTIONS}, not {resolution}")
        if int(WIDTHS[resolution] * ngf) < 1 or z_dim < 1 or skip_ratio < 2:
            raise ValueError(
                f"FastGAN at {resolution} px: z_dim {z_dim} and ngf {ngf} must leave at least one "
                f"channel and skip_ratio {skip_ratio} must be 2 or more"
            )
        self.resolution = resolution
        self.latent_shape = (z_dim,)
        self.synthesis = Synthesis(resolution, z_dim, ngf, skip_ratio)
        # Convolutions keep this layout and run faster in it, on a CPU and in half precision.
        self.to(memory_format=torch.channels_last)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.synthesis(_normalised(z))

    def scaled(self, z: torch.Tensor, psi: float) -> torch.Tensor:
        """Images of psi times the normalised latent, as BigGAN-like generators have it."""
        return self.synthesis(psi * _normalised(z))


def _normalised(z: torch.Tensor) -> torch.Tensor:
    return z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)


build_generator = FastGan
