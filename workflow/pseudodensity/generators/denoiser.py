"""What all pixel diffusion models are: a network on folded pixels, and the process it is trained on."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from pseudodensity.generators.gaussian_diffusion import (
    GaussianDiffusion,
    cosine_betas,
    linear_betas,
)
from pseudodensity.generators.generator import BaseGenerator
from pseudodensity.generators.unet import UNet, UNetShape

__all__ = ["Denoiser", "folded_size", "make_process", "make_unet"]

SCHEDULES = {"linear": linear_betas, "cosine": cosine_betas}
NETWORKS = ("small", "diffusers")


class Denoiser(BaseGenerator):
    """A network that is asked for a cleaner image in every step of a chain.

    unet: network on the grid resolution/patch, images and times -> means and variances, as
    `unet.UNet`; patch: side of the pixel blocks folded into channels before the network (1 at paper
    scale). process: the full schedule it is trained on. sampling_steps: DDIM steps of an image, a
    divisor of process.steps. rescale_vb: see `GaussianDiffusion.hybrid_loss`.
    """

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
        self.resolution, self.latent_shape = resolution, (3, resolution, resolution)
        self.patch = patch
        self.rescale_vb = rescale_vb

    def split(self, latents: Tensor) -> tuple[Tensor, Tensor | None]:
        """x_T (n, 3, R, R) of latents (n, *latent_shape), and the classes (n,) int64 that they choose."""
        return latents, None

    def fold(self, x: Tensor) -> Tensor:
        """Maps (n, c, R, R) as the network takes them, (n, c patch^2, R/patch, R/patch)."""
        return pixel_unshuffle(x, self.patch).contiguous(memory_format=torch.channels_last)

    def unfold(self, x: Tensor) -> Tensor:
        """What `fold` folded."""
        return pixel_shuffle(x, self.patch)

    def clock(self, times: Tensor) -> Tensor:
        """Steps of the process (n,) -> times of the network; see `GaussianDiffusion.clock`."""
        return self.process.clock(times)

    def folded_output(self, x: Tensor, clock: Tensor, labels: Tensor | None = None) -> Tensor:
        """Output of the network for folded images at its own times (n,), or (1,) for all of them.

        labels: (n,) int64, of a network with classes; `unet.ClassEmbedding` takes mixtures as well.
        """
        return self.unet(x, clock) if labels is None else self.unet(x, clock, labels)

    def output(self, x: Tensor, clock: Tensor, labels: Tensor | None = None) -> Tensor:
        """`folded_output` (n, 6, R, R) of images (n, 3, R, R): for guides, which know no folds."""
        return self.unfold(self.folded_output(self.fold(x), clock, labels))

    def predict(self, x: Tensor, times: Tensor, labels: Tensor | None = None) -> Tensor:
        """`output` for noisy images x (n, 3, R, R) at steps (n,) of the process."""
        return self.output(x, self.clock(times), labels)

    def loss(self, x0: Tensor, t: Tensor, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        """Hybrid loss (n,) of images x0 (n, 3, R, R) in [-1, 1] at steps t (n,) int64."""
        output = self.predict(self.process.noised(x0, t, noise), t, labels)
        return self.process.hybrid_loss(output, x0, t, noise, self.rescale_vb)


def folded_size(resolution: int, patch: int) -> int:
    """Side of the grid of images of resolution^2. ValueError: pixels do not fold into such blocks."""
    if resolution % patch:
        raise ValueError(f"resolution {resolution} is no multiple of patch={patch}")
    return resolution // patch


def make_process(schedule: str, training_steps: int, prediction: str) -> GaussianDiffusion:
    """The full process of a model. ValueError for an unknown schedule or prediction."""
    if schedule not in SCHEDULES:
        raise ValueError(f"noise schedule {schedule!r} unknown: use one of {sorted(SCHEDULES)}")
    return GaussianDiffusion.from_betas(SCHEDULES[schedule](training_steps), prediction)


def make_unet(network: str, shape: UNetShape) -> nn.Module:
    """The network of a shape: "small", ours, for models that are trained here; "diffusers" for public
    weights. ValueError for another."""
    if network not in NETWORKS:
        raise ValueError(f"diffusion network {network!r} unknown: use one of {NETWORKS}")
    if network == "small":
        return UNet(shape)
    # Imported where it is asked for: it takes seconds, and models that are trained here need none.
    from pseudodensity.generators.diffusers_unet import DiffusersUNet

    return DiffusersUNet(shape)
