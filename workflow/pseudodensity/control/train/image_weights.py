"""Latent weights of an image model, trained against its own discriminator as a critic."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pseudodensity.control.auxiliary.latent_space import LatentSpace
from pseudodensity.control.auxiliary.workshop import Workshop
from pseudodensity.control.train.batches import draw_real_images
from pseudodensity.control.train.weight_network import WeightNetwork
from pseudodensity.control.train.weights import NEUTRAL, RECIPE, WeightTrainer
from pseudodensity.generators.critic import held_out_images
from pseudodensity.generators.discriminator import StagedDiscriminator
from pseudodensity.images.transform import to_float
from pseudodensity.rng import generator as random_stream

__all__ = ["ImageWeightTrainer", "build_network"]


class EachAlone(nn.Module):
    """A discriminator that judges each image alone: in eval mode, always beside the same references.

    The slope of the gradient penalty is that of one image, which a batch statistic would spread.
    """

    def __init__(self, discriminator: StagedDiscriminator, references: Tensor):
        super().__init__()
        self.discriminator = discriminator
        self.register_buffer("references", references)

    def train(self, mode: bool = True) -> EachAlone:
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        return self.discriminator.judge_each(images, self.references)


class ImageWeightTrainer(WeightTrainer):
    """See `WeightTrainer`; settings as in `pseudodensity.control.auxiliary.latent_weight`."""

    def __init__(self, workshop: Workshop):
        settings, data = workshop.settings, workshop.data
        self.space = LatentSpace(workshop.generator(), settings["space"])
        discriminator = workshop.discriminator()
        references, _ = held_out_images(data, max(1, discriminator.companions))
        critic = EachAlone(discriminator, to_float(references).to(workshop.device))

        def draw_latents(count: int, stream: torch.Generator) -> Tensor:
            shape = (count, *self.space.generator.latent_shape)
            with torch.no_grad():
                return self.space.points(torch.randn(shape, generator=stream).to(workshop.device))

        def draw_reals(count: int, stream: torch.Generator) -> Tensor:
            return draw_real_images(data.images, count, None, workshop.mirror, stream)

        super().__init__(
            build_network(self.space, workshop),
            critic,
            self.space.images,
            draw_latents,
            draw_reals,
            {key: settings[key] for key in (*RECIPE, *NEUTRAL) if key in settings},
            iterations=settings["iterations"],
            seed=workshop.seed,
            device=workshop.device,
        )

    def weights_to_keep(self) -> dict[str, dict[str, Tensor]]:
        """The averaged weight network alone: nothing asks the critic again."""
        return {"average": super().weights_to_keep()["average"]}


def build_network(space: LatentSpace, workshop: Workshop) -> WeightNetwork:
    """A fresh weight network of a workshop's settings."""
    settings = workshop.settings
    return WeightNetwork(
        space.shape,
        settings["widths"],
        random_stream(workshop.seed, "weight network"),
        activation=settings["activation"],
        output=settings["output"],
        largest=settings["largest"],
    )
