"""What the training of an auxiliary network has at hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from pseudodensity.features.extractor import Extractor
from pseudodensity.generators.checkpoint import CheckpointFile
from pseudodensity.images.dataset import ImageSet

__all__ = ["Workshop"]


@dataclass(frozen=True)
class Workshop:
    """A checkpoint with what an auxiliary network of it learns from.

    data: the real images, None where only `restore` is called. backbone: of a projected discriminator.
    mirror: whether a flipped real image is as good as it is. seed: names all random streams. log: of the
    job, where long work before the training says how far it is; None for the terminal alone.
    """

    checkpoint: CheckpointFile
    settings: Mapping[str, Any]
    seed: int
    data: ImageSet | None = None
    backbone: Extractor | None = None
    mirror: bool = False
    device: str = "cpu"
    log: str | None = None

    def generator(self) -> nn.Module:
        """The averaged generator, frozen."""
        return self.checkpoint.frozen_generator(self.device)

    def discriminator(self) -> nn.Module:
        """The discriminator as its training left it. ArtifactError: there is none."""
        return self.checkpoint.build("discriminator", self.backbone).to(self.device)
