"""The ProGAN generator (Karras et al. 2018) at its final resolution, in plain PyTorch.

Written from the paper and from published parameter names and shapes. Growing is how the paper trains
it, and no part of the finished network: here a small one is trained at its full resolution from the
start, which at 16 px leaves two stages to grow.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pseudodensity.generators.generator import BaseGenerator
from pseudodensity.generators.sizes import channels_at, resolutions

__all__ = [
    "EqualisedConv",
    "EqualisedLinear",
    "ProGan",
    "build_generator",
    "pixel_norm",
]

DECLARATION = {
    "name": "progan",
    "prior": "normal",
    "classes": False,
    "w_space": False,
    "normalises_z": True,
    "discriminator": "generators.progan_discriminator",
    "trainer": "control.train.gan:GanTrainer",
    "tangents": None,
    "no_jacobian": None,
    "truncation": ["scale", "resample"],  # of the normalised latent
    "likelihood": False,
    "calls_per_image": "one",
    "formats": ["progan"],
}

SLOPE = 0.2
GAIN = math.sqrt(2)  # keeps the second moment through a leaky ReLU


def pixel_norm(x: Tensor) -> Tensor:
    """Each pixel's vector of channels, (n, c, ...), scaled to a mean square of one (section 4.2)."""
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class EqualisedLinear(nn.Module):
    """Linear layer whose weights, drawn at unit variance, are scaled as it runs (section 4.1).

    gain: of the second moment. Biases are not scaled.
    """

    def __init__(self, inputs: int, outputs: int, gain: float):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = gain / math.sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs) -> (n, outputs)."""
        return F.linear(x, self.weight * self.scale, self.bias)


class EqualisedConv(nn.Module):
    """k x k convolution scaled as it runs; `up` doubles the image before, `down` halves it behind.

    Both repeat or average pixels, which joins the kernel: four products do the work of nine.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        k: int,
        *,
        gain: float = GAIN,
        up: bool = False,
        down: bool = False,
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, k, k))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = gain / math.sqrt(inputs * k * k)
        self.up, self.down = up, down

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, h) -> (n, outputs, h, h), or 2 h, or h / 2."""
        weight = self.weight * self.scale
        if self.up:
            # A transposed convolution walks through its kernel backwards.
            kernel = _summed(weight.flip(2, 3)).transpose(0, 1)
            return F.conv_transpose2d(x, kernel, self.bias, stride=2, padding=1)
        if self.down:
            return F.conv2d(x, _summed(weight) / 4, self.bias, stride=2, padding=1)
        return F.conv2d(x, weight, self.bias, padding=self.weight.shape[2] // 2)


def _summed(weight: Tensor) -> Tensor:
    """Kernels (o, i, 3, 3) summed over windows of 2 x 2: (o, i, 4, 4)."""
    padded = F.pad(weight, (1, 1, 1, 1))
    rows = padded[:, :, 1:] + padded[:, :, :-1]
    return rows[..., 1:] + rows[..., :-1]


class FirstBlock(nn.Module):
    """Normalised z -> features at 4 x 4."""

    def __init__(self, z_dim: int, channels: int):
        super().__init__()
        # In the paper a convolution on one padded pixel, hence a bias per channel and the gain over 4.
        self.weight = nn.Parameter(torch.randn(channels * 16, z_dim))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.scale = GAIN / 4 / math.sqrt(z_dim)
        self.conv = EqualisedConv(channels, channels, 3)

    def forward(self, z: Tensor) -> Tensor:
        """(n, z_dim) -> (n, channels, 4, 4)."""
        x = F.linear(z, self.weight * self.scale).unflatten(1, (-1, 4, 4))
        x = pixel_norm(F.leaky_relu(x + self.bias[:, None, None], SLOPE))
        return pixel_norm(F.leaky_relu(self.conv(x), SLOPE))


class Block(nn.Module):
    """Doubles the size; two convolutions, each with a leaky ReLU and pixel normalisation."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv0 = EqualisedConv(inputs, outputs, 3, up=True)
        self.conv1 = EqualisedConv(outputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, h) -> (n, outputs, 2 h, 2 h)."""
        x = pixel_norm(F.leaky_relu(self.conv0(x), SLOPE))
        return pixel_norm(F.leaky_relu(self.conv1(x), SLOPE))


class ProGan(BaseGenerator):
    """z (n, z_dim) float32 -> images (n, 3, R, R) float32, about [-1, 1], not clamped.

    Args:
        resolution: R, a power of two of at least 8.
        z_dim: length of z, which is normalised.
        channel_base, channel_max: channels at size s are min(channel_base // s, channel_max).

    Raises:
        ValueError: on another resolution, or a size that leaves no channels.
    """

    truncation = DECLARATION["truncation"]

    def __init__(
        self,
        resolution: int,
        z_dim: int = 512,
        channel_base: int = 16384,
        channel_max: int = 512,
    ):
        super().__init__()
        self.sizes = resolutions(resolution)
        channels = [channels_at(size, channel_base, channel_max) for size in self.sizes]
        if min(*channels, z_dim) < 1:
            raise ValueError(
                f"ProGAN at {resolution} px: z_dim {z_dim}, channel_base {channel_base} and channel_max "
                f"{channel_max} must leave at least one of each"
            )
        self.resolution, self.latent_shape = resolution, (z_dim,)
        self.b4 = FirstBlock(z_dim, channels[0])
        for size, inputs, outputs in zip(self.sizes[1:], channels, channels[1:], strict=False):
            setattr(self, f"b{size}", Block(inputs, outputs))
        self.torgb = EqualisedConv(channels[-1], 3, 1, gain=1.0)

    def forward(self, z: Tensor) -> Tensor:
        return self.scaled(z, 1.0)

    def scaled(self, z: Tensor, psi: float) -> Tensor:
        """Images of psi times the normalised latent."""
        x = psi * pixel_norm(z)
        for size in self.sizes:
            x = getattr(self, f"b{size}")(x)
        return self.torgb(x)


build_generator = ProGan
