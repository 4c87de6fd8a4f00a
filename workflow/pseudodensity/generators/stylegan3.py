"""StyleGAN3-T generator (Karras et al. 2021): alias-free, translation equivariant.

Written from the paper and from the published parameter names and shapes, so that converted public
checkpoints load unchanged; a small model is the same classes with smaller numbers. Its
discriminator is that of StyleGAN2.
"""

import math
from collections.abc import Callable, Iterable
from importlib import import_module

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pseudodensity.generators.filters import Resample, kaiser_lowpass
from pseudodensity.generators.generator import LinearisedStage
from pseudodensity.generators.stylegan2 import (
    GAIN,
    FullyConnected,
    Mapping,
    StyleGenerator,
    bounded_lrelu,
    demodulation,
    modulated_colours,
)

__all__ = ["Generator", "build_generator"]

DECLARATION = {
    "name": "stylegan3",
    "prior": "normal",
    "classes": False,
    "w_space": True,
    "normalises_z": True,
    "discriminator": "generators.stylegan2_discriminator",
    "trainer": "control.train.gan:GanTrainer",
    "tangents": "generators.stylegan_tangents",
    "no_jacobian": None,
    "truncation": ["style", "resample"],
    "likelihood": False,
    "calls_per_image": "one",
    "formats": ["nvlabs"],
}

FILTER_SIZE = 6  # taps per unit of the resampling factor
OVERSAMPLING = 2  # the nonlinearity runs at twice the higher of the two rates around it
CHUNK = 2**19  # samples at the high rate worked on at once: few enough for a CPU's cache


class Schedule:
    """Per-layer bandwidths, rates, sizes and channels (StyleGAN3, section 3.2 and appendix C).

    Arrays of num_layers + 1 entries, the last one for the colours. Frequencies and rates are per
    image width. Cutoff and stopband grow geometrically and reach their end at the first of the
    `num_critical` layers, whose transition band is widest.
    """

    def __init__(
        self,
        resolution: int,
        num_layers: int,
        num_critical: int,
        first_cutoff: float,
        first_stopband: float,
        last_stopband_rel: float,
        margin_size: int,
        channel_base: int,
        channel_max: int,
    ):
        if not 0 < num_critical < num_layers:
            raise ValueError(
                f"num_critical must lie between 1 and num_layers - 1, not {num_critical}"
            )
        exponents = np.minimum(np.arange(num_layers + 1) / (num_layers - num_critical), 1)
        last_cutoff = resolution / 2
        last_stopband = last_cutoff * last_stopband_rel
        self.cutoffs = first_cutoff * (last_cutoff / first_cutoff) ** exponents
        stopbands = first_stopband * (last_stopband / first_stopband) ** exponents
        wanted = np.ceil(np.log2(np.minimum(2 * stopbands, resolution)))
        self.rates = (2**wanted).astype(int)
        self.half_widths = np.maximum(stopbands, self.rates / 2) - self.cutoffs
        self.sizes = self.rates + 2 * margin_size
        self.sizes[-2:] = resolution
        self.channels = np.rint(np.minimum(channel_base / 2 / self.cutoffs, channel_max))
        self.channels = self.channels.astype(int)
        self.channels[-1] = 3


class FourierInput(nn.Module):
    """A field of random plane waves within a bandwidth, rotated and shifted by w (section 3.2)."""

    def __init__(self, channels: int, size: int, rate: float, bandwidth: float, w_dim: int):
        super().__init__()
        self.channels, self.rate, self.bandwidth = channels, rate, bandwidth
        self.weight = nn.Parameter(torch.randn(channels, channels))
        self.affine = FullyConnected(w_dim, 4)
        with torch.no_grad():
            self.affine.weight.zero_()
            self.affine.bias[0] = 1
        directions = torch.randn(channels, 2)
        radius = directions.norm(dim=1, keepdim=True)
        # radii spread so that the waves fill the disc of the bandwidth about evenly
        waves = directions / (radius * radius.square().exp().pow(0.25)) * bandwidth
        self.register_buffer("transform", torch.eye(3))
        self.register_buffer("freqs", waves)
        self.register_buffer("phases", torch.rand(channels) - 0.5)
        centres = (torch.arange(size) + 0.5 - size / 2) / rate
        grid = torch.cartesian_prod(centres, centres).flip(1)
        self.register_buffer("grid", grid, persistent=False)

    def forward(self, w: Tensor) -> Tensor:
        """w (n, w_dim) -> (n, channels, size, size). The buffer `transform` acts on coordinates."""
        return self.field(self.affine(w))

    def field(self, placement: Tensor) -> Tensor:
        """The same of (cosine, sine, dx, dy) up to a factor: (n, 4)."""
        cos, sin, dx, dy = (placement / placement[:, :2].norm(dim=1, keepdim=True)).unbind(1)
        rotation = torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2)
        shift = torch.stack([dx, dy], 1)[:, :, None]
        linear = rotation @ self.transform[:2, :2]
        offset = rotation @ (self.transform[:2, 2:] - shift)
        freqs = self.freqs @ linear
        phases = self.phases + (self.freqs @ offset).squeeze(2)
        # waves that a rotation or zoom pushes beyond the band fade out before they alias
        beyond = (freqs.norm(dim=2) - self.bandwidth) / (self.rate / 2 - self.bandwidth)
        amplitude = (1 - beyond).clamp(0, 1)
        waves = torch.baddbmm(phases[:, None], self.grid.expand(len(freqs), -1, -1), freqs.mT)
        waves = torch.sin(waves * (2 * math.pi)) * amplitude[:, None]
        x = waves @ (self.weight.t() / math.sqrt(self.channels))
        size = math.isqrt(len(self.grid))
        return x.view(-1, size, size, self.channels).permute(0, 3, 1, 2)


