"""What the networks that look at noisy images have in common: how they are built, and restored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pseudodensity.control.guide.noisy_networks import NoisyEncoder
from pseudodensity.rng import generator as random_stream
from pseudodensity.rng import seed_layers

if TYPE_CHECKING:
    from pseudodensity.control.auxiliary.workshop import Workshop

__all__ = ["build_encoder", "restored_encoder"]


def build_encoder(
    resolution: int, settings: Mapping[str, Any], outputs: int, seed: int
) -> NoisyEncoder:
    """A fresh encoder of the settings of a network here, with so many outputs. ValueError: settings that
    cannot be built."""
    # Layers draw their weights from torch's own generator.
    seed_layers(random_stream(seed, "weights of a noisy encoder"), "cpu")
    return NoisyEncoder(
        resolution,
        patch=settings["patch"],
        channels=settings["channels"],
        blocks=settings["blocks"],
        attention_levels=settings["attention_levels"],
        norm_groups=settings["norm_groups"],
        dropout=settings["dropout"],
        features=settings["features"],
        outputs=outputs,
    )


def restored_encoder(state: Mapping[str, Any], workshop: Workshop, outputs: int) -> NoisyEncoder:
    """A trained encoder from its state dict, frozen, in eval mode, on the device."""
    resolution = workshop.checkpoint.resolution
    network = build_encoder(resolution, workshop.settings, outputs, workshop.seed)
    network.load_state_dict(state)
    return network.to(workshop.device).eval().requires_grad_(False)
