"""Importance weights of latents, learned against a critic: w(z) with E w = 1 (papers/003)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pseudodensity.control.choice import needs_discriminator

if TYPE_CHECKING:
    from pseudodensity.control.auxiliary.latent_space import LatentWeight
    from pseudodensity.control.auxiliary.workshop import Workshop
    from pseudodensity.control.train.image_weights import ImageWeightTrainer

NAME = "latent_weight"
TITLE = "latent weight"
SOURCE = "Algorithm 1, equations 5 and 6, appendix E; docs/deviations.md says what differs"
INPUTS = ("data", "backbone")
# The paper's lambda1, lambda2 and m are lambda_norm, lambda_clip and largest. warm_up: steps of the critic
# alone, of the iterations. critic_loss: that of the base model where it is one of the two. space: w behind
# the frozen mapping of a StyleGAN, or z. The paper's form is normalised: false, baseline: minimum,
# lambda_norm: 20. accumulate: samples are worked through in that many equal parts of the batch.
DEFAULTS = {
    "iterations": 1500,
    "batch_size": 64,
    "accumulate": 1,
    "space": "w",
    "widths": [128, 128, 128],
    "activation": "leaky",
    "output": "relu",
    "largest": 3.0,
    "critic_loss": "wasserstein",
    "normalised": True,
    "penalty": 1.0,
    "penalty_sides": "two",
    "baseline": "self_normalised",
    "lambda_norm": 0.5,
    "lambda_clip": 3.0,
    "lr_weights": 0.001,
    "lr_critic": 0.001,
    "lr_warm_up": 0.002,
    "betas": [0.0, 0.9],
    "warm_up": 500,
    "critic_steps": 1,
    "weight_steps": 1,
    "decay_fraction": 0.5,
    "ema_half_life": 2000.0,
}
NEUTRAL = {"accumulate": 1}  # said or not, this makes nothing anew
CHOICES = {
    "space": ["w", "z"],
    "activation": ["relu", "leaky"],
    "output": ["relu", "sigmoid"],
    "critic_loss": ["wasserstein", "hinge"],
    "penalty_sides": ["one", "two"],
    "baseline": ["self_normalised", "minimum"],
}
LIMITS = {
    "iterations": (1, 10_000_000),
    "batch_size": (2, 100_000),
    "accumulate": (1, 100_000),
    "largest": (1e-6, 1e6),
    "penalty": (0, 1e6),
    "lambda_norm": (0, 1e6),
    "lambda_clip": (0, 1e6),
    "lr_weights": (0, 10),
    "lr_critic": (0, 10),
    "lr_warm_up": (0, 10),
    "warm_up": (0, 10_000_000),
    "critic_steps": (1, 1000),
    "weight_steps": (1, 1000),
    "decay_fraction": (0, 1),
    "ema_half_life": (0, 1e9),
}
# It is trained against the discriminator as a critic.
why_not = needs_discriminator


def trainer(workshop: Workshop) -> ImageWeightTrainer:
    """What trains it."""
    from pseudodensity.control.train.image_weights import ImageWeightTrainer

    return ImageWeightTrainer(workshop)


def restore(states: Mapping[str, Mapping[str, Any]], workshop: Workshop) -> LatentWeight:
    """The averaged network, frozen, in its space."""
    from pseudodensity.control.auxiliary.latent_space import LatentSpace, LatentWeight
    from pseudodensity.control.train.image_weights import build_network

    space = LatentSpace(workshop.generator(), workshop.settings["space"])
    network = build_network(space, workshop)
    network.load_state_dict(states["average"])
    network = network.to(workshop.device).eval().requires_grad_(False)
    return LatentWeight(network, space, workshop.settings["largest"])
