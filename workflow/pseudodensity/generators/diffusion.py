"""Pixel diffusion models of two families, IDDPM and ADM, as deterministic generators."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from pseudodensity.generators.denoiser import Denoiser, folded_size, make_process, make_unet
from pseudodensity.generators.diffusion_sampling import sample
from pseudodensity.generators.unet import UNetShape

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


class DiffusionModel(Denoiser):
    """A diffusion model; `forward` maps latents to images by deterministic DDIM."""

    truncation = DECLARATION["truncation"]

    def forward(self, z: Tensor) -> Tensor:
        """Images (n, 3, R, R) in [-1, 1] from latents z (n, 3, R, R) standard normal."""
        return sample(self, z)


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
    )
    process = make_process(schedule, training_steps, prediction)
    unet = make_unet(network, shape)
    return DiffusionModel(unet, process, resolution, patch, sampling_steps, rescale_vb)
