"""Pixel diffusion models that know classes (Dhariwal and Nichol 2021, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pseudodensity.generators.class_latents import ClassLatents
from pseudodensity.generators.denoiser import Denoiser, folded_size, make_process, make_unet
from pseudodensity.generators.diffusion_sampling import sample
from pseudodensity.generators.gaussian_diffusion import GaussianDiffusion
from pseudodensity.generators.unet import UNetShape

__all__ = ["ClassDiffusionModel", "build_generator"]

DECLARATION = {
    "name": "class_diffusion",
    "prior": "normal",  # of x_T; of the number that chooses the class only the quantile counts
    "classes": True,
    "w_space": False,
    "normalises_z": False,
    "discriminator": None,
    "trainer": "control.train.class_diffusion:ClassDiffusionTrainer",
    "tangents": None,
    "no_jacobian": "would take a tangent of the whole sampling chain for each number of x_T, once "
    "per proposal",
    "truncation": ["scale", "resample"],  # of x_T
    "likelihood": False,
    "calls_per_image": "many",
    "formats": ["openai"],
}


class ClassDiffusionModel(ClassLatents, Denoiser):
    """A diffusion model with classes; `forward` maps latents to images by deterministic DDIM.

    A latent is x_T, (3 R R,) in the order of an image's numbers, and one number that chooses the class.
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
        classes: int,
    ):
        """unet: takes labels too. classes: how many it knows. All else as `Denoiser`."""
        super().__init__(unet, process, resolution, patch, sampling_steps, rescale_vb)
        self.latent_shape = (3 * resolution**2 + 1,)
        self.start_classes(classes)

    def split(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """x_T (n, 3, R, R) and classes (n,) int64 of latents (n, 3 R R + 1)."""
        size = self.resolution
        return latents[:, :-1].unflatten(1, (3, size, size)), self.labels(latents)

    def forward(self, latents: Tensor) -> Tensor:
        """Images (n, 3, R, R) in [-1, 1] from latents (n, 3 R R + 1) standard normal."""
        return sample(self, latents)

    def scaled(self, latents: Tensor, psi: float) -> Tensor:
        """Images of psi times x_T, of the same classes."""
        return self(torch.cat([psi * latents[:, :-1], latents[:, -1:]], 1))


def build_generator(
    resolution: int,
    *,
    classes: int,
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
) -> ClassDiffusionModel:
    """A diffusion model of `classes` classes; all else as :func:`.diffusion.build_generator`."""
    shape = UNetShape(
        size=folded_size(resolution, patch),
        patch=patch,
        flavour=flavour,
        channels=channels,
        blocks=blocks,
        attention_levels=attention_levels,
        head_channels=head_channels,
        norm_groups=norm_groups,
        dropout=dropout,
        classes=classes,
    )
    process = make_process(schedule, training_steps, prediction)
    unet = make_unet(network, shape)
    return ClassDiffusionModel(
        unet, process, resolution, patch, sampling_steps, rescale_vb, classes
    )
