"""The discriminator as a density ratio: its head trained on against the images of the finished generator.

What a GAN leaves behind was trained against a moving generator, by another loss than cross-entropy, so
its logit is no log p_data / p_g. Every method that weighs images by that ratio asks for this network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pseudodensity.control.choice import needs_discriminator

if TYPE_CHECKING:
    from torch import nn

    from pseudodensity.control.auxiliary.workshop import Workshop
    from pseudodensity.control.train.ratio import RatioTrainer

NAME = "ratio"
TITLE = "density ratio"
SOURCE = "Azadi et al. 2019, section 3.3; papers/003, equation 2"
INPUTS = ("data", "backbone")
# r1_gamma: of the penalty on real images, as in the GANs here; 0 for none. accumulate: the batch is worked
# through in that many equal parts, whose gradients add up to that of the whole one.
DEFAULTS = {
    "iterations": 400,
    "batch_size": 64,
    "accumulate": 1,
    "learning_rate": 0.002,
    "r1_gamma": 0.1,
}
NEUTRAL = {"accumulate": 1}  # said or not, this makes nothing anew
LIMITS = {
    "iterations": (1, 10_000_000),
    "batch_size": (2, 100_000),
    "accumulate": (1, 100_000),
    "learning_rate": (1e-9, 10),
    "r1_gamma": (0, 1e6),
}
# It is a discriminator, trained on.
why_not = needs_discriminator


def trainer(workshop: Workshop) -> RatioTrainer:
    """What trains it."""
    from pseudodensity.control.train.ratio import RatioTrainer

    return RatioTrainer(
        workshop.discriminator(),
        workshop.generator(),
        workshop.data,
        workshop.settings,
        mirror=workshop.mirror,
        seed=workshop.seed,
        device=workshop.device,
    )


def restore(states: Mapping[str, Mapping[str, Any]], workshop: Workshop) -> nn.Module:
    """The discriminator with the head that was trained."""
    discriminator = workshop.discriminator()
    discriminator.head().load_state_dict(states["head"])
    return discriminator
