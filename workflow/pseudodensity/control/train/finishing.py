"""What all trainings share: the trainer of an architecture, and the way to a finished file."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pseudodensity.artifacts import ArtifactError
from pseudodensity.control.train.loop import Trainer, exclusive, run
from pseudodensity.generators.checkpoint import CheckpointFile, save_checkpoint
from pseudodensity.images.labels import Labels
from pseudodensity.plan.declared import declared_by_name
from pseudodensity.progress import Progress
from pseudodensity.tensors import load_tensors, refuse_non_finite

__all__ = ["complete", "finish", "make_trainer"]


def make_trainer(
    spec: Mapping[str, Any],
    images: np.ndarray,
    generator: nn.Module,
    discriminator: nn.Module | None,
    *,
    average: nn.Module | None = None,
    weights: torch.Tensor | None = None,
    accept: Any = None,
    labels: Labels | None = None,
    device: str,
) -> Trainer:
    """The trainer of the spec's architecture; see its class for the arguments.

    labels: of the images, for a model with classes; others do not look at them.
    """
    common = {key: spec[key] for key in ("iterations", "mirror", "seed")}
    common |= {"average": average, "weights": weights, "device": device}
    _, declaration = declared_by_name("generators", "DECLARATION", spec["architecture"])
    trainer = _trainer_class(declaration)
    if declaration["classes"]:
        common |= {"labels": labels}
    if discriminator is None:
        return trainer(generator, images, spec["recipe"], **common)
    # Only fine-tuning brings an average to continue.
    common |= {"accept": accept, "as_sampled": average is not None}
    return trainer(generator, discriminator, images, spec["recipe"], **common)


def _trainer_class(declaration: Mapping[str, Any]) -> type:
    """What trains an architecture, imported by name: a job loads no other. ValueError: nothing."""
    if declaration["trainer"] is None:
        raise ValueError(f"{declaration['name']} models are used as they are and cannot be trained")
    module, name = declaration["trainer"].split(":")
    return getattr(import_module(f"pseudodensity.{module}"), name)


def finish(
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

    def save(weights: Mapping[str, Any]) -> None:
        checkpoint = CheckpointFile(
            spec["architecture"], spec["resolution"], settings, weights, trainer.facts()
        )
        save_checkpoint(path, checkpoint, stamp)

    complete(trainer, spec["iterations"], stamp, code, path, workdir, progress, save)


def complete(
    trainer: Trainer,
    iterations: int,
    stamp: Mapping[str, Any],
    code: str,
    path: str | Path,
    workdir: str | Path,
    progress: Progress,
    save: Callable[[Mapping[str, Any]], None],
) -> None:
    """Run the loop, let ``save`` write the parts that are kept, and only then drop the partial state.

    A file with this stamp that another process finished meanwhile is taken as it is.
    """
    with exclusive(workdir, progress):
        if _is_made(path, stamp):
            progress.say("another process has just finished this model")
            return
        # Killed under other code or other images, a half-finished training would mix the two.
        run(trainer, iterations, workdir, {**stamp, "code": code}, progress)
        weights = trainer.weights_to_keep()
        for part, state in weights.items():
            refuse_non_finite(state, f"the {part} of {progress.label}")
        save(weights)
        shutil.rmtree(workdir, ignore_errors=True)


def _is_made(path: str | Path, stamp: Mapping[str, Any]) -> bool:
    """Whether the file appeared while this process waited for the one that trained it."""
    try:
        load_tensors(path, stamp)
    except ArtifactError:
        return False
    return True
