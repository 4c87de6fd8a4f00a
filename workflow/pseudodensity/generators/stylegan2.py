"""StyleGAN2 generator (Karras et al. 2020), config F, in plain PyTorch.

Written from the paper and from the published parameter names and shapes, so that converted public
checkpoints load unchanged; a small model is the same classes with smaller numbers.
"""

import math
from collections.abc import Callable, Sequence
from importlib import import_module

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pseudodensity.generators.filters import (
    blur,
    double,
    resample_kernel,
    set_resample_filter,
)
from pseudodensity.generators.generator import BaseGenerator, LinearisedStage
from pseudodensity.generators.sizes import channels_at, resolutions

DECLARATION = {
    "name": "stylegan2",
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
    "formats": ["nvlabs", "nvlabs_tensorflow"],
}

SLOPE = 0.2
GAIN = math.sqrt(2)  # keeps the second moment through a leaky ReLU
NOISE_MODES = ("random", "const", "none")


def bounded_lrelu(x: Tensor, clamp: float | None) -> Tensor:
    """Leaky ReLU, then the bound that keeps half precision from overflowing.

    Gains are folded into what comes before: a leaky ReLU commutes with positive factors.
    """
    x = F.leaky_relu(x, SLOPE)
    return x if clamp is None else x.clamp(-clamp, clamp)


class FullyConnected(nn.Module):
    """Linear layer with equalised learning rate, optionally followed by a leaky ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        activate: bool = False,
        bias: float = 0.0,
        lr_multiplier: float = 1.0,
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), float(bias)))
        self.activate = activate
        gain = GAIN if activate else 1.0
        self.weight_gain = gain * lr_multiplier / math.sqrt(inputs)
        self.bias_gain = gain * lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs) -> (n, outputs)."""
        x = F.linear(x, self.weight * self.weight_gain, self.bias * self.bias_gain)
        return F.leaky_relu(x, SLOPE) if self.activate else x


class Mapping(nn.Module):
    """f: z -> w, with a running mean of w for truncation.

    `lr_multiplier` slows its learning; it changes neither names nor shapes of the weights, but a
    checkpoint means something only with the multiplier it was trained with (published: 0.01).
    """

    def __init__(
        self, z_dim: int, w_dim: int, layers: int, w_avg_beta: float, lr_multiplier: float = 0.01
    ):
        super().__init__()
        self.layers, self.w_avg_beta = layers, w_avg_beta
        for i in range(layers):
            inputs = z_dim if i == 0 else w_dim
            layer = FullyConnected(inputs, w_dim, activate=True, lr_multiplier=lr_multiplier)
            setattr(self, f"fc{i}", layer)
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(self, z: Tensor, psi: float = 1.0) -> Tensor:
        """z (n, z_dim) -> w (n, w_dim), pulled towards the mean w by the truncation `psi`."""
        w = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        for i in range(self.layers):
            w = getattr(self, f"fc{i}")(w)
        if self.training:
            self.w_avg.copy_(w.detach().mean(0).lerp(self.w_avg, self.w_avg_beta))
        return w if psi == 1 else self.w_avg.lerp(w, psi)


def demodulation(weight: Tensor, style: Tensor) -> Tensor:
    """Factors that give a modulated convolution unit variance (StyleGAN2, eq. 3).

    weight (o, i, k, k), style (n, i) -> (n, o).
    """
    energy = style.square() @ weight.square().sum((2, 3)).t()
    return (energy + 1e-8).rsqrt()


def modulated_colours(
    x: Tensor, weight: Tensor, bias: Tensor, style: Tensor, clamp: float | None
) -> Tensor:
    """Modulated 1x1 convolution: x (n, c, h, h), weight (3, c, 1, 1), style (n, c) -> (n, 3, h, h).

    With three output channels a matrix per sample is cheaper than scaling the whole input.
    """
    n, c, h, _ = x.shape
    matrix = weight.view(3, c).t() * style[:, :, None]
    pixels = torch.baddbmm(bias, x.permute(0, 2, 3, 1).reshape(n, h * h, c), matrix)
    if clamp is not None:
        pixels = pixels.clamp(-clamp, clamp)
    return pixels.view(n, h, h, 3).permute(0, 3, 1, 2)


class SynthesisLayer(nn.Module):
    """Modulated 3x3 convolution, noise, bias, leaky ReLU; optionally doubles the size.

    The style scales the input and the demodulation the output, which equals a per-sample weight
    (StyleGAN2, eq. 1-3) but needs one ordinary convolution for the whole batch.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int,
        w_dim: int,
        *,
        up: bool = False,
        clamp: float | None = None,
    ):
        super().__init__()
        self.up, self.clamp = up, clamp
        self.affine = FullyConnected(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.register_buffer("noise_const", torch.randn(size, size))
        self.register_buffer("resample_filter", resample_kernel())

    def forward(self, x: Tensor, w: Tensor, noise: str) -> Tensor:
        """x (n, inputs, h, h), w (n, w_dim) -> (n, outputs, size, size)."""
        style = self.affine(w)
        x = x * style[:, :, None, None]
        if self.up:
            x = F.conv_transpose2d(x, self.weight.transpose(0, 1), stride=2)
            x = blur(x, self.resample_filter * 4, padding=1)
        else:
            x = F.conv2d(x, self.weight, padding=1)
        scale = demodulation(self.weight, style) * GAIN
        x = torch.addcmul((self.bias * GAIN)[:, None, None], x, scale[:, :, None, None])
        if noise != "none":
            x = x + self._noise(x, noise) * (self.noise_strength * GAIN)
        return bounded_lrelu(x, self.clamp)

    def _noise(self, x: Tensor, noise: str) -> Tensor:
        if noise == "const":
            return self.noise_const
        return torch.randn_like(x[:, :1])


class ToRGB(nn.Module):
    """Modulated 1x1 convolution to colours, without demodulation."""

    def __init__(self, inputs: int, w_dim: int, clamp: float | None):
        super().__init__()
        self.clamp = clamp
        self.affine = FullyConnected(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(3, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x (n, inputs, h, h), w (n, w_dim) -> (n, 3, h, h)."""
        style = self.affine(w) / math.sqrt(x.shape[1])
        return modulated_colours(x, self.weight, self.bias, style, self.clamp)


