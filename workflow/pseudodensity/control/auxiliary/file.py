"""Train an auxiliary network into its file, and read it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from pseudodensity.control.auxiliary.workshop import Workshop
from pseudodensity.control.train.finishing import complete
from pseudodensity.plan.auxiliaries import auxiliary_module
from pseudodensity.progress import Progress
from pseudodensity.tensors import join_parts, load_tensors, save_tensors, split_parts

__all__ = ["load_auxiliary", "train_auxiliary"]


def train_auxiliary(
    name: str,
    workshop: Workshop,
    path: str | Path,
    workdir: str | Path,
    progress: Progress,
    *,
    stamp: Mapping[str, Any],
    code: str = "",
) -> None:
    """Train a network of ``control.auxiliary`` and write it; resumes from ``workdir``.

    Args:
        name: NAME of its module.
        workshop: the checkpoint that it belongs to, with its settings.
        stamp, code: as for `pseudodensity.control.train.pretraining.pretrain`.

    RuntimeError, in one line: the training collapsed, as the module says.
    """
    trainer = _module(name).trainer(workshop)

    def save(weights: Mapping[str, Any]) -> None:
        told = {"network": name, "settings": dict(workshop.settings), "facts": trainer.facts()}
        save_tensors(path, join_parts(weights), stamp, told)

    iterations = workshop.settings["iterations"]
    complete(trainer, iterations, stamp, code, path, workdir, progress, save)


def load_auxiliary(path: str | Path, workshop: Workshop) -> Any:
    """What a column or a method computes with: see ``restore`` of the module that trained it.

    workshop: its settings give way to those of the file. ArtifactError: missing, damaged, or another file.
    """
    tensors, meta = load_tensors(path)
    own = replace(workshop, settings=meta["settings"])
    return _module(meta["network"]).restore(split_parts(tensors), own)


def _module(name: str) -> ModuleType:
    return import_module(f"pseudodensity.{auxiliary_module(name)}")
