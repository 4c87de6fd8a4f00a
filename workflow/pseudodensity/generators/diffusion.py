"""Pixel diffusion models of two families, IDDPM and ADM, as deterministic generators."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle
from torch.utils.checkpoint import checkpoint

from pseudodensity.generators.gaussian_diffusion import (
    GaussianDiffusion,
    cosine_betas,
    linear_betas,
)
from pseudodensity.generators.generator import BaseGenerator
from pseudodensity.generators.unet import UNet, UNetShape

__all__ = ["DiffusionModel", "build_generator"]

DECLARATION = {
    "name": "diffusion",
    "prior": "normal",
    "classes": False,
    "w_space": False,
    "normalises_z": False,
    "discriminator": None,
    "trainer": "control.train.diffusion:DiffusionTrainer",
    "tangents": None,
    "no_jacobian": "would take a tangent of the whole sampling chain for each number of x_T, once "
    "per proposal",
    "truncation": ["scale", "resample"],  # of x_T
    "likelihood": False,
    "calls_per_image": "many",
    "formats": ["openai"],
}

SCHEDULES = {"linear": linear_betas, "cosine": cosine_betas}
NETWORKS = ("small", "diffusers")


class DiffusionModel(BaseGenerator):
    """A diffusion model; `forward` maps latents to images by deterministic DDIM.

    unet: network on the grid resolution/patch, images and times -> means and variances, as
    `unet.UNet`; patch: side of the pixel blocks folded into
    channels before the network (1 at paper scale). process: the full schedule it is trained on.
    sampling_steps: DDIM steps, a divisor of process.steps. rescale_vb: see
    `GaussianDiffusion.hybrid_loss`.
    """

    truncation = DECLARATION["truncation"]

    def __init__(
        self,
        unet: nn.Module,
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
        output = self.unet(self._fold(x), self._clock(times))
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
        for i in range(self.sampler.steps - 1, -1, -1):
            step = torch.tensor([i], device=z.device)  # of all images
            if torch.is_grad_enabled():
                x = checkpoint(self._ddim_step, x, step, use_reentrant=False)
            else:
                x = self._ddim_step(x, step)
        return pixel_shuffle(x, self.patch)

    def _ddim_step(self, x: Tensor, i: Tensor) -> Tensor:
        output = self.unet(x, self._clock(self.sampler.times[i]))
        return self.sampler.ddim_step(output, x, i)

    def loss(self, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Hybrid loss (n,) of images x0 (n, 3, R, R) in [-1, 1] at steps t (n,) int64."""
        output = self.predict(self.process.noised(x0, t, noise), t)
        return self.process.hybrid_loss(output, x0, t, noise, self.rescale_vb)


def build_generator(
    resolution: int,
    *,
    network: str,
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
    """A diffusion model for images of resolution^2; see `UNetShape` for the network's settings.

    network: "small", ours, for models that are trained here; "diffusers" for public weights.
    schedule: "linear" | "cosine"; prediction: "epsilon" | "v_prediction".
    ValueError for settings that cannot be built.
    """
    if network not in NETWORKS:
        raise ValueError(f"diffusion network {network!r} unknown: use one of {NETWORKS}")
    if schedule not in SCHEDULES:
        raise ValueError(f"noise schedule {schedule!r} unknown: use one of {sorted(SCHEDULES)}")
    if resolution % patch:
        raise ValueError(f"resolution {resolution} is no multiple of patch={patch}")
    shape = UNetShape(
        size=resolution // patch,
        patch=patch,
        flavour=flavour,
        channels=channels,
        blocks=blocks,
        attention_levels=attention_levels,
        head_channels=head_channels,
        norm_groups=norm_groups,
        dropout=dropout,
    )
    process = GaussianDiffusion.from_betas(SCHEDULES[schedule](training_steps), prediction)
    unet = UNet(shape) if network == "small" else _public_network(shape)
    return DiffusionModel(unet, process, resolution, patch, sampling_steps, rescale_vb)


def _public_network(shape: UNetShape) -> nn.Module:
    # Imported where it is asked for: it takes seconds, and models that are trained here need none.
    from pseudodensity.generators.diffusers_unet import DiffusersUNet

    return DiffusersUNet(shape)