class SynthesisBlock(nn.Module):
    """One resolution: its layers, and the skip connection that sums the colour images."""

    def __init__(self, inputs: int, outputs: int, size: int, w_dim: int, clamp: float | None):
        super().__init__()
        self.first = inputs == 0
        if self.first:
            self.const = nn.Parameter(torch.randn(outputs, size, size))
        else:
            self.conv0 = SynthesisLayer(inputs, outputs, size, w_dim, up=True, clamp=clamp)
        self.conv1 = SynthesisLayer(outputs, outputs, size, w_dim, clamp=clamp)
        self.torgb = ToRGB(outputs, w_dim, clamp)
        self.register_buffer("resample_filter", resample_kernel())

    def forward(
        self, x: Tensor | None, image: Tensor | None, ws: Tensor, noise: str
    ) -> tuple[Tensor, Tensor]:
        """ws (n, 2 or 3, w_dim), the last one for the colours -> features, image at this size."""
        if self.first:
            x = self.const.expand(ws.shape[0], -1, -1, -1)
            x = x.contiguous(memory_format=torch.channels_last)
        else:
            x = self.conv0(x, ws[:, 0], noise)
        x = self.conv1(x, ws[:, -2], noise)
        colours = self.torgb(x, ws[:, -1])
        return x, colours if image is None else colours + double(image, self.resample_filter)


class Synthesis(LinearisedStage):
    """g: w -> image."""

    def __init__(
        self,
        resolution: int,
        w_dim: int,
        channel_base: int,
        channel_max: int,
        conv_clamp: float | None,
    ):
        super().__init__()
        self.sizes = resolutions(resolution)
        self.w_dim, self.num_ws = w_dim, 2 * len(self.sizes)
        inputs = 0
        for size in self.sizes:
            outputs = channels_at(size, channel_base, channel_max)
            block = SynthesisBlock(inputs, outputs, size, w_dim, conv_clamp)
            setattr(self, f"b{size}", block)
            inputs = outputs

    def forward(self, ws: Tensor, noise_mode: str | None = None) -> Tensor:
        """ws (n, w_dim), or one w per layer (n, num_ws, w_dim) -> images (n, 3, R, R).

        `noise_mode`: 'random' (torch's generator of the device: seed it), 'const' (the stored
        maps) or 'none'; by default 'random' in train mode and 'const' in eval mode, so that
        evaluation is deterministic.
        """
        noise = noise_mode or ("random" if self.training else "const")
        if noise not in NOISE_MODES:
            raise ValueError(f"noise_mode must be one of {', '.join(NOISE_MODES)}, not {noise}")
        ws = ws.unsqueeze(1).expand(-1, self.num_ws, -1) if ws.ndim == 2 else ws
        x = image = None
        for i, size in enumerate(self.sizes):
            # a block's colours share the w of the next block's first layer
            own = ws[:, max(2 * i - 1, 0) : 2 * i + 2]
            x, image = getattr(self, f"b{size}")(x, image, own, noise)
        return image

    def linearised(self, w: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Images (m, 3, R, R) of w (m, w_dim), and dw (c, m, w_dim) -> (c, m, 3, R, R)."""
        # By name, so that training does not depend on it.
        tangents = import_module(f"pseudodensity.{DECLARATION['tangents']}")
        return tangents.linearised_stylegan2(self, w)


class StyleGenerator(BaseGenerator):
    """Any generator with a w space: ``mapping`` z -> w and ``synthesis`` w -> images."""

    w_space = True
    truncation = DECLARATION["truncation"]

    @torch.no_grad()
    def measure_mean_w(self, z: Tensor) -> None:
        """Set ``mapping.w_avg`` to the mean w of latents z (n, z_dim); in eval mode."""
        self.mapping.w_avg.copy_(self.mapping(z).mean(0))


class Generator(StyleGenerator):
    """StyleGAN2 generator: z (n, z_dim) -> images (n, 3, R, R) in about [-1, 1]."""

    def __init__(
        self,
        resolution: int,
        z_dim: int = 512,
        w_dim: int = 512,
        mapping_layers: int = 8,
        channel_base: int = 32768,
        channel_max: int = 512,
        conv_clamp: float | None = None,
        w_avg_beta: float = 0.998,
        mapping_lr: float = 0.01,
        resample_filter: Sequence[float] = (1, 3, 3, 1),
    ):
        super().__init__()
        self.resolution, self.latent_shape = resolution, (z_dim,)
        self.mapping = Mapping(z_dim, w_dim, mapping_layers, w_avg_beta, mapping_lr)
        self.synthesis = Synthesis(resolution, w_dim, channel_base, channel_max, conv_clamp)
        set_resample_filter(self.synthesis, resample_filter)

    def forward(self, z: Tensor, psi: float = 1.0, noise_mode: str | None = None) -> Tensor:
        """z (n, z_dim) float32 -> images (n, 3, R, R); truncation `psi`, noise of `Synthesis`."""
        return self.synthesis(self.mapping(z, psi), noise_mode)


build_generator = Generator
