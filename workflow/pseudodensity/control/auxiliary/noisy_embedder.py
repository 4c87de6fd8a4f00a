"""A classifier of noisy images with the class means of its features, which says what is rare at every
noise level (papers/002)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pseudodensity.control.guide.suitable import needs_classes

if TYPE_CHECKING:
    from pseudodensity.control.auxiliary.workshop import Workshop
    from pseudodensity.control.guide.noisy_networks import NoisyEmbedder
    from pseudodensity.control.train.noisy_embedder import EmbedderTrainer

NAME = "noisy_embedder"
TITLE = "embedder of noisy images"
SOURCE = "papers/002, section 4 and appendix A.1; docs/deviations.md says what differs"
INPUTS = ("data",)
# patch to norm_groups: of the way down of a U-Net, as of a diffusion model. features: k. anchors: times
# that have class means of their own.
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
    "anchors": 28,
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
    "anchors": (2, 1000),
}
why_not = needs_classes


def trainer(workshop: Workshop) -> EmbedderTrainer:
    """What trains it. ValueError, in one line: a data set without labels, or of other classes."""
    import torch

    from pseudodensity.control.auxiliary.noisy_encoder import build_encoder
    from pseudodensity.control.train.noisy_embedder import EmbedderTrainer
    from pseudodensity.images.labels import class_numbers

    if workshop.data.labels is None:
        raise ValueError(
            "an embedder of classes needs a data set with labels, and this one has none"
        )
    numbers, classes = class_numbers(workshop.data.labels)
    generator, settings = workshop.generator(), workshop.settings
    if classes != generator.classes:
        raise ValueError(
            f"the data set has {classes} classes and the model {generator.classes}: an embedder needs the "
            "images that the model was trained on"
        )
    return EmbedderTrainer(
        build_encoder(generator.resolution, settings, classes, workshop.seed),
        generator.process,
        workshop.data.images,
        torch.from_numpy(numbers),
        classes,
        settings,
        mirror=workshop.mirror,
        seed=workshop.seed,
        device=workshop.device,
    )


def restore(states: Mapping[str, Mapping[str, Any]], workshop: Workshop) -> NoisyEmbedder:
    """The embedder, frozen, with its class means on the device."""
    from pseudodensity.control.auxiliary.noisy_encoder import restored_encoder
    from pseudodensity.control.guide.noisy_networks import NoisyEmbedder

    resolution, means = workshop.checkpoint.resolution, states["means"]["values"]
    network = restored_encoder(states["network"], workshop, means.shape[1])
    return NoisyEmbedder(network, states["means"]["times"], means.to(workshop.device), resolution)
