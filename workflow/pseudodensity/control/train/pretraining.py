"""Pre-training: from a spec to a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pseudodensity.control.train.finishing import finish, make_trainer
from pseudodensity.generators.build import build_discriminator, build_generator
from pseudodensity.images.labels import Labels
from pseudodensity.progress import Progress

__all__ = ["pretrain"]


def pretrain(
    spec: Mapping[str, Any],
    images: np.ndarray,
    path: str | Path,
    workdir: str | Path,
    progress: Progress,
    *,
    stamp: Mapping[str, Any] | None = None,
    code: str = "",
    backbone: nn.Module | None = None,
    labels: Labels | None = None,
    device: str = "cpu",
) -> None:
    """Train a model from scratch and write its checkpoint; resumes from ``workdir``.

    Args:
        spec: ``architecture``, ``resolution``, ``generator``, ``discriminator``, ``recipe``,
            ``iterations``, ``mirror``, ``seed`` (:mod:`pseudodensity.plan.models` makes it).
        images: real images ``(N, 3, R, R)`` uint8.
        path: the checkpoint to write.
        workdir: folder of the partial state; removed when the checkpoint is safe.
        progress: where to report.
        stamp: all that defines the checkpoint, written into it; the spec where none is given.
        code: digests of the code that trains and of what its inputs hold. A partial state of others is
            not resumed.
        backbone: frozen feature network of a projected discriminator.
        labels: of the images, for a model with classes.
        device: where to compute.
    """
    settings = {"generator": spec["generator"], "discriminator": spec["discriminator"]}
    torch.manual_seed(spec["seed"])
    generator = build_generator(spec["architecture"], spec["resolution"], settings["generator"])
    discriminator = None
    if settings["discriminator"] is not None:
        discriminator = build_discriminator(
            spec["architecture"],
            spec["resolution"],
            settings["discriminator"],
            backbone,
        )
    trainer = make_trainer(spec, images, generator, discriminator, labels=labels, device=device)
    finish(spec, stamp or spec, code, settings, trainer, path, workdir, progress)
