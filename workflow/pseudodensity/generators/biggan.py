"""The class-conditional generator BigGAN-deep (Brock et al. 2019, appendix B), in plain PyTorch.

Written from the paper and from published parameter names and shapes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from pseudodensity.generators.class_latents import ClassLatents
from pseudodensity.generators.sizes import resolutions

__all__ = ["BigGan", "SelfAttention", "bottleneck", "build_generator", "orthogonal"]

DECLARATION = {
    "name": "biggan",
    "prior": "normal",  # of z; of the number that chooses the class only the quantile counts
    "classes": True,
    "w_space": False,
    "normalises_z": False,
    "discriminator": "generators.biggan_discriminator",
    "trainer": "control.train.conditional_gan:ConditionalGanTrainer",
    "tangents": None,
    "no_jacobian": None,
    "truncation": ["resample", "scale"],
    "likelihood": False,
    "calls_per_image": "one",
    "formats": ["biggan"],
}

EPSILON = 1e-4  # of batch normalisation, as published
MOMENTUM = 0.1


def orthogonal(layer: nn.Module, spectral: bool) -> nn.Module:
    """A layer with an orthogonal weight, under spectral normalisation (Miyato et al. 2018) if asked."""
    nn.init.orthogonal_(layer.weight)
    return spectral_norm(layer) if spectral else layer


def bottleneck(inputs: int, narrow: int, outputs: int, spectral: bool) -> nn.ModuleList:
    """The four convolutions of a block: of one pixel to few channels, twice of 3 x 3, and back."""
    shapes = ((inputs, narrow, 1), (narrow, narrow, 3), (narrow, narrow, 3), (narrow, outputs, 1))
    return nn.ModuleList(
        orthogonal(nn.Conv2d(i, o, k, padding=k // 2), spectral) for i, o, k in shapes
    )


class SelfAttention(nn.Module):
    """Attention between the pixels of a map (Zhang et al. 2019), with keys and values of half the side.

    An eighth of the channels is compared, half of them is passed on; ``gamma``, at first 0, scales it.
    """

    def __init__(self, channels: int, spectral: bool):
        super().__init__()
        narrow, half = max(channels // 8, 1), max(channels // 2, 1)
        self.query = orthogonal(nn.Conv2d(channels, narrow, 1, bias=False), spectral)
        self.key = orthogonal(nn.Conv2d(channels, narrow, 1, bias=False), spectral)
        self.value = orthogonal(nn.Conv2d(channels, half, 1, bias=False), spectral)
        self.out = orthogonal(nn.Conv2d(half, channels, 1, bias=False), spectral)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, h), h even -> the same."""
        query = self.query(x).flatten(2)
        key = F.max_pool2d(self.key(x), 2).flatten(2)
        value = F.max_pool2d(self.value(x), 2).flatten(2)
        shares = (query.mT @ key).softmax(-1)  # (n, pixels, pixels / 4)
        passed = (value @ shares.mT).unflatten(2, x.shape[2:])
        return x + self.gamma * self.out(passed)


class ConditionalNorm(nn.Module):
    """Batch normalisation whose gain and bias are linear in a vector (n, condition)."""

    def __init__(self, channels: int, condition: int, spectral: bool):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, eps=EPSILON, momentum=MOMENTUM, affine=False)
        self.gain = orthogonal(nn.Linear(condition, channels, bias=False), spectral)
        self.bias = orthogonal(nn.Linear(condition, channels, bias=False), spectral)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        gain, bias = 1 + self.gain(condition), self.bias(condition)
        return self.norm(x) * gain[:, :, None, None] + bias[:, :, None, None]