class SynthesisLayer(nn.Module):
    """Modulated convolution, alias-free leaky ReLU: from entry i - 1 to i of the schedule."""

    def __init__(
        self,
        plan: Schedule,
        index: int,
        w_dim: int,
        conv_clamp: float | None,
        magnitude_beta: float,
        recompute: bool,
    ):
        super().__init__()
        before = max(index - 1, 0)
        inputs, outputs = int(plan.channels[before]), int(plan.channels[index])
        self.torgb = index == len(plan.rates) - 1
        self.k = 1 if self.torgb else 3
        self.clamp, self.magnitude_beta, self.recompute = conv_clamp, magnitude_beta, recompute
        self.affine = FullyConnected(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, self.k, self.k))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("magnitude_ema", torch.ones([]))
        if not self.torgb:
            self._design_filters(plan, before, index)

    def _design_filters(self, plan: Schedule, before: int, index: int) -> None:
        """Kaiser filters to and from the high rate, and the padding that hits the wanted size."""
        rate = OVERSAMPLING * int(max(plan.rates[before], plan.rates[index]))
        up, down = rate // int(plan.rates[before]), rate // int(plan.rates[index])
        up_taps, down_taps = FILTER_SIZE * up, FILTER_SIZE * down
        for name, taps, entry in (("up", up_taps, before), ("down", down_taps, index)):
            taps = kaiser_lowpass(taps, plan.cutoffs[entry], plan.half_widths[entry], rate)
            self.register_buffer(f"{name}_filter", taps)
        size = int(plan.sizes[before]) + self.k - 1
        high = (int(plan.sizes[index]) - 1) * down + down_taps
        padding = high - size * up + up_taps - 1
        first = (padding + up) // 2
        self.up_gain = up
        self.chunk = max(1, CHUNK // (high * high * self.weight.shape[0]))
        self.up = Resample(size, up_taps, up, 1, (first, padding - first))
        self.down = Resample(high, down_taps, 1, down, (0, 0))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x (n, inputs, h, h), w (n, w_dim) -> (n, outputs, size, size)."""
        if self.training:
            magnitude = x.detach().square().mean()
            self.magnitude_ema.copy_(magnitude.lerp(self.magnitude_ema, self.magnitude_beta))
        style, gain = self.affine(w), self.magnitude_ema.rsqrt()
        if self.torgb:
            style = style * (gain / math.sqrt(x.shape[1]))
            return modulated_colours(x, self.weight, self.bias, style, self.clamp)
        # The original first normalises weight and style; demodulation cancels both factors.
        scale = demodulation(self.weight, style) * (gain * GAIN)
        x = F.conv2d(x * style[:, :, None, None], self.weight, padding=self.k - 1)
        x = torch.addcmul((self.bias * GAIN)[:, None, None], x, scale[:, :, None, None])
        parts = x.split(self.chunk)
        if self.recompute and torch.is_grad_enabled():
            parts = [checkpoint(self._filtered_lrelu, p, use_reentrant=False) for p in parts]
        else:
            parts = [self._filtered_lrelu(p) for p in parts]
        return torch.cat(parts)

    def _filtered_lrelu(self, x: Tensor) -> Tensor:
        """Leaky ReLU at the high rate: the new frequencies it makes are filtered, not aliased."""
        x = bounded_lrelu(self.up(x, self.up_filter * self.up_gain), self.clamp)
        return self.down(x, self.down_filter)


class Synthesis(LinearisedStage):
    """g: w -> image."""

    def __init__(
        self,
        plan: Schedule,
        w_dim: int,
        conv_clamp: float | None,
        output_scale: float,
        magnitude_beta: float,
        recompute: bool,
    ):
        super().__init__()
        self.num_ws, self.output_scale = len(plan.rates) + 1, output_scale
        size, rate = int(plan.sizes[0]), int(plan.rates[0])
        self.input = FourierInput(int(plan.channels[0]), size, rate, float(plan.cutoffs[0]), w_dim)
        self.layer_names = []
        for i, (size, channels) in enumerate(zip(plan.sizes, plan.channels, strict=True)):
            layer = SynthesisLayer(plan, i, w_dim, conv_clamp, magnitude_beta, recompute)
            self.layer_names.append(f"L{i}_{size}_{channels}")
            setattr(self, self.layer_names[-1], layer)

    def forward(self, ws: Tensor) -> Tensor:
        """ws (n, w_dim), or one w per layer (n, num_ws, w_dim) -> images (n, 3, R, R)."""
        ws = ws.unsqueeze(1).expand(-1, self.num_ws, -1) if ws.ndim == 2 else ws
        x = self.input(ws[:, 0])
        for i, name in enumerate(self.layer_names):
            x = getattr(self, name)(x, ws[:, i + 1])
        return x * self.output_scale

    def linearised(self, w: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Images (m, 3, R, R) of w (m, w_dim), and dw (c, m, w_dim) -> (c, m, 3, R, R)."""
        # By name, so that training does not depend on it.
        tangents = import_module(f"pseudodensity.{DECLARATION['tangents']}")
        return tangents.linearised_stylegan3(self, w)


class Generator(StyleGenerator):
    """StyleGAN3-T generator: z (n, z_dim) -> images (n, 3, R, R) in about [-1, 1].

    `recompute` trades time for memory: the activations at the high rate, which are most of what an
    image takes, are computed again in the backward pass instead of kept.
    """

    def __init__(
        self,
        resolution: int,
        z_dim: int = 512,
        w_dim: int = 512,
        mapping_layers: int = 2,
        num_layers: int = 14,
        num_critical: int = 2,
        first_cutoff: float = 2.0,
        first_stopband: float = 2**2.1,
        last_stopband_rel: float = 2**0.3,
        margin_size: int = 10,
        channel_base: int = 32768,
        channel_max: int = 512,
        conv_clamp: float | None = 256.0,
        output_scale: float = 0.25,
        magnitude_ema_beta: float = 0.999,
        w_avg_beta: float = 0.998,
        mapping_lr: float = 0.01,
        recompute: bool = False,
    ):
        super().__init__()
        self.resolution, self.latent_shape = resolution, (z_dim,)
        plan = Schedule(
            resolution,
            num_layers,
            num_critical,
            first_cutoff,
            first_stopband,
            last_stopband_rel,
            margin_size,
            channel_base,
            channel_max,
        )
        self.mapping = Mapping(z_dim, w_dim, mapping_layers, w_avg_beta, mapping_lr)
        self.synthesis = Synthesis(
            plan, w_dim, conv_clamp, output_scale, magnitude_ema_beta, recompute
        )

    def forward(self, z: Tensor, psi: float = 1.0) -> Tensor:
        """z (n, z_dim) float32 -> images (n, 3, R, R), with truncation `psi`."""
        return self.synthesis(self.mapping(z, psi))

    @torch.no_grad()
    def measure_statistics(self, batches: Iterable[Tensor]) -> None:
        """Set each layer's input magnitude to its mean over the last fifty batches of latents.

        For weights that were averaged: the moving averages that they copied are those of other
        weights, and a layer that meets another magnitude than its own makes another image.
        batches: latents (n, z_dim); the first few hundred settle one layer after the other.
        """
        layers = [m for m in self.modules() if isinstance(m, SynthesisLayer)]
        was_training, betas = self.training, [layer.magnitude_beta for layer in layers]
        self.train()
        for i, latents in enumerate(batches):
            for layer in layers:
                layer.magnitude_beta = min(i / (i + 1), 0.98)  # the mean so far, while they are few
            self(latents)
        for layer, beta in zip(layers, betas, strict=True):
            layer.magnitude_beta = beta
        self.train(was_training)


build_generator = Generator
