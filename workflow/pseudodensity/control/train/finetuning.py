"""Fine-tuning with importance sampling: from a checkpoint and a density to another checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pseudodensity.control.select.acceptance import sampling_weights
from pseudodensity.control.train.fakes import FakeFilter, weight_of_fakes
from pseudodensity.control.train.finishing import finish, make_trainer
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.extractor import Extractor
from pseudodensity.generators.checkpoint import load_checkpoint
from pseudodensity.images.labels import Labels
from pseudodensity.progress import Progress

__all__ = ["finetune"]


def finetune(
    spec: Mapping[str, Any],
    parent: str | Path,
    parent_stamp: Mapping[str, Any],
    images: np.ndarray,
    path: str | Path,
    workdir: str | Path,
    progress: Progress,
    *,
    stamp: Mapping[str, Any] | None = None,
    code: str = "",
    density: PseudoDensity | None = None,
    extractor: Extractor | None = None,
    backbone: nn.Module | None = None,
    labels: Labels | None = None,
    device: str = "cpu",
) -> None:
    """Fine-tune a checkpoint with importance sampling (Algorithm 3); resumes from ``workdir``.

    Args:
        spec: as for :func:`pretrain` without the network settings, plus ``importance``: ``tau``
            (percentile, null for a control), ``w``, ``fake_weight`` (reciprocal | none | number).
        parent: the checkpoint to start from, whose stamp is ``parent_stamp``.
        stamp, code: as for :func:`pretrain`.
        density: density of the real images; its labels weight them. Not needed without tau.
        extractor: features of the density; needed where fakes are filtered.
        labels: of the images, for a model with classes.
    """
    origin = load_checkpoint(parent, parent_stamp)
    discriminator = None
    if "discriminator" in origin.states:
        discriminator = origin.build("discriminator", backbone)
    importance = spec["importance"]
    weights = accept = None
    if importance["tau"] is not None:
        tau = density.threshold(importance["tau"])
        weights = torch.as_tensor(sampling_weights(density.labels, tau, importance["w"]))
        if discriminator is not None:
            accept = _fake_filter(importance, extractor, density, tau, device)
    # A fine-tuned average starts warm; the ramp is for random weights.
    warm = {**spec, "recipe": {**spec["recipe"], "ema_ramp_up": None}}
    trainer = make_trainer(
        warm,
        images,
        origin.build("generator"),
        discriminator,
        average=origin.build("average"),
        weights=weights,
        accept=accept,
        labels=labels,
        device=device,
    )
    finish(spec, stamp or spec, code, origin.settings, trainer, path, workdir, progress)


def _fake_filter(
    importance: Mapping[str, Any],
    extractor: Extractor,
    density: PseudoDensity,
    tau: float,
    device: str,
) -> FakeFilter | None:
    weight = weight_of_fakes(importance)
    if weight is None:
        return None
    return FakeFilter(extractor.to(device), density.to(device), tau, weight)
