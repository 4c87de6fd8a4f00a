"""What the networks that look at noisy images have in common: how they are built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pseudodensity.control.guide.noisy_networks import NoisyEncoder
from pseudodensity.rng import generator as random_stream
from pseudodensity.rng import seed_layers

__all__ = ["build_encoder"]


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
