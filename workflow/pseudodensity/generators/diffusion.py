"""Pixel diffusion models of two families, IDDPM and ADM, as deterministic generators.

The network is diffusers' UNet2DModel. `flavour` fixes what tells the families apart
(Dhariwal and Nichol, 2021, section 3): ADM conditions by scale and shift after the norm,
resamples inside residual blocks and has many narrow attention heads; IDDPM adds the time
embedding, resamples by a convolution and has one head.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from diffusers import UNet2DModel
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn
from torch.nn.functional import interpolate, pixel_shuffle, pixel_unshuffle
from torch.utils.checkpoint import checkpoint

from pseudodensity.generators.gaussian_diffusion import (
    GaussianDiffusion,
    cosine_betas,
    linear_betas,
)
from pseudodensity.generators.small_maps import use_products

__all__ = ["DiffusionModel", "build_generator", "build_unet"]

SCHEDULES = {"linear": linear_betas, "cosine": cosine_betas}
# flavour: plain down and up block, resampling, conditioning
FLAVOURS = {
    "iddpm": ("DownBlock2D", "UpBlock2D", "conv", "default"),
    "adm": ("ResnetDownsampleBlock2D", "ResnetUpsampleBlock2D", "resnet", "scale_shift"),
}


def build_unet(
    size: int,
    patch: int,
    flavour: str,
    channels: Sequence[int],
    blocks: int,
    attention_levels: Sequence[int],
    head_channels: int | None,
    norm_groups: int,
    dropout: float,
) -> UNet2DModel:
    """A U-Net on a grid of size x size, 3 patch^2 channels in and 6 patch^2 out.

    channels: width of each level, finest first, each a multiple of norm_groups and each level
    half the size of the one before. blocks: residual blocks per level on the way down; the way up
    has one more. With none on the way down all levels must have one width.
    attention_levels: indices of the levels with self-attention (the middle always has it).
    head_channels: width of an attention head; None for one head.
    ValueError for a flavour, size or width that cannot be built.
    """
    if flavour not in FLAVOURS:
        raise ValueError(f"diffusion flavour {flavour!r} unknown: use one of {sorted(FLAVOURS)}")
    if size % 2 ** (len(channels) - 1):
        raise ValueError(f"a grid of {size} cannot be halved for {len(channels)} levels: use fewer")
    if channels[0] < 3 * patch**2:
        # Such a net cannot carry the noise from its input to its output, and never learns.
        raise ValueError(f"channels[0]={channels[0]} is below 3 patch^2 = {3 * patch**2}: widen it")
    if any(width % norm_groups for width in channels):
        raise ValueError(f"channels {list(channels)} must divide by norm_groups={norm_groups}")
    if not blocks and len(set(channels)) > 1:
        raise ValueError(f"blocks=0 cannot change the width: give channels {list(channels)} one")
    down, up, resample, conditioning = FLAVOURS[flavour]
    attended = [level in attention_levels for level in range(len(channels))]
    unet = UNet2DModel(
        sample_size=size,
        in_channels=3 * patch**2,
        out_channels=6 * patch**2,
        block_out_channels=tuple(channels),
        layers_per_block=blocks,
        down_block_types=tuple("AttnDownBlock2D" if a else down for a in attended),
        up_block_types=tuple("AttnUpBlock2D" if a else up for a in reversed(attended)),
        downsample_type=resample,
        upsample_type=resample,
        resnet_time_scale_shift=conditioning,
        attention_head_dim=head_channels,
        norm_num_groups=norm_groups,
        # Without it the attention of a scale-and-shift middle block would lose its norm.
        attn_norm_num_groups=norm_groups,
        norm_eps=1e-5,
        dropout=dropout,
    )
    unet.time_proj = _Clock(unet.time_proj)
    for block in unet.modules():
        if isinstance(block, ResnetBlock2D):
            block.__class__ = _ResidualBlock
    return unet


class _ResidualBlock(ResnetBlock2D):
    """diffusers' block, but channels last stays channels last.

    The parent makes the input of its upsampling contiguous, and in training of its shortcut.
    """

    def forward(self, x: Tensor, temb: Tensor) -> Tensor:
        """Maps (n, c, h, w) and the time's embedding (n or 1, d) -> maps."""
        residual = self.nonlinearity(self.norm1(x))
        if self.upsample is not None:
            x, residual = _double(x), _double(residual)
        elif self.downsample is not None:
            x, residual = self.downsample(x), self.downsample(residual)
        residual = self.conv1(residual)
        time = self.time_emb_proj(self.nonlinearity(temb))[:, :, None, None]
        if self.time_embedding_norm == "scale_shift":
            scale, shift = time.chunk(2, dim=1)
            residual = torch.addcmul(shift, self.norm2(residual), 1 + scale)
        else:
            residual = self.norm2(residual + time)
        residual = self.conv2(self.dropout(self.nonlinearity(residual)))
        return residual + (x if self.conv_shortcut is None else self.conv_shortcut(x))


def _double(x: Tensor) -> Tensor:
    if x.device.type != "cpu":
        x = x.contiguous()  # large batches in channels last fail on GPUs: diffusers' issue 984
    return interpolate(x, scale_factor=2.0, mode="nearest")


