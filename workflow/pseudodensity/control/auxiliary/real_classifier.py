"""A classifier of real against generated noisy images, which keeps guided samples near the data
(papers/002), with its accuracy on held-out images at every noise level."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pseudodensity.control.guide.suitable import needs_diffusion

if TYPE_CHECKING:
    from pseudodensity.control.auxiliary.workshop import Workshop
    from pseudodensity.control.guide.noisy_networks import RealClassifier
    from pseudodensity.control.train.real_classifier import RealClassifierTrainer

NAME = "real_classifier"
TITLE = "classifier of real against generated images"
SOURCE = "papers/002, section 3.2.2; docs/deviations.md says what differs"
INPUTS = ("data",)
# As of noisy_embedder. images: of either kind, at most; the paper takes all.
DEFAULTS = {
    "iterations": 600,
    "batch_size": 96,
    "learning_rate": 0.001,
    "weight_decay": 0.02,
    "dropout": 0.2,
    "patch": 2,
    "channels": [32, 64],
    "blocks": 1,
    "attention_levels": [1],
    "norm_groups": 8,
    "features": 64,
    "images": 5000,
}
LIMITS = {
    "iterations": (1, 10_000_000),
    "batch_size": (2, 100_000),
    "learning_rate": (1e-9, 10),
    "weight_decay": (0, 100),
    "dropout": (0, 0.99),
    "patch": (1, 64),
    "blocks": (1, 16),
    "norm_groups": (1, 1024),
    "features": (1, 65_536),
    "images": (2, 10_000_000),
}
why_not = needs_diffusion


def trainer(workshop: Workshop) -> RealClassifierTrainer:
    """What trains it, after the images of the model were drawn."""
    from pseudodensity.control.auxiliary.noisy_encoder import build_encoder
    from pseudodensity.control.train.real_classifier import RealClassifierTrainer, generated_images
    from pseudodensity.progress import Progress

    settings, generator = workshop.settings, workshop.generator()
    real = workshop.data.images[: settings["images"]]
    progress = Progress(
        "draw what the classifier tells from real images", len(real), log=workshop.log
    )
    return RealClassifierTrainer(
        build_encoder(generator.resolution, settings, 1, workshop.seed),
        generator.process,
        real,
        generated_images(
            generator,
            len(real),
            workshop.seed,
            settings["batch_size"],
            workshop.device,
            progress,
        ),
        settings,
        mirror=workshop.mirror,
        seed=workshop.seed,
        device=workshop.device,
    )


def restore(states: Mapping[str, Mapping[str, Any]], workshop: Workshop) -> RealClassifier:
    """The classifier, frozen, with its accuracy."""
    from pseudodensity.control.auxiliary.noisy_encoder import restored_encoder
    from pseudodensity.control.guide.noisy_networks import HeldOutAccuracy, RealClassifier

    resolution, held_out = workshop.checkpoint.resolution, states["held_out"]
    network = restored_encoder(states["network"], workshop, 1)
    accuracy = HeldOutAccuracy(
        held_out["times"],
        held_out["accuracy"],
        int(held_out["images"]),
        held_out["loss"],
        held_out["learnt_loss"],
    )
    return RealClassifier(network, accuracy, resolution)
