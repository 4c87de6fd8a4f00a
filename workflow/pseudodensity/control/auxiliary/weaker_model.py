"""The same diffusion model with less training: what autoguidance leads away from (Karras et al. 2024)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pseudodensity.control.guide.suitable import needs_diffusion

if TYPE_CHECKING:
    from pseudodensity.control.auxiliary.workshop import Workshop
    from pseudodensity.control.train.diffusion import DiffusionTrainer
    from pseudodensity.generators.denoiser import Denoiser

NAME = "weaker_model"
TITLE = "weaker model"
SOURCE = "Karras et al. 2024, section 5: of the same kind, with a share of the training"
INPUTS = ("data",)
# iterations: a fifth of those of the class-conditional model of the default config; the others are that model's own.
DEFAULTS = {
    "iterations": 500,
    "batch_size": 48,
    "accumulate": 1,
    "lr": 0.002,
    "warmup_iterations": 100,
    "decay_fraction": 0.5,
    "ema_half_life": 10000.0,
    "ema_ramp_up": 0.1,
}
NEUTRAL = {"accumulate": 1}  # said or not, this makes nothing anew
LIMITS = {
    "iterations": (1, 10_000_000),
    "batch_size": (2, 100_000),
    "accumulate": (1, 100_000),
    "lr": (1e-9, 10),
    "warmup_iterations": (0, 10_000_000),
    "decay_fraction": (0, 1),
    "ema_half_life": (0, 1e9),
    "ema_ramp_up": (0, 1e9),
}
why_not = needs_diffusion


def trainer(workshop: Workshop) -> DiffusionTrainer:
    """What trains it, from a start of its own. ValueError, in one line: a model with classes and a data set
    of none, or of another number."""
    from pseudodensity.control.train.class_diffusion import ClassDiffusionTrainer
    from pseudodensity.control.train.diffusion import DiffusionTrainer
    from pseudodensity.generators.build import build_generator
    from pseudodensity.rng import generator as random_stream
    from pseudodensity.rng import seed_layers

    checkpoint, settings = workshop.checkpoint, workshop.settings
    # Layers draw their weights from torch's own generator.
    seed_layers(random_stream(workshop.seed, "weights of a weaker model"), "cpu")
    model = build_generator(
        checkpoint.architecture, checkpoint.resolution, checkpoint.settings["generator"]
    )
    if model.classes is None:
        return DiffusionTrainer(
            model,
            workshop.data.images,
            settings,
            iterations=settings["iterations"],
            mirror=workshop.mirror,
            seed=workshop.seed,
            device=workshop.device,
        )
    return ClassDiffusionTrainer(
        model,
        workshop.data.images,
        settings,
        labels=workshop.data.labels,
        iterations=settings["iterations"],
        mirror=workshop.mirror,
        seed=workshop.seed,
        device=workshop.device,
    )


def restore(states: Mapping[str, Mapping[str, Any]], workshop: Workshop) -> Denoiser:
    """The averaged model, frozen, in eval mode, on the device."""
    from dataclasses import replace

    return replace(workshop.checkpoint, states=states).frozen_generator(workshop.device)