class _Clock(nn.Module):
    """Encodes times (n,), as (1, d) where all are one, as in sampling: the network broadcasts it."""

    def __init__(self, encode: nn.Module):
        super().__init__()
        self.encode = encode

    def forward(self, times: Tensor) -> Tensor:
        return self.encode(times[:1] if (times == times[0]).all() else times)


class DiffusionModel(nn.Module):
    """A diffusion model; `forward` maps latents to images by deterministic DDIM.

    unet: network on the grid resolution/patch; patch: side of the pixel blocks folded into
    channels before the network (1 at paper scale). process: the full schedule it is trained on.
    sampling_steps: DDIM steps, a divisor of process.steps. rescale_vb: see
    `GaussianDiffusion.hybrid_loss`.
    """

    couples_batch = False

    def __init__(
        self,
        unet: UNet2DModel,
        process: GaussianDiffusion,
        resolution: int,
        patch: int,
        sampling_steps: int,
        rescale_vb: bool,
    ):
        super().__init__()
        self.unet = unet
        self.process = process
        self.sampler = process.leading(sampling_steps)
        self.resolution = resolution
        self.latent_shape = (3, resolution, resolution)
        self.patch = patch
        self.rescale_vb = rescale_vb

    def predict(self, x: Tensor, times: Tensor) -> Tensor:
        """Network output (n, 6, R, R) for noisy images x (n, 3, R, R) at times (n,)."""
        output = self.unet(self._fold(x), self._clock(times), return_dict=False)[0]
        return pixel_shuffle(output, self.patch)

    def _fold(self, x: Tensor) -> Tensor:
        return pixel_unshuffle(x, self.patch).contiguous(memory_format=torch.channels_last)

    def _clock(self, times: Tensor) -> Tensor:
        # The network's time axis is 0 .. 1000 whatever the number of training steps.
        return times * (1000 / self.process.steps)

    def forward(self, z: Tensor) -> Tensor:
        """Images (n, 3, R, R) in [-1, 1] from latents z (n, 3, R, R) standard normal.

        Differentiable in z: each step is recomputed in the backward pass, so that memory does
        not grow with the whole chain's activations.
        """
        x = self._fold(z)  # a step treats every pixel alike, so that one folding serves them all
        unet = self._network_of_means()
        if not torch.is_grad_enabled():
            example = torch.zeros(1, *x.shape[1:], device=x.device, dtype=x.dtype)
            use_products(unet, example, torch.zeros(1, device=x.device))
        for i in range(self.sampler.steps - 1, -1, -1):
            step = torch.full((len(z),), i, device=z.device)
            if torch.is_grad_enabled():
                x = checkpoint(self._ddim_step, unet, x, step, use_reentrant=False)
            else:
                x = self._ddim_step(unet, x, step)
        return pixel_shuffle(x, self.patch)

    def _network_of_means(self) -> UNet2DModel:
        """The network as DDIM calls it: without the channels of the variances, rows contiguous.

        A copy in structure; the tensors are the network's own.
        """
        tensors = {id(tensor): tensor for tensor in self.unet.state_dict(keep_vars=True).values()}
        unet = copy.deepcopy(self.unet, tensors)
        last = unet.conv_out
        for name, parameter in list(last.named_parameters()):
            delattr(last, name)  # a parameter could only be replaced by another one
            setattr(last, name, parameter.chunk(2)[0])
        # Attention hands transposed maps on, and torch multiplies such rows map by map, tens of
        # times slower, where the weights need no gradient.
        for layer in unet.modules():
            if isinstance(layer, nn.Linear):
                layer.register_forward_pre_hook(lambda _, inputs: (inputs[0].contiguous(),))
        return unet

    def _ddim_step(self, unet: UNet2DModel, x: Tensor, i: Tensor) -> Tensor:
        times = self._clock(self.sampler.times[i])
        return self.sampler.ddim_step(unet(x, times, return_dict=False)[0], x, i)

    def loss(self, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Hybrid loss (n,) of images x0 (n, 3, R, R) in [-1, 1] at steps t (n,) int64."""
        output = self.predict(self.process.noised(x0, t, noise), t)
        return self.process.hybrid_loss(output, x0, t, noise, self.rescale_vb)


def build_generator(
    resolution: int,
    *,
    flavour: str,
    channels: Sequence[int],
    blocks: int,
    attention_levels: Sequence[int],
    head_channels: int | None,
    norm_groups: int,
    dropout: float,
    patch: int,
    schedule: str,
    prediction: str,
    training_steps: int,
    sampling_steps: int,
    rescale_vb: bool,
) -> DiffusionModel:
    """A diffusion model for images of resolution^2; see `build_unet` for the network's settings.

    schedule: "linear" | "cosine"; prediction: "epsilon" | "v_prediction".
    ValueError for settings that cannot be built.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"noise schedule {schedule!r} unknown: use one of {sorted(SCHEDULES)}")
    if resolution % patch:
        raise ValueError(f"resolution {resolution} is no multiple of patch={patch}")
    unet = build_unet(
        resolution // patch,
        patch,
        flavour,
        channels,
        blocks,
        attention_levels,
        head_channels,
        norm_groups,
        dropout,
    )
    process = GaussianDiffusion.from_betas(SCHEDULES[schedule](training_steps), prediction)
    return DiffusionModel(unet, process, resolution, patch, sampling_steps, rescale_vb)