class Block(nn.Module):
    """Residual block with a bottleneck; `up` doubles the map.

    The way past it has no weights: where channels become fewer, the last ones are dropped.
    """

    def __init__(
        self, inputs: int, outputs: int, condition: int, reduction: int, up: bool, spectral: bool
    ):
        super().__init__()
        narrow = inputs // reduction
        self.up, self.outputs = up, outputs
        widths = (inputs, narrow, narrow, narrow)
        self.norms = nn.ModuleList(ConditionalNorm(w, condition, spectral) for w in widths)
        self.convolutions = bottleneck(inputs, narrow, outputs, spectral)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(n, inputs, h, h), (n, condition) -> (n, outputs, h, h), or 2 h."""
        past = x[:, : self.outputs]
        for place, (norm, convolution) in enumerate(
            zip(self.norms, self.convolutions, strict=True)
        ):
            x = F.relu(norm(x, condition))
            x = convolution(_doubled(x) if self.up and place == 1 else x)
        return x + (_doubled(past) if self.up else past)


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


class BigGan(ClassLatents):
    """Latents (n, z_dim + 1) float32 -> images (n, 3, R, R) float32 in [-1, 1].

    The first z_dim numbers of a latent are z; the last one chooses the class. In
    ``eval()`` an image depends on its own latent only; in ``train()`` batch normalisation couples the
    batch (``couples_batch``).

    Args:
        resolution: R, a power of two of at least 8.
        classes: how many there are; at first all have the same share, see :meth:`set_shares`.
        z_dim: length of z. class_dim: length of the vector that stands for a class.
        channels: at 4, 8, ..., R, none more than the one before.
        reduction: how many times narrower a block is inside.
        attention: side of the map that attends to itself, one of 8, ..., R; None for none.
        spectral_norm: of all weights but those of the classes.

    Raises:
        ValueError: on another resolution or number of channels, or a size that leaves none of something.
    """

    couples_batch = True
    truncation = DECLARATION["truncation"]

    def __init__(
        self,
        resolution: int,
        classes: int,
        z_dim: int = 128,
        class_dim: int = 128,
        channels: Sequence[int] = (2048, 2048, 1024, 512, 256, 128),
        reduction: int = 4,
        attention: int | None = 64,
        spectral_norm: bool = True,
    ):
        super().__init__()
        sizes = resolutions(resolution)
        _check(sizes, classes, z_dim, class_dim, channels, reduction, attention)
        self.resolution, self.latent_shape = resolution, (z_dim + 1,)
        self.start_classes(classes)
        self.embedding = orthogonal(nn.Embedding(classes, class_dim), False)
        condition = z_dim + class_dim
        self.dense = orthogonal(nn.Linear(condition, 16 * channels[0]), spectral_norm)
        settings = (condition, reduction)
        self.layers = nn.ModuleList()
        for size, (inputs, outputs) in zip(sizes[1:], pairwise(channels), strict=True):
            self.layers.append(Block(inputs, inputs, *settings, False, spectral_norm))
            self.layers.append(Block(inputs, outputs, *settings, True, spectral_norm))
            if size == attention:
                self.layers.append(SelfAttention(outputs, spectral_norm))
        self.norm = nn.BatchNorm2d(channels[-1], eps=EPSILON, momentum=MOMENTUM)
        self.torgb = orthogonal(nn.Conv2d(channels[-1], 3, 3, padding=1), spectral_norm)

    def forward(self, latents: Tensor) -> Tensor:
        return self.scaled(latents, 1.0)

    def scaled(self, latents: Tensor, psi: float) -> Tensor:
        """Images of psi times z, of the same classes."""
        condition = torch.cat([psi * latents[:, :-1], self.embedding(self.labels(latents))], 1)
        # Channels come last in published weights.
        x = self.dense(condition).unflatten(1, (4, 4, -1)).permute(0, 3, 1, 2).contiguous()
        for layer in self.layers:
            x = layer(x, condition) if isinstance(layer, Block) else layer(x)
        return torch.tanh(self.torgb(F.relu(self.norm(x))))

    @torch.no_grad()
    def measure_statistics(self, batches: Iterable[Tensor]) -> None:
        """Set the running statistics to the mean of those of batches (the paper's standing statistics)."""
        norms = [module for module in self.modules() if isinstance(module, nn.BatchNorm2d)]
        modes = [norm.training for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.train().momentum = None  # the plain mean of all batches
        for batch in batches:
            self(batch)
        for norm, mode in zip(norms, modes, strict=True):
            norm.train(mode).momentum = MOMENTUM


def _check(
    sizes: Sequence[int],
    classes: int,
    z_dim: int,
    class_dim: int,
    channels: Sequence[int],
    reduction: int,
    attention: int | None,
) -> None:
    if min(classes, z_dim, class_dim, reduction) < 1:
        raise ValueError(
            f"a BigGAN needs 1 or more of each of classes {classes}, z_dim {z_dim}, class_dim {class_dim} "
            f"and reduction {reduction}"
        )
    falling = all(before >= after for before, after in pairwise(channels))
    if len(channels) != len(sizes) or not falling or min(channels) < 1:
        raise ValueError(
            f"a BigGAN of {sizes[-1]} px has {len(sizes)} numbers of channels, at 4 to {sizes[-1]} px, none "
            f"more than the one before, not {list(channels)}"
        )
    if channels[-2] < reduction:
        raise ValueError(
            f"channels {list(channels)} leave nothing of a {reduction}th: lower reduction"
        )
    if attention is not None and attention not in sizes[1:]:
        raise ValueError(
            f"attention is {attention}, no side of a map: give one of {sizes[1:]} or null"
        )


build_generator = BigGan
