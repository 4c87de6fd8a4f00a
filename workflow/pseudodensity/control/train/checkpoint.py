"""From a training spec to a checkpoint: pre-training, fine-tuning, importing a public file."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pseudodensity.artifacts import ArtifactError
from pseudodensity.control.select.importance import sampling_weights
from pseudodensity.control.train.fakes import FakeFilter, weight_of_fakes
from pseudodensity.control.train.loop import Trainer, exclusive, run
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.extractor import Extractor
from pseudodensity.generators.build import build_discriminator, build_generator
from pseudodensity.generators.checkpoint import CheckpointFile, load_checkpoint, save_checkpoint
from pseudodensity.plan.declared import declared_by_name
from pseudodensity.progress import Progress

__all__ = ["finetune", "pretrain"]


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
        code: digest of the code that trains. A partial state of other code is not resumed.
        backbone: frozen feature network of a projected discriminator.
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
    trainer = _trainer(spec, images, generator, discriminator, device=device)
    _finish(spec, stamp or spec, code, settings, trainer, path, workdir, progress)


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
    trainer = _trainer(
        warm,
        images,
        origin.build("generator"),
        discriminator,
        average=origin.build("average"),
        weights=weights,
        accept=accept,
        device=device,
    )
    _finish(spec, stamp or spec, code, origin.settings, trainer, path, workdir, progress)


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


def _trainer(
    spec: Mapping[str, Any],
    images: np.ndarray,
    generator: nn.Module,
    discriminator: nn.Module | None,
    *,
    average: nn.Module | None = None,
    weights: torch.Tensor | None = None,
    accept: FakeFilter | None = None,
    device: str,
) -> Trainer:
    common = {key: spec[key] for key in ("iterations", "mirror", "seed")}
    common |= {"average": average, "weights": weights, "device": device}
    trainer = _trainer_class(spec["architecture"])
    if discriminator is None:
        return trainer(generator, images, spec["recipe"], **common)
    # Only fine-tuning brings an average to continue.
    common |= {"accept": accept, "as_sampled": average is not None}
    return trainer(generator, discriminator, images, spec["recipe"], **common)


def _trainer_class(architecture: str) -> type:
    """What trains an architecture, imported by name: a job loads no other. ValueError: nothing."""
    _, declaration = declared_by_name("generators", "DECLARATION", architecture)
    if declaration["trainer"] is None:
        raise ValueError(f"{architecture} models are used as they are and cannot be trained")
    module, name = declaration["trainer"].split(":")
    return getattr(import_module(f"pseudodensity.{module}"), name)


def _finish(
    spec: Mapping[str, Any],
    stamp: Mapping[str, Any],
    code: str,
    settings: Mapping[str, Any],
    trainer: Trainer,
    path: str | Path,
    workdir: str | Path,
    progress: Progress,
) -> None:
    """Run the loop, write the checkpoint, and only then drop the partial state."""
    with exclusive(workdir, progress):
        if _is_made(path, stamp):
            progress.say("another process has just finished this model")
            return
        # Killed under other code, a half-finished training would mix the two.
        run(trainer, spec["iterations"], workdir, {**stamp, "code": code}, progress)
        checkpoint = CheckpointFile(
            spec["architecture"],
            spec["resolution"],
            settings,
            trainer.weights_to_keep(),
            trainer.facts(),
        )
        save_checkpoint(path, checkpoint, stamp)
        shutil.rmtree(workdir, ignore_errors=True)


def _is_made(path: str | Path, stamp: Mapping[str, Any]) -> bool:
    """Whether the checkpoint appeared while this process waited for the one that trained it."""
    try:
        load_checkpoint(path, stamp)
    except ArtifactError:
        return False
    return True
